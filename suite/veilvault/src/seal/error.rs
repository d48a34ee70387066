//! The verdicts on a seal.

use thiserror::Error;
use veilcore::canon::DecodeError;
use veilcore::id::{AccountId, EnvironmentId, KeyId, ProjectId};

use crate::key::{InvalidSignature, KeyError};

/// Why a seal, or a keyring's seal, was refused: one variant for each thing that can be amiss, because the person
/// who is told has to know what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// Not the bytes of a seal, or of a version this build does not know.
    #[error("not a seal: {0}")]
    Malformed(#[from] DecodeError),
    /// Not signed by the author's key.
    #[error("seal is not signed by the author")]
    Signature(#[from] InvalidSignature),
    /// Sealed for another project.
    #[error("sealed for project {found}, expected {expected}")]
    Project {
        /// The project asked for.
        expected: ProjectId,
        /// The project in the seal.
        found: ProjectId,
    },
    /// Sealed for another environment.
    #[error("sealed for environment {found}, expected {expected}")]
    Environment {
        /// The environment asked for.
        expected: EnvironmentId,
        /// The environment in the seal.
        found: EnvironmentId,
    },
    /// Another version than the one expected: an old one served again, or a gap.
    #[error("sealed as version {found}, expected {expected}")]
    Version {
        /// The version expected.
        expected: u64,
        /// The version in the seal.
        found: u64,
    },
    /// Does not follow the version it should follow.
    #[error("seal names another version before it")]
    Parent,
    /// The ciphertext is not the one that was sealed.
    #[error("ciphertext is not the one that was sealed")]
    Digest,
    /// The ciphertext is shorter or longer than the one that was sealed.
    #[error("ciphertext of {found} bytes, sealed with {expected}")]
    Length {
        /// Length in the seal, in bytes.
        expected: u64,
        /// Length found, in bytes; for an endless stream the length at which reading stopped.
        found: u64,
    },
    /// Sealed under another epoch of the environment's key.
    #[error("sealed under epoch {found}, expected {expected}")]
    Epoch {
        /// The epoch expected.
        expected: u32,
        /// The epoch in the seal.
        found: u32,
    },
    /// Sealed by another account.
    #[error("sealed by account {found}, expected {expected}")]
    Author {
        /// The account expected.
        expected: AccountId,
        /// The account in the seal.
        found: AccountId,
    },
    /// Names another signing key than the one that signed it.
    #[error("seal names signing key {found}, signed with {expected}")]
    AuthorKey {
        /// The key that checks the signature.
        expected: KeyId,
        /// The key named in the seal.
        found: KeyId,
    },
    /// The hash of the inner header is not that of the line the seal's own fields make.
    #[error("seal carries the hash of another header line")]
    Header,
    /// The keyring seal names a public key that nothing may be encrypted to.
    #[error("keyring seal names an unfit recipient: {0}")]
    Recipient(KeyError),
}
