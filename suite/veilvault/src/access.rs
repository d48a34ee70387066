//! Access lists (docs/spec/vault.md, section 12): who, besides a project's owner, may do what in it, signed by people.
//! A project has a chain of them, number 1, 2, ...; each names the digest of the one before. The *author* is the
//! owner or somebody the list before lets share; the *server* stores lists and holds every caller to the newest; a
//! *member's client* believes keyrings and versions only from those a list names.
//!
//! What must never happen: an entry that nobody entitled has signed, an author giving what he does not hold, a list
//! taking the place of another, or two lists being the same list in other bytes.

use std::fmt;

use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::hash::sha256;
use veilcore::id::{AccountId, ApiKeyId, EnvironmentId, KeyId, ProjectId, TeamId};
use veilcore::tag;

use crate::identity::Identity;
use crate::key::PublicKey;
use crate::seal::NO_DIGEST;
use crate::statement::{self, STATEMENT_OVERHEAD};

mod error;

pub use error::AccessError;

/// Most entries a list has.
pub const ACCESS_ENTRIES_MAX: usize = 256;
/// Most environments one entry names.
pub const ENTRY_ENVIRONMENTS_MAX: usize = 32;
/// Length of the longest list, in bytes, signature included: 256 entries, and about 330 environments named in them.
pub const ACCESS_LIST_LEN_MAX: usize = 24_576;
/// Bit of `project:read`: its holder is given the keys of epochs.
pub const READ: u64 = 1;
/// Bit of `project:share`: its holder may sign the next list. The bits are those of docs/spec/sign.md.
pub const SHARE: u64 = 1 << 3;
/// Every bit an entry may carry: `project:read`, `write`, `delete`, `share` and `audit:read`. The other actions are
/// about an account or a team, which a project's list has no say in.
pub const GRANTABLE: u64 = 0b10_1111;

const LIST_VERSION: u8 = 1;
/// An entry that names no environment.
const ENTRY_LEN: usize = 1 + 16 + 32 + 8 + 16 + 1;
const ENVIRONMENT_LEN: usize = 16;
const HEAD_LEN: usize = 1 + 16 + 8 + 32 + 16 + 8 + 8 + 2;
const BODY_LEN_MAX: usize = ACCESS_LIST_LEN_MAX - STATEMENT_OVERHEAD;

const KIND_ACCOUNT: u8 = 1;
const KIND_API_KEY: u8 = 2;
/// What stands for "through no team". The server makes team ids as UUIDs of version 7, which are never zero.
const NO_TEAM: [u8; 16] = [0; 16];

/// Who can be in a list. Ordered as the bytes are: accounts first, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// A person's account.
    Account(AccountId),
    /// An API key. It holds actions and never signs a list.
    ApiKey(ApiKeyId),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "account {id}"),
            Self::ApiKey(id) => write!(f, "API key {id}"),
        }
    }
}

/// One line of a list: what a principal holds through one team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessEntry {
    /// Who holds the actions.
    pub principal: Principal,
    /// SHA-256 of the account's signed bundle, or the fingerprint of the API key's threshold record: the keys the author
    /// meant. The same in every entry of a principal.
    pub key: [u8; 32],
    /// Bits of the actions held, at least one, all in [`GRANTABLE`].
    pub actions: u64,
    /// The team through which they are held; never the id of 16 zero bytes.
    pub team: Option<TeamId>,
    /// The environments that an API key is kept to, at most [`ENTRY_ENVIRONMENTS_MAX`], sorted strictly. None: it
    /// reaches all of the project, as an account's entry does, which never has any.
    pub environments: Vec<EnvironmentId>,
}

impl AccessEntry {
    /// What a list is sorted by; no two entries share it.
    pub fn place(&self) -> (Principal, Option<TeamId>) {
        (self.principal, self.team)
    }

    /// Whether the entry gives the keys of this environment.
    pub fn reads(&self, environment: EnvironmentId) -> bool {
        let within = self.environments.is_empty() || self.environments.binary_search(&environment).is_ok();
        within && self.actions & READ != 0
    }

    /// Whether everything that `other` reaches is in reach of this entry.
    fn covers(&self, other: &Self) -> bool {
        let known = |environment| self.environments.binary_search(environment).is_ok();
        self.environments.is_empty()
            || (!other.environments.is_empty() && other.environments.iter().all(known))
    }

    fn len(&self) -> usize {
        ENTRY_LEN + self.environments.len() * ENVIRONMENT_LEN
    }
}

/// A list. All of it is visible to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessList {
    /// Project it is about.
    pub project: ProjectId,
    /// Place in the project's chain, from 1.
    pub number: u64,
    /// [`AccessList::digest`] of the list before; zeros in list 1 and only there.
    pub parent: [u8; 32],
    /// Who holds what, at most [`ACCESS_ENTRIES_MAX`], sorted strictly by [`AccessEntry::place`]. None: only the
    /// owner.
    pub entries: Vec<AccessEntry>,
    /// Who signed it.
    pub author: AccountId,
    /// Short name of the author's signing key.
    pub author_key: KeyId,
    /// Author's clock, milliseconds since 1970. A claim, not a proof.
    pub created_at_ms: u64,
}

/// What a list is compared with, on the server when it is stored and on the client when it is read.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedAccess<'a> {
    /// Project addressed.
    pub project: ProjectId,
    /// Number it should have.
    pub number: u64,
    /// Digest of the list before; zeros for list 1.
    pub parent: [u8; 32],
    /// Whose list it should be.
    pub author: AccountId,
    /// Signing key from that account's verified bundle. For an author who is not the owner: the bundle whose digest
    /// [`AccessList::key_of`] gives in the list before.
    pub author_key: &'a PublicKey,
}

/// Signs a list, at most [`ACCESS_LIST_LEN_MAX`] bytes. Puts the entries in order first, so that one set of entries
/// is one list. Same in, same out.
///
/// # Errors
/// [`AccessError`]: the list names another author or key than `author`, or breaks a rule [`AccessList::peek`] holds it
/// to. Whether it may follow the list before is asked with [`AccessList::follows`].
pub fn seal_access(list: &AccessList, author: &Identity) -> Result<Vec<u8>, AccessError> {
    let mut list = list.clone();
    list.entries.sort_by_key(AccessEntry::place);
    list.check_fields()?;
    list.check_author(author.account(), author.key_id())?;
    Ok(statement::sign(tag::ACCESS_LIST, &list.encode(), author.signing_key()))
}

impl AccessList {
    /// Judges a list: shape, order, signature, project, number, parent, author. Needs no secret; the server and the
    /// client both call it, and then [`AccessList::follows`].
    ///
    /// # Errors
    /// [`AccessError`] names the first thing amiss.
    pub fn check(bytes: &[u8], expected: &ExpectedAccess<'_>) -> Result<Self, AccessError> {
        let signed = statement::split_within(bytes, BODY_LEN_MAX)?;
        let list = Self::decode(signed.body)?;
        signed.verify(tag::ACCESS_LIST, expected.author_key)?;
        list.check_author(expected.author, expected.author_key.key_id())?;
        if list.project != expected.project {
            return Err(AccessError::Project { expected: expected.project, found: list.project });
        }
        if list.number != expected.number {
            return Err(AccessError::Number { expected: expected.number, found: list.number });
        }
        if list.parent != expected.parent {
            return Err(AccessError::Parent);
        }
        Ok(list)
    }

    /// Reads a list without checking who signed it: to learn whose key [`AccessList::check`] needs. Proves nothing.
    ///
    /// # Errors
    /// [`AccessError`]: not the bytes of a list, or one that breaks a rule of its own.
    pub fn peek(bytes: &[u8]) -> Result<Self, AccessError> {
        Self::decode(statement::split_within(bytes, BODY_LEN_MAX)?.body)
    }

    /// Whether this list may come after `before` (None: it is the first). The owner may sign any list. Somebody else
    /// has to hold `project:share` in `before`, and may keep what it says, take from anybody, himself included, and
    /// give what he holds there. An entry kept under another key is given anew, for it goes to other hands, and so is one
    /// that reaches other environments.
    ///
    /// The link by digest is [`AccessList::check`]'s: a list does not know its own bytes.
    ///
    /// # Errors
    /// [`AccessError::Project`], [`AccessError::Number`], [`AccessError::MayNotShare`], [`AccessError::Exceeds`].
    pub fn follows(&self, before: Option<&Self>, owner: AccountId) -> Result<(), AccessError> {
        let expected = before.map_or(0, |list| list.number).saturating_add(1);
        if before.is_some_and(|list| list.number == u64::MAX) || self.number != expected {
            return Err(AccessError::Number { expected, found: self.number });
        }
        if let Some(before) = before.filter(|list| list.project != self.project) {
            return Err(AccessError::Project { expected: before.project, found: self.project });
        }
        if self.author == owner {
            return Ok(());
        }
        let author = Principal::Account(self.author);
        let Some(before) = before.filter(|list| list.actions_of(author) & SHARE != 0) else {
            return Err(AccessError::MayNotShare { author: self.author });
        };
        let held = before.actions_of(author);
        for entry in &self.entries {
            let actions = entry.actions & !before.kept(entry) & !held;
            if actions != 0 {
                return Err(AccessError::Exceeds { principal: entry.principal, actions });
            }
        }
        Ok(())
    }

    /// Bits of everything `principal` holds here, through whatever team. The owner is in no need of a list.
    pub fn actions_of(&self, principal: Principal) -> u64 {
        self.entries
            .iter()
            .filter(|entry| entry.principal == principal)
            .fold(0, |held, entry| held | entry.actions)
    }

    /// Whether `principal` is to have the keys of this environment.
    pub fn reads(&self, principal: Principal, environment: EnvironmentId) -> bool {
        self.entries.iter().any(|entry| entry.principal == principal && entry.reads(environment))
    }

    /// The key `principal` is listed with ([`AccessEntry::key`]); None when it is not listed.
    pub fn key_of(&self, principal: Principal) -> Option<[u8; 32]> {
        self.entries.iter().find(|entry| entry.principal == principal).map(|entry| entry.key)
    }

    /// What the next list names as its parent: SHA-256 of the whole list, signature included.
    pub fn digest(bytes: &[u8]) -> [u8; 32] {
        sha256(bytes)
    }

    /// Bits of `entry` that stood here before: held by the same principal, with the same key, through the same team, in no
    /// fewer environments. What is beyond them is a gift.
    pub fn kept(&self, entry: &AccessEntry) -> u64 {
        let same = |known: &&AccessEntry| known.place() == entry.place() && known.key == entry.key;
        self.entries.iter().find(same).filter(|known| known.covers(entry)).map_or(0, |known| known.actions)
    }

    /// Bits of `entry` of an earlier list that are held here still: by the same principal, with the same key, through
    /// whatever team, in no fewer environments. What is beyond them was taken. An API key with another record is the same
    /// holder with the next generation: what ends the one before is that the server's share of it is deleted.
    pub fn left_of(&self, entry: &AccessEntry) -> u64 {
        let rotates = matches!(entry.principal, Principal::ApiKey(_));
        let same =
            |known: &&AccessEntry| known.principal == entry.principal && (rotates || known.key == entry.key);
        let left = self.entries.iter().filter(same).filter(|known| known.covers(entry));
        left.fold(0, |left, known| left | known.actions)
    }

    fn check_author(&self, author: AccountId, key: KeyId) -> Result<(), AccessError> {
        if self.author_key != key {
            return Err(AccessError::AuthorKey { expected: key, found: self.author_key });
        }
        if self.author != author {
            return Err(AccessError::Author { expected: author, found: self.author });
        }
        Ok(())
    }

    /// The rules a list is held to whoever signed it.
    fn check_fields(&self) -> Result<(), AccessError> {
        if self.number == 0 {
            return Err(AccessError::Number { expected: 1, found: 0 });
        }
        if (self.number == 1) != (self.parent == NO_DIGEST) {
            return Err(AccessError::Parent);
        }
        if self.entries.len() > ACCESS_ENTRIES_MAX {
            return Err(AccessError::Entries { found: self.entries.len() });
        }
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.actions == 0 || entry.actions & !GRANTABLE != 0 {
                return Err(AccessError::Actions { index, found: entry.actions });
            }
            // An account's entry ends with its team; one through no team would be ended by nothing.
            let is_held = match (entry.principal, entry.team) {
                (Principal::Account(_), Some(team)) => *team.as_bytes() != NO_TEAM,
                (Principal::ApiKey(_), None) => true,
                _ => false,
            };
            if !is_held {
                return Err(AccessError::Team { index });
            }
            let is_account = matches!(entry.principal, Principal::Account(_));
            let named = &entry.environments;
            if named.len() > if is_account { 0 } else { ENTRY_ENVIRONMENTS_MAX }
                || named.windows(2).any(|pair| pair[0] >= pair[1])
            {
                return Err(AccessError::Environments { index });
            }
        }
        let found = self.body_len() + STATEMENT_OVERHEAD;
        if found > ACCESS_LIST_LEN_MAX {
            return Err(AccessError::TooLong { found });
        }
        for (index, pair) in (1..).zip(self.entries.windows(2)) {
            if pair[0].place() >= pair[1].place() {
                return Err(AccessError::Order { index });
            }
            if pair[0].principal == pair[1].principal && pair[0].key != pair[1].key {
                return Err(AccessError::Key { index });
            }
        }
        Ok(())
    }

    fn body_len(&self) -> usize {
        HEAD_LEN + self.entries.iter().map(AccessEntry::len).sum::<usize>()
    }

    fn encode(&self) -> Vec<u8> {
        let count = u16::try_from(self.entries.len()).expect("check_fields allows 256 at most");
        let mut body = Writer::with_capacity(self.body_len());
        body.u8(LIST_VERSION)
            .fixed(self.project.as_bytes())
            .u64(self.number)
            .fixed(&self.parent)
            .fixed(self.author.as_bytes())
            .fixed(self.author_key.as_bytes())
            .u64(self.created_at_ms)
            .u16(count);
        for entry in &self.entries {
            match &entry.principal {
                Principal::Account(id) => body.u8(KIND_ACCOUNT).fixed(id.as_bytes()),
                Principal::ApiKey(id) => body.u8(KIND_API_KEY).fixed(id.as_bytes()),
            };
            body.fixed(&entry.key)
                .u64(entry.actions)
                .fixed(&entry.team.map_or(NO_TEAM, |team| *team.as_bytes()))
                .u8(u8::try_from(entry.environments.len()).expect("check_fields allows 32 at most"));
            entry.environments.iter().for_each(|environment| {
                body.fixed(environment.as_bytes());
            });
        }
        body.finish()
    }

    fn decode(body: &[u8]) -> Result<Self, AccessError> {
        let mut body = Reader::new(body);
        let version = body.u8()?;
        if version != LIST_VERSION {
            return Err(DecodeError::Version { found: version }.into());
        }
        let mut list = Self {
            project: ProjectId::from_bytes(body.array()?),
            number: body.u64()?,
            parent: body.array()?,
            author: AccountId::from_bytes(body.array()?),
            author_key: KeyId::from_bytes(body.array()?),
            created_at_ms: body.u64()?,
            entries: Vec::new(),
        };
        let count = usize::from(body.u16()?);
        if count > ACCESS_ENTRIES_MAX {
            return Err(AccessError::Entries { found: count });
        }
        list.entries = (0..count).map(|index| decode_entry(&mut body, index)).collect::<Result<_, _>>()?;
        body.finish()?;
        list.check_fields()?;
        Ok(list)
    }
}

fn decode_entry(body: &mut Reader<'_>, index: usize) -> Result<AccessEntry, AccessError> {
    let principal = match body.u8()? {
        KIND_ACCOUNT => Principal::Account(AccountId::from_bytes(body.array()?)),
        KIND_API_KEY => Principal::ApiKey(ApiKeyId::from_bytes(body.array()?)),
        _ => return Err(DecodeError::Value { field: "principal" }.into()),
    };
    let (key, actions, team) = (body.array()?, body.u64()?, body.array()?);
    let team = (team != NO_TEAM).then(|| TeamId::from_bytes(team));
    let count = usize::from(body.u8()?);
    if count > ENTRY_ENVIRONMENTS_MAX {
        return Err(AccessError::Environments { index });
    }
    let environments =
        (0..count).map(|_| body.array().map(EnvironmentId::from_bytes)).collect::<Result<_, _>>()?;
    Ok(AccessEntry { principal, key, actions, team, environments })
}

#[cfg(test)]
mod tests;
