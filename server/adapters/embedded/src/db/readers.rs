//! Readers: a few read-only connections. In WAL mode they neither wait for the writer nor hold it up, and each read sees
//! every change that was answered before it began.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use tokio::{sync::Semaphore, task, time};
use veilcloud_domain::store::StoreError;

use super::{
    STATEMENTS_MAX,
    fault::{Outcome, STORE},
};

/// Read-only connections, and so reads at one time.
pub(crate) const READERS: usize = 4;
/// Longest wait for a connection.
pub(crate) const READER_WAIT_MAX: Duration = Duration::from_secs(5);

/// The pool.
#[derive(Clone)]
pub(crate) struct Readers(Arc<Pool>);

struct Pool {
    idle: Mutex<Vec<Connection>>,
    /// As many permits as connections, so whoever holds one finds one.
    permits: Arc<Semaphore>,
}

impl Readers {
    /// Opens the connections; the database must exist.
    pub fn open(file: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let idle = (0..READERS)
            .map(|_| {
                let conn = Connection::open_with_flags(file, flags)?;
                conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
                conn.pragma_update(None, "query_only", true)?;
                Ok(conn)
            })
            .collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Self(Arc::new(Pool { idle: Mutex::new(idle), permits: Arc::new(Semaphore::new(READERS)) })))
    }

    /// Runs a read on a thread that may block.
    pub async fn run<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    {
        let unavailable = |cause: &str| StoreError::Unavailable { store: STORE, cause: cause.to_owned() };
        let permit = time::timeout(READER_WAIT_MAX, self.0.permits.clone().acquire_owned())
            .await
            .map_err(|_| unavailable("every reader is busy"))?
            .map_err(|_| unavailable("the readers are closed"))?;
        let pool = self.0.clone();
        let outcome = task::spawn_blocking(move || {
            let conn = pool.take();
            let outcome = conn.as_ref().map(read);
            if let Some(conn) = conn {
                pool.give(conn);
            }
            drop(permit);
            outcome
        });
        match outcome.await {
            Ok(Some(outcome)) => outcome.map_err(StoreError::from),
            Ok(None) => Err(unavailable("a reader was lost")),
            Err(_) => Err(unavailable("the read was cut off")),
        }
    }

    /// Refuses new reads, waits for the running ones, and closes the connections.
    pub async fn close(&self) {
        // Holding every permit means that no read runs.
        let all = self.0.permits.acquire_many(u32::try_from(READERS).unwrap_or(u32::MAX)).await;
        self.0.permits.close();
        if all.is_ok() {
            self.0.lock().clear();
        }
    }
}

impl Pool {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Connection> {
        self.lock().pop()
    }

    fn give(&self, conn: Connection) {
        self.lock().push(conn);
    }
}
