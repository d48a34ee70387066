//! The handle to the logs: whoever changed something waits here until the log has its line.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    model::Trail,
    pool::{Pool, unavailable},
};
use crate::store::StoreError;

/// Longest wait for a log. The line is safe in the outbox meanwhile and is taken when the log can.
pub const SETTLE_MAX: Duration = Duration::from_secs(30);

/// The way to the sequencer. Made before it starts, and answers with an error once it is over.
#[derive(Default)]
pub struct Log {
    pub(super) pool: Arc<Pool>,
}

impl Log {
    /// A handle that a sequencer is yet to be made for.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Returns when every line of the trail that was committed before this call is in the log, durably. Fails when that is
    /// not known: too many callers wait, the batch failed, the sequencer is over or shuts down, or [`SETTLE_MAX`] passed.
    /// The lines stay in the outbox then, and a sequencer takes them later.
    pub async fn settle(&self, trail: Trail) -> Result<(), StoreError> {
        let answer = self.pool.join(trail)?;
        match timeout(SETTLE_MAX, answer).await {
            Ok(Ok(answer)) => answer,
            // The sequencer was dropped in the middle of a round.
            Ok(Err(_)) => Err(unavailable("the sequencer stopped")),
            Err(_) => Err(unavailable(format!("it took no line for {} s", SETTLE_MAX.as_secs()))),
        }
    }

    /// Lets the log know of lines that nobody waits for: it takes them within
    /// [`READ_DELAY`](super::pool::READ_DELAY), or with the next that somebody waits for.
    pub fn note(&self, trail: Trail) {
        self.pool.note(trail);
    }

    /// Fails when no change can be logged: the sequencer is over or shuts down, or its last batches failed. For the
    /// readiness of the process, and asked before every change.
    pub fn check(&self) -> Result<(), StoreError> {
        self.pool.check()
    }
}
