//! The data folder: made at the first start, locked while a server has it. Two servers on one folder would each
//! believe their memory of sessions and revocations.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::start::StartError;

/// Name of the embedded store's database. That it is still this one is tested from outside: a folder with a database
/// and no keys is refused.
const DATABASE: &str = "veilcloud.db";

/// The locked data folder; the lock ends with the process or when this is dropped.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be, for its owner alone, and locks it.
    pub fn open(path: &Path) -> Result<Self, StartError> {
        let failed = |step: &'static str| {
            let path = path.to_path_buf();
            move |cause: io::Error| StartError::Folder { step, path, cause }
        };
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create"))?;
        }
        let mut options = OpenOptions::new();
        let lock = options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("server.lock"))
            .map_err(failed("write to"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_path_buf(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StartError::InUse { path: path.to_path_buf() }),
            Err(TryLockError::Error(cause)) => Err(failed("lock")(cause)),
        }
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Permission bits that others than the owner have; `None` when there are none.
    pub fn open_to_others(&self) -> Option<u32> {
        let mode = std::fs::metadata(&self.path).ok()?.mode() & 0o777;
        (mode & 0o077 != 0).then_some(mode)
    }

    /// True when a server kept accounts here before.
    pub fn has_database(&self) -> bool {
        self.path.join(DATABASE).exists()
    }
}
