//! What versions, bytes and uploads need from outside.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use veilcore::id::{AccountId, EnvironmentId, UploadId};

use super::model::{Digest, Etag, Precondition, Upload, Version};
use crate::{
    audit::model::Line,
    page::{Page, PageArgs},
    store::StoreError,
};

/// Why a version was not committed. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The current version is another one; `None` when there is none.
    Precondition(Option<Version>),
    /// The environment is in another epoch.
    Epoch(u32),
    /// The key of the current epoch, which this is, has to be rotated first.
    RotationDue(u32),
    /// The owner's quota would be exceeded.
    Quota {
        /// Bytes the owner may store.
        quota_bytes: u64,
        /// Bytes stored now.
        used_bytes: u64,
    },
    /// The environment is gone.
    Gone,
    /// Whoever does it may not (any more).
    Denied,
}

/// Versions. Every change is made only if [`stands`](crate::projects::stands::stands) allows its line, judged in the same
/// transaction.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// Commits the next version with its audit line in one transaction, if the precondition holds, the epoch is current,
    /// its key need not be rotated and the project owner's quota has room. An unfinished upload of the same bytes to the same environment holds
    /// their room already and is not counted twice. Durable when it returns.
    ///
    /// Gives the index of the line in its trail; [`Version::log_index`] is that in every read from then on, whatever the
    /// caller put there.
    async fn commit(
        &self,
        version: Version,
        precondition: Precondition,
        line: Line,
    ) -> Result<Result<u64, Refusal>, StoreError>;
    /// A version; `None` for `number` means the current one.
    async fn version(
        &self,
        environment: EnvironmentId,
        number: Option<u64>,
    ) -> Result<Option<Version>, StoreError>;
    /// Versions, newest first; the page key is the number of the last one given.
    async fn versions(
        &self,
        environment: EnvironmentId,
        page: PageArgs<u64>,
    ) -> Result<Page<Version, u64>, StoreError>;
    /// Marks every version so far deleted, if the current tag is `etag`, and gives the index of the line in its trail;
    /// otherwise gives the current version.
    async fn delete_content(
        &self,
        environment: EnvironmentId,
        etag: Etag,
        line: Line,
    ) -> Result<Result<u64, Refusal>, StoreError>;
    /// Bytes of all undeleted versions in projects of this owner, and of its unfinished uploads.
    async fn used_bytes(&self, owner: AccountId) -> Result<u64, StoreError>;
    /// Of these digests, the ones that an undeleted version or an unfinished upload names. For the sweep.
    async fn referenced(&self, digests: &[Digest]) -> Result<Vec<Digest>, StoreError>;
}

/// A stream of a blob's bytes, in pieces of at most 262,144 bytes.
pub type BlobStream = BoxStream<'static, Result<Bytes, StoreError>>;

/// Immutable bytes by digest. Whoever owns it can lose or alter bytes; clients notice by digest and seal.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Stores bytes under their digest; durable no later than any commit of the Shelf that is asked for after it
    /// returns. Storing them again is harmless and makes the blob as young as a new one: the sweep must not take it
    /// from under a version that is about to name it.
    async fn put(&self, digest: Digest, bytes: Bytes) -> Result<(), StoreError>;
    /// All bytes of a blob of at most 786,432 bytes; `None` when there is none.
    async fn read(&self, digest: Digest) -> Result<Option<Bytes>, StoreError>;
    /// Streams `len` bytes from `offset`; memory stays flat whatever the length. `None` when there is no such blob.
    async fn open(&self, digest: Digest, offset: u64, len: u64) -> Result<Option<BlobStream>, StoreError>;
    /// Removes a blob; harmless when there is none.
    async fn remove(&self, digest: Digest) -> Result<(), StoreError>;
    /// Up to `limit` digests stored before `before_ms`, in ascending order after `after`. For the sweep.
    async fn list(
        &self,
        after: Option<Digest>,
        limit: usize,
        before_ms: u64,
    ) -> Result<Vec<Digest>, StoreError>;
}

/// Bytes of unfinished uploads, by position.
#[async_trait]
pub trait Staging: Send + Sync {
    /// Writes bytes at `offset` of an upload's bytes.
    async fn write(&self, upload: UploadId, offset: u64, bytes: Bytes) -> Result<(), StoreError>;
    /// Hashes all `len` bytes; if they hash to `digest`, moves them into the blob store, durably, and says true. It may
    /// say so again of an upload that it promoted before, never because a blob of that digest is there: who knows a
    /// digest need not have the bytes.
    async fn promote(&self, upload: UploadId, len: u64, digest: Digest) -> Result<bool, StoreError>;
    /// Forgets an upload's bytes; harmless when there are none.
    async fn discard(&self, upload: UploadId) -> Result<(), StoreError>;
    /// Up to `limit` uploads that have bytes here, in ascending order after `after`. For the sweep.
    async fn list(&self, after: Option<UploadId>, limit: usize) -> Result<Vec<UploadId>, StoreError>;
}

/// What starting an upload met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It is open.
    Open,
    /// The account may not write to the project (any more).
    Denied,
    /// The account has as many as it may.
    Limit,
    /// The owner's quota would be exceeded.
    Quota {
        /// Bytes the owner may store.
        quota_bytes: u64,
        /// Bytes stored now, unfinished uploads included.
        used_bytes: u64,
    },
}

/// Upload sessions; their chunks survive a restart.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// Opens a session if the account may write to the project now, unless it has `limit` of them or the quota of the project's owner has no room.
    async fn start(&self, upload: Upload, limit: u32) -> Result<Started, StoreError>;
    /// A session with its received chunks.
    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError>;
    /// Notes that a chunk arrived; gives the number of chunks so far. Noting it again is harmless.
    async fn received(&self, id: UploadId, index: u32) -> Result<u32, StoreError>;
    /// Forgets which chunks arrived: the whole did not hash to its digest.
    async fn reset(&self, id: UploadId) -> Result<(), StoreError>;
    /// Forgets a session; harmless when there is none.
    async fn forget(&self, id: UploadId) -> Result<(), StoreError>;
    /// Of these, the ones that are sessions. For the sweep.
    async fn known(&self, ids: &[UploadId]) -> Result<Vec<UploadId>, StoreError>;
    /// Up to `limit` sessions that expired before `now_ms`. For the sweep.
    async fn expired(&self, now_ms: u64, limit: usize) -> Result<Vec<UploadId>, StoreError>;
}
