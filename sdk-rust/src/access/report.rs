//! What somebody who was removed could open, and what the log says that he was given: the secrets that have to be changed at
//! their source. What must never happen: a report that leaves out what he could open because the server hid it, as far as
//! this machine or the project's log knows better.

use std::collections::{BTreeMap, BTreeSet};

use veilcore::id::{AccountId, EnvironmentId};
use veilvault::access::Principal;

use super::authors::READS;
use super::outcome::{Unfinished, noted};
use super::{Chain, Home};
use crate::audit::{Audit, AuditEvent};
use crate::client::Client;
use crate::environments::Environment;
use crate::error::{Error, IntegrityReason, Result};
use crate::storage::{Storage, VersionEpoch};

/// How the version that somebody could open is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExposureBasis {
    /// Its seal and its keyring were checked, and its place in the log.
    Seal,
    /// This machine has seen it before; the server does not show it, or shows something else.
    Pin,
    /// The project's log tells of it, and no more is known.
    Log,
    /// The server says so; what would show it failed its check.
    Server,
}

impl ExposureBasis {
    /// Short name: `seal`, `pin`, `log` or `server`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::Pin => "pin",
            Self::Log => "log",
            Self::Server => "server",
        }
    }
}

/// One environment of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exposure {
    /// Name of the environment; None for one that neither the server nor this machine can name.
    pub environment: Option<String>,
    /// Its id.
    pub environment_id: EnvironmentId,
    /// The newest version that was sealed to a key which they could have, and how that is known. Its content is unchanged
    /// until something else is put. None: there is none.
    pub could_open: Option<(u64, ExposureBasis)>,
    /// Whether the server shows it now.
    pub is_shown: bool,
    /// Whether the log says that it was deleted.
    pub is_deleted: bool,
    /// The versions whose bytes they were given, by the project's log. A server that wants to hide a read writes none.
    pub read: BTreeSet<u64>,
}

/// What people who were removed could open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExposureReport {
    /// Who they are.
    pub accounts: Vec<AccountId>,
    /// By environment: what the server shows, what this machine remembers, what the log tells of.
    pub environments: Vec<Exposure>,
    /// Whether the log was read: it takes `audit:read`. If not, `read` is empty whatever they read.
    pub is_log_read: bool,
}

/// What a log tells of one environment.
#[derive(Default)]
struct Logged {
    newest: u64,
    is_deleted: bool,
    read: BTreeSet<u64>,
}

impl Client {
    /// Asks everything that knows of the project's environments.
    pub(super) async fn exposure_of(
        &self,
        home: Home,
        accounts: &[AccountId],
        unfinished: &mut Vec<Unfinished>,
    ) -> Result<ExposureReport> {
        // Read before the server is asked: what is read now may move the pins on.
        let pins = self.pins().await?;
        let chain = self.access(home).await?;
        let mut places = BTreeMap::new();
        for environment in self.survey(home, unfinished).await? {
            let mut place = Exposure::unknown(environment.id);
            place.environment = Some(environment.name.clone());
            place.is_shown = true;
            let newest = self.newest_open(&chain, &environment, accounts).await;
            let newest = noted(newest, unfinished, |e| Unfinished::of(&environment.name, "exposure", e))?;
            match newest {
                Some(newest) => place.take(newest, ExposureBasis::Seal),
                None => {
                    place.take(pins.pin(environment.id).map(|pin| pin.version), ExposureBasis::Pin);
                    place.take(Some(environment.version), ExposureBasis::Server);
                }
            }
            places.insert(environment.id, place);
        }
        for (name, id) in pins.names_in(home.project) {
            let place = places.entry(id).or_insert_with(|| Exposure::unknown(id));
            if !place.is_shown {
                place.environment = Some(name);
                place.take(pins.pin(id).map(|pin| pin.version), ExposureBasis::Pin);
            }
        }
        let logged =
            noted(self.logged(home, accounts).await, unfinished, |e| Unfinished::whole("exposure", e))?;
        let logged = logged.flatten();
        let is_log_read = logged.is_some();
        for (id, logged) in logged.into_iter().flatten() {
            let place = places.entry(id).or_insert_with(|| Exposure::unknown(id));
            if !place.is_shown {
                place.take(Some(logged.newest), ExposureBasis::Log);
            }
            (place.is_deleted, place.read) = (logged.is_deleted, logged.read);
        }
        for place in places.values().filter(|place| is_log_read && !place.is_shown && !place.is_deleted) {
            let name = place.environment.clone().unwrap_or_else(|| place.environment_id.to_string());
            let hidden = format!("environment {name}, which is not deleted and is not shown");
            let error = home.refuse(IntegrityReason::RolledBack, hidden);
            unfinished.push(Unfinished::of(&name, "exposure", error));
        }
        let environments = places.into_values().collect();
        Ok(ExposureReport { accounts: accounts.to_vec(), environments, is_log_read })
    }

    /// The newest version of an environment that one of these accounts could have the key of, from checked seals; None when
    /// there is none.
    async fn newest_open(
        &self,
        chain: &Chain,
        environment: &Environment,
        accounts: &[AccountId],
    ) -> Result<Option<u64>> {
        let home = chain.home;
        let storage = Storage::new(self.clone());
        let Some(head) = storage.newest(home, &environment.name).await? else { return Ok(None) };
        if self.could_have(chain, environment, head.epoch, accounts).await? {
            return Ok(Some(head.version));
        }
        // The content may be the same as that of a version below, which was sealed to a key that they could have.
        let mut closed = BTreeSet::from([head.epoch]);
        for VersionEpoch { version, epoch } in storage.all_versions(home, &environment.name).await? {
            if closed.contains(&epoch) {
                continue;
            }
            if self.could_have(chain, environment, epoch, accounts).await? {
                return Ok(Some(version));
            }
            closed.insert(epoch);
        }
        Ok(None)
    }

    /// Whether one of these accounts could have the key of an epoch: it made the key, or a list that was in force when the
    /// key was there let it read. Who cannot be ruled out could.
    async fn could_have(
        &self,
        chain: &Chain,
        environment: &Environment,
        epoch: u32,
        accounts: &[AccountId],
    ) -> Result<bool> {
        let session = self.fresh_session().await?;
        let known =
            self.epoch_key(chain.home, environment.id, &environment.name, epoch, &session.identity).await;
        let known = match known {
            Ok(known) => known,
            Err(Error::Integrity { reason: IntegrityReason::KeyNotGiven, .. }) => return Ok(true),
            Err(e) => return Err(e),
        };
        if accounts.contains(&known.author) {
            return Ok(true);
        }
        let Some(made_for) = known.list.filter(|number| *number <= chain.number()) else { return Ok(true) };
        let mut chain = chain.clone();
        for number in (made_for.max(1)..=chain.number()).rev() {
            if !chain.lists.contains_key(&number) {
                self.list_below(&mut chain, number).await?;
            }
            let list = chain.lists.get(&number);
            let reads = |account: &AccountId| {
                list.is_none_or(|list| list.actions_of(Principal::Account(*account)) & READS != 0)
            };
            if accounts.iter().any(reads) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the project's log tells of its environments; None when it is not open to this account.
    async fn logged(
        &self,
        home: Home,
        accounts: &[AccountId],
    ) -> Result<Option<BTreeMap<EnvironmentId, Logged>>> {
        let mut reader = match Audit::new(self.clone(), home.project).reader().await {
            Err(e) if e.is("PERMISSION_DENIED") => return Ok(None),
            reader => reader?,
        };
        let mut logged = BTreeMap::new();
        while let Some(events) = reader.next().await? {
            for event in &events {
                note(&mut logged, event, accounts);
            }
        }
        Ok(Some(logged))
    }
}

fn note(logged: &mut BTreeMap<EnvironmentId, Logged>, event: &AuditEvent, accounts: &[AccountId]) {
    // Of other kinds the subject is a team or a key.
    let is_known = ["env.create", "env.clone", "env.delete", "blob.put", "blob.read"].contains(&&*event.kind);
    let Some(id) = event.environment_id.filter(|_| is_known) else { return };
    let place: &mut Logged = logged.entry(id).or_default();
    let version = event.version.unwrap_or_default();
    match event.kind.as_str() {
        "env.delete" => place.is_deleted = true,
        "blob.put" => place.newest = place.newest.max(version),
        "blob.read" if accounts.contains(&event.actor_id) => {
            place.read.insert(version);
        }
        _ => {}
    }
}

impl Exposure {
    fn unknown(environment_id: EnvironmentId) -> Self {
        Self {
            environment: None,
            environment_id,
            could_open: None,
            is_shown: false,
            is_deleted: false,
            read: BTreeSet::new(),
        }
    }

    /// Takes note of a version, if it is a newer one.
    fn take(&mut self, version: Option<u64>, basis: ExposureBasis) {
        let Some(version) = version.filter(|version| *version > 0) else { return };
        if self.could_open.is_none_or(|(known, _)| known < version) {
            self.could_open = Some((version, basis));
        }
    }
}
