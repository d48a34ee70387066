//! What can be wrong with a project or environment.

use crate::{name::NameInvalid, store::StoreError};

/// Why a project or environment verb refused.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectsError {
    /// The caller may not do this here, or there is nothing here.
    #[error("permission denied, or there is no such project")]
    Denied,
    /// The name is not one.
    #[error(transparent)]
    Name(#[from] NameInvalid),
    /// The owner has a project of this name.
    #[error("you have a project named {name} already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The account has too many projects.
    #[error("an account has at most {limit} projects")]
    ProjectLimit {
        /// The limit.
        limit: u32,
    },
    /// There is no such environment.
    #[error("the project has no environment named {name}")]
    EnvironmentNotFound {
        /// The name.
        name: String,
    },
    /// The environment exists.
    #[error("the project has an environment named {name} already")]
    EnvironmentExists {
        /// The name.
        name: String,
    },
    /// The project has too many environments.
    #[error("a project has at most {limit} environments")]
    EnvironmentLimit {
        /// The limit.
        limit: u32,
    },
    /// There is no such version to clone.
    #[error("the environment has no version {version}, its newest is {current}")]
    VersionNotFound {
        /// What was asked for.
        version: u64,
        /// The newest.
        current: u64,
    },
    /// The keyring is wrong.
    #[error("the keyring is refused: {check}")]
    Keyring {
        /// Which check failed.
        check: String,
    },
    /// The epoch is not the next one.
    #[error("the environment is in epoch {current}")]
    EpochStale {
        /// The current epoch.
        current: u32,
    },
    /// A field of an update is unknown.
    #[error("update_mask names {field}, which cannot be changed")]
    Mask {
        /// The field.
        field: String,
    },
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
