//! Who may do what in a project besides its owner: shares with teams, and the chain of signed access lists that says
//! which people they reach. The rules that a change has to keep are judged here, by every store in the transaction that
//! makes the change.
//!
//! What must never happen: a right that no signed list gives, one that outlives its share or membership, or a change on
//! top of a list that its author did not see.

use std::collections::BTreeMap;

use veilcore::id::{AccountId, ApiKeyId, EnvironmentId, ProjectId, TeamId};
use veilsign::capability::Actions;
pub use veilvault::access::Principal;
use veilvault::access::{AccessEntry, AccessList, GRANTABLE};

use super::{error::ProjectsError, model::Keyring};
use crate::{auth::api_keys::model::ApiKey, name::Name};

/// Most teams that a project is shared with.
pub const SHARES_MAX: u32 = 64;

/// The actions that a share and an access list can give.
pub const SHAREABLE: Actions = match Actions::from_bits(GRANTABLE) {
    Some(actions) => actions,
    None => panic!("a list gives actions that have names"),
};

/// What an account may do in a project now, and whose the project is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// The project's owner.
    pub owner: AccountId,
    /// What the account may do; never empty.
    pub actions: Actions,
}

impl Rights {
    /// What an account may do in a project of `owner`, given what the newest list and the shares give it together; `None`
    /// when that is nothing.
    pub fn of(account: AccountId, owner: AccountId, given: Actions) -> Option<Self> {
        let actions = if account == owner { Actions::ALL } else { given };
        (!actions.is_empty()).then_some(Self { owner, actions })
    }
}

/// A project that is shared with a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The team.
    pub team: TeamId,
    /// What its members may do at most.
    pub actions: Actions,
    /// Who shared it, or changed the share last.
    pub by: AccountId,
    /// When that was.
    pub at_ms: u64,
}

/// Where a project's chain of access lists stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessState {
    /// The project's owner.
    pub owner: AccountId,
    /// Number of the newest list; 0 while there is none.
    pub number: u64,
    /// The newest list; empty while there is none.
    pub list: Vec<u8>,
    /// The newest list that took something from somebody; 0 when none did.
    pub floor: u64,
}

/// What happens to the shares when a list is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareChange {
    /// They stay.
    Keep,
    /// This one is made, or takes the place of the team's.
    Set(Share),
    /// The team's ends.
    End(TeamId),
}

/// The next access list of a project, with what happens to its shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessChange {
    /// The project.
    pub project: ProjectId,
    /// Who signed the list.
    pub author: AccountId,
    /// Number of the list; the newest one is the one before it.
    pub number: u64,
    /// The list as it was signed.
    pub list: Vec<u8>,
    /// Its entries.
    pub entries: Vec<AccessEntry>,
    /// The shares.
    pub share: ShareChange,
    /// What it gives that the list before did not: what its author must hold when it is made.
    pub gives: Actions,
    /// Whether it takes something from somebody: keys made under an older list have to be rotated.
    pub takes: bool,
    /// When it is made.
    pub at_ms: u64,
}

/// Why a change of access was not made. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessRefusal {
    /// The newest list has this number.
    Stale(u64),
    /// The project is gone, or the author may not share it (any more), or is no member of the team.
    Denied,
    /// The project is shared with as many teams as it may be.
    Limit,
    /// The project is not shared with the team.
    NotShared,
    /// An entry names somebody or something that it cannot name.
    Entry(EntryFault),
}

/// What is wrong with an entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryFault {
    /// There is no such account.
    Account,
    /// The account has other keys.
    Key,
    /// The project is not shared with the team.
    Team,
    /// The account is no member of the team.
    Member,
    /// The share, or the rights of the API key's account, give less.
    Actions,
    /// There is no such API key, it is over, or it opens nothing.
    ApiKey,
    /// The API key's scope gives less.
    Scope,
    /// The API key's scope names other environments.
    Environments,
}

impl EntryFault {
    /// The word for a machine to read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "entry_account",
            Self::Key => "entry_key",
            Self::Team => "entry_team",
            Self::Member => "entry_member",
            Self::Actions => "entry_actions",
            Self::ApiKey => "entry_api_key",
            Self::Scope => "entry_scope",
            Self::Environments => "entry_environments",
        }
    }
}

/// What a store knows while nothing else changes it.
pub trait AccessFacts {
    /// Why it could not tell.
    type Error;
    /// Number of the project's newest list, 0 for none; `None` when the project is gone.
    fn newest(&mut self, project: ProjectId) -> Result<Option<u64>, Self::Error>;
    /// What the account may do in the project.
    fn rights(&mut self, project: ProjectId, account: AccountId) -> Result<Option<Rights>, Self::Error>;
    /// The project's shares.
    fn shares(&mut self, project: ProjectId) -> Result<BTreeMap<TeamId, Actions>, Self::Error>;
    /// SHA-256 of the account's bundle; `None` when there is no such account.
    fn bundle_digest(&mut self, account: AccountId) -> Result<Option<[u8; 32]>, Self::Error>;
    /// An API key.
    fn api_key(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, Self::Error>;
    /// Name of an environment of the project.
    fn environment_name(
        &mut self,
        project: ProjectId,
        environment: EnvironmentId,
    ) -> Result<Option<Name>, Self::Error>;
    /// Whether the account has this API key, neither revoked nor expired.
    fn key_lives(&mut self, key: ApiKeyId, account: AccountId, now_ms: u64) -> Result<bool, Self::Error>;
    /// Whether there is such a team and the account is in it.
    fn is_member(&mut self, team: TeamId, account: AccountId) -> Result<bool, Self::Error>;
}

impl AccessChange {
    /// Whether the change may be made. A store asks it before it changes anything, in the same transaction.
    pub fn judge<F: AccessFacts>(&self, facts: &mut F) -> Result<Result<(), AccessRefusal>, F::Error> {
        let Some(newest) = facts.newest(self.project)? else { return Ok(Err(AccessRefusal::Denied)) };
        let rights = facts.rights(self.project, self.author)?;
        let held = rights.map_or(Actions::NONE, |rights| rights.actions);
        if !held.contains(Actions::PROJECT_SHARE) {
            return Ok(Err(AccessRefusal::Denied));
        }
        if newest.checked_add(1) != Some(self.number) {
            return Ok(Err(AccessRefusal::Stale(newest)));
        }
        // The list before may name the author with what a membership or a share gave that has ended.
        if !held.contains(self.gives) {
            return Ok(Err(AccessRefusal::Denied));
        }
        let mut shares = facts.shares(self.project)?;
        match self.share {
            ShareChange::Keep => {}
            ShareChange::Set(share) => {
                if !facts.is_member(share.team, self.author)? {
                    return Ok(Err(AccessRefusal::Denied));
                }
                shares.insert(share.team, share.actions);
                if shares.len() > SHARES_MAX as usize {
                    return Ok(Err(AccessRefusal::Limit));
                }
            }
            ShareChange::End(team) => {
                if shares.remove(&team).is_none() {
                    return Ok(Err(AccessRefusal::NotShared));
                }
            }
        }
        for entry in &self.entries {
            let fault = match entry.principal {
                Principal::ApiKey(id) => {
                    let owner = rights.map(|rights| rights.owner);
                    self.key_fault(entry, id, owner, &shares, facts)?
                }
                Principal::Account(_) => entry_fault(entry, &shares, facts)?,
            };
            if let Some(fault) = fault {
                return Ok(Err(AccessRefusal::Entry(fault)));
            }
        }
        Ok(Ok(()))
    }

    /// An API key is named while it is good, with its own record, and with no more than its scope and its account have.
    /// An environment that is gone opens nothing, and must not keep every list after it from being made.
    fn key_fault<F: AccessFacts>(
        &self,
        entry: &AccessEntry,
        id: ApiKeyId,
        owner: Option<AccountId>,
        shares: &BTreeMap<TeamId, Actions>,
        facts: &mut F,
    ) -> Result<Option<EntryFault>, F::Error> {
        if entry.team.is_some() {
            return Ok(Some(EntryFault::Team));
        }
        let Some(key) = facts.api_key(id)?.filter(|key| key.lives(self.at_ms)) else {
            return Ok(Some(EntryFault::ApiKey));
        };
        let mut digests = key.digests(self.at_ms).peekable();
        if digests.peek().is_none() {
            return Ok(Some(EntryFault::ApiKey));
        }
        if !digests.any(|digest| digest == entry.key) {
            return Ok(Some(EntryFault::Key));
        }
        let given = actions(entry.actions);
        let held = if Some(key.account) == owner { Actions::ALL } else { self.given(key.account, shares) };
        if !held.contains(Actions::PROJECT_READ) {
            return Ok(Some(EntryFault::Member));
        }
        if !given.is_subset_of(held) {
            return Ok(Some(EntryFault::Actions));
        }
        let scope = &key.scope;
        if scope.project.is_some_and(|of| of != self.project) || !given.is_subset_of(scope.actions) {
            return Ok(Some(EntryFault::Scope));
        }
        if scope.environments.is_empty() {
            return Ok(None);
        }
        for environment in &entry.environments {
            let name = facts.environment_name(self.project, *environment)?;
            if name.is_some_and(|name| !scope.environments.contains(&name)) {
                return Ok(Some(EntryFault::Environments));
            }
        }
        Ok(entry.environments.is_empty().then_some(EntryFault::Environments))
    }

    /// What the entries and the shares give an account together. That it is a member is judged with each entry.
    fn given(&self, account: AccountId, shares: &BTreeMap<TeamId, Actions>) -> Actions {
        let own = self.grants().filter(|(who, _, _)| *who == account);
        own.fold(Actions::NONE, |all, (_, team, given)| {
            all | shares.get(&team).map_or(Actions::NONE, |shared| shared.intersection(given))
        })
    }

    /// What the entries give to accounts, each with its team. What API keys are given is for clients: a key may do what
    /// its account may.
    pub fn grants(&self) -> impl Iterator<Item = (AccountId, TeamId, Actions)> {
        self.entries.iter().filter_map(|entry| match (entry.principal, entry.team) {
            (Principal::Account(account), Some(team)) => Some((account, team, actions(entry.actions))),
            _ => None,
        })
    }
}

/// An account is named through a team that the project is shared with and that it is in.
fn entry_fault<F: AccessFacts>(
    entry: &AccessEntry,
    shares: &BTreeMap<TeamId, Actions>,
    facts: &mut F,
) -> Result<Option<EntryFault>, F::Error> {
    let (account, team) = match (entry.principal, entry.team) {
        (Principal::Account(account), Some(team)) => (account, team),
        _ => return Ok(Some(EntryFault::Team)),
    };
    let Some(digest) = facts.bundle_digest(account)? else { return Ok(Some(EntryFault::Account)) };
    if digest != entry.key {
        return Ok(Some(EntryFault::Key));
    }
    let Some(shared) = shares.get(&team) else { return Ok(Some(EntryFault::Team)) };
    if !facts.is_member(team, account)? {
        return Ok(Some(EntryFault::Member));
    }
    let within = actions(entry.actions).is_subset_of(*shared);
    Ok((!within).then_some(EntryFault::Actions))
}

/// The actions of an entry that was checked: all its bits have names.
fn actions(bits: u64) -> Actions {
    Actions::from_bits(bits & GRANTABLE).unwrap_or_default()
}

/// What `after` gives that `before` does not give to the same principal, with the same keys, through the same team and in
/// the same environments.
pub(super) fn gives(before: Option<&AccessList>, after: &AccessList) -> Actions {
    let kept = |entry: &AccessEntry| before.map_or(0, |list| list.kept(entry));
    actions(after.entries.iter().fold(0, |all, entry| all | (entry.actions & !kept(entry))))
}

/// Whether somebody in `before` has less in `after`: an action, an environment, or everything because the keys are others.
pub(super) fn takes(before: Option<&AccessList>, after: &AccessList) -> bool {
    let less = |entry: &AccessEntry| entry.actions & !after.left_of(entry) != 0;
    before.is_some_and(|before| before.entries.iter().any(less))
}

/// An epoch's key, wrapped for one more principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyringPart {
    /// Environment whose key it is.
    pub environment: EnvironmentId,
    /// Who can open it.
    pub principal: Principal,
    /// What the newest list names their keys with, or the digest of the owner's bundle.
    pub key: [u8; 32],
    /// Other keys of theirs that are good: a part for these stays beside it.
    pub beside: Option<[u8; 32]>,
    /// The file and its seal.
    pub keyring: Keyring,
    /// Takes the place of a part for the same keys.
    pub replaces: bool,
}

/// Why a keyring was not added or an epoch not begun. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyringRefusal {
    /// The environment, or the epoch, is gone.
    Gone,
    /// The current epoch is this one.
    Epoch(u32),
    /// Whoever does it may not (any more).
    Denied,
    /// The newest access list is this one, not the one it was made for.
    List(u64),
    /// These keys can open the epoch with a part of their own already.
    Exists,
}

impl From<EntryFault> for ProjectsError {
    fn from(fault: EntryFault) -> Self {
        Self::AccessList { check: fault.as_str().to_owned() }
    }
}
