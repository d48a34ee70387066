//! The witness's records in `witness.db`, a database of its own in the same data folder: it holds what other people's
//! logs showed, and must survive whatever becomes of ours.
//!
//! # Trust
//!
//! It holds nothing secret. Whoever can write it can make the witness cosign a fork: by setting a record back, or the
//! whole file to an older copy. A backup of it must therefore never be restored under the same witness key; without the
//! file the witness needs a new name and key.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tokio::{sync::Mutex, task, time::timeout};
use veilchain::hash::Hash;
use veilcloud_domain::{
    audit::witness::port::{OriginHash, RECORDS_MAX, Seen, WitnessStore},
    store::StoreError,
};

use crate::{
    OpenError,
    db::{
        fault::{is_io_failure, store_error},
        int, ordered, u64_at,
    },
    open,
    storage::files,
};

/// Name of the database file.
const DATABASE: &str = "witness.db";
/// The store's name in messages.
const STORE: &str = "witness.db";
/// Longest wait for the requests before.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The newest schema; in the file it is `user_version`.
const SCHEMA: u32 = 1;
/// From an empty file to schema 1. Never edited; what comes later is a step of its own.
const MIGRATION_1: &str = "
    CREATE TABLE records (
        origin_hash   BLOB    NOT NULL PRIMARY KEY CHECK (length(origin_hash) = 32),
        size          INTEGER NOT NULL CHECK (size >= 0),
        root          BLOB    NOT NULL CHECK (length(root) = 32),
        note          BLOB    NOT NULL,
        cosigned_at_s INTEGER NOT NULL CHECK (cosigned_at_s >= 0)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE totals (
        id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
        records INTEGER NOT NULL CHECK (records >= 0)
    ) STRICT;
    INSERT INTO totals VALUES (1, 0);
    -- Whatever a program does: a record never goes back and never goes away.
    CREATE TRIGGER records_grow BEFORE UPDATE ON records
    WHEN NEW.size < OLD.size OR NEW.cosigned_at_s < OLD.cosigned_at_s OR NEW.origin_hash <> OLD.origin_hash
    BEGIN SELECT RAISE(ABORT, 'a record of the witness never goes back'); END;
    CREATE TRIGGER records_stay BEFORE DELETE ON records
    BEGIN SELECT RAISE(ABORT, 'a record of the witness never goes away'); END;
    PRAGMA user_version = 1;
";

/// The records over one connection; requests go one after the other.
pub struct SqliteWitness {
    conn: Arc<Mutex<Shelf>>,
    /// The folder's lock, for as long as this lives.
    _lock: File,
}

struct Shelf {
    conn: Connection,
    /// After a failed fsync nobody knows what the disk holds: a restart reads what is really there.
    poisoned: bool,
}

impl SqliteWitness {
    /// True when a witness kept records in this folder before: then its key must be there too.
    pub fn has_records(data_dir: &Path) -> bool {
        data_dir.join(DATABASE).exists()
    }

    /// Opens the records in a folder that exists, and takes the folder's lock as [`crate::Embedded`] does. Blocks: checks
    /// the whole database.
    ///
    /// # Errors
    /// The folder is another process's, or the file cannot be used.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        Self::under(data_dir, open::lock(data_dir)?)
    }

    fn under(data_dir: &Path, lock: File) -> Result<Self, OpenError> {
        let file = data_dir.join(DATABASE);
        let conn = database(&file)?;
        Ok(Self { conn: Arc::new(Mutex::new(Shelf { conn, poisoned: false })), _lock: lock })
    }

    async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let unavailable = |cause: &str| StoreError::Unavailable { store: STORE, cause: cause.to_owned() };
        let waited = timeout(WAIT_MAX, self.conn.clone().lock_owned()).await;
        let mut shelf = waited.map_err(|_| unavailable("too many requests wait"))?;
        if shelf.poisoned {
            return Err(unavailable("stopped after an I/O error: check the disk, then restart"));
        }
        let done = task::spawn_blocking(move || {
            let done = work(&mut shelf.conn);
            shelf.poisoned =
                matches!(&done, Err(StoreError::Unavailable { cause, .. }) if cause.starts_with(IO));
            done
        });
        done.await.map_err(|_| unavailable("the request was cut off"))?
    }
}

/// Begins the cause of an I/O error, by which [`SqliteWitness::run`] knows it.
const IO: &str = "I/O error: ";

fn fault(error: &rusqlite::Error) -> StoreError {
    if is_io_failure(error) {
        return StoreError::Unavailable { store: STORE, cause: format!("{IO}{error}") };
    }
    match store_error(error) {
        StoreError::Full { .. } => StoreError::Full { store: STORE },
        StoreError::Damaged { cause, .. } => StoreError::Damaged { store: STORE, cause },
        StoreError::Unavailable { cause, .. } => StoreError::Unavailable { store: STORE, cause },
        other => other,
    }
}

#[async_trait]
impl WitnessStore for SqliteWitness {
    async fn latest(&self, log: OriginHash) -> Result<Option<Seen>, StoreError> {
        self.run(move |conn| read(conn, log).map_err(|error| fault(&error))).await
    }

    async fn advance(
        &self,
        log: OriginHash,
        from: Option<(u64, Hash)>,
        to: Seen,
    ) -> Result<bool, StoreError> {
        self.run(move |conn| advance(conn, log, from, &to)).await
    }
}

fn read(conn: &Connection, log: OriginHash) -> rusqlite::Result<Option<Seen>> {
    const SELECT: &str = "SELECT size, root, note, cosigned_at_s FROM records WHERE origin_hash = ?1";
    conn.prepare_cached(SELECT)?
        .query_row([log.0], |row| {
            Ok(Seen {
                size: u64_at(row, 0)?,
                root: row.get(1)?,
                note: Bytes::from(row.get::<_, Vec<u8>>(2)?),
                cosigned_at_s: u64_at(row, 3)?,
            })
        })
        .optional()
}

/// Compares and replaces in one transaction that has the write lock from its beginning.
fn advance(
    conn: &mut Connection,
    log: OriginHash,
    from: Option<(u64, Hash)>,
    to: &Seen,
) -> Result<bool, StoreError> {
    let failed = |error: rusqlite::Error| fault(&error);
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let record = read(&tx, log).map_err(failed)?;
    let moved = record.as_ref().map(|seen| (seen.size, seen.root)) != from;
    let back = |seen: &Seen| to.size < seen.size || to.cosigned_at_s < seen.cosigned_at_s;
    if moved || record.as_ref().is_some_and(back) {
        return Ok(false);
    }
    let is_new = record.is_none();
    if is_new {
        let room = "UPDATE totals SET records = records + 1 WHERE records < ?1";
        if tx.execute(room, [ordered(RECORDS_MAX)]).map_err(failed)? == 0 {
            return Err(StoreError::Full { store: STORE });
        }
    }
    let write = if is_new {
        "INSERT INTO records (origin_hash, size, root, note, cosigned_at_s) VALUES (?1, ?2, ?3, ?4, ?5)"
    } else {
        "UPDATE records SET size = ?2, root = ?3, note = ?4, cosigned_at_s = ?5 WHERE origin_hash = ?1"
    };
    // Sizes are at most 2^62 and times at most 2^63 - 1, so both keep their value and their order.
    tx.execute(write, params![log.0, int(to.size), to.root, &to.note[..], int(to.cosigned_at_s)])
        .map_err(failed)?;
    tx.commit().map_err(failed)?;
    Ok(true)
}

fn database(file: &Path) -> Result<Connection, OpenError> {
    files::open_private(file, OpenOptions::new().create(true).read(true).write(true).truncate(false))
        .map_err(|error| OpenError::from_io(file, &error))?;
    let failed = |error: rusqlite::Error| OpenError::from_sql(file, &error);
    let mut conn = Connection::open(file).map_err(failed)?;
    let sound: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if sound != "ok" {
        return Err(OpenError::Corrupt { file: file.to_owned(), cause: sound });
    }
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(OpenError::NoLog { file: file.to_owned() });
    }
    conn.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    let found: u32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    match found {
        0 => {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            tx.execute_batch(MIGRATION_1).map_err(failed)?;
            tx.commit().map_err(failed)?;
        }
        SCHEMA => {}
        newer => return Err(OpenError::Newer { file: file.to_owned(), found: newer, known: SCHEMA }),
    }
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use veilcloud_domain::audit::witness::testkit::Fresh;

    use super::*;

    fn open_in(dir: &Path) -> Result<SqliteWitness, OpenError> {
        // Without the lock, so that one process can be two.
        SqliteWitness::under(dir, File::create(dir.join("other.lock")).unwrap())
    }

    async fn fresh() -> Fresh {
        let dir = tempfile::tempdir().unwrap();
        Fresh { store: Arc::new(open_in(dir.path()).unwrap()), guard: Arc::new(dir) }
    }

    veilcloud_domain::witness_contract_tests!(fresh);

    const LOG: OriginHash = OriginHash([7; 32]);

    fn seen(size: u64) -> Seen {
        Seen { size, root: [1; 32], note: Bytes::from_static(b"note"), cosigned_at_s: size }
    }

    #[tokio::test]
    async fn records_are_there_after_a_restart_and_their_file_is_the_owners_alone() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        assert!(!SqliteWitness::has_records(dir.path()));
        let store = open_in(dir.path()).unwrap();
        assert!(store.advance(LOG, None, seen(5)).await.unwrap());
        // As after a kill: nothing is closed in order.
        std::mem::forget(store);
        let store = open_in(dir.path()).unwrap();
        assert_eq!(store.latest(LOG).await.unwrap(), Some(seen(5)));
        assert!(SqliteWitness::has_records(dir.path()));
        assert_eq!(std::fs::metadata(dir.path().join(DATABASE)).unwrap().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_second_connection_does_not_win_what_the_first_one_has() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (open_in(dir.path()).unwrap(), open_in(dir.path()).unwrap());
        let (one, two) = tokio::join!(one.advance(LOG, None, seen(5)), two.advance(LOG, None, seen(6)));
        assert_eq!([one.unwrap(), two.unwrap()].iter().filter(|won| **won).count(), 1);
    }

    #[tokio::test]
    async fn nothing_that_speaks_sql_sets_a_record_back_by_accident() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_in(dir.path()).unwrap();
        assert!(store.advance(LOG, None, seen(5)).await.unwrap());
        let conn = store.conn.lock().await;
        for statement in [
            "UPDATE records SET size = 4",
            "UPDATE records SET cosigned_at_s = 4",
            "UPDATE records SET origin_hash = zeroblob(32)",
            "DELETE FROM records",
        ] {
            assert!(conn.conn.execute(statement, []).is_err(), "{statement}");
        }
    }

    #[tokio::test]
    async fn a_full_witness_goes_on_with_the_logs_that_it_knows() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_in(dir.path()).unwrap();
        assert!(store.advance(LOG, None, seen(5)).await.unwrap());
        let full = format!("UPDATE totals SET records = {RECORDS_MAX}");
        store.conn.lock().await.conn.execute(&full, []).unwrap();
        let refused = store.advance(OriginHash([8; 32]), None, seen(1)).await;
        assert!(matches!(refused, Err(StoreError::Full { store: STORE })), "{refused:?}");
        assert_eq!(store.latest(OriginHash([8; 32])).await.unwrap(), None);
        assert!(store.advance(LOG, Some((5, [1; 32])), seen(6)).await.unwrap());
    }

    #[test]
    fn a_folder_has_one_witness() {
        let dir = tempfile::tempdir().unwrap();
        let _first = SqliteWitness::open(dir.path()).unwrap();
        assert!(matches!(SqliteWitness::open(dir.path()), Err(OpenError::Locked { .. })));
    }

    #[test]
    fn a_newer_schema_and_a_file_that_is_no_database_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(open_in(dir.path()).unwrap());
        let file = dir.path().join(DATABASE);
        Connection::open(&file).unwrap().pragma_update(None, "user_version", 2).unwrap();
        assert!(matches!(open_in(dir.path()), Err(OpenError::Newer { found: 2, known: 1, .. })));
        std::fs::write(&file, b"not a database, but long enough to be looked at as one").unwrap();
        assert!(matches!(open_in(dir.path()), Err(OpenError::Corrupt { .. })));
    }

    #[test]
    fn an_io_failure_is_told_apart_so_that_writing_stops() {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        let error = fault(&rusqlite::Error::SqliteFailure(code, None));
        assert!(matches!(error, StoreError::Unavailable { cause, .. } if cause.starts_with(IO)));
    }
}
