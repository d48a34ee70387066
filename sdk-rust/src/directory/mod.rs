//! The directory: a log of which keys accounts have, and which keys sign the logs (docs/spec/chain.md). Keys are wrapped
//! to nobody whose key is not shown to be in it, so that a server that puts another key in a member's place has to do so
//! where its owner sees it. What must never happen: a key wrapped to a recipient that is no [`VerifiedKey`].

mod follow;

use std::sync::{Mutex, PoisonError};

use veilchain::head::Head;
use veilcloud_proto::audit::v1 as pb;
use veilcore::hash::sha256;
use veilcore::id::AccountId;
use veilvault::identity::{AccountBundle, Identity};
use veilvault::key::{PublicKey, Recipient};

pub use follow::{FOLLOW_MAX, Followed};

use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};
use crate::log::{ASKS_MAX, Asked, Claim, Fault, LogId, Settled, kinds};
use crate::transport::rpc;

/// The directory; see [`Client::directory`].
#[derive(Clone)]
pub struct Directory {
    client: Client,
}

/// The keys of an account, proved to be in the directory. Only [`Directory::key`] makes one.
///
/// It proves that the account's bundle is signed by itself, that a leaf about this account names exactly this bundle, and
/// that this leaf is in a directory that continues the one this machine has seen; no older leaf or generation about the
/// account than was seen here before is taken. It does not prove that this is the *newest* leaf about the account, which
/// the server could hold back from a machine that has not seen it, nor that the account's owner made it: owners look after
/// that themselves ([`Directory::follow`]), and two people can compare [`VerifiedKey::digest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedKey {
    bundle: AccountBundle,
    digest: [u8; 32],
    index: u64,
}

impl VerifiedKey {
    /// The account.
    pub fn account_id(&self) -> AccountId {
        self.bundle.account
    }

    /// Generation of its keys, from 1.
    pub fn generation(&self) -> u32 {
        self.bundle.generation
    }

    /// SHA-256 of the signed bundle of its keys: what two people compare to be sure.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Place of its leaf in the directory.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// What the account's statements are checked with.
    pub(crate) fn public_key(&self) -> PublicKey {
        self.bundle.public_key
    }

    /// What files are encrypted to.
    pub(crate) fn recipient(&self) -> &Recipient {
        &self.bundle.recipient
    }
}

/// The own key as it was last verified, and the head of the directory it was verified under.
#[derive(Default)]
pub(crate) struct OwnKey(Mutex<Option<(Head, VerifiedKey)>>);

impl OwnKey {
    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn get(&self, head: Head, identity: &Identity) -> Option<VerifiedKey> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, key) = kept.as_ref().filter(|(at, _)| *at == head)?;
        key.bundle.matches(identity).is_ok().then(|| key.clone())
    }

    fn put(&self, head: Head, key: VerifiedKey) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((head, key));
    }
}

impl Directory {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The keys of an account: signed by themselves, and their leaf proved to be in the directory, which continues the one
    /// seen before.
    ///
    /// # Errors
    /// [`Error::Api`] with `ACCOUNT_KEY_UNKNOWN`; [`Error::Integrity`] with [`IntegrityReason::KeyNotInDirectory`], also
    /// when the account is gone, with [`IntegrityReason::RolledBack`] for an older leaf or generation than was seen before,
    /// or with the name of the check of the log that failed.
    pub async fn key(&self, account: AccountId) -> Result<VerifiedKey> {
        self.key_under(account).await.map(|(key, _)| key)
    }

    /// The same with the head of the directory that it was proved under.
    async fn key_under(&self, account: AccountId) -> Result<(VerifiedKey, Head)> {
        let asked = self.client.ask(LogId::Directory).await?;
        let (key, leaf) = self.read(&asked, account).await?;
        let settled = self.client.settle(&asked, &leaf).await?;
        if settled == Settled::Pinned && self.see(&key, leaf.head()).await? == Settled::Pinned {
            return Ok((key, leaf.head()));
        }
        let _one = self.client.inner().advancing.lock().await;
        for _ in 0..ASKS_MAX {
            let asked = self.client.ask(LogId::Directory).await?;
            let (key, leaf) = self.read(&asked, account).await?;
            let settled = self.client.settle_locked(&asked, &leaf).await?;
            if settled == Settled::Pinned && self.see(&key, leaf.head()).await? == Settled::Pinned {
                return Ok((key, leaf.head()));
            }
        }
        Err(crate::log::never_settled(LogId::Directory))
    }

    /// Takes note of the newest leaf about an account, and refuses an older one than was seen before: the directory still
    /// has it, and it is in force no more.
    async fn see(&self, key: &VerifiedKey, under: Head) -> Result<Settled> {
        let (account, index, generation) = (key.account_id(), key.index, key.generation());
        self.client
            .change_pins_with(move |pins| match pins.logs.see_key(account, index, generation) {
                Ok(is_new) => Ok((is_new, Settled::Pinned)),
                // Another call has seen more meanwhile.
                Err(_) if pins.logs.head(LogId::Directory) != under => Ok((false, Settled::Again)),
                Err(seen) => {
                    let subject =
                        format!("the keys of account {account} (leaf {index}, and leaf {seen} was seen)");
                    Err(Error::integrity(IntegrityReason::RolledBack, subject))
                }
            })
            .await
    }

    /// Says that the newest keys which the directory names for the own account are its owner's, after it named some that
    /// this machine did not know: right after the account was recovered on another machine, wrong in every other case.
    /// They still have to be the ones that the password unlocked.
    ///
    /// # Errors
    /// [`Error::NotLoggedIn`]; [`Error::Integrity`] with [`IntegrityReason::KeyUnexpected`] when they are others.
    pub async fn trust_own_key(&self) -> Result<VerifiedKey> {
        let session = self.client.fresh_session().await?;
        let key = self.own(&session.identity).await?;
        let (account, digest) = (session.account(), key.digest);
        self.client
            .change_pins(move |pins| {
                let calmed = pins.logs.calm(account);
                Ok(pins.logs.know_own(account, digest) || calmed)
            })
            .await?;
        Ok(key)
    }

    /// The own keys as the directory names them: exactly the ones of this identity.
    async fn own(&self, identity: &Identity) -> Result<VerifiedKey> {
        self.own_under(identity).await.map(|(key, _)| key)
    }

    /// The same with the head of the directory that they were proved under.
    async fn own_under(&self, identity: &Identity) -> Result<(VerifiedKey, Head)> {
        let account = identity.account();
        let subject = "the own account";
        let (key, head) = match self.key_under(account).await {
            Err(e) if e.is("ACCOUNT_KEY_UNKNOWN") => {
                return Err(Error::integrity(IntegrityReason::KeyNotInDirectory, subject));
            }
            key => key?,
        };
        match key.bundle.matches(identity) {
            Ok(()) => Ok((key, head)),
            Err(_) => Err(Error::integrity(IntegrityReason::KeyUnexpected, subject)),
        }
    }

    async fn read(&self, asked: &Asked, account: AccountId) -> Result<(VerifiedKey, crate::log::Leaf)> {
        let request = pb::GetAccountKeyRequest { account_id: account.to_string(), log_size: asked.head.size };
        let answer: pb::GetAccountKeyResponse = self.client.call(&rpc::GET_ACCOUNT_KEY, &request).await?;
        let subject = format!("the keys of account {account}");
        let refused = |fault: Fault| fault.into_error(&subject);
        let not_there = |cause: &str| Fault::new(IntegrityReason::KeyNotInDirectory, cause);
        let proof = answer.proof.ok_or_else(|| refused(not_there("no proof")))?;
        let leaf = asked.open(proof).map_err(refused)?;
        if leaf.entry.kind == kinds::KEY_REVOKE {
            return Err(refused(not_there("the account is gone")));
        }
        let bundle = AccountBundle::verify(&answer.bundle)
            .map_err(|e| refused(Fault::new(IntegrityReason::KeyNotInDirectory, e)))?;
        let digest = sha256(&answer.bundle);
        if bundle.account != account {
            return Err(refused(not_there("these are the keys of another account")));
        }
        Claim::keys(account, bundle.generation, digest)
            .judge(&leaf.entry)
            .map_err(|fault| refused(not_there(&fault.cause)))?;
        Ok((VerifiedKey { bundle, digest, index: leaf.index }, leaf))
    }
}

impl Client {
    /// The own key, to be wrapped to: in the directory, the one that the password unlocked, and no unexpected other one
    /// announced since: what the directory has got since it was last followed is read before. Asked for once while the
    /// directory does not grow.
    pub(crate) async fn own_key(&self, identity: &Identity) -> Result<VerifiedKey> {
        let pins = self.pins().await?;
        if let Some(alarm) = pins.logs.alarm(identity.account()) {
            let subject = format!("leaf {} of the directory", alarm.index);
            return Err(Error::integrity(IntegrityReason::KeyUnexpected, subject));
        }
        let (head, followed) = (pins.logs.head(LogId::Directory), pins.logs.followed.size());
        if followed >= head.size
            && let Some(key) = self.inner().own_key.get(head, identity)
        {
            return Ok(key);
        }
        let (mut key, mut head) = self.directory().own_under(identity).await?;
        if followed < head.size {
            self.directory().follow().await?;
            (key, head) = self.directory().own_under(identity).await?;
        }
        self.inner().own_key.put(head, key.clone());
        Ok(key)
    }

    /// Takes note of a bundle that this machine has made for an account, before the server gets it.
    pub(crate) async fn know_own_bundle(&self, account: AccountId, bundle: &[u8]) -> Result<()> {
        let digest = sha256(bundle);
        self.change_pins(move |pins| Ok(pins.logs.know_own(account, digest))).await
    }

    /// Whether every key that the server says signs its logs is pinned by now.
    pub(crate) async fn known_log_keys(&self, shown: &[[u8; 32]]) -> Result<()> {
        let trust = self.trust().await?;
        match shown.iter().all(|key| trust.keys().contains(key)) {
            true => Ok(()),
            false => {
                let subject = "the server names a key of its logs that its directory does not";
                Err(Error::integrity(IntegrityReason::LogKeyChanged, subject))
            }
        }
    }
}

#[cfg(test)]
mod tests;
