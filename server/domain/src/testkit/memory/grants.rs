use std::{collections::BTreeMap, convert::Infallible};

use async_trait::async_trait;
use veilcore::{
    hash::sha256,
    id::{AccountId, ApiKeyId, EnvironmentId, ProjectId, TeamId},
};
use veilsign::capability::Actions;
use veilvault::access::Principal;

use super::{MemoryStore, State, picture::rows};
use crate::{
    audit::model::Line,
    auth::api_keys::model::ApiKey,
    name::Name,
    page::{Page, PageArgs},
    projects::{
        access::{
            AccessChange, AccessFacts, AccessRefusal, AccessState, KeyringPart, KeyringRefusal, Rights,
            Share, ShareChange,
        },
        model::{Environment, Keyring, Project},
        port::{Grants, Keyrings},
        stands::stands,
    },
    store::StoreError,
};

/// Lists, what the newest gives to accounts, shares and parts.
#[derive(Default)]
pub(super) struct Granted {
    lists: BTreeMap<(ProjectId, u64), Vec<u8>>,
    floors: BTreeMap<ProjectId, u64>,
    entries: BTreeMap<ProjectId, Vec<(AccountId, TeamId, Actions)>>,
    shares: BTreeMap<(ProjectId, TeamId), Share>,
    parts: BTreeMap<(EnvironmentId, u32, Principal, [u8; 32]), KeyringPart>,
}

impl Granted {
    /// A line for each row.
    pub(super) fn picture(&self, lines: &mut Vec<String>) {
        rows(lines, "list", &self.lists);
        rows(lines, "floor", &self.floors);
        rows(lines, "share", &self.shares);
        rows(lines, "part", &self.parts);
    }
}

#[async_trait]
impl Grants for MemoryStore {
    async fn rights(&self, project: ProjectId, account: AccountId) -> Result<Option<Rights>, StoreError> {
        Ok(self.begin("rights")?.rights_of(project, account))
    }

    async fn shared_with(
        &self,
        account: AccountId,
        only: Option<&Name>,
        page: PageArgs<ProjectId>,
    ) -> Result<Page<(Project, Actions), ProjectId>, StoreError> {
        let state = self.begin("shared_with")?;
        let others = state.projects.values().filter(|p| p.owner != account);
        let wanted = others.filter(|p| {
            only.is_none_or(|only| p.name == *only) && page.after.is_none_or(|after| p.id > after)
        });
        let found = wanted.filter_map(|p| {
            let held = state.rights_of(p.id, account)?.actions;
            held.contains(Actions::PROJECT_READ).then(|| (state.counted(p), held))
        });
        Ok(Page::cut(found.collect(), page.size, |(project, _)| project.id))
    }

    async fn shares(
        &self,
        project: ProjectId,
        page: PageArgs<TeamId>,
    ) -> Result<Page<Share, TeamId>, StoreError> {
        let state = self.begin("shares")?;
        let wanted = |share: &&Share| page.after.is_none_or(|after| share.team > after);
        let found = state.shares_of(project).filter(wanted).copied().collect();
        Ok(Page::cut(found, page.size, |share: &Share| share.team))
    }

    async fn share(&self, project: ProjectId, team: TeamId) -> Result<Option<Share>, StoreError> {
        let state = self.begin("share")?;
        let found = state.shares_of(project).find(|share| share.team == team).copied();
        Ok(found)
    }

    async fn access(&self, project: ProjectId) -> Result<Option<AccessState>, StoreError> {
        let state = self.begin("access")?;
        let number = state.newest_list(project);
        Ok(state.projects.get(&project).map(|found| AccessState {
            owner: found.owner,
            number,
            list: state.granted.lists.get(&(project, number)).cloned().unwrap_or_default(),
            floor: state.floor(project),
        }))
    }

    async fn access_list(&self, project: ProjectId, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.begin("access_list")?.granted.lists.get(&(project, number)).cloned())
    }

    async fn change_access(
        &self,
        change: AccessChange,
        lines: Vec<Line>,
    ) -> Result<Result<(), AccessRefusal>, StoreError> {
        let mut state = self.begin("change_access")?;
        if !lines.iter().all(|line| state.stands(line)) {
            return Ok(Err(AccessRefusal::Denied));
        }
        match change.judge(&mut &*state) {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => return Ok(Err(refusal)),
            Err(never) => match never {},
        }
        let project = change.project;
        match change.share {
            ShareChange::Keep => {}
            ShareChange::Set(share) => drop(state.granted.shares.insert((project, share.team), share)),
            ShareChange::End(team) => drop(state.granted.shares.remove(&(project, team))),
        }
        state.granted.entries.insert(project, change.grants().collect());
        if change.takes {
            state.granted.floors.insert(project, change.number);
        }
        state.granted.lists.insert((project, change.number), change.list);
        state.log_all(lines);
        Ok(Ok(()))
    }
}

impl AccessFacts for &State {
    type Error = Infallible;

    fn newest(&mut self, project: ProjectId) -> Result<Option<u64>, Infallible> {
        Ok(self.projects.contains_key(&project).then(|| self.newest_list(project)))
    }

    fn rights(&mut self, project: ProjectId, account: AccountId) -> Result<Option<Rights>, Infallible> {
        Ok(self.rights_of(project, account))
    }

    fn shares(&mut self, project: ProjectId) -> Result<BTreeMap<TeamId, Actions>, Infallible> {
        Ok(self.shares_of(project).map(|share| (share.team, share.actions)).collect())
    }

    fn bundle_digest(&mut self, account: AccountId) -> Result<Option<[u8; 32]>, Infallible> {
        Ok(self.accounts.get(&account).map(|account| sha256(&account.bundle)))
    }

    fn api_key(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, Infallible> {
        Ok(self.api_keys.get(&id).cloned())
    }

    fn environment_name(
        &mut self,
        project: ProjectId,
        environment: EnvironmentId,
    ) -> Result<Option<Name>, Infallible> {
        let found = self.environments.get(&environment).filter(|found| found.project == project);
        Ok(found.map(|found| found.name.clone()))
    }

    fn key_lives(&mut self, key: ApiKeyId, account: AccountId, now_ms: u64) -> Result<bool, Infallible> {
        let lives = |key: &ApiKey| {
            key.account == account && key.revoked_at_ms.is_none() && key.expires_at_ms > now_ms
        };
        Ok(self.api_keys.get(&key).is_some_and(lives))
    }

    fn is_member(&mut self, team: TeamId, account: AccountId) -> Result<bool, Infallible> {
        Ok(self.seats.contains_key(&(team, account)))
    }
}

impl State {
    /// Whether the one whom a line names may do what it says.
    pub(super) fn stands(&self, line: &Line) -> bool {
        let Ok(stands) = stands(line, &mut &*self);
        stands
    }

    /// What the rule of [`Grants`] says.
    fn rights_of(&self, project: ProjectId, account: AccountId) -> Option<Rights> {
        let owner = self.projects.get(&project)?.owner;
        let entries = self.granted.entries.get(&project).into_iter().flatten();
        let own =
            entries.filter(|(who, team, _)| *who == account && self.seats.contains_key(&(*team, account)));
        let given = own.fold(Actions::NONE, |given, (_, team, actions)| {
            let share = self.granted.shares.get(&(project, *team));
            given | share.map_or(Actions::NONE, |share| share.actions.intersection(*actions))
        });
        Rights::of(account, owner, given)
    }

    /// A share goes with its team.
    fn shares_of(&self, project: ProjectId) -> impl Iterator<Item = &Share> {
        let all =
            self.granted.shares.iter().filter(move |((of, _), _)| *of == project).map(|(_, share)| share);
        all.filter(|share| self.teams.contains_key(&share.team))
    }

    pub(super) fn newest_list(&self, project: ProjectId) -> u64 {
        let lists = self.granted.lists.range((project, 0)..=(project, u64::MAX));
        lists.last().map_or(0, |((_, number), _)| *number)
    }

    fn floor(&self, project: ProjectId) -> u64 {
        self.granted.floors.get(&project).copied().unwrap_or(0)
    }

    pub(super) fn rotation_due(&self, environment: &Environment) -> bool {
        let keyring = self.keyrings.get(&(environment.id, environment.epoch));
        keyring.is_some_and(|keyring| keyring.access_list < self.floor(environment.project))
    }

    pub(super) fn forget_parts(&mut self, environment: EnvironmentId) {
        self.granted.parts.retain(|(of, _, _, _), _| *of != environment);
    }

    pub(super) fn forget_grants(&mut self, project: ProjectId) {
        let granted = &mut self.granted;
        granted.lists.retain(|(of, _), _| *of != project);
        granted.shares.retain(|(of, _), _| *of != project);
        granted.entries.remove(&project);
        granted.floors.remove(&project);
    }

    /// The project's newest list, when the keyring is made for another one.
    fn other_list(&self, environment: EnvironmentId, keyring: &Keyring) -> Option<KeyringRefusal> {
        let Some(environment) = self.environments.get(&environment) else {
            return Some(KeyringRefusal::Gone);
        };
        let newest = self.newest_list(environment.project);
        (keyring.access_list != newest).then_some(KeyringRefusal::List(newest))
    }
}

#[async_trait]
impl Keyrings for MemoryStore {
    async fn keyring(&self, environment: EnvironmentId, epoch: u32) -> Result<Option<Keyring>, StoreError> {
        Ok(self.begin("keyring")?.keyrings.get(&(environment, epoch)).cloned())
    }

    async fn rotate(
        &self,
        environment: EnvironmentId,
        keyring: Keyring,
        line: Line,
    ) -> Result<Result<(), KeyringRefusal>, StoreError> {
        let mut state = self.begin("rotate")?;
        if !state.stands(&line) {
            return Ok(Err(KeyringRefusal::Denied));
        }
        let Some(current) = state.environments.get(&environment).map(|e| e.epoch) else {
            return Ok(Err(KeyringRefusal::Gone));
        };
        if current.checked_add(1) != Some(keyring.epoch) {
            return Ok(Err(KeyringRefusal::Epoch(current)));
        }
        if let Some(other) = state.other_list(environment, &keyring) {
            return Ok(Err(other));
        }
        if let Some(found) = state.environments.get_mut(&environment) {
            found.epoch = keyring.epoch;
        }
        state.keyrings.insert((environment, keyring.epoch), keyring);
        state.log(line);
        Ok(Ok(()))
    }

    async fn part(
        &self,
        environment: EnvironmentId,
        epoch: u32,
        principal: Principal,
        key: Option<[u8; 32]>,
    ) -> Result<Option<Keyring>, StoreError> {
        let state = self.begin("part")?;
        let of_theirs = (environment, epoch, principal, [0; 32])..=(environment, epoch, principal, [255; 32]);
        let mut parts = state.granted.parts.range(of_theirs).map(|(_, part)| part);
        Ok(parts.find(|part| key.is_none_or(|key| part.key == key)).map(|part| part.keyring.clone()))
    }

    async fn add_part(
        &self,
        part: KeyringPart,
        line: Line,
    ) -> Result<Result<(), KeyringRefusal>, StoreError> {
        let mut state = self.begin("add_part")?;
        if !state.stands(&line) {
            return Ok(Err(KeyringRefusal::Denied));
        }
        if !state.keyrings.contains_key(&(part.environment, part.keyring.epoch)) {
            return Ok(Err(KeyringRefusal::Gone));
        }
        if let Some(other) = state.other_list(part.environment, &part.keyring) {
            return Ok(Err(other));
        }
        let (environment, epoch, principal) = (part.environment, part.keyring.epoch, part.principal);
        let place = (environment, epoch, principal, part.key);
        if state.granted.parts.contains_key(&place) && !part.replaces {
            return Ok(Err(KeyringRefusal::Exists));
        }
        state.granted.parts.retain(|(of, at, who, key), _| {
            (*of, *at, *who) != (environment, epoch, principal) || Some(*key) == part.beside
        });
        state.granted.parts.insert(place, part);
        state.log(line);
        Ok(Ok(()))
    }
}
