//! The offline check of the logs: every block, every hash, every root, every frame, against each other and against the
//! lock rows. It needs the folder for itself, reads in a stream, and tells each finding as it meets it.
//!
//! It can repair what follows from entries that are intact, and only in a log whose root the entries lead to: there the
//! right hashes are certain. Entries cannot be rebuilt; they come from a backup or not at all.

mod block;
mod frames;
mod trail;

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use veilchain::hash::Hash;
use veilcloud_domain::{audit::model::Trail, store::StoreError};

use super::{
    head::{Found, Head, Mark},
    recover, rows,
    segments::{Position, Segments},
};
use crate::{
    db::fault::Fault,
    open::{self, OpenError},
};

/// Logs that are looked up at a time.
const LOGS_PAGE: usize = 256;

/// Says whether a signed note is by a key of this log and for this size and root.
pub type Verify<'a> = dyn Fn(Trail, u64, &Hash, &[u8]) -> bool + 'a;

/// What a check is asked for, and who listens.
pub struct Check<'a> {
    /// Write hashes, checksums and the head file again where that is certain to be right.
    pub repair: bool,
    /// Judges checkpoints; without it signatures are not looked at.
    pub verify: Option<&'a Verify<'a>>,
    /// Told after every block.
    pub progress: &'a mut dyn FnMut(&Progress),
    /// Told of everything that is wrong.
    pub report: &'a mut dyn FnMut(&Finding),
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The log.
    pub log: Trail,
    /// Leaves of it that were checked.
    pub leaves: u64,
    /// Leaves that it has.
    pub size: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The log, where it concerns one.
    pub log: Option<Trail>,
    /// The file.
    pub file: PathBuf,
    /// The first bad byte in it, where there is one.
    pub offset: Option<u64>,
    /// What.
    pub problem: Problem,
    /// Whether a check with `repair` can mend it, if the log's root fits.
    pub repairable: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(offset) = self.offset {
            write!(f, ", byte {offset}")?;
        }
        write!(f, ": {}", self.problem)?;
        if let Some(log) = self.log {
            write!(f, " ({log})")?;
        }
        Ok(())
    }
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A segment is missing, too short, or cannot be read.
    #[error("it cannot be read: {cause}")]
    Unreadable {
        /// Why.
        cause: String,
    },
    /// A frame's header, number or length is not what it must be.
    #[error("no frame {expected} begins here")]
    Frame {
        /// The number that the frame here must have.
        expected: u64,
    },
    /// The blocks do not fill their frame, or the segment goes on where it must end.
    #[error("bytes that belong to no block")]
    Stray,
    /// A block's header is not the one of the block that must be here.
    #[error("the header of the block with leaf {leaf}")]
    BlockHeader {
        /// The block's first leaf.
        leaf: u64,
    },
    /// An entry is altered. It cannot be rebuilt.
    #[error("the entry of leaf {leaf}")]
    Entry {
        /// The first leaf that is altered.
        leaf: u64,
    },
    /// The entries fit their hashes, and their checksum does not fit them.
    #[error("the checksum of the entries from leaf {leaf} on")]
    EntryChecksum {
        /// The block's first leaf.
        leaf: u64,
    },
    /// A hash, or the checksum behind hashes.
    #[error("a hash of tile level {level} in the block with leaf {leaf}")]
    Hash {
        /// 0 for leaf hashes, 1 for the levels above.
        level: u8,
        /// The block's first leaf.
        leaf: u64,
    },
    /// No block has a leaf, or two have it.
    #[error("leaf {leaf} is in no block, or in two")]
    Gap {
        /// The leaf.
        leaf: u64,
    },
    /// The blocks do not have as many leaves as the lock row says.
    #[error("there are {found} leaves and the lock row says {size}")]
    Size {
        /// Leaves in blocks.
        found: u64,
        /// Size in the lock row.
        size: u64,
    },
    /// The entries do not lead to the lock row's root.
    #[error("the entries do not lead to the root of the lock row")]
    Root,
    /// The checkpoint is not signed by the log, or is for another head.
    #[error("the checkpoint of size {size} does not verify")]
    Checkpoint {
        /// Its size.
        size: u64,
    },
    /// Blocks of frames and blocks of logs are not the same.
    #[error("there are {rows} rows of blocks, {frames} blocks in frames and {logs} in logs")]
    Blocks {
        /// Rows.
        rows: u64,
        /// Blocks found in frames.
        frames: u64,
        /// Blocks found from the lock rows.
        logs: u64,
    },
    /// The head file is missing or altered.
    #[error("it does not say what was committed last")]
    Head,
    /// The head file is lost and a whole frame stands behind the committed end: committed by a newer database, or only
    /// staged when the server ended. The head file is not written then.
    #[error(
        "frame {frame} stands here, behind what the database knows, and without the head file nothing says whether it was \
         committed: put the newest database back; only where no client, auditor or witness has seen a checkpoint that this \
         database lacks, keep a copy of the file, cut it off at this byte and check again"
    )]
    Undecided {
        /// Number of the frame.
        frame: u64,
    },
    /// The database is older than head file or segments.
    #[error("the database is older than the logs: {cause}")]
    TakenBack {
        /// What shows it.
        cause: String,
    },
}

/// What a check saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Logs.
    pub logs: u64,
    /// Leaves.
    pub leaves: u64,
    /// Blocks.
    pub blocks: u64,
    /// Findings.
    pub findings: u64,
    /// Parts of blocks, and head files, that were written again.
    pub repaired: u64,
}

/// Checks all logs of a data folder that no server uses.
///
/// # Errors
/// The folder is in use, or its database cannot be opened or read. Everything else is a finding.
pub fn fsck(data_dir: &Path, check: &mut Check<'_>) -> Result<Summary, OpenError> {
    let file = data_dir.join(open::DATABASE);
    // Opening would make one.
    std::fs::metadata(&file).map_err(|error| OpenError::from_io(&file, &error))?;
    let _lock = open::lock(data_dir)?;
    let conn = open::database(&file, open::Depth::Whole)?;
    let segments = Segments::new(data_dir);
    let mut run = Run { conn, database: file.clone(), segments, check, summary: Summary::default() };
    run.all().map_err(|stop| match stop {
        Stop::Fault(Fault::Sql(error)) => OpenError::from_sql(&file, &error),
        Stop::Fault(fault) => {
            OpenError::Corrupt { file: file.clone(), cause: StoreError::from(fault).to_string() }
        }
        Stop::Io(path, error) => OpenError::from_io(&path, &error),
    })?;
    Ok(run.summary)
}

/// Why a check cannot go on.
enum Stop {
    Fault(Fault),
    Io(PathBuf, io::Error),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A running check.
struct Run<'c, 'a> {
    conn: Connection,
    database: PathBuf,
    segments: Segments,
    check: &'c mut Check<'a>,
    summary: Summary,
}

impl Run<'_, '_> {
    fn all(&mut self) -> Result<(), Stop> {
        let (epoch, committed) = rows::sequencer(&self.conn)?;
        let mut after = None;
        loop {
            let logs = rows::logs(&self.conn, after, LOGS_PAGE)?;
            for log in &logs {
                self.summary.logs += 1;
                self.log(*log)?;
            }
            after = logs.last().copied();
            if after.is_none() {
                break;
            }
        }
        let in_frames = self.frames(committed)?;
        let rows = rows::block_count(&self.conn)?;
        let logs = self.summary.blocks;
        // Each row was compared with the header at its place, so equal numbers mean the same blocks.
        if rows != logs || in_frames.is_some_and(|frames| frames != rows) {
            let frames = in_frames.unwrap_or(rows);
            self.find(None, self.database.clone(), None, Problem::Blocks { rows, frames, logs }, false);
        }
        self.head(epoch, committed)
    }

    /// The head file, and what stands behind the committed end.
    fn head(&mut self, epoch: u64, committed: Position) -> Result<(), Stop> {
        let head = Head::new(self.segments.folder());
        let found = head.read().map_err(|error| Stop::Io(head.path(), error))?;
        let mark = Mark { frame: committed.frame, epoch };
        match found {
            Found::Mark(mark) if mark.frame > committed.frame || mark.epoch > epoch => {
                let cause = format!("frame {} and epoch {} were committed", mark.frame, mark.epoch);
                self.find(None, head.path(), None, Problem::TakenBack { cause }, false);
            }
            Found::Missing | Found::Damaged if committed.frame > 0 => {
                // Only the segments can tell now whether the database is the newest.
                let newer = self.newer(committed);
                self.find(None, head.path(), Some(0), Problem::Head, newer.is_none());
                if let Some((file, offset, problem)) = newer {
                    self.find(None, file, offset, problem, false);
                } else if self.check.repair {
                    head.write(mark).map_err(|error| Stop::Io(head.path(), error))?;
                    self.summary.repaired += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What speaks for a database that is newer than this one.
    fn newer(&self, committed: Position) -> Option<(PathBuf, Option<u64>, Problem)> {
        let staged = recover::check_ahead(&self.segments, committed)
            .and_then(|()| recover::staged(&self.segments, committed));
        match staged {
            Ok(staged) => staged.map(|(at, frame)| {
                let problem = Problem::Undecided { frame: frame.number };
                (self.segments.path(at.segment), Some(at.offset), problem)
            }),
            Err(error) => {
                let problem = Problem::TakenBack { cause: error.to_string() };
                Some((self.segments.folder().to_owned(), None, problem))
            }
        }
    }

    fn find(
        &mut self,
        log: Option<Trail>,
        file: PathBuf,
        offset: Option<u64>,
        problem: Problem,
        repairable: bool,
    ) {
        self.summary.findings += 1;
        (self.check.report)(&Finding { log, file, offset, problem, repairable });
    }
}
