//! The one door to a project. Everything that works on a project asks for a [`ProjectAccess`], and only
//! [`Projects::authorize`] makes one.

use veilcore::id::{AccountId, ApiKeyId, ProjectId};
use veilsign::capability::{Actions, Resource};
use veilvault::access::Principal;

use super::{Projects, access::Rights, error::ProjectsError};
use crate::{auth::Caller, name::Name};

/// Proof that a caller may do certain things in a project, for one request.
#[derive(Clone)]
pub struct ProjectAccess {
    project: ProjectId,
    owner: AccountId,
    /// What ownership or shares let the account do here.
    held: Actions,
    /// What was asked for, and no more.
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

    /// What the account may do here. Says nothing about how far the caller's capability lets it.
    pub fn held(&self) -> Actions {
        self.held
    }

    /// As whom the caller may be in access lists: an API key as itself first.
    pub(crate) fn principals(&self) -> impl Iterator<Item = Principal> {
        let key = self.caller.api_key().map(Principal::ApiKey);
        key.into_iter().chain([Principal::Account(self.caller.account)])
    }

    /// The API key that they act with, if it is one.
    pub fn api_key(&self) -> Option<ApiKeyId> {
        self.caller.api_key()
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

    /// Whether the caller may give these actions to others: nobody gives what they may not do themselves.
    pub(crate) fn check_gives(&self, actions: Actions) -> Result<(), ProjectsError> {
        let allowed = self.caller.allows(actions, &Resource::project(self.project));
        if self.held.contains(actions) && allowed { Ok(()) } else { Err(ProjectsError::Denied) }
    }

    /// Whether the caller may hand on an environment's key: who may write or share.
    pub(crate) fn check_hands_on(&self, name: &Name) -> Result<(), ProjectsError> {
        let place = Resource::environment(self.project, name.as_str()).map_err(|_| ProjectsError::Denied)?;
        let may = |action| self.held.contains(action) && self.caller.allows(action, &place);
        if may(Actions::PROJECT_WRITE) || may(Actions::PROJECT_SHARE) {
            Ok(())
        } else {
            Err(ProjectsError::Denied)
        }
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
    /// Lets the caller in for these actions, if ownership or the shares give them now and the capability reaches the
    /// project, or one of its environments. A foreign project and an absent one are refused alike, by the same steps.
    /// Reading the audit trail is for the last owner of a deleted project, too: the log outlives it, and nothing else of
    /// it is there.
    pub async fn authorize(
        &self,
        caller: &Caller,
        project: ProjectId,
        actions: Actions,
    ) -> Result<ProjectAccess, ProjectsError> {
        let mut rights = self.grants.rights(project, caller.account).await?;
        if rights.is_none() && actions == Actions::AUDIT_READ {
            // Asked for a foreign project as well, or the time would tell it from an absent one.
            let last = self.catalog.last_owner(project).await?;
            let owner = last.filter(|owner| *owner == caller.account);
            rights = owner.map(|owner| Rights { owner, actions });
        }
        let allowed = caller.allows_inside(actions, &Resource::project(project));
        match rights.filter(|rights| allowed && rights.actions.contains(actions)) {
            Some(rights) => Ok(ProjectAccess {
                project,
                owner: rights.owner,
                held: rights.actions,
                actions,
                caller: caller.clone(),
            }),
            None => Err(ProjectsError::Denied),
        }
    }
}
