//! Where things are, and how commands are run.

use std::{env, fs, path::PathBuf, process::Command, time::Instant};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// The project's root folder.
pub fn root() -> PathBuf {
    // What cargo says while it runs this program counts more than what was compiled in: in a target folder that
    // checkouts share, another one may have built it.
    let called = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).filter(|p| p.ends_with("xtask"));
    let here = called.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    here.parent().unwrap_or(&here).to_path_buf()
}

/// The target folder in use: `CARGO_TARGET_DIR`, or `target`. Absolute, because commands run in several folders.
pub fn target_dir() -> PathBuf {
    let dir = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    std::path::absolute(&dir).unwrap_or(dir)
}

/// A debug binary of the workspace.
pub fn binary(name: &str) -> PathBuf {
    target_dir().join("debug").join(name)
}

/// Folder for downloaded tools, shared between checkouts.
pub fn cache_dir() -> Result<PathBuf> {
    let home = env::var_os("HOME").context("HOME is not set")?;
    Ok(PathBuf::from(home).join(".cache/veilcloud"))
}

/// `cargo` as it was called, in the project's root.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root()).env("CARGO_TARGET_DIR", target_dir());
    command
}

/// SHA-256 of files with their names, as a short name for what is made from them.
pub fn fingerprint(files: &[PathBuf]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        let bytes = fs::read(root().join(file)).with_context(|| format!("read {}", file.display()))?;
        let name = file.as_os_str().as_encoded_bytes();
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    Ok(hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect())
}

/// Runs a command that must succeed, and says what it is for and how long it took.
pub fn step(what: &str, command: &mut Command) -> Result<()> {
    eprintln!("==> {what}");
    let start = Instant::now();
    let status = command.status().with_context(|| format!("start {command:?}"))?;
    let seconds = start.elapsed().as_secs();
    if !status.success() {
        bail!("{what} failed ({status}) after {seconds} s: {command:?}");
    }
    eprintln!("    {what}: ok, {seconds} s");
    Ok(())
}

/// Standard output of a command that must succeed.
pub fn output(command: &mut Command) -> Result<String> {
    let out = command.output().with_context(|| format!("start {command:?}"))?;
    if !out.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(String::from_utf8(out.stdout)?)
}

/// Files that git knows, or would know, below the root, relative to it.
pub fn files() -> Result<Vec<PathBuf>> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"];
    let list = output(Command::new("git").args(args).current_dir(root()))?;
    Ok(list.lines().map(PathBuf::from).filter(|p| root().join(p).is_file()).collect())
}
