//! Capabilities whose signatures were checked a moment ago, by the hash of their exact bytes. It spares the same
//! Ed25519 checks on every request of a session; whether the capability still counts is asked anew each time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use veilsign::capability::Verified;

/// Most capabilities remembered.
const ENTRIES_MAX: usize = 8192;
/// How long one is remembered, in milliseconds.
const REMEMBER_MS: u64 = 60_000;

#[derive(Default)]
pub(super) struct VerifiedCache {
    entries: Mutex<HashMap<[u8; 32], Entry>>,
}

struct Entry {
    verified: Arc<Verified>,
    checked_at_ms: u64,
}

impl VerifiedCache {
    pub(super) fn get(&self, cap_hash: &[u8; 32], now_ms: u64) -> Option<Arc<Verified>> {
        let entries = self.lock();
        let entry = entries.get(cap_hash)?;
        fresh(entry, now_ms).then(|| entry.verified.clone())
    }

    pub(super) fn put(&self, verified: Arc<Verified>, now_ms: u64) {
        let mut entries = self.lock();
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| fresh(entry, now_ms));
        }
        // Still full of fresh ones: forget them all rather than search for the oldest on every request.
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(*verified.cap_hash(), Entry { verified, checked_at_ms: now_ms });
    }

    // A panic while the map was held leaves at worst a missing entry, which is checked again.
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// A clock that went back makes an entry old, never young for ever.
fn fresh(entry: &Entry, now_ms: u64) -> bool {
    now_ms.abs_diff(entry.checked_at_ms) < REMEMBER_MS
}
