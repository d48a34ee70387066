//! A migration that somebody may have run is never edited: its digest stands in a lock file beside it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::Findings;
use crate::project;

const LOCK: &str = "migrations.lock";

/// Migrations whose digest differs from the lock, or that are not in it.
pub fn check() -> Result<Findings> {
    let mut findings = Findings::new();
    for (folder, files) in folders()? {
        let locked = read_lock(&folder)?;
        for (name, digest) in &files {
            match locked.get(name) {
                Some(known) if known == digest => {}
                Some(_) => findings.push(format!(
                    "{}/{name} was edited after it was locked: add a new migration",
                    folder.display()
                )),
                None => findings
                    .push(format!("{}/{name} is not locked: run cargo xtask codegen", folder.display())),
            }
        }
        for name in locked.keys().filter(|n| !files.contains_key(*n)) {
            findings.push(format!("{}/{name} is locked but gone", folder.display()));
        }
    }
    Ok(findings)
}

/// Adds new migrations to the locks; never changes a line that is there.
pub fn write_lock() -> Result<()> {
    for (folder, files) in folders()? {
        let mut locked = read_lock(&folder)?;
        for (name, digest) in files {
            let known = locked.entry(name.clone()).or_insert_with(|| digest.clone());
            if *known != digest {
                bail!("{}/{name} was edited after it was locked: add a new migration", folder.display());
            }
        }
        let text: String = locked.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        fs::write(project::root().join(&folder).join(LOCK), text)?;
    }
    Ok(())
}

/// SQL files with their digests, by folder.
fn folders() -> Result<BTreeMap<PathBuf, BTreeMap<String, String>>> {
    let mut folders: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for file in project::files()? {
        let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
        if folder.ends_with("migrations") && file.extension().is_some_and(|e| e == "sql") {
            let name =
                file.file_name().and_then(|n| n.to_str()).context("a migration has a plain name")?.to_owned();
            let digest = Sha256::digest(fs::read(project::root().join(&file))?);
            let digest = digest.iter().map(|b| format!("{b:02x}")).collect();
            folders.entry(folder).or_default().insert(name, digest);
        }
    }
    Ok(folders)
}

fn read_lock(folder: &Path) -> Result<BTreeMap<String, String>> {
    let path = project::root().join(folder).join(LOCK);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = fs::read_to_string(path)?;
    Ok(text.lines().filter_map(|l| l.split_once("  ")).map(|(d, n)| (n.to_owned(), d.to_owned())).collect())
}
