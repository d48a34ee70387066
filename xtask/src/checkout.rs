//! Two checkouts may take turns in one target folder. Cargo names what it builds by paths relative to the workspace,
//! and judges it by the age of the sources: an older checkout would be tested with the binaries of a newer one. What is
//! tested must never be another checkout's code, so a stamp in the target folder says whose build lies there.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::SystemTime,
};

use anyhow::{Context, Result};

use crate::project;

/// Name of the stamp in the target folder: one line, the root of the checkout that built last.
const STAMP: &str = ".checkout";

/// Makes the target folder ours. After another checkout's turn everything of ours counts as changed, and this program
/// too may be the other one's: then it is built and run again, and its exit status is the answer.
pub fn claim() -> Result<Option<ExitStatus>> {
    let root = project::root().canonicalize()?;
    let target = project::target_dir();
    if !take_over(&target, &root, &project::files()?)? {
        return Ok(None);
    }
    eprintln!(
        "==> {} was last used by another checkout, or by none: all of ours is built anew",
        target.display()
    );
    let mut again = project::cargo(&["run", "--quiet", "--package", "veilcloud-xtask", "--"]);
    again.args(std::env::args_os().skip(1));
    Ok(Some(again.status().with_context(|| format!("start {again:?}"))?))
}

/// Sets our stamp; true if it was not there, and then the files look changed.
fn take_over(target: &Path, root: &Path, files: &[PathBuf]) -> Result<bool> {
    if !changes_hands(target, root)? {
        return Ok(false);
    }
    touch(root, files)?;
    fs::create_dir_all(target)?;
    fs::write(target.join(STAMP), root.as_os_str().as_encoded_bytes())?;
    Ok(true)
}

/// Whether the folder's last builder was not the checkout at `root`. No stamp is nobody's promise.
fn changes_hands(target: &Path, root: &Path) -> Result<bool> {
    match fs::read(target.join(STAMP)) {
        Ok(stamp) => Ok(stamp != root.as_os_str().as_encoded_bytes()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).context("read the stamp of the target folder"),
    }
}

/// Makes files look changed. Their content, and what the compiler remembers of it, stays: cheaper than cleaning.
fn touch(root: &Path, files: &[PathBuf]) -> Result<()> {
    let now = SystemTime::now();
    for file in files {
        let path = root.join(file);
        let open = File::options().append(true).open(&path);
        open.and_then(|f| f.set_modified(now)).with_context(|| format!("touch {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
