//! What can be wrong with the issuing and revoking of capabilities.

use crate::{auth::error::AuthError, projects::error::ProjectsError, store::StoreError};

/// Why a verb on capabilities refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CapabilitiesError {
    /// The caller's own capability does not allow what is to be given.
    #[error("the session's capability does not allow what the new one is to do")]
    Denied,
    /// The account has as many as it may.
    #[error("the account has {limit} issued capabilities, as many as it may")]
    Limit {
        /// The limit.
        limit: u32,
    },
    /// The account has no such capability, or it was revoked.
    #[error("the account has no such issued capability, or it was revoked")]
    Unknown,
    /// The holder key is none, or its possession was not proved for this request.
    #[error("the holder key is none, or was not proved for this account and request")]
    Holder,
    /// A field is not what it must be.
    #[error("{field} {rule}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// The session may not, or not any more, or not so long after its login.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A project could not be asked for.
    #[error(transparent)]
    Projects(#[from] ProjectsError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
