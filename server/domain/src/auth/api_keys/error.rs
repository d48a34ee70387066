//! What can be wrong with the management of API keys. A bearer that is no good is an `AuthError`, like any credential.

use crate::store::StoreError;

/// Why a verb on API keys refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiKeyError {
    /// The id is, or was, another key's.
    #[error("this key id is taken: draw another one")]
    Taken,
    /// The account has as many keys as it may.
    #[error("the account has {limit} API keys, as many as it may")]
    Limit {
        /// The limit.
        limit: u32,
    },
    /// The caller's capability does not allow what the key is to do.
    #[error("the capability does not allow what the key is to do")]
    Denied,
    /// The account has no such key, or it was revoked.
    #[error("the account has no such API key, or it was revoked")]
    Unknown,
    /// Somebody rotated the key in between.
    #[error("the key was rotated in between: it has generation {generation} now")]
    Rotated {
        /// Its generation now.
        generation: u32,
    },
    /// The scope is not one that a key may have.
    #[error("{field} {rule}")]
    Scope {
        /// The field.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// The record, the server's share or the trust record is wrong.
    #[error("the key's record, server share or trust record is refused: {check}")]
    Record {
        /// Which check failed.
        check: &'static str,
    },
    /// The caller is no API key.
    #[error("this call is for an API key, about itself")]
    NoKey,
    /// The caller's key has no share here.
    #[error("this API key opens no keyrings: it was made without a share")]
    OpensNothing,
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
