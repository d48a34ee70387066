//! Which grant gives an account what in a project: ownership, a team's share together with the access list and the
//! membership, an API key. Says of each what is missing when it gives nothing.

use std::{collections::BTreeMap, sync::Arc};

use veilcore::id::{AccountId, ApiKeyId, ProjectId, TeamId};
use veilsign::capability::Actions;
use veilvault::access::{GRANTABLE, Principal};

use super::{ProjectAccess, access::SHARES_MAX, error::ProjectsError, port::Grants, share::newest_list};
use crate::{
    auth::api_keys::{
        model::{API_KEYS_MAX, API_KEYS_OVER_MAX, ApiKey},
        port::ApiKeyStore,
    },
    clock::Clock,
    page::PageArgs,
    store::StoreError,
    teams::{model::Role, port::Roster},
};

/// What an account may do in a project, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The project's owner.
    pub owner: AccountId,
    /// Number of the newest access list; 0 while there is none.
    pub access_list: u64,
    /// Every grant that concerns the account.
    pub grants: Vec<Reason>,
    /// What the account may do now.
    pub effective: Actions,
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The project is theirs.
    Ownership,
    /// A team: share, list entry and membership give together what each of them gives.
    Team(TeamReason),
    /// An API key of theirs, which may do what its scope and they both may.
    ApiKey(KeyReason),
}

/// A grant through a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TeamReason {
    /// The team.
    pub team: TeamId,
    /// What the project is shared with it for; empty when it is not.
    pub shared: Actions,
    /// What the newest list gives the account through it; empty when it has no entry.
    pub listed: Actions,
    /// Their role in it; `None` when they are not in it.
    pub role: Option<Role>,
    /// What it gives.
    pub gives: Actions,
}

impl TeamReason {
    /// The word for what is missing: `share`, `list`, `membership`, or `overlap` when all three are there and have no
    /// action in common; `None` when it gives something.
    pub fn missing(&self) -> Option<&'static str> {
        if self.shared.is_empty() {
            Some("share")
        } else if self.listed.is_empty() {
            Some("list")
        } else if self.role.is_none() {
            Some("membership")
        } else {
            self.gives.is_empty().then_some("overlap")
        }
    }
}

/// A grant by API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReason {
    /// The key.
    pub id: ApiKeyId,
    /// What its scope allows.
    pub actions: Actions,
    /// Only in environments of these names; none means in all.
    pub environments: Vec<String>,
    /// What it may do.
    pub gives: Actions,
}

/// Explains who may do what.
pub struct Explainer {
    grants: Arc<dyn Grants>,
    roster: Arc<dyn Roster>,
    keys: Arc<dyn ApiKeyStore>,
    clock: Arc<dyn Clock>,
}

impl Explainer {
    /// The service on its ports.
    pub fn new(
        grants: Arc<dyn Grants>,
        roster: Arc<dyn Roster>,
        keys: Arc<dyn ApiKeyStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { grants, roster, keys, clock }
    }

    /// Explains what an account may do; somebody else's only to whoever may share the project. An account that there is
    /// not has nothing, like a stranger's.
    pub async fn explain(
        &self,
        access: &ProjectAccess,
        account: AccountId,
    ) -> Result<Explanation, ProjectsError> {
        if account == access.actor() {
            access.check_whole(Actions::PROJECT_READ)?;
        } else {
            access.check_gives(Actions::PROJECT_SHARE)?;
        }
        let project = access.project();
        let state = self.grants.access(project).await?.ok_or(ProjectsError::Denied)?;
        let rights = self.grants.rights(project, account).await?;
        let effective = rights.map_or(Actions::NONE, |rights| rights.actions);
        let mut listed: BTreeMap<TeamId, Actions> = BTreeMap::new();
        if let Some(list) = newest_list(project, &state)? {
            let of_account =
                list.entries.iter().filter(|entry| entry.principal == Principal::Account(account));
            for (team, bits) in of_account.filter_map(|entry| Some((entry.team?, entry.actions))) {
                let held = listed.entry(team).or_default();
                *held = held.union(named(bits));
            }
        }
        let mut grants = Vec::new();
        if account == state.owner {
            grants.push(Reason::Ownership);
        }
        grants.extend(self.through_teams(project, account, listed).await?.into_iter().map(Reason::Team));
        // Who explains somebody else is told of no key that has nothing to do with the project: everybody may share some.
        // Who holds a capability that the account narrowed or gave away is told of no key at all.
        if access.caller().ends_at_ms().is_none() {
            let keys = self.by_keys(project, account, effective).await?;
            let told = |key: &KeyReason| account == access.actor() || !key.gives.is_empty();
            grants.extend(keys.into_iter().filter(told).map(Reason::ApiKey));
        }
        Ok(Explanation { owner: state.owner, access_list: state.number, grants, effective })
    }

    /// Through every team that the project is shared with or the list names, and that has something to do with them.
    async fn through_teams(
        &self,
        project: ProjectId,
        account: AccountId,
        listed: BTreeMap<TeamId, Actions>,
    ) -> Result<Vec<TeamReason>, StoreError> {
        let page = PageArgs { after: None, size: SHARES_MAX as usize };
        let shares = self.grants.shares(project, page).await?.items;
        let shared: BTreeMap<TeamId, Actions> =
            shares.iter().map(|share| (share.team, share.actions)).collect();
        let mut teams: Vec<TeamId> = shared.keys().chain(listed.keys()).copied().collect();
        teams.sort_unstable();
        teams.dedup();
        let mut reasons = Vec::new();
        for team in teams {
            let role = self.roster.team(team, account).await?.map(|membership| membership.role);
            let of = |map: &BTreeMap<TeamId, Actions>| map.get(&team).copied().unwrap_or_default();
            let (shared, listed) = (of(&shared), of(&listed));
            if role.is_none() && listed.is_empty() {
                continue;
            }
            let gives = if role.is_some() { shared.intersection(listed) } else { Actions::NONE };
            reasons.push(TeamReason { team, shared, listed, role, gives });
        }
        Ok(reasons)
    }

    async fn by_keys(
        &self,
        project: ProjectId,
        account: AccountId,
        effective: Actions,
    ) -> Result<Vec<KeyReason>, StoreError> {
        let now_ms = self.clock.now_ms();
        let page = PageArgs { after: None, size: (API_KEYS_MAX + API_KEYS_OVER_MAX) as usize };
        let live = |key: &ApiKey| key.revoked_at_ms.is_none() && key.expires_at_ms > now_ms;
        let here = |key: &ApiKey| key.scope.project.is_none_or(|only| only == project);
        let keys = self.keys.keys(account, page).await?.items;
        Ok(keys
            .into_iter()
            .filter(|key| live(key) && here(key))
            .map(|key| KeyReason {
                id: key.id,
                actions: key.scope.actions,
                environments: key.scope.environments.iter().map(ToString::to_string).collect(),
                gives: key.scope.actions.intersection(effective),
            })
            .collect())
    }
}

/// The actions of an entry that was checked when its list was taken.
fn named(bits: u64) -> Actions {
    Actions::from_bits(bits & GRANTABLE).unwrap_or_default()
}
