//! Keys of epochs: made here for a new environment or epoch, found in the keyring for an old one. What must never
//! happen: content sealed to a key that nobody in the project has made.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rand_core::OsRng;
use veilcloud_proto::projects::v1 as pb;
use veilcore::id::{AccountId, EnvironmentId, ProjectId};
use veilvault::epoch::EpochKey;
use veilvault::identity::Identity;
use veilvault::keyring::{self, KeyringError, KeyringSubject, open_keyring, seal_keyring};
use veilvault::seal::{ExpectedKeyring, SealError};

use crate::access::{HANDS_ON, Home, WRITES};
use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};
use crate::times;
use crate::transport::{blocking, rpc};

/// Most keys that are kept; beyond it all are forgotten and read again when needed.
const KEYS_MAX: usize = 256;

/// Where a key belongs: what the keyring it was found in was checked for.
type Place = (ProjectId, EnvironmentId, u32);

/// Keys that were found in keyrings. A key of one project is none of another, even if a server shows both the same id.
#[derive(Default)]
pub(crate) struct KeyCache(Mutex<HashMap<Place, KnownKey>>);

/// A key of an epoch and who made the keyring it was found in.
#[derive(Clone)]
pub(crate) struct KnownKey {
    pub(crate) key: EpochKey,
    pub(crate) author: AccountId,
    /// The access list that the epoch's keyring was made for, as the server says; None when the key was handed on to this
    /// account alone.
    pub(crate) list: Option<u64>,
}

impl KeyCache {
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn get(&self, place: Place) -> Option<KnownKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned()
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

impl Client {
    /// The key of an epoch.
    pub(crate) async fn epoch_key(
        &self,
        home: Home,
        environment: EnvironmentId,
        name: &str,
        epoch: u32,
        identity: &Identity,
    ) -> Result<KnownKey> {
        let place = (home.project, environment, epoch);
        if let Some(key) = self.inner().keys.get(place) {
            return Ok(key);
        }
        let keyring = self.keyring(home, environment, name, epoch, identity).await?;
        self.inner().keys.put(place, keyring.known.clone());
        Ok(keyring.known)
    }

    /// The keyring of an epoch, as the server has it.
    pub(crate) async fn keyring(
        &self,
        home: Home,
        environment: EnvironmentId,
        name: &str,
        epoch: u32,
        identity: &Identity,
    ) -> Result<KeyringFiles> {
        let project = home.project;
        let request = pb::GetKeyringRequest { project_id: project.to_string(), name: name.to_owned(), epoch };
        let answer: pb::GetKeyringResponse = self.call(&rpc::GET_KEYRING, &request).await?;
        let keyring = times::present(answer.keyring, &rpc::GET_KEYRING)?;
        let author: AccountId = times::id(&answer.author_id, &rpc::GET_KEYRING)?;
        let made_by = if answer.added { HANDS_ON } else { WRITES };
        let author_key = self.author_key(home, author, made_by, identity).await?;
        let list = (!answer.added).then_some(keyring.access_list);
        let member = identity.clone();
        let opened = blocking(move || {
            let expected = ExpectedKeyring { project, environment, epoch, author, author_key: &author_key };
            let key = open_keyring(&keyring.file, &keyring.seal, &expected, &member)?;
            let known = KnownKey { key, author, list };
            Ok(KeyringFiles { file: keyring.file, seal: keyring.seal, known })
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
        let author = identity.clone();
        let subject =
            KeyringSubject { project: home.project, environment, epoch, created_at_ms: self.now_ms() };
        let (key, made) = blocking(move || {
            let key = EpochKey::generate(&mut OsRng);
            let members: Vec<_> =
                [&own].into_iter().chain(&readers).map(|key| key.recipient().clone()).collect();
            let made = seal_keyring(&key, &subject, &members, &author);
            (key, made)
        })
        .await;
        let keyring::Keyring { file, seal } = made.map_err(|e| Error::invalid("keyring", e))?;
        Ok((key, pb::Keyring { epoch, file, seal: seal.to_vec(), access_list: chain.number() }))
    }

    /// Takes note of a key that this account has just made, for the people of this list.
    pub(crate) fn keep_key(&self, place: Place, key: &EpochKey, (author, list): (AccountId, u64)) {
        let known = KnownKey { key: key.clone(), author, list: Some(list) };
        self.inner().keys.put(place, known);
    }

    /// Whether new content may be sealed to a key: its maker is the owner, this account, or still in the project. The key
    /// of somebody who left is his, however it came to be the newest.
    pub(crate) async fn may_seal_to(
        &self,
        home: Home,
        known: &KnownKey,
        identity: &Identity,
    ) -> Result<bool> {
        if known.author == identity.account() || known.author == home.owner {
            return Ok(true);
        }
        let chain = self.access(home).await?;
        let needed = if known.list.is_some() { WRITES } else { HANDS_ON };
        Ok(chain.actions_of(known.author) & needed != 0)
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
        cache.put(here, KnownKey { key: EpochKey::generate(&mut OsRng), author, list: None });
        assert!(cache.get(here).is_some());
        assert!(cache.get(there).is_none());
    }
}
