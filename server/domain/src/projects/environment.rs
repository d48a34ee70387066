//! Create, clone, list, show and delete environments.

use veilcore::id::EnvironmentId;
use veilsign::capability::Actions;

use super::{
    ProjectAccess, Projects,
    error::ProjectsError,
    model::{ENVIRONMENTS_MAX, Environment, Keyring, Origin},
    port::Written,
};
use crate::{
    audit::model::{Kind, Line},
    name::Name,
    page::{Page, PageArgs},
};

/// Epoch of a new environment's key.
pub(super) const FIRST_EPOCH: u32 = 1;

/// What the client brings for a new environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEnvironment {
    /// Random id that the client chose: it is bound into every seal.
    pub id: EnvironmentId,
    /// Name.
    pub name: Name,
    /// Keyring of epoch 1.
    pub keyring: Keyring,
}

impl Projects {
    /// Creates an empty environment.
    pub async fn create_environment(
        &self,
        access: &ProjectAccess,
        new: NewEnvironment,
    ) -> Result<Environment, ProjectsError> {
        let line = self.line_at(access, Kind::EnvironmentCreate, new.id);
        self.add(access, new, None, line).await
    }

    /// Creates an environment that says where its content will come from. The client seals the content again to the
    /// new environment's key and puts it: no server can.
    pub async fn clone_environment(
        &self,
        access: &ProjectAccess,
        source: &Name,
        source_version: u64,
        new: NewEnvironment,
    ) -> Result<Environment, ProjectsError> {
        access.check_whole(Actions::PROJECT_WRITE)?;
        let source = self.find(access, source).await?;
        let current = source.head.as_ref().map_or(0, |v| v.number);
        if source_version == 0 || source_version > current {
            return Err(ProjectsError::VersionNotFound { version: source_version, current });
        }
        let origin = Origin { environment: source.id, version: source_version };
        let line = self.line_at(access, Kind::EnvironmentClone, new.id);
        self.add(access, new, Some(origin), Line { version: source_version, ..line }).await
    }

    /// The project's environments by name.
    pub async fn environments(
        &self,
        access: &ProjectAccess,
        page: PageArgs<Name>,
    ) -> Result<Page<Environment, Name>, ProjectsError> {
        access.check_whole(Actions::PROJECT_READ)?;
        Ok(self.catalog.environments(access.project(), page).await?)
    }

    /// One environment.
    pub async fn environment(
        &self,
        access: &ProjectAccess,
        name: &Name,
    ) -> Result<Environment, ProjectsError> {
        self.environment_for(access, Actions::PROJECT_READ, name).await
    }

    /// Deletes an environment with its versions and keyrings.
    pub async fn delete_environment(&self, access: &ProjectAccess, name: &Name) -> Result<(), ProjectsError> {
        let environment = self.environment_for(access, Actions::PROJECT_DELETE, name).await?;
        let line = self.line_at(access, Kind::EnvironmentDelete, environment.id);
        match self.catalog.delete_environment(environment.id, line).await? {
            Written::Done => Ok(()),
            Written::Denied => Err(ProjectsError::Denied),
            Written::Gone | Written::Taken | Written::Limit | Written::Stale(_) => Err(not_found(name)),
        }
    }

    /// An environment that the caller may do this in.
    pub(crate) async fn environment_for(
        &self,
        access: &ProjectAccess,
        actions: Actions,
        name: &Name,
    ) -> Result<Environment, ProjectsError> {
        access.check_environment(actions, name)?;
        self.find(access, name).await
    }

    async fn find(&self, access: &ProjectAccess, name: &Name) -> Result<Environment, ProjectsError> {
        self.catalog.environment(access.project(), name).await?.ok_or_else(|| not_found(name))
    }

    async fn add(
        &self,
        access: &ProjectAccess,
        new: NewEnvironment,
        cloned_from: Option<Origin>,
        line: Line,
    ) -> Result<Environment, ProjectsError> {
        access.check_whole(Actions::PROJECT_WRITE)?;
        self.check_keyring(access, new.id, FIRST_EPOCH, &new.keyring).await?;
        let environment = Environment {
            id: new.id,
            project: access.project(),
            name: new.name,
            epoch: FIRST_EPOCH,
            head: None,
            created_at_ms: self.clock.now_ms(),
            cloned_from,
            rotation_due: false,
        };
        let created = environment.clone();
        match self.catalog.create_environment(environment, new.keyring, ENVIRONMENTS_MAX, line).await? {
            Written::Done => Ok(created),
            Written::Taken => Err(ProjectsError::EnvironmentExists { name: created.name.to_string() }),
            Written::Limit => Err(ProjectsError::EnvironmentLimit { limit: ENVIRONMENTS_MAX }),
            Written::Gone | Written::Denied => Err(ProjectsError::Denied),
            Written::Stale(current) => Err(ProjectsError::AccessListStale { current }),
        }
    }
}

pub(super) fn not_found(name: &Name) -> ProjectsError {
    ProjectsError::EnvironmentNotFound { name: name.to_string() }
}
