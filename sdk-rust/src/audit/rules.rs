//! What an honest project's log looks like: versions dense and rising, epochs too, and reads of what was current. Pure:
//! entries in, deviations out.

use std::collections::BTreeMap;

use veilchain::entry::Entry;

use crate::log::kinds;

/// Most environments that are watched in one log, deleted ones included.
pub(super) const ENVIRONMENTS_MAX: usize = 100_000;
/// How long after a version was replaced a read may still name it: the read was under way when the write came.
pub(super) const STALE_GRACE_MS: u64 = 5_000;

/// A deviation: short name and sentence.
pub(super) type Deviation = (&'static str, String);

#[derive(Debug, Clone, Default)]
struct Place {
    version: u64,
    digest: Option<[u8; 32]>,
    /// When the current version replaced the one before.
    replaced_at_ms: u64,
    /// 0: the log tells of no key of it yet.
    epoch: u64,
    /// Its creation is in the log, so everything after it must be, too.
    is_whole: bool,
    deleted: bool,
}

/// The state of a log's environments at some place in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    places: BTreeMap<[u8; 16], Place>,
    is_full: bool,
}

impl Rules {
    /// Takes the next entry of the log; says what is wrong with it.
    pub(super) fn take(&mut self, entry: &Entry) -> Vec<Deviation> {
        let Some(subject) = entry.subject else { return Vec::new() };
        if self.places.len() >= ENVIRONMENTS_MAX && !self.places.contains_key(&subject) {
            let told = std::mem::replace(&mut self.is_full, true);
            let full = format!("more than {ENVIRONMENTS_MAX} environments: the others are not watched");
            return if told { Vec::new() } else { vec![("too-many", full)] };
        }
        let is_new = !self.places.contains_key(&subject);
        let place = self.places.entry(subject).or_default();
        let number = entry.number.unwrap_or_default();
        let mut wrong = Vec::new();
        if place.deleted {
            wrong.push(("after-delete", "the environment was deleted before".to_owned()));
        }
        match entry.kind {
            kinds::ENV_CREATE | kinds::ENV_CLONE => {
                if !is_new {
                    wrong.push(("created-twice", "the environment was there before".to_owned()));
                }
                (place.is_whole, place.epoch) = (true, 1);
            }
            kinds::ENV_DELETE => place.deleted = true,
            kinds::KEY_ROTATE => wrong.extend(place.rotate(number)),
            kinds::BLOB_PUT => wrong.extend(place.put(number, entry)),
            kinds::BLOB_DELETE => wrong.extend(place.names_current("blob.delete", number, entry)),
            kinds::BLOB_READ => wrong.extend(place.read(number, entry)),
            _ => {}
        }
        wrong
    }
}

impl Place {
    fn rotate(&mut self, epoch: u64) -> Option<Deviation> {
        // The creation of an older environment may lie before the log; what follows it does not.
        let fits = if self.epoch == 0 { epoch > 1 } else { epoch == self.epoch + 1 };
        let before = self.epoch;
        self.epoch = self.epoch.max(epoch);
        (!fits).then(|| ("epoch", format!("epoch {epoch} comes after epoch {before}")))
    }

    fn put(&mut self, version: u64, entry: &Entry) -> Option<Deviation> {
        let before = self.version;
        let unseen = before == 0 && !self.is_whole;
        let fits = if unseen { version > 0 } else { version == before + 1 };
        if version > before {
            (self.version, self.digest, self.replaced_at_ms) = (version, entry.digest, entry.at_ms);
        }
        (!fits).then(|| ("version", format!("version {version} comes after version {before}")))
    }

    fn read(&self, version: u64, entry: &Entry) -> Option<Deviation> {
        let unseen = self.version == 0 && !self.is_whole;
        if unseen {
            return None;
        }
        if version > self.version {
            return Some(("unknown-version", format!("version {version} was read and never written")));
        }
        if version == self.version {
            return self.names_current("blob.read", version, entry);
        }
        let is_late =
            version + 1 == self.version && entry.at_ms <= self.replaced_at_ms.saturating_add(STALE_GRACE_MS);
        let fits = entry.by_number || is_late;
        let stale = || format!("version {version} was given out as the newest, which is {}", self.version);
        (!fits).then(|| ("stale-read", stale()))
    }

    fn names_current(&self, what: &str, version: u64, entry: &Entry) -> Option<Deviation> {
        let unseen = self.version == 0 && !self.is_whole;
        let fits = unseen || (version == self.version && entry.digest == self.digest);
        let other =
            || format!("{what} names another version, or other content, than the current {}", self.version);
        (!fits).then(|| ("content", other()))
    }
}

#[cfg(test)]
mod tests;
