//! Reading keyrings, and handing an epoch's key on. The keyring of an epoch is never changed; who joins later gets a part of
//! their own, with the same key inside. The server cannot see that it is the same: it holds the author to the public half that the
//! seal names, and the reader's client finds out.

use veilcore::id::{AccountId, ApiKeyId, EnvironmentId};
use veilkey::key::KeyRecord;
use veilsign::capability::Actions;
use veilvault::{
    access::{AccessList, Principal},
    seal::KeyringSeal,
};

use super::{
    ProjectAccess, Projects,
    access::{AccessState, KeyringPart},
    error::ProjectsError,
    keyring::{damaged, refused},
    model::{Environment, Keyring},
    share::newest_list,
};
use crate::{
    audit::model::{Kind, Line},
    name::Name,
    store::StoreError,
};

/// A keyring as it is given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenKeyring {
    /// The keyring.
    pub keyring: Keyring,
    /// What its seal says, as it was checked when it was stored.
    pub seal: KeyringSeal,
    /// Whether it was added for the caller alone.
    pub added: bool,
    /// The seal of the epoch's own keyring: who was given a part compares the two.
    pub epoch_seal: Vec<u8>,
    /// Whose seal that is.
    pub epoch_author: AccountId,
}

impl Projects {
    /// The keyring of an epoch, 0 for the current one: the caller's own part when there is one, else the one of the epoch.
    pub async fn keyring(
        &self,
        access: &ProjectAccess,
        name: &Name,
        epoch: u32,
    ) -> Result<GivenKeyring, ProjectsError> {
        let (environment, epoch) = self.epoch_of(access, name, epoch).await?;
        let whole = self.whole_keyring(&environment, epoch).await?;
        let part = match access.part_of() {
            Some((principal, key)) => self.keyrings.part(environment.id, epoch, principal, key).await?,
            None => None,
        };
        given(environment.id, whole, part)
    }

    /// The epoch's own keyring, whatever was added for the caller.
    pub async fn whole(
        &self,
        access: &ProjectAccess,
        name: &Name,
        epoch: u32,
    ) -> Result<GivenKeyring, ProjectsError> {
        let (environment, epoch) = self.epoch_of(access, name, epoch).await?;
        given(environment.id, self.whole_keyring(&environment, epoch).await?, None)
    }

    /// The environment, and an epoch that it had, 0 for the current one.
    pub(super) async fn epoch_of(
        &self,
        access: &ProjectAccess,
        name: &Name,
        epoch: u32,
    ) -> Result<(Environment, u32), ProjectsError> {
        let environment = self.environment_for(access, Actions::PROJECT_READ, name).await?;
        let epoch = if epoch == 0 { environment.epoch } else { epoch };
        if epoch > environment.epoch {
            return Err(ProjectsError::EpochStale { current: environment.epoch });
        }
        Ok((environment, epoch))
    }

    /// Adds an epoch's key for one principal of the newest list, or for the owner. It must be the key that the epoch's
    /// own keyring names. With `replaces` it takes the place of a part that these keys have: one that its author spoilt
    /// locks nobody out.
    pub async fn add_keyring(
        &self,
        access: &ProjectAccess,
        name: &Name,
        principal: Principal,
        keyring: Keyring,
        replaces: bool,
    ) -> Result<(), ProjectsError> {
        let environment = self.environment_for(access, Actions::PROJECT_READ, name).await?;
        access.check_hands_on(name)?;
        if keyring.epoch == 0 || keyring.epoch > environment.epoch {
            return Err(ProjectsError::EpochStale { current: environment.epoch });
        }
        let state = self.grants.access(access.project()).await?.ok_or(ProjectsError::Denied)?;
        if keyring.access_list != state.number {
            return Err(ProjectsError::AccessListStale { current: state.number });
        }
        let key = self.key_of(access, &state, principal, environment.id).await?;
        let (seal, beside) = match principal {
            Principal::Account(_) => {
                (self.check_keyring(access, environment.id, keyring.epoch, &keyring).await?, None)
            }
            Principal::ApiKey(id) => {
                let (record, beside) = self.token_record(id, key).await?;
                (self.check_token_keyring(access, environment.id, &record, &keyring).await?, beside)
            }
        };
        self.check_same_key(&environment, &seal).await?;
        let line = Line {
            version: u64::from(keyring.epoch),
            digest: Some(seal.digest),
            ..self.line_at(access, Kind::KeyringAdd, environment.id)
        };
        let environment = environment.id;
        let part = KeyringPart { environment, principal, key, beside, keyring, replaces };
        let added = self.keyrings.add_part(part, line).await?;
        added.map_err(|refusal| refused(refusal, name))
    }

    /// The keys of somebody who may read the project, as the newest list names them; the owner needs no list.
    async fn key_of(
        &self,
        access: &ProjectAccess,
        state: &AccessState,
        principal: Principal,
        environment: EnvironmentId,
    ) -> Result<[u8; 32], ProjectsError> {
        if let Principal::Account(account) = principal {
            if account == access.owner() {
                let owner = self.directory.account(account).await?.ok_or_else(not_a_reader)?;
                return Ok(veilcore::hash::sha256(&owner.bundle));
            }
            // Listed is not enough: the share or the membership may have ended before anybody signed.
            let rights = self.grants.rights(access.project(), account).await?;
            rights
                .filter(|rights| rights.actions.contains(Actions::PROJECT_READ))
                .ok_or_else(not_a_reader)?;
        }
        let list = newest_list(access.project(), state)?;
        let reads = |list: &AccessList| list.reads(principal, environment);
        list.filter(reads).and_then(|list| list.key_of(principal)).ok_or_else(not_a_reader)
    }

    /// The record that the newest list names for an API key, if it is good now, and the digest of the other one in an
    /// overlap.
    async fn token_record(
        &self,
        id: ApiKeyId,
        digest: [u8; 32],
    ) -> Result<(KeyRecord, Option<[u8; 32]>), ProjectsError> {
        let now_ms = self.clock.now_ms();
        let key = self.api_keys.key(id).await?.ok_or_else(not_a_reader)?;
        let mut found = self.api_keys.records(vec![(id, digest)], now_ms).await?;
        let (_, record) = found.pop().ok_or_else(not_a_reader)?;
        let record = KeyRecord::parse(&record).map_err(|error| StoreError::Damaged {
            store: "api keys",
            cause: format!("record of API key {id}: {error}"),
        })?;
        Ok((record, key.digests(now_ms).find(|other| *other != digest)))
    }

    async fn check_same_key(
        &self,
        environment: &Environment,
        seal: &KeyringSeal,
    ) -> Result<(), ProjectsError> {
        let whole = self.whole_keyring(environment, seal.epoch).await?;
        if seal_of(environment.id, &whole)?.recipient == seal.recipient {
            Ok(())
        } else {
            Err(ProjectsError::Keyring { check: "recipient".to_owned() })
        }
    }
}

/// The principal may not have the key.
fn not_a_reader() -> ProjectsError {
    ProjectsError::Keyring { check: "principal".to_owned() }
}

/// What is given out: the part, when there is one.
pub(super) fn given(
    environment: EnvironmentId,
    whole: Keyring,
    part: Option<Keyring>,
) -> Result<GivenKeyring, ProjectsError> {
    let epoch_author = seal_of(environment, &whole)?.author;
    let (added, epoch_seal) = (part.is_some(), whole.seal.clone());
    let keyring = part.unwrap_or(whole);
    let seal = seal_of(environment, &keyring)?;
    Ok(GivenKeyring { keyring, seal, added, epoch_seal, epoch_author })
}

pub(super) fn seal_of(environment: EnvironmentId, keyring: &Keyring) -> Result<KeyringSeal, ProjectsError> {
    let seal = KeyringSeal::peek(&keyring.seal);
    seal.map_err(|error| damaged(environment, keyring.epoch, &format!("has a seal that is none: {error}")))
}
