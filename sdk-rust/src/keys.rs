//! Keys of epochs: made here for a new environment or epoch, found in the keyring for an old one. What must never
//! happen: content sealed to a key that the account did not make.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rand_core::OsRng;
use veilcloud_proto::projects::v1 as pb;
use veilcore::id::{EnvironmentId, ProjectId};
use veilvault::epoch::EpochKey;
use veilvault::identity::Identity;
use veilvault::keyring::{self, KeyringError, KeyringSubject, open_keyring, seal_keyring};
use veilvault::seal::{ExpectedKeyring, SealError};

use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};
use crate::times;
use crate::transport::{blocking, rpc};

/// Most keys that are kept; beyond it all are forgotten and read again when needed.
const KEYS_MAX: usize = 256;

/// Keys that were found in keyrings, by environment and epoch.
#[derive(Default)]
pub(crate) struct KeyCache(Mutex<HashMap<(EnvironmentId, u32), EpochKey>>);

impl KeyCache {
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn get(&self, environment: EnvironmentId, epoch: u32) -> Option<EpochKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(environment, epoch)).cloned()
    }

    fn put(&self, environment: EnvironmentId, epoch: u32, key: EpochKey) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert((environment, epoch), key);
    }
}

/// A keyring file with its seal, both checked.
pub(crate) struct KeyringFiles {
    pub(crate) file: Vec<u8>,
    pub(crate) seal: Vec<u8>,
    pub(crate) key: EpochKey,
}

impl Client {
    /// The key of an epoch.
    pub(crate) async fn epoch_key(
        &self,
        project: ProjectId,
        environment: EnvironmentId,
        name: &str,
        epoch: u32,
        identity: &Identity,
    ) -> Result<EpochKey> {
        if let Some(key) = self.inner().keys.get(environment, epoch) {
            return Ok(key);
        }
        let keyring = self.keyring(project, environment, name, epoch, identity).await?;
        self.inner().keys.put(environment, epoch, keyring.key.clone());
        Ok(keyring.key)
    }

    /// The keyring of an epoch, as the server has it.
    pub(crate) async fn keyring(
        &self,
        project: ProjectId,
        environment: EnvironmentId,
        name: &str,
        epoch: u32,
        identity: &Identity,
    ) -> Result<KeyringFiles> {
        let request = pb::GetKeyringRequest { project_id: project.to_string(), name: name.to_owned(), epoch };
        let answer: pb::GetKeyringResponse = self.call(&rpc::GET_KEYRING, &request).await?;
        let keyring = times::present(answer.keyring, &rpc::GET_KEYRING)?;
        let member = identity.clone();
        let opened = blocking(move || {
            let expected = ExpectedKeyring {
                project,
                environment,
                epoch,
                author: member.account(),
                author_key: &member.public_key(),
            };
            let key = open_keyring(&keyring.file, &keyring.seal, &expected, &member)?;
            Ok(KeyringFiles { file: keyring.file, seal: keyring.seal, key })
        });
        opened.await.map_err(|e| Error::integrity(keyring_reason(&e), format!("the keyring of {name}")))
    }

    /// A new key and its keyring for this account alone: for the key that the directory is proved to name for it.
    pub(crate) async fn new_keyring(
        &self,
        project: ProjectId,
        environment: EnvironmentId,
        epoch: u32,
        identity: &Identity,
    ) -> Result<(EpochKey, pb::Keyring)> {
        let own = self.own_key(identity).await?;
        let author = identity.clone();
        let subject = KeyringSubject { project, environment, epoch, created_at_ms: self.now_ms() };
        let (key, made) = blocking(move || {
            let key = EpochKey::generate(&mut OsRng);
            let members = [own.recipient().clone()];
            let made = seal_keyring(&key, &subject, &members, &author);
            (key, made)
        })
        .await;
        let keyring::Keyring { file, seal } = made.map_err(|e| Error::invalid("keyring", e))?;
        Ok((key, pb::Keyring { epoch, file, seal: seal.to_vec() }))
    }

    pub(crate) fn keep_key(&self, environment: EnvironmentId, epoch: u32, key: &EpochKey) {
        self.inner().keys.put(environment, epoch, key.clone());
    }
}

fn keyring_reason(e: &KeyringError) -> IntegrityReason {
    match e {
        KeyringError::Seal(SealError::Digest) => IntegrityReason::KeyringInvalid,
        KeyringError::Seal(e) => (*e).into(),
        KeyringError::Lint(_) => IntegrityReason::StanzaRefused,
        KeyringError::Header(_) => IntegrityReason::HeaderMismatch,
        _ => IntegrityReason::KeyringInvalid,
    }
}
