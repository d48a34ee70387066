//! A sequencer over ports in a test: changes are answered as a server answers them, when their logs have them.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Ports, ScriptedClock};
use crate::{
    audit::{
        log::Log,
        model::{Event, Line, Trail},
        sequence::{BATCH_LEAVES, Parts, Sequencer},
        settled::Settled,
        signer::LogKeys,
    },
    store::StoreError,
};

/// Entries that one call of the store gives.
const ENTRIES_AT_ONCE: u64 = 256;

/// Keys of logs whose origins begin with `log.test`.
pub fn log_keys() -> Arc<LogKeys> {
    let keys = LogKeys::new("log.test".to_owned(), vec![Zeroizing::new([7; 32])]);
    Arc::new(keys.expect("the name of a test begins an origin"))
}

impl Ports {
    /// The same ports, answering changes when their logs have them. A task of the current runtime runs the sequencer,
    /// until the runtime ends; its own clock stands still.
    ///
    /// # Panics
    /// Outside a runtime.
    #[must_use]
    pub fn sequenced(self, keys: Arc<LogKeys>, log: Arc<Log>) -> Self {
        let parts = Parts {
            store: self.logs.clone(),
            outbox: self.outbox.clone(),
            keys,
            clock: Arc::new(ScriptedClock::default()),
            log: log.clone(),
            heads: None,
        };
        tokio::spawn(async move {
            let mut sequencer = Sequencer::start(parts, BATCH_LEAVES).await.expect("the logs are free");
            loop {
                sequencer.ready().await;
                if sequencer.round().await.is_err() {
                    return;
                }
            }
        });
        Self {
            directory: Arc::new(Settled::new(self.directory, log.clone())),
            api_keys: Arc::new(Settled::new(self.api_keys, log.clone())),
            capabilities: Arc::new(Settled::new(self.capabilities, log.clone())),
            catalog: Arc::new(Settled::new(self.catalog, log.clone())),
            grants: Arc::new(Settled::new(self.grants, log.clone())),
            keyrings: Arc::new(Settled::new(self.keyrings, log.clone())),
            roster: Arc::new(Settled::new(self.roster, log.clone())),
            shelf: Arc::new(Settled::new(self.shelf, log)),
            ..self
        }
    }

    /// All events of a trail: those in its log, then those that wait in the outbox.
    pub async fn events(&self, trail: Trail) -> Result<Vec<Event>, StoreError> {
        let size = self.logs.state(trail).await?.map_or(0, |state| state.size);
        let mut events = Vec::new();
        for first in (0..size).step_by(ENTRIES_AT_ONCE as usize) {
            let count = u16::try_from((size - first).min(ENTRIES_AT_ONCE)).expect("at most 256");
            let entries = self.logs.entries(trail, first, count).await?;
            events.extend((first..).zip(entries).map(|(index, entry)| {
                let line = Line::parse(trail, &entry).expect("a log holds lines");
                Event { index, line }
            }));
        }
        events.extend(self.outbox.pending(trail, size, 1000).await?);
        Ok(events)
    }
}
