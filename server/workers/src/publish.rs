//! The loop of the logs' one writer: a round whenever somebody waits, and a look through the outbox from time to time for
//! lines that nobody spoke of. What goes into a log, and in which order, is the domain's rule. What must never happen: a
//! loop that goes on after its sequencer lost the logs.

#[cfg(test)]
mod tests;
mod warn;

use std::time::Duration;

use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use veilcloud_domain::{
    audit::sequence::{BATCH_LEAVES, BATCH_LEAVES_MAX, LogsLost, Parts, Round, Sequencer},
    store::StoreError,
};

use self::warn::Warnings;

/// Pause between two looks through the outbox when nobody says otherwise.
pub const POLL: Duration = Duration::from_secs(1);
/// Most rounds after the loop was asked to stop. What is left then waits in the outbox for the next start.
const DRAIN_ROUNDS_MAX: u32 = 256;

/// How the loop runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Pause between two looks through the outbox; at least a millisecond.
    pub poll: Duration,
    /// Leaves in one batch, 1 to 16,384.
    pub batch_leaves: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { poll: POLL, batch_leaves: BATCH_LEAVES }
    }
}

/// Why the loop did not start or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option would make the loop spin or do nothing.
    #[error("the logs need a poll interval that is not zero, and 1 to {BATCH_LEAVES_MAX} leaves in a batch")]
    Options,
    /// The logs could not be taken.
    #[error("the logs cannot be written: {0}")]
    Store(#[from] StoreError),
    /// Somebody else writes the logs. No change can be made in this process any more.
    #[error(transparent)]
    Lost(#[from] LogsLost),
    /// The loop stopped by a bug.
    #[error("the sequencer panicked")]
    Panicked,
}

/// The loop, not yet running.
pub struct Service {
    parts: Parts,
    options: Options,
}

/// A running loop.
pub struct Handle(JoinHandle<Result<(), Error>>);

impl Service {
    /// A loop over these parts.
    pub fn new(parts: Parts, options: Options) -> Result<Self, Error> {
        let leaves = (1..=BATCH_LEAVES_MAX).contains(&options.batch_leaves);
        if !leaves || options.poll < Duration::from_millis(1) {
            return Err(Error::Options);
        }
        Ok(Self { parts, options })
    }

    /// Takes the logs and starts the loop. It runs until `stop`, and then serves those who wait; or until it loses the
    /// logs. Before it is started nobody who waits at the parts' handle is served.
    pub async fn start(self, stop: CancellationToken) -> Result<Handle, Error> {
        describe();
        let sequencer = Sequencer::start(self.parts, self.options.batch_leaves).await?;
        let running = Loop { sequencer, poll: self.options.poll, warnings: Warnings::default() };
        Ok(Handle(tokio::spawn(running.run(stop))))
    }
}

impl Handle {
    /// Waits for the loop's end: soon after the token given at the start is cancelled, or at once when the logs are lost.
    /// Not to be asked again after it answered.
    pub async fn ended(&mut self) -> Result<(), Error> {
        (&mut self.0).await.map_err(|_| Error::Panicked)?
    }

    /// As [`Handle::ended`], for whoever keeps the handle no longer.
    pub async fn drained(mut self) -> Result<(), Error> {
        self.ended().await
    }
}

struct Loop {
    sequencer: Sequencer,
    poll: Duration,
    warnings: Warnings,
}

impl Loop {
    async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        // At once: what a process before this one left behind must not wait.
        let mut next_poll = Instant::now();
        while !stop.is_cancelled() {
            if Instant::now() >= next_poll {
                self.look_through().await;
                next_poll = Instant::now() + self.poll;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep_until(next_poll) => {}
                () = self.sequencer.ready() => drop(self.round().await?),
            }
        }
        self.drain().await
    }

    async fn look_through(&mut self) {
        if let Err(error) = self.sequencer.poll().await {
            metrics::counter!("veilcloud_log_failures_total", "step" => "poll").increment(1);
            self.warnings.of_all(&error, "the outbox cannot be looked through");
        }
    }

    async fn round(&mut self) -> Result<Round, LogsLost> {
        let began = Instant::now();
        let round = self.sequencer.round().await.inspect_err(|lost| {
            metrics::counter!("veilcloud_log_failures_total", "step" => "commit").increment(1);
            tracing::error!(%lost, "nothing is logged any more, so that nothing can be changed: start again");
        })?;
        if round.leaves > 0 {
            metrics::counter!("veilcloud_log_batches_total").increment(1);
            metrics::counter!("veilcloud_log_leaves_total").increment(round.leaves as u64);
            metrics::histogram!("veilcloud_log_batch_leaves").record(round.leaves as f64);
            metrics::histogram!("veilcloud_log_round_seconds").record(began.elapsed().as_secs_f64());
        }
        if let Some(error) = &round.failed {
            metrics::counter!("veilcloud_log_failures_total", "step" => "batch").increment(1);
            self.warnings.of_all(error, "a batch of log entries failed; its lines stay in the outbox");
        }
        for (log, error) in &round.refused {
            metrics::counter!("veilcloud_log_failures_total", "step" => "read").increment(1);
            self.warnings.of_log(*log, error);
        }
        Ok(round)
    }

    /// Serves who waits, then takes what else there is.
    async fn drain(&mut self) -> Result<(), Error> {
        self.sequencer.drain();
        self.look_through().await;
        for _ in 0..DRAIN_ROUNDS_MAX {
            if self.sequencer.is_idle() {
                return Ok(());
            }
            self.round().await?;
        }
        tracing::warn!("more lines than the last rounds could take stay in the outbox until the next start");
        Ok(())
    }
}

fn describe() {
    metrics::describe_counter!("veilcloud_log_leaves_total", "Entries that were added to logs.");
    metrics::describe_counter!("veilcloud_log_batches_total", "Batches that were added to logs.");
    metrics::describe_counter!(
        "veilcloud_log_failures_total",
        "What failed on the way into the logs, by step: poll, read (one log), batch, commit (the logs are lost)."
    );
    metrics::describe_histogram!("veilcloud_log_batch_leaves", "Entries in a batch.");
    metrics::describe_histogram!(
        "veilcloud_log_round_seconds",
        metrics::Unit::Seconds,
        "Time from taking the lines of a batch until it was committed."
    );
}
