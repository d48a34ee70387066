//! Helping a service token to open a keyring that was wrapped for it. The server gives its part of the decryption, and a
//! leaf in the project's log; the other part is made by the token's holder (docs/spec/vault.md, section 13).
//!
//! What must never happen: help with a file that was not made for this token, environment and epoch, help after the key was
//! revoked or lost its place in the access list, or help that is in no log.

use std::sync::Arc;

use veilkey::{key::KeyRecord, partial::PARTIAL_LEN};
use veilsign::capability::Actions;
use veilvault::{
    access::Principal,
    seal::KeyringSeal,
    token_keyring::{TokenKeyring, TokenPlace},
};
use zeroize::Zeroizing;

use super::{
    GivenKeyring, ProjectAccess, Projects, error::ProjectsError, keyring::damaged, model::Environment,
    part::given, share::newest_list,
};
use crate::{
    audit::{
        Reads,
        model::{Kind, Line},
    },
    auth::{
        Caller,
        api_keys::{ApiKeys, ServerHalf, error::ApiKeyError},
    },
    clock::{Entropy, Rng},
    name::Name,
    store::StoreError,
};

/// Unlocks keyrings for service tokens.
pub struct Unlocking {
    projects: Arc<Projects>,
    api_keys: Arc<ApiKeys>,
    reads: Reads,
    entropy: Arc<dyn Entropy>,
}

/// A keyring with the server's part of opening it.
pub struct Unlocked {
    /// The keyring that was added for the token.
    pub given: GivenKeyring,
    /// The server's partial decryption, for this request only.
    pub partial: Zeroizing<[u8; PARTIAL_LEN]>,
}

/// Why nothing was unlocked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// The caller is no service token.
    #[error(transparent)]
    Key(#[from] ApiKeyError),
    /// The environment, or the keyring.
    #[error(transparent)]
    Projects(#[from] ProjectsError),
}

impl From<StoreError> for UnlockError {
    fn from(error: StoreError) -> Self {
        Self::Projects(error.into())
    }
}

impl Unlocking {
    /// The service on what it needs.
    pub fn new(
        projects: Arc<Projects>,
        api_keys: Arc<ApiKeys>,
        reads: Reads,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { projects, api_keys, reads, entropy }
    }

    /// The calling token's keyring of an epoch, 0 for the current one, with the server's part of opening it. The nonce is
    /// the token's own: the answer is good for nothing else.
    pub async fn unlock(
        &self,
        caller: &Caller,
        access: &ProjectAccess,
        name: &Name,
        epoch: u32,
        nonce: &[u8; 32],
    ) -> Result<Unlocked, UnlockError> {
        if caller.api_key().is_none() {
            return Err(ApiKeyError::NoKey.into());
        }
        let (environment, epoch) = self.projects.epoch_of(access, name, epoch).await?;
        let half = self.api_keys.half(caller).await?;
        let given = self.projects.token_keyring(access, &environment, epoch, &half).await?;
        self.stanza(&environment, &given, &half)?;
        let line = self.projects.line_at(access, Kind::KeyUnlock, environment.id);
        let line = Line { version: u64::from(epoch), digest: Some(given.seal.digest), ..line };
        self.reads.record(line).await?;
        // What ended while the line was written is over: key, list and rights are looked up again, and the share that helps
        // is the one that is there after the line.
        let half = self.api_keys.half(caller).await?;
        let given = self.projects.token_keyring(access, &environment, epoch, &half).await?;
        let (keyring, record) = self.stanza(&environment, &given, &half)?;
        let partial = half.answer(&keyring, &record, nonce, &mut Rng(&*self.entropy))?;
        Ok(Unlocked { given, partial })
    }

    /// Only a stanza that verifies under what the server itself knows of its place is helped with.
    fn stanza(
        &self,
        environment: &Environment,
        given: &GivenKeyring,
        half: &ServerHalf<'_>,
    ) -> Result<(TokenKeyring, KeyRecord), UnlockError> {
        let epoch = given.keyring.epoch;
        let broken = |what: &str| damaged(environment.id, epoch, what);
        let whole = KeyringSeal::peek(&given.epoch_seal);
        let whole = whole.map_err(|error| broken(&format!("has a seal that is none: {error}")))?;
        let place = TokenPlace {
            project: environment.project,
            environment: environment.id,
            epoch,
            recipient: whole.recipient,
        };
        let record = half.record()?;
        let keyring = TokenKeyring::read(&given.keyring.file, &place, &record)
            .map_err(|error| broken(&format!("has a token's part that is none: {error}")))?;
        Ok((keyring, record))
    }
}

impl Projects {
    /// The part that was added for a token's key, while the newest list lets the token read the environment.
    async fn token_keyring(
        &self,
        access: &ProjectAccess,
        environment: &Environment,
        epoch: u32,
        half: &ServerHalf<'_>,
    ) -> Result<GivenKeyring, ProjectsError> {
        let principal = Principal::ApiKey(half.id());
        let rights = self.grants.rights(access.project(), access.actor()).await?;
        rights
            .filter(|rights| rights.actions.contains(Actions::PROJECT_READ))
            .ok_or(ProjectsError::Denied)?;
        let state = self.grants.access(access.project()).await?.ok_or(ProjectsError::Denied)?;
        let list = newest_list(access.project(), &state)?;
        if !list.is_some_and(|list| list.reads(principal, environment.id)) {
            return Err(ProjectsError::KeyringNotAdded);
        }
        let part = self.keyrings.part(environment.id, epoch, principal, Some(half.digest())).await?;
        let part = part.ok_or(ProjectsError::KeyringNotAdded)?;
        given(environment.id, self.whole_keyring(environment, epoch).await?, Some(part))
    }
}
