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
    /// The access list is wrong.
    #[error("the access list is refused: {check}")]
    AccessList {
        /// Which check failed.
        check: String,
    },
    /// The access list is not the newest, or does not follow it.
    #[error("the project's newest access list has number {current}")]
    AccessListStale {
        /// Its number.
        current: u64,
    },
    /// There is no such access list.
    #[error("there is no access list {number}, the newest is {current}")]
    AccessListUnknown {
        /// What was asked for.
        number: u64,
        /// The newest.
        current: u64,
    },
    /// The permissions are none that can be shared.
    #[error("a share gives project:read, project:write, project:delete, project:share or audit:read")]
    Permissions,
    /// The project is not shared with the team.
    #[error("the project is not shared with this team")]
    ShareUnknown,
    /// The project has too many shares.
    #[error("a project is shared with at most {limit} teams")]
    ShareLimit {
        /// The limit.
        limit: u32,
    },
    /// The keys open the epoch already.
    #[error("the key of this epoch was wrapped for these keys before")]
    KeyringExists,
    /// The epoch's key was not wrapped for the calling API key.
    #[error(
        "the key of this epoch was not wrapped for this API key, or the access list no longer lets it read"
    )]
    KeyringNotAdded,
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
