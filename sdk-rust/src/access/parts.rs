//! Handing the keys of a project on: an epoch's key, wrapped for one more account of the newest list. Done for everybody
//! who may be without it, so that what was interrupted is made good by doing it again.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use veilcloud_proto::projects::v1 as pb;
use veilcore::id::AccountId;
use veilvault::access::Principal;
use veilvault::identity::Identity;
use veilvault::keyring::{Keyring, KeyringSubject, seal_keyring};

use super::authors::READS;
use super::{Chain, Home};
use crate::client::Client;
use crate::directory::VerifiedKey;
use crate::environments::{Environment, Environments};
use crate::error::{Error, Result};
use crate::keys::KnownKey;
use crate::storage::{Progress, Storage};
use crate::times;
use crate::transport::{blocking, rpc};

/// Keys that are handed on at once.
const PARALLEL: usize = 8;

/// One key for one account.
struct Part {
    environment: Environment,
    epoch: u32,
    known: KnownKey,
    reader: VerifiedKey,
}

impl Client {
    /// Hands the keys in use on to every reader of the newest list who was not given them when they were made. Gives how
    /// many were new to their readers.
    pub(super) async fn hand_on(
        &self,
        home: Home,
        environments: &[Environment],
        progress: Option<&dyn Progress>,
    ) -> Result<u64> {
        let session = self.fresh_session().await?;
        let chain = self.access(home).await?;
        let readers = self.readers(home, &chain, session.account()).await?;
        let mut parts = Vec::new();
        for environment in environments {
            for epoch in self.epochs_in_use(home, environment).await? {
                parts
                    .extend(self.parts(home, &chain, environment, epoch, &readers, &session.identity).await?);
            }
        }
        if let Some(progress) = progress {
            progress.start(parts.len() as u64);
        }
        let identity = &session.identity;
        let number = chain.number();
        let sent = stream::iter(parts).map(|part| async move {
            let is_new = self.add_part(home, part, number, identity).await?;
            if let Some(progress) = progress {
                progress.advance(1);
            }
            Ok::<_, Error>(u64::from(is_new))
        });
        let added =
            sent.buffer_unordered(PARALLEL).try_fold(0, |sum, one| async move { Ok(sum + one) }).await?;
        if let Some(progress) = progress {
            progress.finish();
        }
        Ok(added)
    }

    /// The current epoch, and that of the newest version where it is older.
    async fn epochs_in_use(&self, home: Home, environment: &Environment) -> Result<BTreeSet<u32>> {
        let mut epochs = BTreeSet::from([environment.epoch]);
        if environment.version > 0 && environment.epoch > 1 {
            epochs.extend(Storage::new(self.clone()).newest_epoch(home, &environment.name).await?);
        }
        Ok(epochs)
    }

    /// What is missing of one key, as far as it can be told.
    async fn parts(
        &self,
        home: Home,
        chain: &Chain,
        environment: &Environment,
        epoch: u32,
        readers: &[VerifiedKey],
        identity: &Identity,
    ) -> Result<Vec<Part>> {
        let known = self.epoch_key(home, environment.id, &environment.name, epoch, identity).await?;
        let mut chain = chain.clone();
        let made_for = known.list.filter(|list| (1..=chain.number()).contains(list));
        if let Some(number) = made_for {
            for number in (number..chain.number()).rev() {
                if !chain.lists.contains_key(&number) {
                    self.list_below(&mut chain, number).await?;
                }
            }
        }
        let given = |reader: &VerifiedKey| {
            let Some(list) = made_for.and_then(|number| chain.lists.get(&number)) else { return false };
            let principal = Principal::Account(reader.account_id());
            list.actions_of(principal) & READS != 0 && list.key_of(principal) == Some(*reader.digest())
        };
        let missing =
            readers.iter().filter(|reader| reader.account_id() != home.owner || known.list.is_none());
        let part = |reader: &VerifiedKey| Part {
            environment: environment.clone(),
            epoch,
            known: known.clone(),
            reader: reader.clone(),
        };
        Ok(missing.filter(|reader| !given(reader)).map(part).collect())
    }

    /// Whether it was new.
    async fn add_part(&self, home: Home, part: Part, list: u64, identity: &Identity) -> Result<bool> {
        let Part { environment, epoch, known, reader } = part;
        let account: AccountId = reader.account_id();
        let subject = KeyringSubject {
            project: home.project,
            environment: environment.id,
            epoch,
            created_at_ms: self.now_ms(),
        };
        let (author, recipient) = (identity.clone(), reader.recipient().clone());
        let made = blocking(move || seal_keyring(&known.key, &subject, &[recipient], &author)).await;
        let Keyring { file, seal } = made.map_err(|e| Error::invalid("keyring", e))?;
        let request = pb::AddKeyringRequest {
            project_id: home.project.to_string(),
            name: environment.name,
            account_id: account.to_string(),
            api_key_id: String::new(),
            keyring: Some(pb::Keyring { epoch, file, seal: seal.to_vec(), access_list: list }),
            request_id: times::request_id(),
        };
        let added: Result<pb::AddKeyringResponse> = self.call(&rpc::ADD_KEYRING, &request).await;
        match added {
            Ok(_) => Ok(true),
            Err(e) if e.is("KEYRING_EXISTS") => Ok(false),
            // Listed, and not in the team any more: the server lets them read nothing, and needs no key for it.
            Err(Error::Api(e))
                if e.reason == "KEYRING_INVALID"
                    && e.metadata.get("check").is_some_and(|c| c == "principal") =>
            {
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// Gives every environment a new key, with its present content sealed to it.
    pub(super) async fn rotate_all(
        &self,
        home: Home,
        names: &[String],
        progress: Option<&dyn Progress>,
    ) -> Result<()> {
        if let Some(progress) = progress {
            progress.start(names.len() as u64);
        }
        let environments = Environments::new(self.clone(), home);
        for name in names {
            match environments.rotate(name).await {
                // Somebody else has just done it, or deleted the environment.
                Err(e) if !(e.is("EPOCH_STALE") || e.is("ENVIRONMENT_NOT_FOUND")) => return Err(e),
                _ => {}
            }
            if let Some(progress) = progress {
                progress.advance(1);
            }
        }
        if let Some(progress) = progress {
            progress.finish();
        }
        Ok(())
    }
}
