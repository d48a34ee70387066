//! The sequencer: one task that moves lines from the outbox into the logs, many logs and many lines with one write.
//!
//! A round goes: stage (the bytes are durable and nobody sees them), sign, commit (lock rows, compared and swapped). What
//! must never happen: a signature over leaves that are not durable, two signed heads of a log of which one is not the
//! beginning of the other, a waiter that is told of a line that is not in its log.

mod round;
mod tails;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use self::tails::Tails;
pub use self::{round::Round, tails::TAILS_MAX};
use super::{
    heads::Heads,
    log::Log,
    model::Trail,
    pool::{Pool, unavailable},
    port::{LogStore, Lost, Outbox},
    signer::LogKeys,
};
use crate::{clock::Clock, store::StoreError};

/// Most logs that one batch extends.
pub const LOGS_PER_BATCH: usize = 256;
/// Leaves in one batch when nobody says otherwise.
pub const BATCH_LEAVES: usize = 4_096;
/// Most leaves in one batch.
pub const BATCH_LEAVES_MAX: usize = 16_384;
/// How long a batch waits for a clock that stands before the last checkpoint.
pub const CLOCK_WAIT: Duration = Duration::from_secs(1);
/// Pause between two looks at such a clock.
const CLOCK_POLL: Duration = Duration::from_millis(10);
/// Logs that the outbox names in one page.
const POLL_PAGE: usize = 256;
/// Most pages that one poll looks at; the next one goes on.
const POLL_PAGES_MAX: usize = 64;

/// Another sequencer writes the logs, or something else does: this one has signed for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the logs are not this sequencer's any more: {}", match .0 {
    Lost::Fenced => "another one took them".to_owned(),
    Lost::Moved(log) => format!("{log} is not where it left it"),
})]
pub struct LogsLost(pub Lost);

/// What a sequencer works with.
#[derive(Clone)]
pub struct Parts {
    /// The logs.
    pub store: Arc<dyn LogStore>,
    /// The lines that no log has yet.
    pub outbox: Arc<dyn Outbox>,
    /// The keys of the logs.
    pub keys: Arc<LogKeys>,
    /// Says when a checkpoint is signed.
    pub clock: Arc<dyn Clock>,
    /// The handle that others wait at.
    pub log: Arc<Log>,
    /// Where heads go that witnesses must see before they are shown; `None` without witnesses: then a committed head is
    /// shown at once.
    pub heads: Option<Arc<Heads>>,
}

/// The one writer of the logs.
pub struct Sequencer {
    parts: Parts,
    /// Leaves in one batch.
    batch_leaves: usize,
    epoch: u64,
    tails: Tails,
    /// The latest time that a checkpoint of ours, or one that we read, was signed at.
    newest_ms: u64,
    lost: Option<LogsLost>,
    /// Where the next poll of the outbox goes on.
    poll_after: Option<Trail>,
}

impl Sequencer {
    /// Takes the logs: whoever wrote them until now is fenced. A batch has at most `batch_leaves` leaves, 1 to
    /// [`BATCH_LEAVES_MAX`].
    pub async fn start(parts: Parts, batch_leaves: usize) -> Result<Self, StoreError> {
        let epoch = parts.store.fence().await?;
        Ok(Self {
            parts,
            batch_leaves: batch_leaves.clamp(1, BATCH_LEAVES_MAX),
            epoch,
            tails: Tails::default(),
            newest_ms: 0,
            lost: None,
            poll_after: None,
        })
    }

    /// Returns when a round has something to do.
    pub async fn ready(&self) {
        self.pool().ready().await;
    }

    /// Looks through the outbox for lines that nobody spoke of: those of a process that died, of a caller that went away,
    /// of a batch that failed.
    pub async fn poll(&mut self) -> Result<(), StoreError> {
        for _ in 0..POLL_PAGES_MAX {
            let page = self.parts.outbox.waiting(self.poll_after, POLL_PAGE).await?;
            let end = page.len() < POLL_PAGE;
            if !self.pool().queue(&page) {
                return Ok(());
            }
            self.poll_after = if end { None } else { page.last().copied() };
            if end {
                return Ok(());
            }
        }
        Ok(())
    }

    /// From now on nobody may wait; rounds go on for those who do.
    pub fn drain(&self) {
        self.pool().drain();
    }

    /// Whether nobody waits and nothing is queued.
    pub fn is_idle(&self) -> bool {
        self.pool().is_empty()
    }

    fn pool(&self) -> &Pool {
        &self.parts.log.pool
    }

    /// Signs no more, and tells everybody.
    fn lose(&mut self, lost: Lost) -> LogsLost {
        let lost = *self.lost.insert(LogsLost(lost));
        self.pool().close(lost.to_string());
        lost
    }

    /// The time to sign at: never before a time that was signed at.
    async fn now_ms(&self) -> Result<u64, StoreError> {
        let deadline = Instant::now() + CLOCK_WAIT;
        loop {
            let now_ms = self.parts.clock.now_ms();
            match self.newest_ms.checked_sub(now_ms) {
                None | Some(0) => return Ok(now_ms),
                Some(behind_ms) if Instant::now() >= deadline => {
                    let cause = format!("the clock is {behind_ms} ms behind the last checkpoint");
                    return Err(unavailable(cause));
                }
                Some(_) => sleep(CLOCK_POLL).await,
            }
        }
    }
}

impl Drop for Sequencer {
    /// Nobody waits for a sequencer that is gone.
    fn drop(&mut self) {
        self.pool().close("the sequencer ended".to_owned());
    }
}
