//! Reading keyrings, and handing an epoch's key on. A keyring is never changed; who joins later gets a part of their own,
//! with the same key inside. The server cannot see that it is the same: it holds the author to the public half that the
//! seal names, and the reader's client finds out.

use veilcore::id::EnvironmentId;
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
}

impl Projects {
    /// The keyring of an epoch, 0 for the current one: the caller's own part when there is one, else the one of the epoch.
    pub async fn keyring(
        &self,
        access: &ProjectAccess,
        name: &Name,
        epoch: u32,
    ) -> Result<GivenKeyring, ProjectsError> {
        let environment = self.environment_for(access, Actions::PROJECT_READ, name).await?;
        let epoch = if epoch == 0 { environment.epoch } else { epoch };
        if epoch > environment.epoch {
            return Err(ProjectsError::EpochStale { current: environment.epoch });
        }
        let part = self.part_for(access, environment.id, epoch).await?;
        let added = part.is_some();
        let keyring = match part {
            Some(part) => part,
            None => self.whole_keyring(&environment, epoch).await?,
        };
        let seal = seal_of(environment.id, &keyring)?;
        Ok(GivenKeyring { keyring, seal, added })
    }

    async fn part_for(
        &self,
        access: &ProjectAccess,
        environment: EnvironmentId,
        epoch: u32,
    ) -> Result<Option<Keyring>, ProjectsError> {
        for principal in access.principals() {
            let part = self.keyrings.part(environment, epoch, principal).await?;
            if part.is_some() {
                return Ok(part);
            }
        }
        Ok(None)
    }

    /// Adds an epoch's key for one principal of the newest list, or for the owner. It must be the key that the epoch's
    /// own keyring names.
    pub async fn add_keyring(
        &self,
        access: &ProjectAccess,
        name: &Name,
        principal: Principal,
        keyring: Keyring,
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
        let key = self.key_of(access, &state, principal).await?;
        let seal = self.check_keyring(access, environment.id, keyring.epoch, &keyring).await?;
        self.check_same_key(&environment, &seal).await?;
        let line = Line {
            version: u64::from(keyring.epoch),
            digest: Some(seal.digest),
            ..self.line_at(access, Kind::KeyringAdd, environment.id)
        };
        let part = KeyringPart { environment: environment.id, principal, key, keyring };
        let added = self.keyrings.add_part(part, line).await?;
        added.map_err(|refusal| refused(refusal, name))
    }

    /// The keys of somebody who may read the project, as the newest list names them; the owner needs no list.
    async fn key_of(
        &self,
        access: &ProjectAccess,
        state: &AccessState,
        principal: Principal,
    ) -> Result<[u8; 32], ProjectsError> {
        let refused = || ProjectsError::Keyring { check: "principal".to_owned() };
        if let Principal::Account(account) = principal {
            if account == access.owner() {
                let owner = self.directory.account(account).await?.ok_or_else(refused)?;
                return Ok(veilcore::hash::sha256(&owner.bundle));
            }
            // Listed is not enough: the share or the membership may have ended before anybody signed.
            let rights = self.grants.rights(access.project(), account).await?;
            rights.filter(|rights| rights.actions.contains(Actions::PROJECT_READ)).ok_or_else(refused)?;
        }
        let list = newest_list(access.project(), state)?;
        let reads = |list: &AccessList| list.actions_of(principal) & Actions::PROJECT_READ.bits() != 0;
        list.filter(reads).and_then(|list| list.key_of(principal)).ok_or_else(refused)
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

fn seal_of(environment: EnvironmentId, keyring: &Keyring) -> Result<KeyringSeal, ProjectsError> {
    let seal = KeyringSeal::peek(&keyring.seal);
    seal.map_err(|error| damaged(environment, keyring.epoch, &format!("has a seal that is none: {error}")))
}
