//! Who may do what in a project besides its owner: shares with teams, and the chain of signed access lists that says
//! which people they reach. The rules that a change has to keep are judged here, by every store in the transaction that
//! makes the change.
//!
//! What must never happen: a right that no signed list gives, one that outlives its share or membership, or a change on
//! top of a list that its author did not see.

use std::collections::BTreeMap;

use veilcore::id::{AccountId, EnvironmentId, ProjectId, TeamId};
use veilsign::capability::Actions;
pub use veilvault::access::Principal;
use veilvault::access::{AccessEntry, AccessList, GRANTABLE};

use super::{error::ProjectsError, model::Keyring};

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
    /// The share gives less.
    Actions,
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
            if let Some(fault) = entry_fault(entry, &shares, facts)? {
                return Ok(Err(AccessRefusal::Entry(fault)));
            }
        }
        Ok(Ok(()))
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

/// An account is named through a team that the project is shared with and that it is in; an API key through none.
fn entry_fault<F: AccessFacts>(
    entry: &AccessEntry,
    shares: &BTreeMap<TeamId, Actions>,
    facts: &mut F,
) -> Result<Option<EntryFault>, F::Error> {
    let (account, team) = match (entry.principal, entry.team) {
        (Principal::Account(account), Some(team)) => (account, team),
        (Principal::ApiKey(_), None) => return Ok(None),
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

/// What `after` gives that `before` does not give to the same principal, with the same keys, through the same team.
pub(super) fn gives(before: Option<&AccessList>, after: &AccessList) -> Actions {
    let same = |entry: &AccessEntry, known: &AccessEntry| {
        (known.principal, known.team, known.key) == (entry.principal, entry.team, entry.key)
    };
    let kept = |entry: &AccessEntry| {
        let known = before.and_then(|list| list.entries.iter().find(|known| same(entry, known)));
        known.map_or(0, |known| known.actions)
    };
    actions(after.entries.iter().fold(0, |all, entry| all | (entry.actions & !kept(entry))))
}

/// Whether somebody in `before` has less in `after`: an action, or everything because the keys are others.
pub(super) fn takes(before: Option<&AccessList>, after: &AccessList) -> bool {
    let less = |entry: &AccessEntry| {
        let same = after.key_of(entry.principal) == Some(entry.key);
        let left = if same { after.actions_of(entry.principal) } else { 0 };
        entry.actions & !left != 0
    };
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
    /// The file and its seal.
    pub keyring: Keyring,
}

/// Why a keyring was not added or an epoch not begun. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyringRefusal {
    /// The environment, or the epoch, is gone.
    Gone,
    /// The current epoch is this one.
    Epoch(u32),
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
