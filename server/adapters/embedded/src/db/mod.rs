//! The database: one writer, a few readers.

pub(crate) mod fault;
pub(crate) mod migrate;
pub(crate) mod readers;
pub(crate) mod row;
pub(crate) mod writer;

use rusqlite::Connection;
use veilcloud_domain::store::StoreError;

use self::{fault::Outcome, readers::Readers, writer::Writer};
pub(crate) use self::{
    row::{Maybe, int, ordered, text_at, u64_at},
    writer::Tx,
};

/// Prepared statements that each connection keeps.
pub(crate) const STATEMENTS_MAX: usize = 128;

/// Handles of the writer and the readers.
#[derive(Clone)]
pub(crate) struct Db {
    /// The writer.
    pub writer: Writer,
    /// The readers.
    pub readers: Readers,
}

impl Db {
    /// Runs a change; durable when it returns. See [`Writer::run`].
    pub async fn write<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Outcome<T> + Send + 'static,
    {
        self.writer.run(change).await
    }

    /// Runs a read. See [`Readers::run`].
    pub async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    {
        self.readers.run(read).await
    }
}
