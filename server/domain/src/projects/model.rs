//! Projects and environments as the catalog keeps them.

use veilcore::id::{AccountId, EnvironmentId, ProjectId};

use crate::{name::Name, storage::model::Version};

/// Most projects of one account.
pub const PROJECTS_MAX: u32 = 1000;
/// Most environments of one project.
pub const ENVIRONMENTS_MAX: u32 = 1000;
/// Greatest keyring file in bytes.
pub const KEYRING_FILE_MAX: usize = 65_536;

/// A named group of environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Project id, version 7.
    pub id: ProjectId,
    /// Name, unique among its owner's projects.
    pub name: Name,
    /// Owner.
    pub owner: AccountId,
    /// Creation time.
    pub created_at_ms: u64,
    /// Number of environments; kept by the catalog.
    pub environment_count: u32,
}

/// A place for one blob and its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Environment id, chosen by the client and bound into every seal.
    pub id: EnvironmentId,
    /// Project.
    pub project: ProjectId,
    /// Name, unique in its project.
    pub name: Name,
    /// Current epoch of the key, from 1.
    pub epoch: u32,
    /// Current version.
    pub head: Option<Version>,
    /// Creation time.
    pub created_at_ms: u64,
    /// Where its content came from.
    pub cloned_from: Option<Origin>,
    /// Somebody who could open the current epoch was removed since: nothing may be sealed to it. Kept by the catalog.
    pub rotation_due: bool,
}

/// Where a clone came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Source environment.
    pub environment: EnvironmentId,
    /// Source version.
    pub version: u64,
}

/// The epoch key of an environment as an age file that only its members open, and its author's seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    /// Epoch, from 1.
    pub epoch: u32,
    /// The age file.
    pub file: Vec<u8>,
    /// The author's keyring seal.
    pub seal: Vec<u8>,
    /// Number of the access list whose members it is made for; 0 while the project has none.
    pub access_list: u64,
}
