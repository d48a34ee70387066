//! The recovery kit: the code with what it is for, in a new file that only its owner can read. The file is
//! written before the account changes, so that a code is never in force that was not written down, and goes again
//! when the account did not change.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use veilcloud_sdk::RecoveryCode;
use zeroize::Zeroizing;

use crate::ui::error::Failure;
use crate::ui::exit::Exit;

const CODE_LABEL: &str = "Recovery code:";

/// Longest kit read back, in bytes.
const KIT_LEN_MAX: u64 = 16 * 1024;

/// A reserved file; removed again when nothing was written to it, or what was written is worth nothing.
pub struct Kit {
    path: PathBuf,
    file: File,
    written: bool,
}

impl Kit {
    /// Creates the file. An existing one is never touched: it may be the only kit of another account.
    pub fn reserve(path: &Path) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|fault| match fault.kind() {
            std::io::ErrorKind::AlreadyExists => {
                let message = format!("{} exists and is not overwritten", path.display());
                Failure::new(Exit::Conflict, "FILE_EXISTS", message)
                    .try_this("name a new file with --recovery-file")
            }
            _ => Failure::local(&format!("create {}", path.display()), &fault),
        })?;
        Ok(Self { path: path.to_owned(), file, written: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn write(&mut self, email: &str, endpoint: &str, code: &RecoveryCode) -> io::Result<()> {
        let text = Zeroizing::new(format!(
            "VeilCloud recovery kit\n\nAccount: {email}\nServer: {endpoint}\n{CODE_LABEL} {}\n\n\
             Keep this where only you find it. Whoever has the code can set a new password and read\n\
             everything stored; without it a forgotten password cannot be replaced by anyone.\n\
             To use it: veilcloud recover {email} --recovery-code-file THIS-FILE\n",
            code.expose_text().as_str()
        ));
        let fault =
            |fault: io::Error| io::Error::new(fault.kind(), format!("{}: {fault}", self.path.display()));
        self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all()).map_err(fault)?;
        self.written = true;
        Ok(())
    }

    /// The code in it opens nothing: the file goes.
    pub fn discard(&mut self) {
        self.written = false;
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        if !self.written {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The code in a kit, or in a file that holds only the code.
pub fn read_code(path: &Path) -> Result<RecoveryCode, Failure> {
    let fault = |fault| Failure::local(&format!("read {}", path.display()), &fault);
    let mut text = Zeroizing::new(String::with_capacity(4096));
    File::open(path).map_err(fault)?.take(KIT_LEN_MAX).read_to_string(&mut text).map_err(fault)?;
    let code = text.lines().find_map(|line| line.trim().strip_prefix(CODE_LABEL)).unwrap_or(&text);
    Ok(RecoveryCode::parse(code.trim())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kit_that_was_not_written_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kit.txt");
        drop(Kit::reserve(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_kit_whose_code_opens_nothing_goes_and_any_other_stays() {
        let dir = tempfile::tempdir().unwrap();
        let code = RecoveryCode::parse("810M4-GT48N-34EJ2-9995M-RKAE9-WMCJ").unwrap();
        for (discarded, stays) in [(false, true), (true, false)] {
            let path = dir.path().join(format!("kit-{discarded}.txt"));
            let mut kit = Kit::reserve(&path).unwrap();
            kit.write("alice@example.com", "https://host.example", &code).unwrap();
            if discarded {
                kit.discard();
            }
            drop(kit);
            assert_eq!(path.exists(), stays);
        }
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kit.txt");
        fs::write(&path, "mine").unwrap();
        let failure = Kit::reserve(&path).err().unwrap();
        assert_eq!(failure.exit, Exit::Conflict);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let kit = Kit::reserve(&dir.path().join("kit.txt")).unwrap();
        assert_eq!(kit.file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
