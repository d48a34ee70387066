//! Pins: what this machine has seen of each environment. A server can serve any signed version it ever got; only
//! memory shows that it once showed a newer one. What must never happen: a pin that moves back.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use veilcore::id::{EnvironmentId, ProjectId};

use crate::client::Client;
use crate::environments::Environment;
use crate::error::{Error, IntegrityReason, Result};
use crate::state::{PINS_LEN_MAX, StateStore};
use crate::transport::blocking;

const VERSION: u32 = 1;

/// The newest that was seen of one environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) version: u64,
    pub(crate) digest: [u8; 32],
    pub(crate) epoch: u32,
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
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    environments: BTreeMap<String, PinRecord>,
    names: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinRecord {
    version: u64,
    digest: String,
    epoch: u32,
}

/// Entity tag of a version.
pub(crate) fn etag(version: u64, digest: &[u8; 32]) -> String {
    format!("\"v{version}-{}\"", BASE32_NOPAD.encode(&digest[..15]).to_ascii_lowercase())
}

impl Pins {
    pub(crate) fn pin(&self, environment: EnvironmentId) -> Option<Pin> {
        self.environments.get(&environment).copied()
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
            (pin.version, pin.digest) = (seen.version, seen.digest);
        }
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
            (id.to_string(), PinRecord { version: pin.version, digest, epoch: pin.epoch })
        });
        let record = Record {
            version: VERSION,
            environments: pins.collect(),
            names: self.names.iter().map(|(name, id)| (name.clone(), id.to_string())).collect(),
        };
        serde_json::to_string(&record).expect("strings and numbers are always JSON")
    }

    fn decode(text: &str) -> Option<Self> {
        let record: Record = serde_json::from_str(text).ok()?;
        if record.version != VERSION {
            return None;
        }
        let pin = |(id, pin): (String, PinRecord)| {
            let digest = HEXLOWER.decode(pin.digest.as_bytes()).ok()?.try_into().ok()?;
            Some((id.parse().ok()?, Pin { version: pin.version, digest, epoch: pin.epoch }))
        };
        let name = |(name, id): (String, String)| Some((name, id.parse().ok()?));
        Some(Self {
            environments: record.environments.into_iter().map(pin).collect::<Option<_>>()?,
            names: record.names.into_iter().map(name).collect::<Option<_>>()?,
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

    /// Takes note of where a name leads, the first time.
    pub(crate) async fn pin_name(&self, project: ProjectId, name: &str, id: EnvironmentId) -> Result<()> {
        let key = name_key(project, name);
        if self.pins().await?.names.contains_key(&key) {
            return Ok(());
        }
        self.change_pins(move |pins| Ok(pins.names.insert(key, id) != Some(id))).await
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

    /// Forgets the environments of a project.
    pub(crate) async fn forget_project(&self, project: ProjectId) -> Result<()> {
        let prefix = name_key(project, "");
        self.change_pins(move |pins| {
            let names: Vec<String> =
                pins.names.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
            Ok(names.iter().filter(|key| pins.forget_name(key)).count() > 0)
        })
        .await
    }

    /// Changes the pins under the store's lock, starting from what is stored now.
    async fn change_pins(
        &self,
        change: impl FnOnce(&mut Pins) -> Result<bool> + Send + 'static,
    ) -> Result<()> {
        let state = Arc::clone(&self.inner().state);
        blocking(move || {
            let _guard = state.lock().map_err(Error::local("lock the state"))?;
            let mut pins = Pins::load(&*state)?;
            if change(&mut pins)? { pins.save(&*state) } else { Ok(()) }
        })
        .await
    }
}

#[cfg(test)]
mod tests;
