//! Handing the keys of a project on: an epoch's key, wrapped for one more account of the newest list. Done for everybody
//! who may be without it, so that what was interrupted is made good by doing it again.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use veilcloud_proto::projects::v1 as pb;
use veilcore::id::AccountId;
use veilvault::access::Principal;
use veilvault::identity::Identity;
use veilvault::keyring::{Keyring, KeyringSubject, seal_keyring};

use super::authors::READS;
use super::outcome::{Unfinished, noted};
use super::{Chain, Home};
use crate::client::Client;
use crate::directory::VerifiedKey;
use crate::environments::Environment;
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
    /// In the place of one that they have.
    replace: bool,
}

/// Whom keys are handed on to.
struct Parties {
    /// This account's own keys, for what somebody has added for it that does not hold its key.
    own: Option<VerifiedKey>,
    readers: Vec<VerifiedKey>,
    /// Also to who has them.
    again: bool,
}

impl Client {
    /// Hands the keys in use on to every reader of the newest list who was not given them when they were made; `again`: to all
    /// others, too, in the place of what they have. A keyring of this account's own that does not hold its key is replaced in
    /// any case. Gives how many were new to their readers.
    pub(super) async fn hand_on(
        &self,
        home: Home,
        environments: &[Environment],
        again: bool,
        progress: Option<&dyn Progress>,
        unfinished: &mut Vec<Unfinished>,
    ) -> Result<u64> {
        let session = self.fresh_session().await?;
        let chain = self.access(home).await?;
        let readers = self.parties(home, &chain, &session.identity, again).await;
        let Some(readers) = noted(readers, unfinished, |e| Unfinished::whole("hand-on", e))? else {
            return Ok(0);
        };
        let mut parts = Vec::new();
        for environment in environments {
            let missing = self.missing(&chain, environment, &readers, &session.identity).await;
            let missing = noted(missing, unfinished, |e| Unfinished::of(&environment.name, "hand-on", e))?;
            parts.extend(missing.unwrap_or_default());
        }
        if let Some(progress) = progress {
            progress.start(parts.len() as u64);
        }
        let identity = &session.identity;
        let number = chain.number();
        let sent = stream::iter(parts).map(|part| async move {
            let name = part.environment.name.clone();
            let is_new = self.add_part(home, part, number, identity).await;
            if let Some(progress) = progress {
                progress.advance(1);
            }
            (name, is_new)
        });
        let mut sent = sent.buffer_unordered(PARALLEL);
        let mut added = 0;
        while let Some((name, is_new)) = sent.next().await {
            let is_new = noted(is_new, unfinished, |e| Unfinished::of(&name, "hand-on", e))?;
            added += u64::from(is_new == Some(true));
        }
        if let Some(progress) = progress {
            progress.finish();
        }
        Ok(added + self.hand_on_to_tokens(&chain, environments, again, unfinished).await?)
    }

    async fn parties(&self, home: Home, chain: &Chain, identity: &Identity, again: bool) -> Result<Parties> {
        let readers = self.readers(home, chain, identity.account()).await?;
        Ok(Parties { own: Some(self.own_key(identity).await?), readers, again })
    }

    /// What is missing of the keys in use of an environment.
    async fn missing(
        &self,
        chain: &Chain,
        environment: &Environment,
        readers: &Parties,
        identity: &Identity,
    ) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        let epochs = match self.epochs_in_use(chain.home, environment).await {
            // Somebody has just deleted it.
            Err(e) if e.is("ENVIRONMENT_NOT_FOUND") => return Ok(parts),
            epochs => epochs?,
        };
        for epoch in epochs {
            parts.extend(self.parts(chain, environment, epoch, readers, identity).await?);
        }
        Ok(parts)
    }

    /// The current epoch, and that of the newest version where it is older.
    pub(super) async fn epochs_in_use(&self, home: Home, environment: &Environment) -> Result<BTreeSet<u32>> {
        let mut epochs = BTreeSet::from([environment.epoch]);
        if environment.version > 0 && environment.epoch > 1 {
            epochs.extend(Storage::new(self.clone()).newest_epoch(home, &environment.name).await?);
        }
        Ok(epochs)
    }

    /// What is missing of one key, as far as it can be told.
    async fn parts(
        &self,
        chain: &Chain,
        environment: &Environment,
        epoch: u32,
        Parties { own, readers, again }: &Parties,
        identity: &Identity,
    ) -> Result<Vec<Part>> {
        let home = chain.home;
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
            let list = made_for.and_then(|number| chain.lists.get(&number)).filter(|_| !again);
            let Some(list) = list else { return false };
            let principal = Principal::Account(reader.account_id());
            list.actions_of(principal) & READS != 0 && list.key_of(principal) == Some(*reader.digest())
        };
        let missing = readers
            .iter()
            .filter(|reader| reader.account_id() != home.owner || *again || known.list.is_none())
            .filter(|reader| !given(reader));
        let part = |reader: &VerifiedKey| Part {
            environment: environment.clone(),
            epoch,
            known: known.clone(),
            reader: reader.clone(),
            replace: *again,
        };
        let mut parts: Vec<_> = missing.map(part).collect();
        let bad = own.iter().filter(|_| known.has_bad_part);
        parts.extend(bad.map(|own| Part { replace: true, ..part(own) }));
        Ok(parts)
    }

    /// Whether it was new.
    async fn add_part(&self, home: Home, part: Part, list: u64, identity: &Identity) -> Result<bool> {
        let Part { environment, epoch, known, reader, replace } = part;
        let account: AccountId = reader.account_id();
        let subject = KeyringSubject {
            project: home.project,
            environment: environment.id,
            epoch,
            access_list: list,
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
            replace,
        };
        let added: Result<pb::AddKeyringResponse> = self.call(&rpc::ADD_KEYRING, &request).await;
        match added {
            // Who replaces what was his own finds it from now on.
            Ok(_) if replace => {
                self.inner().keys.forget((home.project, environment.id, epoch));
                Ok(true)
            }
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
}
