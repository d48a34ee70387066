//! The access lists' part of the pins: whose a project is, which list was the newest, and which keys its people have.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use veilcore::id::{AccountId, ProjectId};

use crate::error::IntegrityReason;

/// Most keys of people that are remembered for one project; beyond it they are looked up again.
const KEYS_MAX: usize = 512;

/// What was seen of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessPin {
    pub(crate) owner: AccountId,
    /// The key that the owner signs with; None while it was not needed.
    pub(crate) owner_key: Option<[u8; 32]>,
    /// The newest list, 0 for none.
    pub(crate) number: u64,
    /// Its digest; zeros for none.
    pub(crate) digest: [u8; 32],
    /// The newest list so far that took something from somebody, 0 for none: a key that was made for an older one is one of
    /// the past, whatever the server says.
    pub(crate) floor: u64,
    /// By the account and the digest that a list names for it: the signing key in that bundle. Somebody who is gone has
    /// still signed what he did.
    pub(crate) keys: BTreeMap<(AccountId, [u8; 32]), [u8; 32]>,
}

/// What was seen, of all projects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AccessPins(BTreeMap<ProjectId, AccessPin>);

/// The same as JSON.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct AccessRecord(BTreeMap<String, PinRecord>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinRecord {
    owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner_key: Option<String>,
    number: u64,
    digest: String,
    #[serde(default)]
    floor: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    keys: BTreeMap<String, String>,
}

impl AccessPin {
    pub(crate) fn of(owner: AccountId) -> Self {
        Self { owner, owner_key: None, number: 0, digest: [0; 32], floor: 0, keys: BTreeMap::new() }
    }
}

impl AccessRecord {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl AccessPins {
    pub(crate) fn get(&self, project: ProjectId) -> Option<&AccessPin> {
        self.0.get(&project)
    }

    /// Every project that was seen and not forgotten.
    pub(crate) fn projects(&self) -> impl Iterator<Item = ProjectId> {
        self.0.keys().copied()
    }

    pub(crate) fn forget(&mut self, project: ProjectId) -> bool {
        self.0.remove(&project).is_some()
    }

    /// Takes note of whose the project is, the first time; refuses that it is another's.
    pub(crate) fn own(&mut self, project: ProjectId, owner: AccountId) -> Result<bool, IntegrityReason> {
        match self.0.get(&project) {
            Some(pin) if pin.owner != owner => Err(IntegrityReason::OwnerChanged),
            Some(_) => Ok(false),
            None => {
                self.0.insert(project, AccessPin::of(owner));
                Ok(true)
            }
        }
    }

    /// Takes note of the owner's key, the first time.
    pub(crate) fn know_owner(
        &mut self,
        project: ProjectId,
        owner: AccountId,
        key: [u8; 32],
    ) -> Result<bool, IntegrityReason> {
        let changed = self.own(project, owner)?;
        let Some(pin) = self.0.get_mut(&project) else { return Ok(changed) };
        match pin.owner_key {
            Some(known) if known != key => Err(IntegrityReason::OwnerChanged),
            Some(_) => Ok(changed),
            None => {
                pin.owner_key = Some(key);
                Ok(true)
            }
        }
    }

    /// Takes note of the key in the account's bundle of this digest.
    pub(crate) fn know(
        &mut self,
        project: ProjectId,
        account: AccountId,
        digest: [u8; 32],
        key: [u8; 32],
    ) -> bool {
        let Some(pin) = self.0.get_mut(&project) else { return false };
        pin.keys.len() < KEYS_MAX && pin.keys.insert((account, digest), key).is_none()
    }

    /// Takes note of a newest list that was checked, and of the newest that took something. Another process may have noted a
    /// newer one already.
    pub(crate) fn advance(
        &mut self,
        project: ProjectId,
        owner: AccountId,
        (number, digest): (u64, [u8; 32]),
        floor: u64,
    ) -> Result<bool, IntegrityReason> {
        let changed = self.own(project, owner)?;
        let Some(pin) = self.0.get_mut(&project) else { return Ok(changed) };
        if number == pin.number && digest != pin.digest {
            return Err(IntegrityReason::Forked);
        }
        if number <= pin.number {
            return Ok(changed);
        }
        (pin.number, pin.digest, pin.floor) = (number, digest, floor.max(pin.floor));
        Ok(true)
    }

    pub(crate) fn record(&self) -> AccessRecord {
        let hex = |bytes: &[u8; 32]| HEXLOWER.encode(bytes);
        let pin = |(project, pin): (&ProjectId, &AccessPin)| {
            let record = PinRecord {
                owner: pin.owner.to_string(),
                owner_key: pin.owner_key.as_ref().map(hex),
                number: pin.number,
                digest: hex(&pin.digest),
                floor: pin.floor,
                keys: pin
                    .keys
                    .iter()
                    .map(|((who, of), key)| (format!("{who}/{}", hex(of)), hex(key)))
                    .collect(),
            };
            (project.to_string(), record)
        };
        AccessRecord(self.0.iter().map(pin).collect())
    }

    /// None for a record that is none.
    pub(crate) fn read(record: AccessRecord) -> Option<Self> {
        fn hex(text: &str) -> Option<[u8; 32]> {
            HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
        }
        let pin = |(project, pin): (String, PinRecord)| {
            let owner_key = match &pin.owner_key {
                Some(key) => Some(hex(key)?),
                None => None,
            };
            let keys = pin.keys.iter().map(|(place, key)| {
                let (account, digest) = place.split_once('/')?;
                Some(((account.parse().ok()?, hex(digest)?), hex(key)?))
            });
            let read = AccessPin {
                owner: pin.owner.parse().ok()?,
                owner_key,
                number: pin.number,
                digest: hex(&pin.digest)?,
                floor: pin.floor,
                keys: keys.collect::<Option<_>>()?,
            };
            Some((project.parse().ok()?, read))
        };
        record.0.into_iter().map(pin).collect::<Option<_>>().map(Self)
    }
}
