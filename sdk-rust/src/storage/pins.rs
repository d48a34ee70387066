//! Pins: what this machine has seen of each project and environment. A server can serve any signed version it ever got; only
//! memory shows that it once showed a newer one. What was seen of the logs is in [`crate::log`]'s part. What must never happen: a pin that moves back.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use veilcore::id::{AccountId, EnvironmentId, ProjectId};

use crate::access::{AccessPins, AccessRecord, Home};
use crate::client::Client;
use crate::environments::Environment;
use crate::error::{Error, IntegrityReason, Result};
use crate::log::{LogId, LogPins, LogRecord};
use crate::state::{PINS_LEN_MAX, StateStore};
use crate::transport::blocking;

/// Version 1 knew nothing of logs and is still read.
const VERSION: u32 = 2;
const VERSION_MIN: u32 = 1;

/// The newest that was seen of one environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin {
    /// 0: an epoch was seen, and no version yet.
    pub(crate) version: u64,
    pub(crate) digest: [u8; 32],
    pub(crate) epoch: u32,
    /// This machine deleted the bytes of this version.
    pub(crate) deleted: bool,
}

impl Pin {
    /// What is seen of an environment without a version; version 1 names this digest as its parent.
    pub(crate) const NO_VERSION: Self = Self { version: 0, digest: [0; 32], epoch: 0, deleted: false };

    /// Whether it was this machine that deleted the bytes of the version shown.
    pub(crate) fn deleted_here(&self, shown: &Self) -> bool {
        self.deleted && self.version == shown.version && self.digest == shown.digest
    }
}

/// How a version that is shown as the newest relates to the pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// Nothing was seen before, or exactly this, or its parent.
    Fits,
    /// Newer by more than one: the versions between must be seen to lead back to this one.
    Ahead(Pin),
}

/// What was seen, of all environments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pins {
    environments: BTreeMap<EnvironmentId, Pin>,
    names: BTreeMap<String, EnvironmentId>,
    /// By account and name: a state directory may see another login.
    projects: BTreeMap<String, ProjectId>,
    /// What was seen of the server's logs.
    pub(crate) logs: LogPins,
    /// Whose the projects are, and who is in them.
    pub(crate) access: AccessPins,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    environments: BTreeMap<String, PinRecord>,
    names: BTreeMap<String, String>,
    #[serde(default)]
    projects: BTreeMap<String, String>,
    #[serde(default)]
    logs: LogRecord,
    #[serde(default, skip_serializing_if = "AccessRecord::is_empty")]
    access: AccessRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinRecord {
    version: u64,
    digest: String,
    epoch: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

/// Entity tag of a version.
pub(crate) fn etag(version: u64, digest: &[u8; 32]) -> String {
    format!("\"v{version}-{}\"", BASE32_NOPAD.encode(&digest[..15]).to_ascii_lowercase())
}

impl Pins {
    pub(crate) fn pin(&self, environment: EnvironmentId) -> Option<Pin> {
        self.environments.get(&environment).copied()
    }

    /// The environment that a name is known to lead to.
    pub(crate) fn leads_to(&self, project: ProjectId, name: &str) -> Option<EnvironmentId> {
        self.names.get(&name_key(project, name)).copied()
    }

    /// The environments of a project that were seen, by name.
    pub(crate) fn names_in(&self, project: ProjectId) -> Vec<(String, EnvironmentId)> {
        let prefix = name_key(project, "");
        let of_project =
            |(key, id): (&String, &EnvironmentId)| Some((key.strip_prefix(&prefix)?.to_owned(), *id));
        self.names.iter().filter_map(of_project).collect()
    }

    /// Whether a name leads to another project than before.
    pub(crate) fn judge_project(
        &self,
        account: AccountId,
        name: &str,
        shown: ProjectId,
    ) -> Result<(), IntegrityReason> {
        match self.projects.get(&project_key(account, name)) {
            Some(known) if *known != shown => Err(IntegrityReason::WrongProject),
            _ => Ok(()),
        }
    }

    /// Whether a project belongs to another account than before.
    pub(crate) fn judge_owner(&self, project: ProjectId, owner: AccountId) -> Result<(), IntegrityReason> {
        match self.access.get(project) {
            Some(pin) if pin.owner != owner => Err(IntegrityReason::OwnerChanged),
            _ => Ok(()),
        }
    }

    /// Whether the server's description of an environment contradicts what was seen.
    pub(crate) fn judge_environment(&self, shown: &Environment) -> Result<(), IntegrityReason> {
        let key = name_key(shown.project_id, &shown.name);
        if self.names.get(&key).is_some_and(|id| *id != shown.id) {
            return Err(IntegrityReason::WrongEnvironment);
        }
        let Some(pin) = self.pin(shown.id) else { return Ok(()) };
        if shown.epoch < pin.epoch {
            return Err(IntegrityReason::EpochRolledBack);
        }
        if shown.version < pin.version {
            return Err(IntegrityReason::RolledBack);
        }
        let other_tag = |tag: &String| *tag != etag(pin.version, &pin.digest);
        if shown.version == pin.version && shown.etag.as_ref().is_some_and(other_tag) {
            return Err(IntegrityReason::Forked);
        }
        Ok(())
    }

    /// Whether a version that is shown as the newest contradicts what was seen.
    pub(crate) fn judge_head(
        &self,
        environment: EnvironmentId,
        shown: &Pin,
        parent: &[u8; 32],
    ) -> Result<Relation, IntegrityReason> {
        let Some(pin) = self.pin(environment) else { return Ok(Relation::Fits) };
        if shown.version < pin.version {
            return Err(IntegrityReason::RolledBack);
        }
        let forked = match shown.version - pin.version {
            0 => shown.digest != pin.digest,
            1 => *parent != pin.digest,
            _ => false,
        };
        if forked {
            return Err(IntegrityReason::Forked);
        }
        // Not judged by epoch: the pin's epoch is that of the last rotation seen, and a version may have been written
        // between the pinned one and the rotation. The environment's own epoch is judged instead.
        Ok(if shown.version - pin.version > 1 { Relation::Ahead(pin) } else { Relation::Fits })
    }

    /// Takes note. Says whether anything changed; another process may have noted more already.
    fn advance(&mut self, environment: EnvironmentId, seen: &Pin) -> Result<bool, IntegrityReason> {
        let Some(pin) = self.environments.get_mut(&environment) else {
            self.environments.insert(environment, *seen);
            return Ok(true);
        };
        if seen.version == pin.version && seen.digest != pin.digest {
            return Err(IntegrityReason::Forked);
        }
        let before = *pin;
        if seen.version > pin.version {
            (pin.version, pin.digest, pin.deleted) = (seen.version, seen.digest, false);
        }
        pin.deleted |= seen.deleted && seen.version == pin.version;
        pin.epoch = pin.epoch.max(seen.epoch);
        Ok(*pin != before)
    }

    fn forget_name(&mut self, key: &str) -> bool {
        let Some(id) = self.names.remove(key) else { return false };
        self.environments.remove(&id);
        true
    }

    fn encode(&self) -> String {
        let pins = self.environments.iter().map(|(id, pin)| {
            let digest = HEXLOWER.encode(&pin.digest);
            let (version, epoch, deleted) = (pin.version, pin.epoch, pin.deleted);
            (id.to_string(), PinRecord { version, digest, epoch, deleted })
        });
        let record = Record {
            version: VERSION,
            environments: pins.collect(),
            names: self.names.iter().map(|(name, id)| (name.clone(), id.to_string())).collect(),
            projects: self.projects.iter().map(|(name, id)| (name.clone(), id.to_string())).collect(),
            logs: self.logs.record(),
            access: self.access.record(),
        };
        serde_json::to_string(&record).expect("strings and numbers are always JSON")
    }

    fn decode(text: &str) -> Option<Self> {
        let record: Record = serde_json::from_str(text).ok()?;
        if !(VERSION_MIN..=VERSION).contains(&record.version) {
            return None;
        }
        let pin = |(id, pin): (String, PinRecord)| {
            let digest = HEXLOWER.decode(pin.digest.as_bytes()).ok()?.try_into().ok()?;
            let (version, epoch, deleted) = (pin.version, pin.epoch, pin.deleted);
            Some((id.parse().ok()?, Pin { version, digest, epoch, deleted }))
        };
        let name = |(name, id): (String, String)| Some((name, id.parse().ok()?));
        let project = |(name, id): (String, String)| Some((name, id.parse().ok()?));
        Some(Self {
            environments: record.environments.into_iter().map(pin).collect::<Option<_>>()?,
            names: record.names.into_iter().map(name).collect::<Option<_>>()?,
            projects: record.projects.into_iter().map(project).collect::<Option<_>>()?,
            logs: LogPins::read(record.logs)?,
            access: AccessPins::read(record.access)?,
        })
    }

    /// Reads the pins. Text that is none is an error, never an empty memory.
    fn load(store: &dyn StateStore) -> Result<Self> {
        let Some(text) = store.load_pins().map_err(Error::local("read the pins"))? else {
            return Ok(Self::default());
        };
        Self::decode(&text).ok_or_else(|| Error::Local {
            action: "read the pins".to_owned(),
            source: std::io::Error::new(std::io::ErrorKind::InvalidData, "not pins of this version"),
        })
    }

    fn save(&self, store: &dyn StateStore) -> Result<()> {
        let text = self.encode();
        if text.len() > PINS_LEN_MAX {
            return Err(Error::invalid("pins", format!("over {PINS_LEN_MAX} bytes: forget what is gone")));
        }
        store.save_pins(&text).map_err(Error::local("write the pins"))
    }
}

fn project_key(account: AccountId, name: &str) -> String {
    format!("{account}/{name}")
}

fn name_key(project: ProjectId, name: &str) -> String {
    format!("{project}/{name}")
}

impl Client {
    /// What was seen so far.
    pub(crate) async fn pins(&self) -> Result<Pins> {
        let state = Arc::clone(&self.inner().state);
        blocking(move || Pins::load(&*state)).await
    }

    /// Takes note of a version that was checked, or was just written.
    pub(crate) async fn pin_version(&self, environment: EnvironmentId, name: &str, seen: Pin) -> Result<()> {
        let subject = format!("environment {name}");
        self.change_pins(move |pins| {
            pins.advance(environment, &seen).map_err(|reason| Error::integrity(reason, subject))
        })
        .await
    }

    /// The same for what was read as the newest. False when another call noted a newer one meanwhile: what was read is not
    /// the newest any more, if it ever was.
    pub(crate) async fn pin_newest(&self, environment: EnvironmentId, name: &str, seen: Pin) -> Result<bool> {
        let subject = format!("environment {name}");
        self.change_pins_with(move |pins| {
            if pins.pin(environment).is_some_and(|pin| pin.version > seen.version) {
                return Ok((false, false));
            }
            let changed = pins.advance(environment, &seen);
            Ok((changed.map_err(|reason| Error::integrity(reason, subject))?, true))
        })
        .await
    }

    /// Takes note of the newest versions that a log tells of, in environments that were seen before: what is older is not
    /// the newest any more.
    pub(crate) async fn pin_logged(&self, newest: BTreeMap<EnvironmentId, (u64, [u8; 32])>) -> Result<()> {
        self.change_pins(move |pins| {
            let mut changed = false;
            for (id, (version, digest)) in newest {
                let Some(pin) = pins.pin(id).filter(|pin| pin.version <= version) else { continue };
                let seen = Pin { version, digest, epoch: pin.epoch, deleted: false };
                let advanced = pins.advance(id, &seen);
                changed |=
                    advanced.map_err(|reason| Error::integrity(reason, format!("environment {id}")))?;
            }
            Ok(changed)
        })
        .await
    }

    /// Takes note of where a name leads, the first time; refuses that it leads elsewhere. Decided under the lock: another
    /// process may have noted it since the pins were read.
    pub(crate) async fn pin_name(&self, project: ProjectId, name: &str, id: EnvironmentId) -> Result<()> {
        let (key, subject) = (name_key(project, name), format!("environment {name}"));
        self.change_pins(move |pins| match pins.names.get(&key) {
            Some(known) if *known != id => Err(Error::integrity(IntegrityReason::WrongEnvironment, subject)),
            Some(_) => Ok(false),
            None => {
                pins.names.insert(key, id);
                Ok(true)
            }
        })
        .await
    }

    /// Takes note of where a name leads from now on: this client has just made the environment.
    pub(crate) async fn repin_name(&self, project: ProjectId, name: &str, id: EnvironmentId) -> Result<()> {
        let key = name_key(project, name);
        self.change_pins(move |pins| {
            pins.forget_name(&key);
            pins.names.insert(key, id);
            Ok(true)
        })
        .await
    }

    /// Forgets an environment.
    pub(crate) async fn forget_name(&self, project: ProjectId, name: &str) -> Result<()> {
        let key = name_key(project, name);
        self.change_pins(move |pins| Ok(pins.forget_name(&key))).await
    }

    /// Takes note of where the name of a project leads, the first time; refuses that it leads elsewhere.
    pub(crate) async fn pin_project(&self, account: AccountId, name: &str, id: ProjectId) -> Result<()> {
        let (key, name) = (project_key(account, name), name.to_owned());
        self.change_pins(move |pins| {
            pins.judge_project(account, &name, id)
                .map_err(|reason| Error::integrity(reason, format!("project {name}")))?;
            Ok(pins.projects.insert(key, id) != Some(id))
        })
        .await
    }

    /// Takes note of whose a project is, the first time; refuses that it is another's.
    pub(crate) async fn pin_owner(&self, home: Home) -> Result<()> {
        self.change_pins(move |pins| {
            let noted = pins.access.own(home.project, home.owner);
            noted.map_err(|reason| Error::integrity(reason, format!("project {}", home.project)))
        })
        .await
    }

    /// Takes note of where the name of a project leads from now on: this client has just given it that name. `renamed`
    /// says that the project was there before; a new one that was seen before is an old one in disguise.
    pub(crate) async fn repin_project(
        &self,
        account: AccountId,
        name: &str,
        id: ProjectId,
        renamed: bool,
    ) -> Result<()> {
        let (key, subject) = (project_key(account, name), format!("project {name}"));
        self.change_pins(move |pins| {
            if !renamed && pins.projects.values().any(|known| *known == id) {
                return Err(Error::integrity(IntegrityReason::WrongProject, subject));
            }
            pins.projects.retain(|_, known| *known != id);
            pins.projects.insert(key, id);
            Ok(true)
        })
        .await
    }

    /// Forgets where the name of a project leads. What was seen of its environments stays: they are known by ids that no
    /// other project has.
    pub(crate) async fn forget_project_name(&self, account: AccountId, name: &str) -> Result<()> {
        let key = project_key(account, name);
        self.change_pins(move |pins| Ok(pins.projects.remove(&key).is_some())).await
    }

    /// Forgets a project and its environments.
    pub(crate) async fn forget_project(&self, project: ProjectId) -> Result<()> {
        let prefix = name_key(project, "");
        self.change_pins(move |pins| {
            let before = pins.projects.len();
            pins.projects.retain(|_, known| *known != project);
            let names: Vec<String> =
                pins.names.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
            let forgotten = names.iter().filter(|key| pins.forget_name(key)).count();
            let forgotten = forgotten + usize::from(pins.logs.forget(LogId::Project(project)));
            let forgotten = forgotten + usize::from(pins.access.forget(project));
            Ok(forgotten > 0 || pins.projects.len() < before)
        })
        .await
    }

    /// Changes the pins under the store's lock, starting from what is stored now.
    pub(crate) async fn change_pins(
        &self,
        change: impl FnOnce(&mut Pins) -> Result<bool> + Send + 'static,
    ) -> Result<()> {
        self.change_pins_with(move |pins| Ok((change(pins)?, ()))).await
    }

    /// The same for a change that has something to tell.
    pub(crate) async fn change_pins_with<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Pins) -> Result<(bool, T)> + Send + 'static,
    ) -> Result<T> {
        let state = Arc::clone(&self.inner().state);
        blocking(move || {
            let _guard = state.lock().map_err(Error::local("lock the state"))?;
            let mut pins = Pins::load(&*state)?;
            let (changed, told) = change(&mut pins)?;
            if changed {
                pins.save(&*state)?;
            }
            Ok(told)
        })
        .await
    }
}

#[cfg(test)]
mod tests;
