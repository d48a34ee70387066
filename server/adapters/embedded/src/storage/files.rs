//! Files of the data folder: durable writes and what their errors mean.

use std::{
    fs::{self, DirBuilder, File, FileTimes, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use data_encoding::HEXLOWER;
use veilcloud_domain::{storage::model::Digest, store::StoreError};

/// The store's name in messages.
pub(crate) const STORE: &str = "blobs";
/// Folder of files that are not blobs yet, inside the blob folder so that a rename stays on one disk.
pub(crate) const TMP: &str = "tmp";
/// Mode of every file: its owner reads and writes.
const FILE_MODE: u32 = 0o600;
/// Mode of every folder: its owner only.
const FOLDER_MODE: u32 = 0o700;
/// The bits of a mode that say who may do what.
const MODE_MASK: u32 = 0o777;

/// Opens a file that is for its owner only, whatever the umask and the folder allow, and whether it is made now or was
/// there.
pub(crate) fn open_private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.mode(FILE_MODE).open(path)?;
    if file.metadata()?.permissions().mode() & MODE_MASK != FILE_MODE {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}

/// Makes a folder for its owner only, whatever the umask; false when there is one.
pub(crate) fn make_private(path: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Ok(()) => close_folder(path).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes a folder from everybody but its owner.
pub(crate) fn close_folder(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & MODE_MASK == FOLDER_MODE {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// What an I/O error means for the caller.
pub(crate) fn store_error(error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { store: STORE },
        ErrorKind::UnexpectedEof => {
            StoreError::Damaged { store: STORE, cause: "a file is shorter than what it holds".to_owned() }
        }
        _ => StoreError::Unavailable { store: STORE, cause: error.to_string() },
    }
}

/// Runs file work on a thread that may block.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(|error| store_error(&error)),
        Err(_) => Err(StoreError::Unavailable { store: STORE, cause: "the work was cut off".to_owned() }),
    }
}

/// Where a blob's file is: `<blobs>/ab/<64 hexadecimal digits>`.
pub(crate) fn path_of(blobs: &Path, digest: Digest) -> PathBuf {
    let name = HEXLOWER.encode(&digest.0);
    blobs.join(&name[..2]).join(name)
}

/// The digest that a file's name says.
pub(crate) fn digest_of(name: &std::ffi::OsStr) -> Option<Digest> {
    let bytes = HEXLOWER.decode(name.to_str()?.as_bytes()).ok()?;
    bytes.try_into().ok().map(Digest)
}

/// Writes a new file completely and durably under a name that nobody looks for.
pub(crate) fn write_aside(tmp: &Path, bytes: &[u8], stored_at_ms: u64) -> io::Result<()> {
    let new = open_private(tmp, OpenOptions::new().create(true).write(true).truncate(true));
    let written = new.and_then(|mut file| {
        file.write_all(bytes)?;
        seal(&file, stored_at_ms)
    });
    if written.is_err() {
        // The error that counts is the first one; an empty or half file here is removed at the next start.
        let _ = fs::remove_file(tmp);
    }
    written
}

/// Sets a file's time and brings it to the disk.
pub(crate) fn seal(file: &File, stored_at_ms: u64) -> io::Result<()> {
    let time = UNIX_EPOCH + Duration::from_millis(stored_at_ms);
    file.set_times(FileTimes::new().set_modified(time))?;
    file.sync_all()
}

/// Moves a sealed file to a blob's place, durably: from then on it is there whole, whatever happens.
pub(crate) fn publish(from: &Path, blobs: &Path, digest: Digest) -> io::Result<()> {
    let to = path_of(blobs, digest);
    let folder = to.parent().unwrap_or(blobs);
    if make_private(folder)? {
        sync_folder(blobs)?;
    }
    fs::rename(from, &to)?;
    sync_folder(folder)
}

/// Brings a folder's entries to the disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a file; harmless when there is none.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// `None` when there is no such file.
pub(crate) fn maybe<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
