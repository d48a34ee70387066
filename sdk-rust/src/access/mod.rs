//! Who, besides its owner, may do what in a project (docs/spec/vault.md, section 12): the chain of access lists, read from
//! the server and checked here. Keyrings and versions are believed from the owner and from whom a list names, and keys are
//! wrapped to them alone. What must never happen: somebody being in a project whom nobody entitled has let in.

mod authors;
mod offboard;
mod outcome;
mod parts;
mod pins;
mod plan;
mod renew;
mod report;
mod share;
mod tokens;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use veilcloud_proto::projects::v1 as pb;
use veilcore::id::{AccountId, EnvironmentId, ProjectId, TeamId};
use veilsign::capability::Actions;
use veilvault::access::{AccessEntry, AccessList, ExpectedAccess, Principal};
use veilvault::key::PublicKey;
use veilvault::seal::NO_DIGEST;

pub(crate) use self::authors::{HANDS_ON, WRITES};
pub use self::offboard::{LeftProject, LeftStep, LeftTeam, OffboardReport};
pub use self::outcome::{ShareOutcome, Unfinished, Vouched};
pub(crate) use self::pins::{AccessPins, AccessRecord};
pub use self::plan::{Listed, SharePlan, SyncPlan};
pub use self::report::{Exposure, ExposureBasis, ExposureReport};
pub use self::share::Share;
use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};
use crate::projects::{Project, Projects};
use crate::times;
use crate::transport::rpc;

/// Most lists that one call reads, forwards or backwards.
const LISTS_MAX: u64 = 4_096;
/// Most projects whose lists are kept in memory.
const CHAINS_MAX: usize = 64;

/// A project and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) project: ProjectId,
    pub(crate) owner: AccountId,
}

impl Home {
    pub(crate) fn of(project: &Project) -> Self {
        Self { project: project.id, owner: project.owner_id }
    }

    fn refuse(self, reason: IntegrityReason, what: impl std::fmt::Display) -> Error {
        Error::integrity(reason, format!("{what} of project {}", self.project))
    }
}

/// The lists of a project as far as they were read: the newest, and some below it, all linked by their digests.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    home: Home,
    /// Number and digest of the newest; 0 and zeros while there is none.
    number: u64,
    digest: [u8; 32],
    /// The newest that took something from somebody; 0 while none did.
    floor: u64,
    lists: BTreeMap<u64, AccessList>,
}

impl Chain {
    /// The newest list; None while only the owner may do anything.
    pub(crate) fn newest(&self) -> Option<&AccessList> {
        self.lists.get(&self.number)
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// What an account may do by the newest list.
    pub(crate) fn actions_of(&self, account: AccountId) -> u64 {
        match account == self.home.owner {
            true => Actions::ALL.bits(),
            false => self.newest().map_or(0, |list| list.actions_of(Principal::Account(account))),
        }
    }
}

/// Lists that were checked, by project.
#[derive(Default)]
pub(crate) struct ChainCache(Mutex<HashMap<ProjectId, Chain>>);

impl ChainCache {
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn get(&self, home: Home) -> Option<Chain> {
        let chains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        chains.get(&home.project).filter(|chain| chain.home == home).cloned()
    }

    fn put(&self, chain: &Chain) {
        let mut chains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if chains.len() >= CHAINS_MAX {
            chains.clear();
        }
        let known = chains.get(&chain.home.project).filter(|known| known.home == chain.home);
        if known.is_none_or(|known| known.number <= chain.number) {
            chains.insert(chain.home.project, chain.clone());
        }
    }
}

/// Who may do what in a project: its owner, and whom the newest access list names. Checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access {
    /// Account that owns the project and may do everything.
    pub owner_id: AccountId,
    /// Number of the newest list; 0 while there is none.
    pub number: u64,
    /// Its entries, by account and team.
    pub entries: Vec<AccessGrant>,
}

/// What somebody may do in a project through one team.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessGrant {
    /// Who: `account ID` or `API key ID`.
    pub principal: Principal,
    /// SHA-256 of the signed keys that are meant: what two people compare to be sure.
    pub key: [u8; 32],
    /// The actions.
    pub permissions: Vec<&'static str>,
    /// The team.
    pub team_id: Option<TeamId>,
    /// The environments that an API key is kept to; none: all of the project.
    pub environments: Vec<EnvironmentId>,
}

impl Access {
    /// What an account may do, as the lists say.
    pub fn actions_of(&self, account: AccountId) -> Vec<&'static str> {
        let held = |grant: &&AccessGrant| grant.principal == Principal::Account(account);
        let listed = self.entries.iter().filter(held).flat_map(|grant| grant.permissions.iter().copied());
        let mut actions: Vec<_> = match account == self.owner_id {
            true => names(Actions::ALL.bits()),
            false => listed.collect(),
        };
        actions.sort_unstable();
        actions.dedup();
        actions
    }
}

/// Whether somebody has less by the second list than by the first: an action, or an environment, or all under these keys.
fn takes(before: &AccessList, after: &AccessList) -> bool {
    before.entries.iter().any(|entry| entry.actions & !after.left_of(entry) != 0)
}

/// The actions of bits, by name.
fn names(bits: u64) -> Vec<&'static str> {
    let actions = Actions::from_bits(bits).unwrap_or_default();
    actions.iter().map(|(_, name)| name).collect()
}

impl Projects {
    /// Who may do what in a project: the newest access list, after its whole chain from what this machine has seen before
    /// was checked.
    ///
    /// # Errors
    /// [`Error::Integrity`] with [`IntegrityReason::AccessListInvalid`] for a list that nobody entitled has signed, with
    /// [`IntegrityReason::RolledBack`] or [`IntegrityReason::Forked`] for another one than was seen before, with
    /// [`IntegrityReason::OwnerChanged`].
    pub async fn access(&self, project: &Project) -> Result<Access> {
        let chain = self.client.access(Home::of(project)).await?;
        let entries = chain.newest().map_or(&[][..], |list| &list.entries[..]);
        let grant = |entry: &AccessEntry| AccessGrant {
            principal: entry.principal,
            key: entry.key,
            permissions: names(entry.actions),
            team_id: entry.team,
            environments: entry.environments.clone(),
        };
        Ok(Access {
            owner_id: project.owner_id,
            number: chain.number,
            entries: entries.iter().map(grant).collect(),
        })
    }
}

impl Client {
    /// The lists as the server has them now, checked from what was seen before on.
    pub(crate) async fn access(&self, home: Home) -> Result<Chain> {
        // What a token brings along is pinned before anything is read.
        self.own_token().await?;
        let pins = self.pins().await?;
        let pin = pins.access.get(home.project);
        if pin.is_some_and(|pin| pin.owner != home.owner) {
            return Err(home.refuse(IntegrityReason::OwnerChanged, "the owner"));
        }
        let (seen, digest, floor) = pin.map_or((0, NO_DIGEST, 0), |pin| (pin.number, pin.digest, pin.floor));
        // Read before the server is asked: another call may read a newer one meanwhile.
        let kept = self.inner().chains.get(home).filter(|chain| chain.number >= seen);
        let mut chain = kept.unwrap_or(Chain { home, number: seen, digest, floor, lists: BTreeMap::new() });
        let (newest, bytes) = self.list(home, 0).await?;
        if newest < chain.number {
            return Err(home.refuse(IntegrityReason::RolledBack, format!("access list {newest}")));
        }
        if newest == chain.number {
            chain.meet(bytes)?;
        } else {
            self.extend(&mut chain, newest, bytes).await?;
        }
        let (number, digest, floor) = (chain.number, chain.digest, chain.floor);
        self.change_pins(move |pins| {
            let noted = pins.access.advance(home.project, home.owner, (number, digest), floor);
            noted.map_err(|reason| home.refuse(reason, format!("access list {number}")))
        })
        .await?;
        self.inner().chains.put(&chain);
        Ok(chain)
    }

    /// The lists as they were last read in this process, or else as they are now.
    pub(crate) async fn known_access(&self, home: Home) -> Result<Chain> {
        match self.inner().chains.get(home) {
            Some(chain) => Ok(chain),
            None => self.access(home).await,
        }
    }

    /// The lists as they are once the server has said that it took one: this one is the newest, or what the newest leads to.
    async fn access_with(&self, home: Home, number: u64, digest: [u8; 32]) -> Result<Chain> {
        let mut chain = self.access(home).await?;
        if chain.number < number {
            return Err(home.refuse(IntegrityReason::RolledBack, format!("access list {}", chain.number)));
        }
        for below in (number + 1..chain.number).rev() {
            if !chain.lists.contains_key(&below) {
                self.list_below(&mut chain, below).await?;
            }
        }
        let found = match chain.number == number {
            true => Some(chain.digest),
            false => chain.lists.get(&(number + 1)).map(|list| list.parent),
        };
        if found != Some(digest) {
            return Err(home.refuse(IntegrityReason::Forked, format!("access list {number}")));
        }
        Ok(chain)
    }

    /// A list by its number below the newest of a chain: what the chain's digests lead to.
    pub(crate) async fn list_below(&self, chain: &mut Chain, number: u64) -> Result<()> {
        let home = chain.home;
        let (_, bytes) = self.list(home, number).await?;
        let above = chain.lists.get(&(number + 1)).map(|list| list.parent);
        if above != Some(AccessList::digest(&bytes)) {
            return Err(home.refuse(IntegrityReason::Forked, format!("access list {number}")));
        }
        chain.keep(number, &bytes)?;
        self.inner().chains.put(chain);
        Ok(())
    }

    /// Number and bytes of a list; 0 for the newest.
    async fn list(&self, home: Home, number: u64) -> Result<(u64, Vec<u8>)> {
        let request = pb::GetAccessListRequest { project_id: home.project.to_string(), number };
        let answer: pb::GetAccessListResponse = self.call(&rpc::GET_ACCESS_LIST, &request).await?;
        if times::id::<AccountId>(&answer.owner_id, &rpc::GET_ACCESS_LIST)? != home.owner {
            return Err(home.refuse(IntegrityReason::OwnerChanged, "the owner"));
        }
        let is_asked = number == 0 || number == answer.number;
        if !is_asked || (answer.number == 0) != answer.access_list.is_empty() {
            return Err(Error::BadAnswer { rpc: rpc::GET_ACCESS_LIST.path });
        }
        Ok((answer.number, answer.access_list))
    }

    /// Checks every list after the newest one that was seen.
    async fn extend(&self, chain: &mut Chain, newest: u64, last: Vec<u8>) -> Result<()> {
        let home = chain.home;
        if newest - chain.number > LISTS_MAX {
            return Err(Error::BadAnswer { rpc: rpc::GET_ACCESS_LIST.path });
        }
        if chain.number > 0 && chain.newest().is_none() {
            let (_, bytes) = self.list(home, chain.number).await?;
            chain.meet(bytes)?;
        }
        let mut unproved = None;
        for number in chain.number + 1..=newest {
            let bytes = if number == newest { last.clone() } else { self.list(home, number).await?.1 };
            let refused = |why: &dyn std::fmt::Display| {
                home.refuse(IntegrityReason::AccessListInvalid, format!("access list {number} ({why})"))
            };
            let list = AccessList::peek(&bytes).map_err(|e| refused(&e))?;
            let author_key = self.list_author(chain, &list).await?;
            let expected = |author_key| ExpectedAccess {
                project: home.project,
                number,
                parent: chain.digest,
                author: list.author,
                author_key,
            };
            match &author_key {
                Some(key) => {
                    AccessList::check(&bytes, &expected(key)).map_err(|e| refused(&e))?;
                    // The owner has seen all that came before, and names it.
                    if list.author == home.owner {
                        unproved = None;
                    }
                }
                None if list.project == home.project
                    && list.number == number
                    && list.parent == chain.digest =>
                {
                    unproved = unproved.or(Some(number));
                }
                None => return Err(refused(&"it is not the next one")),
            }
            list.follows(chain.newest(), home.owner).map_err(|e| refused(&e))?;
            if chain.newest().is_some_and(|before| takes(before, &list)) {
                chain.floor = number;
            }
            chain.number = number;
            chain.digest = AccessList::digest(&bytes);
            chain.lists.insert(number, list);
        }
        match unproved {
            None => Ok(()),
            Some(number) => {
                let what = format!("access list {number} (its author has other keys now)");
                Err(home.refuse(IntegrityReason::AccessListInvalid, what))
            }
        }
    }

    /// The key that the author of the next list signs with: the owner's, or the one that the list before names. None when
    /// that one is not to be had any more.
    async fn list_author(&self, chain: &Chain, list: &AccessList) -> Result<Option<PublicKey>> {
        if list.author == chain.home.owner {
            return self.owner_key(chain.home).await.map(Some);
        }
        let named = chain.newest().and_then(|before| before.key_of(Principal::Account(list.author)));
        match named {
            Some(digest) => self.key_with(chain.home, list.author, digest).await,
            None => {
                let what = format!("access list {} (its author may not share)", list.number);
                Err(chain.home.refuse(IntegrityReason::AccessListInvalid, what))
            }
        }
    }
}

impl Chain {
    /// Takes the bytes of the newest list, which was seen before.
    fn meet(&mut self, bytes: Vec<u8>) -> Result<()> {
        if self.number == 0 {
            return Ok(());
        }
        if AccessList::digest(&bytes) != self.digest {
            let what = format!("access list {}", self.number);
            return Err(self.home.refuse(IntegrityReason::Forked, what));
        }
        self.keep(self.number, &bytes)
    }

    fn keep(&mut self, number: u64, bytes: &[u8]) -> Result<()> {
        let list = AccessList::peek(bytes).map_err(|e| {
            self.home.refuse(IntegrityReason::AccessListInvalid, format!("access list {number} ({e})"))
        })?;
        self.lists.insert(number, list);
        Ok(())
    }
}
