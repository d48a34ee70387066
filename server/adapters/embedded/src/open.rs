//! Opening the data folder. One process owns it; what is found there is checked before anything is written.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode};

use crate::{
    db::{STATEMENTS_MAX, migrate::migrate},
    log::segments::LOG,
    storage::files::{self, TMP},
};

/// Name of the database file.
pub(crate) const DATABASE: &str = "veilcloud.db";
/// Name of the lock file.
const LOCK: &str = "lock";
/// Folder of the blobs that have files.
pub(crate) const BLOBS: &str = "blobs";
/// Folder of unfinished uploads.
pub(crate) const UPLOADS: &str = "uploads";
/// Longest log before the writer checkpoints it, in pages of 4,096 bytes.
const LOG_PAGES_MAX: u32 = 4_000;
/// Length to which the log file is cut back, in bytes.
const LOG_BYTES_KEPT: u32 = 64 << 20;
/// Memory for the writer's pages, in KiB.
const WRITER_CACHE_KIB: i32 = 32_768;
/// Findings of a check that are shown.
const FINDINGS_MAX: usize = 3;

/// Why the data folder cannot be used. Each message names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error("{} is locked by another process: stop the other server, or choose another data folder", file.display())]
    Locked {
        /// The lock file.
        file: PathBuf,
    },
    /// The database is damaged, or it is none.
    #[error("{} is damaged ({cause}): put it aside and restore it from a backup; nothing was changed", file.display())]
    Corrupt {
        /// The database.
        file: PathBuf,
        /// What the check found.
        cause: String,
    },
    /// A newer program wrote it.
    #[error("{} has schema {found} and this program knows {known}: start the newer program", file.display())]
    Newer {
        /// The database.
        file: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema of this program.
        known: u32,
    },
    /// A migration that was applied is not the one in this program.
    #[error("{} was made by another edition of migration {name}: start the program that made it", file.display())]
    MigrationChanged {
        /// The database.
        file: PathBuf,
        /// The migration.
        name: &'static str,
    },
    /// The process may not use the folder or a file in it.
    #[error("no permission for {}: give it to the user that runs the server", file.display())]
    Permission {
        /// The file or folder.
        file: PathBuf,
    },
    /// No room.
    #[error("no room left for {}: free some on its disk", file.display())]
    Full {
        /// The file or folder.
        file: PathBuf,
    },
    /// The file system cannot keep a write-ahead log.
    #[error("{} cannot have a write-ahead log there: put the data folder on a local disk", file.display())]
    NoLog {
        /// The database.
        file: PathBuf,
    },
    /// Anything else that the system says.
    #[error("{} cannot be used ({cause}): check the path and its disk", file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// The system's words.
        cause: String,
    },
}

impl OpenError {
    pub(crate) fn from_io(file: &Path, error: &io::Error) -> Self {
        let file = file.to_owned();
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Permission { file },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { file },
            _ => Self::Io { file, cause: error.to_string() },
        }
    }

    pub(crate) fn from_sql(file: &Path, error: &rusqlite::Error) -> Self {
        let (file, cause) = (file.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { file, cause },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { file },
            Some(ErrorCode::DiskFull) => Self::Full { file },
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
                Self::Permission { file }
            }
            Some(_) => Self::Io { file, cause },
            // A value of the wrong type where the schema has another.
            None => Self::Corrupt { file, cause },
        }
    }
}

/// Makes the folder and the ones in it, for their owner only. A data folder that is there keeps its mode: who made it
/// may have a reason, and what it contains is closed by itself.
pub(crate) fn folder(root: &Path) -> Result<(), OpenError> {
    let make = |path: &Path, made: io::Result<()>| made.map_err(|error| OpenError::from_io(path, &error));
    if !root.is_dir() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(root);
        make(root, made.and_then(|()| files::close_folder(root)))?;
    }
    let blobs = root.join(BLOBS);
    for path in [&blobs, &blobs.join(TMP), &root.join(UPLOADS), &root.join(LOG)] {
        make(path, files::make_private(path).and_then(|_| files::close_folder(path)))?;
    }
    Ok(())
}

/// Removes files that were being written when the process ended: no blob is among them.
pub(crate) fn clear_aside(root: &Path) -> Result<(), OpenError> {
    let tmp = root.join(BLOBS).join(TMP);
    let clear = || fs::read_dir(&tmp)?.try_for_each(|entry| fs::remove_file(entry?.path()));
    clear().map_err(|error| OpenError::from_io(&tmp, &error))
}

/// Takes the folder for this process. The lock is advisory, and the system gives it back when the process ends, however
/// it ends.
pub(crate) fn lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join(LOCK);
    let open = files::open_private(&path, OpenOptions::new().create(true).write(true).truncate(false));
    let file = open.map_err(|error| OpenError::from_io(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { file: path }),
        Err(TryLockError::Error(error)) => Err(OpenError::from_io(&path, &error)),
    }
}

/// Opens the writer's connection on a database that was checked and brought to this program's schema.
pub(crate) fn database(file: &Path, depth: Depth) -> Result<Connection, OpenError> {
    // SQLite calls every failure to open by one name; the system knows why.
    // SQLite gives its log and its index the mode of the database.
    files::open_private(file, OpenOptions::new().create(true).read(true).write(true).truncate(false))
        .map_err(|error| OpenError::from_io(file, &error))?;
    let failed = |error: rusqlite::Error| OpenError::from_sql(file, &error);
    let mut conn = Connection::open(file).map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    check(&conn, file, depth)?;
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "wal", |r| r.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(OpenError::NoLog { file: file.to_owned() });
    }
    let settings = format!(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = FAST;
         PRAGMA wal_autocheckpoint = {LOG_PAGES_MAX};
         PRAGMA journal_size_limit = {LOG_BYTES_KEPT};
         PRAGMA cache_size = -{WRITER_CACHE_KIB};"
    );
    conn.execute_batch(&settings).map_err(failed)?;
    migrate(&mut conn, file)?;
    Ok(conn)
}

/// What is checked before a database is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Every table but the places of the logs' blocks, which grow with everything that was ever logged. Each place is
    /// held against the block that it names whenever it is used, and the check of the logs asks for all.
    Daily,
    /// Everything.
    Whole,
}

/// The table that a daily check leaves out.
const BLOCKS: &str = "log_blocks";

fn check(conn: &Connection, file: &Path, depth: Depth) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| OpenError::from_sql(file, &error);
    let checks = match depth {
        Depth::Whole => vec![format!("PRAGMA quick_check({FINDINGS_MAX})")],
        Depth::Daily => tables(conn).map_err(failed)?.iter().map(|table| of_table(table)).collect(),
    };
    for sql in checks {
        let findings = conn
            .prepare(&sql)
            .and_then(|mut statement| {
                statement.query_map([], |r| r.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
            })
            .map_err(failed)?;
        if findings.len() != 1 || findings[0] != "ok" {
            let cause = findings[..findings.len().min(FINDINGS_MAX)].join("; ");
            return Err(OpenError::Corrupt { file: file.to_owned(), cause });
        }
    }
    Ok(())
}

/// The table of tables, and what it names.
fn tables(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> ?1")?;
    let names = statement.query_map([BLOCKS], |r| r.get(0))?;
    [Ok("sqlite_schema".to_owned())].into_iter().chain(names).collect()
}

fn of_table(table: &str) -> String {
    format!("PRAGMA quick_check('{}')", table.replace('\'', "''"))
}
