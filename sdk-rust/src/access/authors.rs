//! The keys that people sign with, and whether what they signed is believed. A version or keyring comes from the owner, from
//! this account itself, or from somebody whom a list of the project's chain lets make it.

use futures_util::{StreamExt, TryStreamExt, stream};
use veilcore::id::AccountId;
use veilsign::capability::Actions;
use veilvault::access::Principal;
use veilvault::identity::Identity;
use veilvault::key::PublicKey;

use super::{Home, LISTS_MAX};
use crate::client::Client;
use crate::directory::VerifiedKey;
use crate::error::{Error, IntegrityReason, Result};

/// Keys that are looked up in the directory at once.
const LOOK_UPS: usize = 8;

/// What makes somebody an author of versions and keyrings.
pub(crate) const WRITES: u64 = Actions::PROJECT_WRITE.bits();
/// What lets somebody hand on a key that is there.
pub(crate) const HANDS_ON: u64 = Actions::PROJECT_WRITE.bits() | Actions::PROJECT_SHARE.bits();
/// What makes somebody a reader.
pub(crate) const READS: u64 = Actions::PROJECT_READ.bits();

impl Client {
    /// The key to check something with that `author` is said to have signed. `any_of`: bits of which a list must give him
    /// one. `reader`: None for a service token.
    pub(crate) async fn author_key(
        &self,
        home: Home,
        author: AccountId,
        any_of: u64,
        reader: impl Into<Option<&Identity>>,
    ) -> Result<PublicKey> {
        if let Some(own) = reader.into().filter(|reader| reader.account() == author) {
            return Ok(own.public_key());
        }
        if author == home.owner {
            return self.owner_key(home).await;
        }
        // What was read before in this process is enough for who was let in before; who joined since is in a newer one.
        if let Some(key) = self.listed_key(home, author, any_of, false).await? {
            return Ok(key);
        }
        let found = self.listed_key(home, author, any_of, true).await?;
        found.ok_or_else(|| home.refuse(IntegrityReason::AuthorUnknown, format!("account {author}")))
    }

    /// Whether what this account writes now would be believed: it is the owner, or the newest list lets it.
    pub(crate) async fn is_writer(&self, home: Home, author: AccountId) -> Result<bool> {
        Ok(author == home.owner || self.access(home).await?.actions_of(author) & WRITES != 0)
    }

    /// Looks through the lists, newest first, for one that lets him and names keys that are to be had.
    async fn listed_key(
        &self,
        home: Home,
        author: AccountId,
        any_of: u64,
        is_fresh: bool,
    ) -> Result<Option<PublicKey>> {
        let mut chain = if is_fresh { self.access(home).await? } else { self.known_access(home).await? };
        let principal = Principal::Account(author);
        let mut tried = Vec::new();
        for number in (1..=chain.number).rev().take(LISTS_MAX as usize) {
            if !chain.lists.contains_key(&number) {
                self.list_below(&mut chain, number).await?;
            }
            let Some(list) = chain.lists.get(&number) else { break };
            if list.actions_of(principal) & any_of == 0 {
                continue;
            }
            let Some(digest) = list.key_of(principal).filter(|digest| !tried.contains(digest)) else {
                continue;
            };
            if let Some(key) = self.key_with(home, author, digest).await? {
                return Ok(Some(key));
            }
            tried.push(digest);
        }
        Ok(None)
    }

    /// The key that the owner signs with: the one that was seen first.
    pub(crate) async fn owner_key(&self, home: Home) -> Result<PublicKey> {
        // Who reads with a token has no keys; the owner's were sealed with it.
        if self.inner().token.is_none() {
            let session = self.session_in_use().await?;
            if home.owner == session.account() {
                return Ok(session.identity.public_key());
            }
        }
        let pins = self.pins().await?;
        if let Some(known) = pins.access.get(home.project).and_then(|pin| pin.owner_key) {
            return PublicKey::from_bytes(&known).map_err(|e| Error::invalid("pinned key", e));
        }
        let key = self.directory().key(home.owner).await?.public_key();
        let bytes = *key.as_bytes();
        self.change_pins(move |pins| {
            let noted = pins.access.know_owner(home.project, home.owner, bytes);
            noted.map_err(|reason| home.refuse(reason, "the owner"))
        })
        .await?;
        Ok(key)
    }

    /// The key in the bundle of this digest: as it was seen before, or as the directory has it. None when the directory has
    /// another one by now, or none.
    pub(crate) async fn key_with(
        &self,
        home: Home,
        account: AccountId,
        digest: [u8; 32],
    ) -> Result<Option<PublicKey>> {
        let pins = self.pins().await?;
        if let Some(known) = pins.access.get(home.project).and_then(|pin| pin.keys.get(&(account, digest))) {
            return PublicKey::from_bytes(known).map(Some).map_err(|e| Error::invalid("pinned key", e));
        }
        let Some(key) = self.shown_key(account).await?.filter(|key| *key.digest() == digest) else {
            return Ok(None);
        };
        let (public, bytes) = (key.public_key(), *key.public_key().as_bytes());
        self.change_pins(move |pins| {
            let owned = pins.access.own(home.project, home.owner);
            let changed = owned.map_err(|reason| home.refuse(reason, "the owner"))?;
            Ok(pins.access.know(home.project, account, digest, bytes) || changed)
        })
        .await?;
        Ok(Some(public))
    }

    /// The keys of an account as the directory shows them; None when it shows none.
    pub(crate) async fn shown_key(&self, account: AccountId) -> Result<Option<VerifiedKey>> {
        match self.directory().key(account).await {
            Err(e) if e.is("ACCOUNT_KEY_UNKNOWN") => Ok(None),
            Err(Error::Integrity { reason: IntegrityReason::KeyNotInDirectory, .. }) => Ok(None),
            key => key.map(Some),
        }
    }

    /// The same of many accounts, in their order.
    pub(crate) async fn shown_keys(&self, accounts: Vec<AccountId>) -> Result<Vec<Option<VerifiedKey>>> {
        let looked_up = stream::iter(accounts).map(|account| self.shown_key(account));
        looked_up.buffered(LOOK_UPS).try_collect().await
    }

    /// Everybody whom a new key is wrapped to besides this account: the owner, and the accounts that the newest list lets
    /// read, under the keys that it names. Who has other keys by now gets the key when a list names those.
    pub(crate) async fn readers(
        &self,
        home: Home,
        chain: &super::Chain,
        me: AccountId,
    ) -> Result<Vec<VerifiedKey>> {
        let mut readers = Vec::new();
        if home.owner != me {
            let key = self.directory().key(home.owner).await?;
            if key.public_key() != self.owner_key(home).await? {
                return Err(home.refuse(IntegrityReason::OwnerChanged, "the owner's keys"));
            }
            readers.push(key);
        }
        let mut named = Vec::new();
        for entry in chain.newest().map_or(&[][..], |list| &list.entries[..]) {
            let Principal::Account(account) = entry.principal else { continue };
            let reads = chain.actions_of(account) & READS != 0;
            let is_known = named.last().is_some_and(|(known, _)| *known == account);
            if !is_known && account != me && account != home.owner && reads {
                named.push((account, entry.key));
            }
        }
        let found = self.shown_keys(named.iter().map(|(account, _)| *account).collect()).await?;
        let meant = found
            .into_iter()
            .zip(named)
            .filter_map(|(key, (_, digest))| key.filter(|key| *key.digest() == digest));
        readers.extend(meant);
        Ok(readers)
    }
}
