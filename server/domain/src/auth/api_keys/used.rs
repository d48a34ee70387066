//! When keys were last used: kept in memory and written in batches, at most once a minute for each key. What is lost with
//! the process is the last minute.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use veilcore::id::ApiKeyId;

use super::ApiKeys;
use crate::store::StoreError;

/// How long uses are gathered, in milliseconds.
pub const GATHER_MS: u64 = 60_000;
/// Most keys whose use is gathered; when there are more, what there is is written first.
const GATHERED_MAX: usize = 4096;

#[derive(Default)]
pub(super) struct Used(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    at_ms: HashMap<ApiKeyId, u64>,
    since_ms: Option<u64>,
}

impl Used {
    /// Notes a use; gives what is due to be written.
    fn note(&self, id: ApiKeyId, now_ms: u64) -> Option<Vec<(ApiKeyId, u64)>> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.at_ms.insert(id, now_ms);
        let since_ms = *gathered.since_ms.get_or_insert(now_ms);
        // A clock that went back makes it due, never late for ever.
        let due = now_ms.abs_diff(since_ms) >= GATHER_MS || gathered.at_ms.len() >= GATHERED_MAX;
        due.then(|| gathered.drain())
    }

    fn take(&self) -> Vec<(ApiKeyId, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain()
    }
}

impl Gathered {
    fn drain(&mut self) -> Vec<(ApiKeyId, u64)> {
        self.since_ms = None;
        self.at_ms.drain().collect()
    }
}

impl ApiKeys {
    /// Notes that a key was used. Nobody waits for the writing, and a failure of it is no failure of the request.
    pub(super) fn note_used(&self, id: ApiKeyId, now_ms: u64) {
        let Some(due) = self.used.note(id, now_ms) else { return };
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.note_used(due).await {
                tracing::warn!(%error, "when API keys were last used could not be written");
            }
        });
    }

    /// Writes the uses that were gathered: before they are listed, and when the server stops.
    pub async fn flush_used(&self) -> Result<(), StoreError> {
        let gathered = self.used.take();
        if gathered.is_empty() { Ok(()) } else { self.store.note_used(gathered).await }
    }
}
