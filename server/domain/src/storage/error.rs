//! What can be wrong with a version, a blob or an upload.

use super::model::Etag;
use crate::{
    projects::{ProjectAccess, error::ProjectsError},
    store::StoreError,
};

/// Why a storage verb refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Project or environment refused.
    #[error(transparent)]
    Projects(#[from] ProjectsError),
    /// The environment holds nothing.
    #[error("the environment holds no version yet, or its content was deleted")]
    BlobNotFound,
    /// There is no such version.
    #[error("there is no version {version}, the newest is {current}")]
    VersionNotFound {
        /// What was asked for.
        version: u64,
        /// The newest.
        current: u64,
    },
    /// The write names no precondition.
    #[error("a write needs If-Match with the current etag, or If-None-Match: * for the first version")]
    PreconditionRequired,
    /// The precondition is not one.
    #[error("the precondition is not an entity tag: {text}")]
    PreconditionInvalid {
        /// What was sent, at most 64 bytes.
        text: String,
    },
    /// Somebody wrote in between.
    #[error("the current version is {}, not the one named", current.map_or("none".to_owned(), |e| e.to_string()))]
    EtagMismatch {
        /// The current tag, if there is a version.
        current: Option<Etag>,
    },
    /// The epoch is over.
    #[error("the environment is in epoch {current}: seal to its current key")]
    EpochStale {
        /// The current epoch.
        current: u32,
    },
    /// The key of the epoch may not be used any more.
    #[error("somebody who could open epoch {current} was removed: rotate the environment's key first")]
    RotationDue {
        /// The current epoch.
        current: u32,
    },
    /// The seal does not hold.
    #[error("the seal is refused: {check}")]
    Seal {
        /// Which check failed.
        check: String,
    },
    /// The bytes hash to something else.
    #[error("the bytes do not hash to the announced digest")]
    DigestMismatch,
    /// The file is not one we take.
    #[error("the age file is refused: {check}")]
    Stanza {
        /// Which check failed.
        check: String,
    },
    /// The blob is too large.
    #[error("the blob has more than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// No room left.
    #[error("the account may store {quota_bytes} bytes and stores {used_bytes}")]
    Quota {
        /// Bytes it may store.
        quota_bytes: u64,
        /// Bytes it stores.
        used_bytes: u64,
    },
    /// No room left, and the room is somebody else's: how much they have is theirs to know.
    #[error("the project's owner has no room left")]
    OwnersQuota,
    /// There is no such upload.
    #[error("there is no such upload, or it expired")]
    UploadNotFound,
    /// The account has too many uploads.
    #[error("an account has at most {limit} unfinished uploads")]
    UploadLimit {
        /// The limit.
        limit: u32,
    },
    /// Chunks are missing.
    #[error("{missing_count} chunks are missing, the first is {first_missing}")]
    UploadIncomplete {
        /// How many.
        missing_count: u32,
        /// The lowest.
        first_missing: u32,
    },
    /// A chunk is wrong.
    #[error("the chunk is refused: {check}")]
    Chunk {
        /// Which check failed.
        check: String,
    },
    /// The range is outside the blob.
    #[error("the range lies outside the blob of {length} bytes")]
    Range {
        /// Length of the blob.
        length: u64,
    },
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StorageError {
    /// The figures of a quota are for its owner.
    pub(super) fn told_to(self, access: &ProjectAccess) -> Self {
        match self {
            Self::Quota { .. } if access.actor() != access.owner() => Self::OwnersQuota,
            other => other,
        }
    }
}
