//! Files with secrets: for their owner only, written beside, synced, then renamed, so that a crash leaves the whole file
//! or none.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown},
    path::Path,
};

use zeroize::Zeroizing;

use super::KeysError;

/// Longest key file, in bytes.
const FILE_LEN_MAX: u64 = 64 * 1024;
/// Permission bits that nobody but the owner may have.
const OTHERS: u32 = 0o077;

/// Reads a key file whole.
pub fn read(folder: &Path, path: &Path) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    private(folder, true)?;
    private(path, false)?;
    let file = File::open(path).map_err(io_error("open", path))?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(FILE_LEN_MAX).unwrap_or(0) + 1));
    file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    Ok(bytes)
}

/// Makes the folder of the keys if there is none; nobody else may look into it.
pub fn ensure(folder: &Path) -> Result<(), KeysError> {
    if !folder.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error("create", folder))?;
    }
    private(folder, true)
}

/// Writes a key file, replacing the one there is.
pub fn write(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
    ensure(folder)?;
    let temporary = path.with_extension("keys.new");
    // A crash of an earlier write may have left one; its keys were never in use.
    let _ = fs::remove_file(&temporary);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(io_error("create", &temporary))?;
    owned_like(&file, folder);
    file.write_all(bytes).map_err(io_error("write", &temporary))?;
    file.sync_all().map_err(io_error("sync", &temporary))?;
    fs::rename(&temporary, path).map_err(io_error("rename to", path))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(io_error("sync", folder))
}

/// Gives a new file to the folder's owner: an operator who is root must not leave one that the server cannot read. Whoever
/// may not give it away is the owner, or could not have got here.
pub fn owned_like(file: &File, folder: &Path) {
    if let Ok(of_folder) = fs::metadata(folder) {
        let _ = fchown(file, Some(of_folder.uid()), Some(of_folder.gid()));
    }
}

fn private(path: &Path, folder: bool) -> Result<(), KeysError> {
    let mode = fs::metadata(path).map_err(io_error("look at", path))?.mode() & 0o777;
    if mode & OTHERS == 0 {
        Ok(())
    } else {
        Err(KeysError::Permissions { path: path.to_path_buf(), mode, folder })
    }
}

/// Names the step and the file of a failure.
pub fn io_error(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeysError {
    let path = path.to_path_buf();
    move |cause| KeysError::Io { step, path, cause }
}
