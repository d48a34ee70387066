//! From SQLite's result codes to the three things a caller can be told.

use rusqlite::ErrorCode;
use veilcloud_domain::store::StoreError;

/// The store's name in messages.
pub(crate) const STORE: &str = "veilcloud.db";

/// Why a statement or a job failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite said so.
    Sql(rusqlite::Error),
    /// A row that we cannot have written.
    Damaged(String),
    /// What an earlier job, whose answer was given before its commit, met.
    Earlier(StoreError),
    /// What another store met inside the job.
    Store(StoreError),
    /// The job cannot be done now.
    Unavailable(&'static str),
}

/// What a job or a read gives.
pub(crate) type Outcome<T> = Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Sql(error) => store_error(&error),
            Fault::Earlier(error) | Fault::Store(error) => error,
            Fault::Damaged(cause) => StoreError::Damaged { store: STORE, cause },
            Fault::Unavailable(cause) => StoreError::Unavailable { store: STORE, cause: cause.to_owned() },
        }
    }
}

/// Maps an error of SQLite. A value of the wrong type or range in a row, and a broken constraint, are damage: every row
/// was written by this crate, which checks before it writes.
pub(crate) fn store_error(error: &rusqlite::Error) -> StoreError {
    let cause = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { store: STORE },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation) => {
            StoreError::Damaged { store: STORE, cause }
        }
        Some(_) => StoreError::Unavailable { store: STORE, cause },
        None => StoreError::Damaged { store: STORE, cause },
    }
}

/// True after an error that leaves open whether the last commit reached the disk: nothing may be written on top of it.
pub(crate) fn is_io_failure(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn of(code: i32) -> StoreError {
        store_error(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn each_code_says_what_the_operator_can_do() {
        assert!(matches!(of(ffi::SQLITE_FULL), StoreError::Full { .. }));
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_CANTOPEN] {
            assert!(matches!(of(code), StoreError::Unavailable { .. }), "{code}");
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_CONSTRAINT_FOREIGNKEY] {
            assert!(matches!(of(code), StoreError::Damaged { .. }), "{code}");
        }
        let row = rusqlite::Error::InvalidColumnType(0, "len".to_owned(), rusqlite::types::Type::Null);
        assert!(matches!(store_error(&row), StoreError::Damaged { .. }));
    }
}
