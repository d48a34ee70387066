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

    /// Who asks.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Who acts.
    pub fn actor(&self) -> AccountId {
        self.caller.account
    }

    /// What the account may do here. Says nothing about how far the caller's capability lets it.
    pub fn held(&self) -> Actions {
        self.held
    }

    /// Whose parts of keyrings the caller opens, and with which keys: an API key its own, and only those for the secret that
    /// it showed. `None` for an API key that opens nothing.
    pub(super) fn part_of(&self) -> Option<(Principal, Option<[u8; 32]>)> {
        match self.caller.api_key() {
            None => Some((Principal::Account(self.caller.account), None)),
            Some(id) => self.caller.key_record().map(|digest| (Principal::ApiKey(id), Some(digest))),
        }
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
        let rights = self.rights(project, caller.account, actions).await?;
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

    /// What ownership or the shares give the account in a project now, asked for these actions.
    pub(crate) async fn rights(
        &self,
        project: ProjectId,
        account: AccountId,
        actions: Actions,
    ) -> Result<Option<Rights>, ProjectsError> {
        let rights = self.grants.rights(project, account).await?;
        if rights.is_some() || actions != Actions::AUDIT_READ {
            return Ok(rights);
        }
        // Asked for a foreign project as well, or the time would tell it from an absent one.
        let last = self.catalog.last_owner(project).await?;
        let owner = last.filter(|owner| *owner == account);
        Ok(owner.map(|owner| Rights { owner, actions }))
    }
}
