//! Bearers that were good here a while ago. Any other one may be a guess: whoever shows it pays before anything is looked
//! up for it, and few of them are looked up at a time, so that guessing costs the guesser and not those who have keys.

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use veilcore::{hash::sha256, id::ApiKeyId};
use veilsign::api_key;

use super::ApiKeys;

/// Most bearers that are remembered, about 100 bytes each.
const KNOWN_MAX: usize = 16_384;
/// Most bearers that are looked up at a time without having been good here before.
const LOOKUPS_MAX: usize = 16;

pub(super) struct Known {
    good: Cache<[u8; 32], ()>,
    pub(super) lookups: Semaphore,
}

impl Default for Known {
    fn default() -> Self {
        Self { good: Cache::new(KNOWN_MAX), lookups: Semaphore::new(LOOKUPS_MAX) }
    }
}

impl Known {
    pub(super) fn is_good(&self, id: ApiKeyId, secret_hash: &[u8; 32]) -> bool {
        self.good.get(&place(id, secret_hash)).is_some()
    }

    pub(super) fn note(&self, id: ApiKeyId, secret_hash: &[u8; 32], good: bool) {
        let place = place(id, secret_hash);
        if good {
            self.good.insert(place, ());
        } else {
            self.good.remove(&place);
        }
    }
}

/// Not the hash of the secret itself, which a key is registered with.
fn place(id: ApiKeyId, secret_hash: &[u8; 32]) -> [u8; 32] {
    let mut bytes = [0; 48];
    bytes[..16].copy_from_slice(id.as_bytes());
    bytes[16..].copy_from_slice(secret_hash);
    sha256(&bytes)
}

impl ApiKeys {
    /// Whether exactly this bearer was good when it was last shown here: no guess then. Looks nothing up.
    pub fn knows(&self, bearer: &str) -> bool {
        api_key::ApiKey::parse(bearer).is_ok_and(|shown| self.known.is_good(shown.id(), &shown.hash()))
    }
}
