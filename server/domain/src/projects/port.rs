//! What projects and environments need from outside.

use async_trait::async_trait;
use veilcore::id::{AccountId, EnvironmentId, ProjectId};

use super::model::{Environment, Keyring, Project};
use crate::{
    audit::model::Line,
    name::Name,
    page::{Page, PageArgs},
    store::StoreError,
};

/// What a create or rename met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is done.
    Done,
    /// The name, or the id, is taken.
    Taken,
    /// The account or project has as many as it may.
    Limit,
    /// What it belongs to is gone.
    Gone,
}

/// Projects and environments.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Creates a project with its audit line, unless the owner has one of this name or has `limit` of them.
    async fn create_project(&self, project: Project, limit: u32, line: Line) -> Result<Written, StoreError>;
    /// A project.
    async fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError>;
    /// Projects of an owner by name; with `only`, the one of this name.
    async fn projects(
        &self,
        owner: AccountId,
        only: Option<&Name>,
        page: PageArgs<Name>,
    ) -> Result<Page<Project, Name>, StoreError>;
    /// Renames a project.
    async fn rename_project(&self, id: ProjectId, name: Name, line: Line) -> Result<Written, StoreError>;
    /// Deletes a project with everything in it. Bytes go with the next sweep. `false` when there is none.
    async fn delete_project(&self, id: ProjectId, line: Line) -> Result<bool, StoreError>;
    /// Creates an environment with its first keyring, unless name or id is taken or the project has `limit` of them.
    async fn create_environment(
        &self,
        environment: Environment,
        keyring: Keyring,
        limit: u32,
        line: Line,
    ) -> Result<Written, StoreError>;
    /// An environment by name.
    async fn environment(&self, project: ProjectId, name: &Name) -> Result<Option<Environment>, StoreError>;
    /// Environments of a project by name.
    async fn environments(
        &self,
        project: ProjectId,
        page: PageArgs<Name>,
    ) -> Result<Page<Environment, Name>, StoreError>;
    /// Deletes an environment with its versions and keyrings. `false` when there is none.
    async fn delete_environment(&self, id: EnvironmentId, line: Line) -> Result<bool, StoreError>;
}

/// Keyrings, one per environment and epoch, never changed.
#[async_trait]
pub trait Keyrings: Send + Sync {
    /// The keyring of an epoch.
    async fn keyring(&self, environment: EnvironmentId, epoch: u32) -> Result<Option<Keyring>, StoreError>;
    /// Adds the keyring of epoch `keyring.epoch` and makes that the current epoch, if the current one is the one before.
    /// Otherwise nothing happens and the current epoch is given; `None` when the environment is gone.
    async fn rotate(
        &self,
        environment: EnvironmentId,
        keyring: Keyring,
        line: Line,
    ) -> Result<Option<Result<(), u32>>, StoreError>;
}
