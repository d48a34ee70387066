//! The logs: lock rows and the places of blocks in the database, entries and hashes in append-only segment files.
//!
//! `log/0000000000.seg` and so on hold frames, one for each batch over all logs, brought to the disk by one fdatasync. A
//! frame holds blocks; a block holds at most 256 leaves of one log, their hashes, and the hashes of higher tile levels
//! that complete in it. Each entry is written once; bundles and tiles of any width are put together on reading.
//!
//! `log/head` says which frame was committed last. It is not trusted for anything but this: a database that is behind it,
//! or behind the frames, was taken back, and going on from there would sign a second history.
//!
//! What must never happen: a committed byte written over, a damaged byte given out, a frame committed that is not on the
//! disk.

pub(crate) mod batch;
pub(crate) mod format;
pub(crate) mod fsck;
pub(crate) mod head;
pub(crate) mod read;
pub(crate) mod recover;
pub(crate) mod rows;
pub(crate) mod segments;
pub(crate) mod store;

#[cfg(test)]
mod tests;

/// The store's name in messages.
pub(crate) const STORE: &str = "log";

use veilcloud_domain::store::StoreError;

/// Something in a file that we cannot have written.
pub(crate) fn damaged(cause: String) -> StoreError {
    StoreError::Damaged { store: STORE, cause }
}

/// The files cannot be used now.
pub(crate) fn unavailable(cause: impl Into<String>) -> StoreError {
    StoreError::Unavailable { store: STORE, cause: cause.into() }
}
