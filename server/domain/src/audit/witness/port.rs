//! What the witness needs from outside: one record for each log it ever cosigned.

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use veilchain::hash::Hash;

use crate::store::StoreError;

/// SHA-256 of a log's origin: what the record is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OriginHash(pub [u8; 32]);

impl OriginHash {
    /// The hash of an origin.
    pub fn of(origin: &str) -> Self {
        Self(Sha256::digest(origin.as_bytes()).into())
    }
}

/// The newest checkpoint of a log that the witness cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// The note: the checkpoint, its log's signatures, and our cosignature.
    pub note: Bytes,
    /// When it was cosigned, in seconds since the Unix epoch.
    pub cosigned_at_s: u64,
}

/// Most logs that a witness keeps a record of; the next one is [`StoreError::Full`].
pub const RECORDS_MAX: u64 = 10_000_000;

/// Keeps the records. It is trusted: a store that was set back lets the witness cosign a fork.
#[async_trait]
pub trait WitnessStore: Send + Sync {
    /// The record of a log; `None` before its first.
    async fn latest(&self, log: OriginHash) -> Result<Option<Seen>, StoreError>;
    /// Replaces the record if it still is of size and root `from` (`None`: there is none), if `to` is not smaller and if
    /// it was not cosigned earlier; otherwise `false`, and nothing changes. One transaction; durable when it returns.
    async fn advance(&self, log: OriginHash, from: Option<(u64, Hash)>, to: Seen)
    -> Result<bool, StoreError>;
}
