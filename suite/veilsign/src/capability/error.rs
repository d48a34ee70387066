//! Why a capability was refused.

use thiserror::Error;
use veilcore::canon::DecodeError;
use veilcore::id::KeyId;

use crate::key::KeyError;

/// Refusals of a capability. Callers tell a client that a capability expired, so that it refreshes; every
/// other variant is for the log and reaches the client as one and the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CapabilityError {
    /// Over [`super::CAPABILITY_LEN_MAX`] bytes.
    #[error("capability of {len} bytes is over the limit of {max}", max = super::CAPABILITY_LEN_MAX)]
    TooLarge {
        /// Length found, in bytes.
        len: usize,
    },
    /// Not canonical.
    #[error("capability is not well formed: {0}")]
    Malformed(#[from] DecodeError),
    /// No issuer key of that name, or the key is outside its own validity.
    #[error("issuer key {kid} is not valid here and now")]
    UnknownIssuer {
        /// The name in the body.
        kid: KeyId,
    },
    /// A signature of the chain does not hold: body, block, splice, or a block removed from the middle.
    #[error("signature {link} of the chain does not verify")]
    Signature {
        /// 0 for the issuer's, then the number of the block, from 1.
        link: usize,
    },
    /// A holder or next key that is no acceptable Ed25519 key.
    #[error("key in link {link} of the chain is not acceptable: {reason}")]
    Key {
        /// 0 for the body, then the number of the block, from 1.
        link: usize,
        /// What is wrong with it.
        reason: KeyError,
    },
    /// Used before its time, clock difference allowed for.
    #[error("capability is valid {early_ms} ms from now")]
    NotYet {
        /// How much too early, in milliseconds.
        early_ms: u64,
    },
    /// Used after its time.
    #[error("capability expired {late_ms} ms ago")]
    Expired {
        /// How much too late, in milliseconds.
        late_ms: u64,
    },
    /// Issued for another service.
    #[error("capability is for another audience")]
    Audience,
    /// A block grants what its parent does not, or lives longer.
    #[error("block {block} widens its parent")]
    Widened {
        /// Number of the block, from 1.
        block: usize,
    },
    /// A block follows one that nobody may extend.
    #[error("block {block} follows a sealed link")]
    Sealed {
        /// Number of the block, from 1.
        block: usize,
    },
    /// More than [`super::BLOCKS_MAX`] blocks.
    #[error("capability has {found} blocks, at most {max} are allowed", max = super::BLOCKS_MAX)]
    TooDeep {
        /// Blocks found.
        found: usize,
    },
    /// The signing key given is not the one the body or the parent names.
    #[error("signing key is not the one the chain names")]
    WrongKey,
}
