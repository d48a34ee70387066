//! Files that are generated and committed: error pages, OpenAPI, the settings page, the migrations lock.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use prost_reflect::DescriptorPool;

use crate::{errors, project, tidy};

/// One reason of `veilcloud.common.v1.ErrorReason`.
pub struct Reason {
    /// Without its `ERROR_REASON_` prefix.
    pub name: String,
    /// What to do.
    pub remedy: String,
}

/// Builds what generated files are made with.
pub fn build() -> Result<()> {
    let mut build = project::cargo(&["build", "--workspace", "--all-targets", "--locked", "--quiet"]);
    project::step("build", &mut build)
}

/// Writes every generated file again.
pub fn run() -> Result<()> {
    build()?;
    tidy::write_lock()?;
    for (path, text) in generated()? {
        let path = project::root().join(path);
        fs::create_dir_all(path.parent().context("a generated file has a folder")?)?;
        fs::write(path, text)?;
    }
    Ok(())
}

/// Fails when a generated file is missing, old or left over.
pub fn check() -> Result<()> {
    eprintln!("==> generated files");
    let generated = generated()?;
    let mut stale = Vec::new();
    for (path, text) in &generated {
        if fs::read_to_string(project::root().join(path)).ok().as_ref() != Some(text) {
            stale.push(path.display().to_string());
        }
    }
    for file in project::files()?.into_iter().filter(|f| f.starts_with("docs/errors")) {
        if !generated.contains_key(&file) {
            stale.push(format!("{} (left over)", file.display()));
        }
    }
    if !stale.is_empty() {
        bail!("not current, run cargo xtask codegen: {}", stale.join(", "));
    }
    Ok(())
}

/// Every generated file but the locks, by path. The server binary must be built.
fn generated() -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    let server =
        |args: &[&str]| project::output(Command::new(project::binary("veilcloud-server")).args(args));
    files.insert(PathBuf::from("docs/config.md"), server(&["config-docs"])?);
    files.insert(PathBuf::from("deploy/veilcloud.example.toml"), server(&["config-docs", "--example"])?);
    let openapi = server(&["openapi"])?;
    files.extend(errors::pages(&openapi)?);
    files.insert(PathBuf::from("docs/openapi/openapi.json"), openapi);
    Ok(files)
}

/// The reasons with the remedies from their comments.
pub fn reasons(pool: &DescriptorPool) -> Result<Vec<Reason>> {
    let reasons = pool.get_enum_by_name("veilcloud.common.v1.ErrorReason").context("the enum ErrorReason")?;
    let file = reasons.parent_file();
    let info =
        file.file_descriptor_proto().source_code_info.clone().context("comments in the descriptor set")?;
    let mut out = Vec::new();
    for value in reasons.values().filter(|v| v.number() != 0) {
        let comment = info.location.iter().find(|l| l.path == value.path());
        let comment = comment.and_then(|l| l.leading_comments.clone()).unwrap_or_default();
        let flat = comment.split_whitespace().collect::<Vec<_>>().join(" ");
        let remedy = flat.split_once("Remedy:").map_or("", |(_, remedy)| remedy);
        let name = value.name().trim_start_matches("ERROR_REASON_").to_owned();
        out.push(Reason { name, remedy: remedy.trim().to_owned() });
    }
    Ok(out)
}
