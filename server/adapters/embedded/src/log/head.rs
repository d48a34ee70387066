//! `log/head`: the last committed frame and the epoch, beside the database. Made durably before the first commit, then
//! written in place without a sync: it may be old after a crash, never torn, and never ahead of the database, unless the
//! database was taken back.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::storage::files;

const NAME: &str = "head";
const MAGIC: &[u8; 8] = b"veilhead";
/// Length of the file. Below a disk's smallest sector, so that it is written whole or not at all.
pub(crate) const HEAD_LEN: usize = 28;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Frames that were committed.
    pub frame: u64,
    /// Epoch of the newest sequencer.
    pub epoch: u64,
}

impl Mark {
    fn encode(self) -> [u8; HEAD_LEN] {
        let mut out = [0; HEAD_LEN];
        out[..8].copy_from_slice(MAGIC);
        out[8..16].copy_from_slice(&self.frame.to_be_bytes());
        out[16..24].copy_from_slice(&self.epoch.to_be_bytes());
        let crc = crc32c::crc32c(&out[..24]);
        out[24..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let mark = Self { frame: number(8)?, epoch: number(16)? };
        (mark.encode()[..] == *bytes).then_some(mark)
    }
}

/// What was found in the file's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No file.
    Missing,
    /// A file that we cannot have written.
    Damaged,
    /// A mark.
    Mark(Mark),
}

/// The file.
pub(crate) struct Head {
    folder: PathBuf,
    file: Mutex<Option<File>>,
}

impl Head {
    /// The head of the logs in this folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), file: Mutex::default() }
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// Reads it.
    pub fn read(&self) -> io::Result<Found> {
        match File::open(self.path()) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Missing),
            Err(error) => Err(error),
            Ok(file) => {
                let len = file.metadata()?.len();
                let mut bytes = [0; HEAD_LEN];
                if len != HEAD_LEN as u64 {
                    return Ok(Found::Damaged);
                }
                file.read_exact_at(&mut bytes, 0)?;
                Ok(Mark::decode(&bytes).map_or(Found::Damaged, Found::Mark))
            }
        }
    }

    /// Writes it. The first time in this process also brings file and name to the disk.
    pub fn write(&self, mark: Mark) -> io::Result<()> {
        let mut held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = held.as_ref() {
            return file.write_all_at(&mark.encode(), 0);
        }
        let mut options = OpenOptions::new();
        let file = files::open_private(&self.path(), options.create(true).write(true).truncate(false))?;
        file.set_len(HEAD_LEN as u64)?;
        file.write_all_at(&mark.encode(), 0)?;
        file.sync_all()?;
        files::sync_folder(&self.folder)?;
        *held = Some(file);
        Ok(())
    }
}
