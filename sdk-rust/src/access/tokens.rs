//! API keys in the lists: which of them are alive, and an epoch's key wrapped for the ones that have a key of their own.
//! What must never happen: a key wrapped to a record that no list names, or for an environment that an entry leaves out.

use rand_core::OsRng;
use veilcloud_proto::projects::v1 as pb;
use veilcore::id::{AccountId, ApiKeyId};
use veilkey::key::KeyRecord;
use veilvault::access::{AccessEntry, Principal};
use veilvault::epoch::EpochKey;
use veilvault::identity::Identity;
use veilvault::keyring::{Keyring, KeyringSubject};
use veilvault::token;
use veilvault::token_keyring::seal_token_keyring;

use super::outcome::{Unfinished, noted};
use super::{Chain, Home};
use crate::client::Client;
use crate::environments::Environment;
use crate::error::{Error, Result};
use crate::times;
use crate::transport::{blocking, rpc};

/// An API key of a list, with the record that the list names.
#[derive(Clone)]
pub(super) struct TokenReader {
    id: ApiKeyId,
    record: KeyRecord,
    entry: AccessEntry,
}

impl Client {
    /// The API keys of the newest list that are good now, as the server says. Asks nothing when the list names none.
    async fn token_readers(&self, chain: &Chain) -> Result<Vec<TokenReader>> {
        let entries = chain.newest().map_or(&[][..], |list| &list.entries[..]);
        let is_key = |entry: &&AccessEntry| matches!(entry.principal, Principal::ApiKey(_));
        if !entries.iter().any(|entry| is_key(&entry)) {
            return Ok(Vec::new());
        }
        let request =
            pb::GetAccessListRequest { project_id: chain.home.project.to_string(), number: chain.number };
        let answer: pb::GetAccessListResponse = self.call(&rpc::GET_ACCESS_LIST, &request).await?;
        let mut readers = Vec::new();
        for entry in entries.iter().filter(is_key) {
            let Principal::ApiKey(id) = entry.principal else { continue };
            let shown = answer.api_keys.iter().filter(|shown| shown.api_key_id == id.to_string());
            let records = shown.filter_map(|shown| KeyRecord::parse(&shown.key_record).ok());
            // Whatever is shown: the record is the one that the list names, or the key is passed over.
            let meant = |record: &KeyRecord| {
                record.fingerprint() == entry.key && token::place_of(record).is_ok_and(|(of, _)| of == id)
            };
            readers.extend(records.into_iter().find(meant).map(|record| TokenReader {
                id,
                record,
                entry: entry.clone(),
            }));
        }
        Ok(readers)
    }

    /// Drops the API keys from the entries of the next list that the newest one names and that are over: the server takes no
    /// list that names one. That they are over is its word, and it could refuse them anyway.
    pub(super) async fn drop_dead_keys(&self, newest: &Chain, next: &mut Vec<AccessEntry>) -> Result<()> {
        let alive = self.token_readers(newest).await?;
        let named = newest.newest().map_or(&[][..], |list| &list.entries[..]);
        next.retain(|entry| {
            let stays = named.contains(entry) && matches!(entry.principal, Principal::ApiKey(_));
            !stays || alive.iter().any(|reader| reader.entry == *entry)
        });
        Ok(())
    }

    /// Hands the keys in use on to the API keys of the newest list that read the environment; `again`: also to who has them.
    /// Gives how many were new.
    pub(super) async fn hand_on_to_tokens(
        &self,
        chain: &Chain,
        environments: &[Environment],
        again: bool,
        unfinished: &mut Vec<Unfinished>,
    ) -> Result<u64> {
        let readers =
            noted(self.token_readers(chain).await, unfinished, |e| Unfinished::whole("hand-on", e))?;
        let readers = readers.unwrap_or_default();
        let mut added = 0;
        for environment in environments {
            let reading: Vec<_> =
                readers.iter().filter(|reader| reader.entry.reads(environment.id)).cloned().collect();
            if reading.is_empty() {
                continue;
            }
            let done = self.hand_on_one(chain, environment, &reading, again).await;
            let done = noted(done, unfinished, |e| Unfinished::of(&environment.name, "hand-on", e))?;
            added += done.unwrap_or_default();
        }
        Ok(added)
    }

    async fn hand_on_one(
        &self,
        chain: &Chain,
        environment: &Environment,
        readers: &[TokenReader],
        again: bool,
    ) -> Result<u64> {
        let (home, session) = (chain.home, self.fresh_session().await?);
        let mut added = 0;
        let epochs = match self.epochs_in_use(home, environment).await {
            Err(e) if e.is("ENVIRONMENT_NOT_FOUND") => return Ok(0),
            epochs => epochs?,
        };
        for epoch in epochs {
            let identity = &session.identity;
            let known = self.epoch_key(home, environment.id, &environment.name, epoch, identity).await?;
            for reader in readers {
                let place = (environment, epoch, chain.number);
                added += u64::from(
                    self.add_token_keyring(home, place, &known.key, reader, identity, again).await?,
                );
            }
        }
        Ok(added)
    }

    /// Gives the key of an epoch that was just begun to the API keys that read the environment. What fails here is made good
    /// by bringing the project in step.
    pub(crate) async fn give_to_tokens(&self, home: Home, environment: &Environment, key: &EpochKey) {
        if let Err(e) = self.try_give(home, environment, key).await {
            tracing::warn!(error = %e, "API keys were not given the new key of {}", environment.name);
        }
    }

    async fn try_give(&self, home: Home, environment: &Environment, key: &EpochKey) -> Result<()> {
        let chain = self.known_access(home).await?;
        let readers = self.token_readers(&chain).await?;
        let session = self.fresh_session().await?;
        for reader in readers.iter().filter(|reader| reader.entry.reads(environment.id)) {
            let place = (environment, environment.epoch, chain.number);
            self.add_token_keyring(home, place, key, reader, &session.identity, false).await?;
        }
        Ok(())
    }

    /// Whether it was new.
    async fn add_token_keyring(
        &self,
        home: Home,
        (environment, epoch, access_list): (&Environment, u32, u64),
        key: &EpochKey,
        reader: &TokenReader,
        author: &Identity,
        replace: bool,
    ) -> Result<bool> {
        let subject = KeyringSubject {
            project: home.project,
            environment: environment.id,
            epoch,
            access_list,
            created_at_ms: self.now_ms(),
        };
        let (key, record, author) = (key.clone(), reader.record.clone(), author.clone());
        let made = blocking(move || seal_token_keyring(&key, &subject, &record, &author, &mut OsRng)).await;
        let Keyring { file, seal } = made.map_err(|e| Error::invalid("API key", e))?;
        let request = pb::AddKeyringRequest {
            project_id: home.project.to_string(),
            name: environment.name.clone(),
            account_id: String::new(),
            api_key_id: reader.id.to_string(),
            keyring: Some(pb::Keyring { epoch, file, seal: seal.to_vec(), access_list }),
            request_id: times::request_id(),
            replace,
        };
        let added: Result<pb::AddKeyringResponse> = self.call(&rpc::ADD_KEYRING, &request).await;
        match added {
            Ok(_) => Ok(true),
            Err(e) if e.is("KEYRING_EXISTS") => Ok(false),
            // It has just ended: it needs no key.
            Err(Error::Api(e))
                if e.reason == "KEYRING_INVALID"
                    && e.metadata.get("check").is_some_and(|c| c == "principal") =>
            {
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// Who owns the project, and the key that it signs with: what a token's holder is to believe first.
    pub(crate) async fn owner_of(&self, home: Home) -> Result<(AccountId, [u8; 32])> {
        Ok((home.owner, *self.owner_key(home).await?.as_bytes()))
    }
}
