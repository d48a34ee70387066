//! The logs' part of the pins: the trust root, the newest head of each log, how far the directory was followed, and the
//! keys of its own that an account is known to have.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use veilchain::head::Head;
use veilchain::range::CompactRange;
use veilcore::id::AccountId;

use super::{LogId, Trust};

/// Most digests of own keys that are remembered for one account; beyond it the oldest goes.
const OWN_KEYS_MAX: usize = 16;

/// Most accounts of which the newest leaf is remembered; beyond it the one with the oldest leaf goes.
const SEEN_KEYS_MAX: usize = 4096;

/// The newest that was seen of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeadPin {
    pub(crate) head: Head,
    /// The signed checkpoint: with another one that contradicts it, evidence.
    pub(crate) note: String,
}

/// A leaf of the directory about this account that its owner has not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) account: AccountId,
    pub(crate) index: u64,
}

/// What was seen of the logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogPins {
    pub(crate) trust: Option<Trust>,
    heads: BTreeMap<String, HeadPin>,
    /// What of the directory has been read.
    pub(crate) followed: CompactRange,
    own: BTreeMap<AccountId, Vec<[u8; 32]>>,
    /// Accounts in whose name nothing may be published any more that their owner has not made here.
    watched: BTreeSet<AccountId>,
    alarms: BTreeMap<AccountId, u64>,
    /// The newest leaf of the directory that was seen about an account, and the generation of the keys it names.
    seen: BTreeMap<AccountId, (u64, u32)>,
}

/// The same as JSON.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    trust: Option<TrustRecord>,
    heads: BTreeMap<String, HeadRecord>,
    followed: RangeRecord,
    own: BTreeMap<String, Vec<String>>,
    watched: BTreeSet<String>,
    alarms: BTreeMap<String, u64>,
    seen: BTreeMap<String, (u64, u32)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustRecord {
    name: String,
    keys: Vec<String>,
    witnesses: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadRecord {
    size: u64,
    root: String,
    note: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeRecord {
    size: u64,
    edge: Vec<String>,
}

impl LogPins {
    /// The newest head of a log; empty while nothing was seen.
    pub(crate) fn head(&self, log: LogId) -> Head {
        self.heads.get(&log.to_string()).map_or(Head::EMPTY, |pin| pin.head)
    }

    /// The checkpoint of that head.
    pub(crate) fn note(&self, log: LogId) -> Option<&str> {
        self.heads.get(&log.to_string()).map(|pin| pin.note.as_str())
    }

    /// Moves a head. The caller has shown, under the store's lock, that the new one continues the old one.
    pub(crate) fn move_head(&mut self, log: LogId, to: HeadPin) {
        self.heads.insert(log.to_string(), to);
    }

    /// Forgets a log that is gone. Says whether there was one.
    pub(crate) fn forget(&mut self, log: LogId) -> bool {
        self.heads.remove(&log.to_string()).is_some()
    }

    /// Whether what is published in this account's name is judged, and no longer history.
    pub(crate) fn watches(&self, account: AccountId) -> bool {
        self.watched.contains(&account)
    }

    /// From here on it is. Says whether it was not before.
    pub(crate) fn watch(&mut self, account: AccountId) -> bool {
        self.watched.insert(account)
    }

    /// Whether a bundle with this digest is known to be the account's own.
    pub(crate) fn is_own(&self, account: AccountId, digest: &[u8; 32]) -> bool {
        self.own.get(&account).is_some_and(|known| known.contains(digest))
    }

    /// Takes note of an own bundle. Says whether it is new.
    pub(crate) fn know_own(&mut self, account: AccountId, digest: [u8; 32]) -> bool {
        let known = self.own.entry(account).or_default();
        if known.contains(&digest) {
            return false;
        }
        if known.len() >= OWN_KEYS_MAX {
            known.remove(0);
        }
        known.push(digest);
        true
    }

    /// The unexpected leaf about this account that its owner has not acknowledged.
    pub(crate) fn alarm(&self, account: AccountId) -> Option<Alarm> {
        self.alarms.get(&account).map(|index| Alarm { account, index: *index })
    }

    /// Takes note of an unexpected leaf; the first one stays.
    pub(crate) fn raise(&mut self, alarm: Alarm) {
        self.alarms.entry(alarm.account).or_insert(alarm.index);
    }

    /// The owner has looked. Says whether there was something to look at.
    pub(crate) fn calm(&mut self, account: AccountId) -> bool {
        self.alarms.remove(&account).is_some()
    }

    /// Takes note of a leaf about an account. Says whether it is a new one; the index that was seen before, if leaf or
    /// generation are older than that.
    pub(crate) fn see_key(&mut self, account: AccountId, index: u64, generation: u32) -> Result<bool, u64> {
        match self.seen.get(&account) {
            Some((seen, newest)) if index < *seen || generation < *newest => return Err(*seen),
            Some(seen) if *seen == (index, generation) => return Ok(false),
            Some(_) => {}
            None if self.seen.len() >= SEEN_KEYS_MAX => {
                let oldest =
                    self.seen.iter().min_by_key(|(_, (index, _))| *index).map(|(account, _)| *account);
                oldest.map(|account| self.seen.remove(&account));
            }
            None => {}
        }
        self.seen.insert(account, (index, generation));
        Ok(true)
    }

    pub(crate) fn record(&self) -> LogRecord {
        let hex = |bytes: &[u8; 32]| HEXLOWER.encode(bytes);
        let head = |(log, pin): (&String, &HeadPin)| {
            let record =
                HeadRecord { size: pin.head.size, root: hex(&pin.head.root), note: pin.note.clone() };
            (log.clone(), record)
        };
        let own = |(account, digests): (&AccountId, &Vec<[u8; 32]>)| {
            (account.to_string(), digests.iter().map(hex).collect())
        };
        LogRecord {
            trust: self.trust.as_ref().map(|trust| TrustRecord {
                name: trust.name().to_owned(),
                keys: trust.keys().iter().map(hex).collect(),
                witnesses: trust.witness_text(),
            }),
            heads: self.heads.iter().map(head).collect(),
            followed: RangeRecord {
                size: self.followed.size(),
                edge: self.followed.edge().iter().map(hex).collect(),
            },
            own: self.own.iter().map(own).collect(),
            watched: self.watched.iter().map(AccountId::to_string).collect(),
            alarms: self.alarms.iter().map(|(account, index)| (account.to_string(), *index)).collect(),
            seen: self.seen.iter().map(|(account, seen)| (account.to_string(), *seen)).collect(),
        }
    }

    /// None for a record that is none.
    pub(crate) fn read(record: LogRecord) -> Option<Self> {
        let hex = |text: &String| HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok();
        let trust = match record.trust {
            Some(trust) => {
                let keys = trust.keys.iter().map(hex).collect::<Option<_>>()?;
                Some(Trust::new(&trust.name, keys, &trust.witnesses)?)
            }
            None => None,
        };
        let head = |(log, pin): (String, HeadRecord)| {
            let log = LogId::parse(&log)?.to_string();
            Some((log, HeadPin { head: Head { size: pin.size, root: hex(&pin.root)? }, note: pin.note }))
        };
        let own = |(account, digests): (String, Vec<String>)| {
            Some((account.parse().ok()?, digests.iter().map(hex).collect::<Option<_>>()?))
        };
        let edge = record.followed.edge.iter().map(hex).collect::<Option<Vec<[u8; 32]>>>()?;
        let alarm = |(account, index): (String, u64)| Some((account.parse().ok()?, index));
        let seen = |(account, seen): (String, (u64, u32))| Some((account.parse().ok()?, seen));
        Some(Self {
            trust,
            heads: record.heads.into_iter().map(head).collect::<Option<_>>()?,
            followed: CompactRange::from_edge(record.followed.size, &edge).ok()?,
            own: record.own.into_iter().map(own).collect::<Option<_>>()?,
            watched: record.watched.iter().map(|account| account.parse().ok()).collect::<Option<_>>()?,
            alarms: record.alarms.into_iter().map(alarm).collect::<Option<_>>()?,
            seen: record.seen.into_iter().map(seen).collect::<Option<_>>()?,
        })
    }
}
