//! The segment files: one writer at the end, readers anywhere before it. What must never happen: a write before the
//! committed end, and a write that is called durable and is not.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use veilcloud_domain::store::StoreError;

use super::{
    STORE, damaged,
    format::{Block, CRC_LEN, Part},
    unavailable,
};
use crate::storage::files::{self, maybe};

/// Name of the folder.
pub(crate) const LOG: &str = "log";
/// Length from which on the next frame goes into a new segment, in bytes.
pub(crate) const SEGMENT_LEN: u64 = 64 << 20;
/// Segment files that are kept open for reading.
pub(crate) const OPEN_MAX: usize = 64;
/// Digits of a segment's name.
const DIGITS: usize = 10;
const SUFFIX: &str = ".seg";

/// Where a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Number of the segment file.
    pub segment: u64,
    /// Byte in it.
    pub offset: u64,
    /// Number of the frame.
    pub frame: u64,
}

impl Position {
    /// Where the next frame goes when everything before this place is committed. Only the place decides, never the
    /// frame: after a crash the same place is found again.
    pub fn rolled(self) -> Self {
        if self.offset < SEGMENT_LEN { self } else { Self { segment: self.segment + 1, offset: 0, ..self } }
    }

    /// Behind a frame of this length.
    pub fn behind(self, len: u64) -> Self {
        Self { segment: self.segment, offset: self.offset.saturating_add(len), frame: self.frame + 1 }
    }
}

/// A block and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub block: Block,
    pub segment: u64,
    pub offset: u64,
}

/// Why a frame was not written.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// No room; the file is as it was.
    Full,
    /// Nobody knows what the file holds now.
    Broken(io::Error),
    /// The file is shorter than what was committed in it.
    Short(String),
}

/// The folder of segments.
pub(crate) struct Segments {
    folder: PathBuf,
    /// Newest use last.
    open: Mutex<VecDeque<(u64, Arc<File>)>>,
    /// What the next write meets.
    #[cfg(test)]
    pub fault: Mutex<Option<Fault>>,
}

/// A write that fails half-way, for tests.
#[cfg(test)]
pub(crate) struct Fault {
    pub after: usize,
    pub kind: ErrorKind,
    pub at_sync: bool,
}

impl Segments {
    /// Segments of a data folder.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            folder: data_dir.join(LOG),
            open: Mutex::default(),
            #[cfg(test)]
            fault: Mutex::default(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Path of a segment.
    pub fn path(&self, segment: u64) -> PathBuf {
        self.folder.join(format!("{segment:0DIGITS$}{SUFFIX}"))
    }

    /// The segments that there are, ascending.
    pub fn list(&self) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            found.extend(digits.filter(|d| d.len() == DIGITS).and_then(|d| d.parse::<u64>().ok()));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Length of a segment; `None` when there is no such file.
    pub fn len(&self, segment: u64) -> io::Result<Option<u64>> {
        Ok(maybe(fs::metadata(self.path(segment)))?.map(|meta| meta.len()))
    }

    /// Writes a frame at the end of what is committed, over whatever an earlier attempt left there, and brings it to the
    /// disk. Blocks.
    pub fn write(&self, at: Position, bytes: &[u8]) -> Result<(), Unwritten> {
        let path = self.path(at.segment);
        let mut options = OpenOptions::new();
        let file = files::open_private(&path, options.create(true).write(true).truncate(false));
        let file =
            file.map_err(|error| if is_full(&error) { Unwritten::Full } else { Unwritten::Broken(error) })?;
        let len = file.metadata().map_err(Unwritten::Broken)?.len();
        if len < at.offset {
            return Err(Unwritten::Short(format!(
                "{} has {len} bytes and {} are committed",
                path.display(),
                at.offset
            )));
        }
        if len > at.offset {
            // What a longer attempt left must not stand behind this one.
            file.set_len(at.offset).map_err(Unwritten::Broken)?;
        }
        match self.put(&file, at.offset, bytes) {
            Ok(()) => Ok(()),
            // Nothing of it is promised to anybody, so it can be taken back; what is committed was not touched.
            Err(error) if is_full(&error) => {
                file.set_len(at.offset).map_err(Unwritten::Broken)?;
                Err(Unwritten::Full)
            }
            Err(error) => Err(Unwritten::Broken(error)),
        }
    }

    fn put(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        self.meet_fault(file, offset, bytes)?;
        file.write_all_at(bytes, offset)?;
        if offset > 0 {
            return file.sync_data();
        }
        // A new file: its mode and its name count too.
        file.sync_all()?;
        files::sync_folder(&self.folder)
    }

    #[cfg(test)]
    fn meet_fault(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let Some(fault) = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        let after = if fault.at_sync { bytes.len() } else { fault.after };
        file.write_all_at(&bytes[..after], offset)?;
        Err(fault.kind.into())
    }

    /// The bytes of a part of a block, after their checksum was compared. Blocks.
    pub fn part(&self, placed: &Placed, part: Part) -> Result<Vec<u8>, StoreError> {
        let (at, len) = placed.block.part(part);
        let offset = placed.offset.saturating_add(at);
        let mut bytes = vec![0; len + CRC_LEN];
        self.read(placed.segment, offset, &mut bytes)?;
        let crc = bytes.split_off(len);
        if placed.block.crc(part, &bytes)[..] == crc[..] {
            return Ok(bytes);
        }
        Err(damaged(format!(
            "{} from byte {offset} to {} does not have its checksum ({part:?} of {} from leaf {})",
            self.path(placed.segment).display(),
            offset + (len + CRC_LEN) as u64,
            placed.block.trail,
            placed.block.first,
        )))
    }

    /// Fills `bytes` from a segment. Blocks.
    pub fn read(&self, segment: u64, offset: u64, bytes: &mut [u8]) -> Result<(), StoreError> {
        let end = offset.saturating_add(bytes.len() as u64);
        let read = self.file(segment).and_then(|file| file.read_exact_at(bytes, offset));
        read.map_err(|error| {
            let path = self.path(segment);
            match error.kind() {
                ErrorKind::NotFound => damaged(format!("{} is missing", path.display())),
                ErrorKind::UnexpectedEof => damaged(format!("{} ends before byte {end}", path.display())),
                _ => unavailable(format!("{}: {error}", path.display())),
            }
        })
    }

    fn file(&self, segment: u64) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(number, _)| *number == segment)
            && let Some(found) = open.remove(at)
        {
            let file = found.1.clone();
            open.push_back(found);
            return Ok(file);
        }
        let file = Arc::new(File::open(self.path(segment))?);
        while open.len() >= OPEN_MAX {
            open.pop_front();
        }
        open.push_back((segment, file.clone()));
        Ok(file)
    }
}

/// What a write that failed means for the caller.
pub(crate) fn unwritten(error: &Unwritten) -> StoreError {
    match error {
        Unwritten::Full => StoreError::Full { store: STORE },
        Unwritten::Broken(error) => unavailable(error.to_string()),
        Unwritten::Short(cause) => damaged(cause.clone()),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
