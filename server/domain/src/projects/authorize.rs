//! The one door to a project. Everything that works on a project asks for a [`ProjectAccess`], and only
//! [`Projects::authorize`] makes one.

use veilcore::id::{AccountId, ProjectId};
use veilsign::capability::{Actions, Resource};

use super::{Projects, error::ProjectsError};
use crate::{auth::Caller, name::Name};

/// Proof that a caller may do certain things in a project, for one request.
#[derive(Clone)]
pub struct ProjectAccess {
    project: ProjectId,
    owner: AccountId,
    actions: Actions,
    caller: Caller,
}

impl ProjectAccess {
    /// The project.
    pub fn project(&self) -> ProjectId {
        self.project
    }

    /// Its owner: whose quota counts.
    pub fn owner(&self) -> AccountId {
        self.owner
    }

    /// Who acts.
    pub fn actor(&self) -> AccountId {
        self.caller.account
    }

    /// Whether the caller may do this in the whole project.
    pub(crate) fn check_whole(&self, actions: Actions) -> Result<(), ProjectsError> {
        self.check(actions, &Resource::project(self.project))
    }

    /// Whether the caller may do this in one environment: a capability may have been narrowed to it.
    pub(crate) fn check_environment(&self, actions: Actions, name: &Name) -> Result<(), ProjectsError> {
        let place = Resource::environment(self.project, name.as_str()).map_err(|_| ProjectsError::Denied)?;
        self.check(actions, &place)
    }

    fn check(&self, actions: Actions, place: &Resource) -> Result<(), ProjectsError> {
        if self.actions.contains(actions) && self.caller.allows(actions, place) {
            Ok(())
        } else {
            Err(ProjectsError::Denied)
        }
    }
}

impl Projects {
    /// Lets the caller in for these actions, if the project is the caller's and the capability reaches it, or one of
    /// its environments. A foreign project and an absent one are refused alike, by the same steps.
    pub async fn authorize(
        &self,
        caller: &Caller,
        project: ProjectId,
        actions: Actions,
    ) -> Result<ProjectAccess, ProjectsError> {
        let found = self.catalog.project(project).await?;
        let owned = found.is_some_and(|p| p.owner == caller.account);
        let allowed = caller.allows_inside(actions, &Resource::project(project));
        if owned && allowed {
            Ok(ProjectAccess { project, owner: caller.account, actions, caller: caller.clone() })
        } else {
            Err(ProjectsError::Denied)
        }
    }
}
