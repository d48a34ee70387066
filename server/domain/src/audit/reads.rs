//! Reads become leaves: who was given which version. The line is durable before the answer; the log takes it soon after,
//! with whatever else there is, so that a read waits for one commit and not for a batch.

use std::sync::Arc;

use super::{log::Log, model::Line, port::Outbox};
use crate::store::StoreError;

/// Records reads.
#[derive(Clone)]
pub struct Reads {
    outbox: Arc<dyn Outbox>,
    log: Arc<Log>,
}

impl Reads {
    /// Records into this outbox and lets the log know.
    pub fn new(outbox: Arc<dyn Outbox>, log: Arc<Log>) -> Self {
        Self { outbox, log }
    }

    /// Writes the line; gives its place in the log. Durable when it returns.
    pub async fn record(&self, line: Line) -> Result<u64, StoreError> {
        let trail = line.trail;
        let index = self.outbox.record(line).await?;
        self.log.note(trail);
        Ok(index)
    }
}
