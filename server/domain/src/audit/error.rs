//! What the audit area refuses.

use crate::{projects::error::ProjectsError, store::StoreError};

/// Why an answer about a log is not given.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The caller may not, or there is no such project.
    #[error(transparent)]
    Projects(#[from] ProjectsError),
    /// The log holds no such leaf.
    #[error("the log holds {size} leaves, none at {index}")]
    Index {
        /// Leaf that was asked for.
        index: u64,
        /// Leaves there are.
        size: u64,
    },
    /// The leaf is there, but no published checkpoint covers it yet.
    #[error("no checkpoint that the witnesses have seen covers leaf {index} yet")]
    Behind {
        /// Leaf that was asked for.
        index: u64,
    },
    /// The log has no such file.
    #[error("the log has no such file")]
    File,
    /// The proof file does not hold.
    #[error("the proof does not hold: {check}")]
    Proof {
        /// What is wrong.
        check: String,
    },
    /// The policy text is not one.
    #[error("the policy is not well formed: {check}")]
    Policy {
        /// What is wrong.
        check: String,
    },
    /// No good bearer token for this log.
    #[error("the token is not good for this log")]
    Token,
    /// The directory has no keys of this account.
    #[error("the directory has no keys of such an account")]
    KeyUnknown,
    /// A store could not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
}
