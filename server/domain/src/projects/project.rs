//! Create, list, show, rename and delete projects.

use veilcore::id::ProjectId;
use veilsign::capability::{Actions, Resource};

use super::{
    ProjectAccess, Projects,
    error::ProjectsError,
    model::{PROJECTS_MAX, Project},
    port::Written,
};
use crate::{
    audit::model::{Kind, Line},
    auth::Caller,
    mint,
    name::Name,
    page::{Page, PageArgs},
};

impl Projects {
    /// Creates an empty project of the caller's.
    pub async fn create(&self, caller: &Caller, name: Name) -> Result<Project, ProjectsError> {
        check_account(caller, Actions::PROJECT_WRITE)?;
        let project = Project {
            id: ProjectId::from_bytes(mint::ordered(&*self.clock, &*self.entropy)),
            name: name.clone(),
            owner: caller.account,
            created_at_ms: self.clock.now_ms(),
            environment_count: 0,
        };
        let line = self.line_of(project.id, caller.account, Kind::ProjectCreate);
        let line = Line { key: caller.api_key(), ..line };
        match self.catalog.create_project(project.clone(), PROJECTS_MAX, line).await? {
            Written::Done => Ok(project),
            Written::Taken => Err(ProjectsError::NameTaken { name: name.to_string() }),
            Written::Limit => Err(ProjectsError::ProjectLimit { limit: PROJECTS_MAX }),
            Written::Gone | Written::Denied | Written::Stale(_) => Err(ProjectsError::Denied),
        }
    }

    /// The caller's projects by name; with `only`, at most the one of that name.
    pub async fn list(
        &self,
        caller: &Caller,
        only: Option<&Name>,
        page: PageArgs<Name>,
    ) -> Result<Page<Project, Name>, ProjectsError> {
        check_account(caller, Actions::PROJECT_READ)?;
        Ok(self.catalog.projects(caller.account, only, page).await?)
    }

    /// The projects of others that the caller may read, oldest first, with what the caller may do there; with `only`,
    /// those of this name.
    pub async fn list_shared(
        &self,
        caller: &Caller,
        only: Option<&Name>,
        page: PageArgs<ProjectId>,
    ) -> Result<Page<(Project, Actions), ProjectId>, ProjectsError> {
        check_account(caller, Actions::PROJECT_READ)?;
        Ok(self.grants.shared_with(caller.account, only, page).await?)
    }

    /// The project.
    pub async fn get(&self, access: &ProjectAccess) -> Result<Project, ProjectsError> {
        access.check_whole(Actions::PROJECT_READ)?;
        self.found(access).await
    }

    /// Gives the project another name. Only the owner does: the name is one among all of theirs.
    pub async fn rename(&self, access: &ProjectAccess, name: Name) -> Result<Project, ProjectsError> {
        access.check_whole(Actions::PROJECT_WRITE)?;
        if access.actor() != access.owner() {
            return Err(ProjectsError::Denied);
        }
        let line = self.line(access, Kind::ProjectUpdate);
        match self.catalog.rename_project(access.project(), name.clone(), line).await? {
            Written::Done => self.found(access).await,
            Written::Taken => Err(ProjectsError::NameTaken { name: name.to_string() }),
            Written::Limit | Written::Gone | Written::Denied | Written::Stale(_) => {
                Err(ProjectsError::Denied)
            }
        }
    }

    /// Deletes the project with its environments, versions and keyrings.
    pub async fn delete(&self, access: &ProjectAccess) -> Result<(), ProjectsError> {
        access.check_whole(Actions::PROJECT_DELETE)?;
        let line = self.line(access, Kind::ProjectDelete);
        let deleted = self.catalog.delete_project(access.project(), line).await?;
        if deleted { Ok(()) } else { Err(ProjectsError::Denied) }
    }

    async fn found(&self, access: &ProjectAccess) -> Result<Project, ProjectsError> {
        self.catalog.project(access.project()).await?.ok_or(ProjectsError::Denied)
    }
}

fn check_account(caller: &Caller, actions: Actions) -> Result<(), ProjectsError> {
    if caller.allows(actions, &Resource::account()) { Ok(()) } else { Err(ProjectsError::Denied) }
}
