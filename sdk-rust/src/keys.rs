//! Keys of epochs: made here for a new environment or epoch, found in the keyring for an old one. What must never
//! happen: content sealed to a key that nobody in the project has made.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rand_core::OsRng;
use veilcloud_proto::projects::v1 as pb;
use veilcore::id::{AccountId, EnvironmentId, ProjectId};
use veilvault::epoch::EpochKey;
use veilvault::identity::Identity;
use veilvault::key::PublicKey;
use veilvault::keyring::{self, KeyringError, KeyringSubject, open_keyring, seal_keyring};
use veilvault::seal::{ExpectedKeyring, KeyringSeal, SealError};

use crate::access::{HANDS_ON, Home, WRITES};
use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};
use crate::times;
use crate::transport::{blocking, rpc};

/// Most keys that are kept; beyond it all are forgotten and read again when needed.
const KEYS_MAX: usize = 256;

/// Where a key belongs: what the keyring it was found in was checked for.
pub(crate) type Place = (ProjectId, EnvironmentId, u32);

/// Keys that were found in keyrings. A key of one project is none of another, even if a server shows both the same id.
#[derive(Default)]
pub(crate) struct KeyCache(Mutex<HashMap<Place, KnownKey>>);

/// A key of an epoch and what is known of its making.
#[derive(Clone)]
pub(crate) struct KnownKey {
    pub(crate) key: EpochKey,
    /// Who made the epoch, by its own seal; where that cannot be checked, who handed the key on.
    pub(crate) author: AccountId,
    /// The access list that the epoch was made for, as its author signed; None where that cannot be checked: his keys are
    /// not to be had.
    pub(crate) list: Option<u64>,
    /// The keyring that was added for this account does not hold the epoch's key; it was found in the epoch's own.
    pub(crate) has_bad_part: bool,
}

impl KeyCache {
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn get(&self, place: Place) -> Option<KnownKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned()
    }

    pub(crate) fn forget(&self, place: Place) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
    }

    fn put(&self, place: Place, key: KnownKey) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert(place, key);
    }
}

/// A keyring file with its seal, both checked.
pub(crate) struct KeyringFiles {
    pub(crate) file: Vec<u8>,
    pub(crate) seal: Vec<u8>,
    pub(crate) known: KnownKey,
}

/// The same before it is known what to make of it.
struct KeyringOpened {
    file: Vec<u8>,
    seal_bytes: Vec<u8>,
    key: EpochKey,
}

fn expected_keyring(
    (project, environment, epoch): Place,
    author: AccountId,
    author_key: &PublicKey,
) -> ExpectedKeyring<'_> {
    ExpectedKeyring { project, environment, epoch, author, author_key }
}

impl Client {
    /// The key of an epoch. `identity`: None for a service token.
    pub(crate) async fn epoch_key(
        &self,
        home: Home,
        environment: EnvironmentId,
        name: &str,
        epoch: u32,
        identity: impl Into<Option<&Identity>>,
    ) -> Result<KnownKey> {
        let place = (home.project, environment, epoch);
        if let Some(key) = self.inner().keys.get(place) {
            return Ok(key);
        }
        let known = match identity.into() {
            Some(identity) => self.keyring(home, environment, name, epoch, identity).await?.known,
            None => self.token_key(home, place, name).await?,
        };
        self.inner().keys.put(place, known.clone());
        Ok(known)
    }

    /// The keyring of an epoch: the one that was added for this account, or else the epoch's own; that, too, when the one
    /// that was added does not hold the epoch's key.
    pub(crate) async fn keyring(
        &self,
        home: Home,
        environment: EnvironmentId,
        name: &str,
        epoch: u32,
        identity: &Identity,
    ) -> Result<KeyringFiles> {
        let place = (home.project, environment, epoch);
        let answer = self.get_keyring(home, name, epoch, false).await?;
        if !answer.added {
            return self.open_own(home, place, name, answer, identity).await;
        }
        let part = match self.open_part(home, place, name, answer, identity).await {
            Err(e @ Error::Integrity { .. }) => e,
            opened => return opened,
        };
        // Whoever writes here can have added one that opens nothing. It locks nobody out who was there when the key was made.
        let whole = self.get_keyring(home, name, epoch, true).await?;
        if whole.added {
            return Err(Error::BadAnswer { rpc: rpc::GET_KEYRING.path });
        }
        match self.open_own(home, place, name, whole, identity).await {
            Ok(mut opened) => {
                opened.known.has_bad_part = true;
                Ok(opened)
            }
            Err(Error::Integrity { .. }) => Err(part),
            Err(e) => Err(e),
        }
    }

    async fn get_keyring(
        &self,
        home: Home,
        name: &str,
        epoch: u32,
        whole: bool,
    ) -> Result<pb::GetKeyringResponse> {
        let (project_id, name) = (home.project.to_string(), name.to_owned());
        let request = pb::GetKeyringRequest { project_id, name, epoch, whole };
        self.call(&rpc::GET_KEYRING, &request).await
    }

    /// Opens the epoch's own keyring.
    async fn open_own(
        &self,
        home: Home,
        place: Place,
        name: &str,
        answer: pb::GetKeyringResponse,
        identity: &Identity,
    ) -> Result<KeyringFiles> {
        let (files, seal, author) = self.open(home, place, name, answer, WRITES, identity).await?;
        let KeyringOpened { file, seal_bytes, key } = files;
        let known = KnownKey { key, author, list: Some(seal.access_list), has_bad_part: false };
        Ok(KeyringFiles { file, seal: seal_bytes, known })
    }

    /// Opens the keyring that was added for this account, which has to hold the key that the epoch's own seal names.
    async fn open_part(
        &self,
        home: Home,
        place: Place,
        name: &str,
        answer: pb::GetKeyringResponse,
        identity: &Identity,
    ) -> Result<KeyringFiles> {
        let epoch_author: AccountId = times::id(&answer.epoch_author_id, &rpc::GET_KEYRING)?;
        let epoch_seal = answer.epoch_seal.clone();
        let (files, seal, author) = self.open(home, place, name, answer, HANDS_ON, identity).await?;
        let KeyringOpened { file, seal_bytes, key } = files;
        let made = match self.author_key(home, epoch_author, WRITES, identity).await {
            // His keys are gone with his account: the key opens what is sealed to it, and nothing more is sealed to it.
            Err(Error::Integrity { reason: IntegrityReason::AuthorUnknown, .. }) => None,
            author_key => Some(author_key?),
        };
        let mut known = KnownKey { key, author, list: None, has_bad_part: false };
        if let Some(author_key) = made {
            let expected = expected_keyring(place, epoch_author, &author_key);
            let refused = |reason| Error::integrity(reason, format!("the keyring of {name}"));
            let own = KeyringSeal::check_alone(&epoch_seal, &expected).map_err(|e| refused(e.into()))?;
            if own.recipient != seal.recipient {
                return Err(refused(IntegrityReason::KeyringInvalid));
            }
            (known.author, known.list) = (epoch_author, Some(own.access_list));
        }
        Ok(KeyringFiles { file, seal: seal_bytes, known })
    }

    /// Opens a keyring whose author a list gives one of these actions.
    async fn open(
        &self,
        home: Home,
        place: Place,
        name: &str,
        answer: pb::GetKeyringResponse,
        any_of: u64,
        identity: &Identity,
    ) -> Result<(KeyringOpened, KeyringSeal, AccountId)> {
        let keyring = times::present(answer.keyring, &rpc::GET_KEYRING)?;
        let author: AccountId = times::id(&answer.author_id, &rpc::GET_KEYRING)?;
        let author_key = self.author_key(home, author, any_of, identity).await?;
        let member = identity.clone();
        let opened = blocking(move || {
            let expected = expected_keyring(place, author, &author_key);
            let key = open_keyring(&keyring.file, &keyring.seal, &expected, &member)?;
            // Checked with the rest of the keyring.
            let seal = KeyringSeal::peek(&keyring.seal)?;
            Ok((KeyringOpened { file: keyring.file, seal_bytes: keyring.seal, key }, seal, author))
        });
        opened.await.map_err(|e| Error::integrity(keyring_reason(&e), format!("the keyring of {name}")))
    }

    /// A new key and its keyring, for everybody who may read the project by the newest access list, each under the keys that
    /// the directory is proved to name.
    pub(crate) async fn new_keyring(
        &self,
        home: Home,
        environment: EnvironmentId,
        epoch: u32,
        identity: &Identity,
    ) -> Result<(EpochKey, pb::Keyring)> {
        let own = self.own_key(identity).await?;
        let chain = self.access(home).await?;
        let readers = self.readers(home, &chain, identity.account()).await?;
        let (author, access_list) = (identity.clone(), chain.number());
        let created_at_ms = self.now_ms();
        let subject =
            KeyringSubject { project: home.project, environment, epoch, access_list, created_at_ms };
        let (key, made) = blocking(move || {
            let key = EpochKey::generate(&mut OsRng);
            let members: Vec<_> =
                [&own].into_iter().chain(&readers).map(|key| key.recipient().clone()).collect();
            let made = seal_keyring(&key, &subject, &members, &author);
            (key, made)
        })
        .await;
        let keyring::Keyring { file, seal } = made.map_err(|e| Error::invalid("keyring", e))?;
        Ok((key, pb::Keyring { epoch, file, seal: seal.to_vec(), access_list }))
    }

    /// Takes note of a key that this account has just made, for the people of this list.
    pub(crate) fn keep_key(&self, place: Place, key: &EpochKey, (author, list): (AccountId, u64)) {
        let known = KnownKey { key: key.clone(), author, list: Some(list), has_bad_part: false };
        self.inner().keys.put(place, known);
    }

    /// Whether new content may be sealed to a key: its maker is the owner, this account, or still in the project, and it was
    /// made for a list after which nobody lost anything, as far as this machine has seen. The key of somebody who left is
    /// his, however it came to be the newest.
    pub(crate) async fn may_seal_to(
        &self,
        home: Home,
        known: &KnownKey,
        identity: &Identity,
    ) -> Result<bool> {
        let floor = self.pins().await?.access.get(home.project).map_or(0, |pin| pin.floor);
        let Some(list) = known.list.filter(|list| *list >= floor) else { return Ok(false) };
        if known.author == identity.account() || known.author == home.owner {
            return Ok(true);
        }
        let chain = self.access(home).await?;
        // Nobody makes a key for a list that there is not.
        Ok(list <= chain.number() && chain.actions_of(known.author) & WRITES != 0)
    }
}

fn keyring_reason(e: &KeyringError) -> IntegrityReason {
    match e {
        KeyringError::Seal(SealError::Digest) => IntegrityReason::KeyringInvalid,
        KeyringError::Seal(e) => (*e).into(),
        KeyringError::Lint(_) => IntegrityReason::StanzaRefused,
        KeyringError::NotAMember => IntegrityReason::KeyNotGiven,
        KeyringError::Header(_) => IntegrityReason::HeaderMismatch,
        _ => IntegrityReason::KeyringInvalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_one_project_is_not_found_for_another() {
        let (cache, environment) = (KeyCache::default(), EnvironmentId::from_bytes([5; 16]));
        let [here, there] = [4, 6].map(|project| (ProjectId::from_bytes([project; 16]), environment, 1));
        let author = AccountId::from_bytes([1; 16]);
        cache.put(
            here,
            KnownKey { key: EpochKey::generate(&mut OsRng), author, list: None, has_bad_part: false },
        );
        assert!(cache.get(here).is_some());
        assert!(cache.get(there).is_none());
    }
}
