//! The sweep loop: step after step until one was not stopped by its limit, then a pause. A step is one call of the domain,
//! bounded by the batch; between steps the loop looks whether it was asked to stop. What is swept is the domain's
//! rule.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use veilcloud_domain::{
    auth::api_keys::ApiKeys,
    storage::{Storage, error::StorageError},
};

/// First wait after a store failed; doubled with each failure in a row.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest wait after a store failed.
const RETRY_MAX: Duration = Duration::from_secs(300);
/// Most steps in a row without a pause, so that other work on the same store gets its turn.
const STEPS_MAX: u32 = 64;

/// How the loop runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Pause between two sweeps; at least a millisecond.
    pub interval: Duration,
    /// Most things of one kind that one step removes; at least 1.
    pub batch: usize,
}

/// Why the loop did not start or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option would make the loop spin or do nothing.
    #[error("the sweep needs an interval and a batch that are not zero")]
    Options,
    /// The loop stopped by a bug.
    #[error("the sweep panicked")]
    Panicked,
}

/// What one step removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Expired uploads.
    pub uploads: u64,
    /// Uploads of which only the bytes were left.
    pub staged: u64,
    /// Blobs without a version.
    pub blobs: u64,
    /// The server's halves of service tokens that are over.
    pub token_halves: u64,
    /// There is more to look at now.
    pub more: bool,
}

/// Removes what nobody needs. [`Swept`] is one; tests script another.
#[async_trait]
pub trait Sweeper: Send + Sync {
    /// Removes at most `limit` things of each kind.
    async fn step(&self, limit: usize) -> Result<Step, StorageError>;
}

/// Everything of a server that is swept.
pub struct Swept {
    /// Uploads and blobs.
    pub storage: Arc<Storage>,
    /// Halves of service tokens.
    pub api_keys: Arc<ApiKeys>,
}

#[async_trait]
impl Sweeper for Swept {
    async fn step(&self, limit: usize) -> Result<Step, StorageError> {
        // What ends a token comes first: nothing that fails after it may keep it.
        let halves = self.api_keys.destroy_halves(limit).await?;
        let swept = self.storage.sweep(limit).await?;
        Ok(Step {
            uploads: swept.uploads,
            staged: swept.staged,
            blobs: swept.blobs,
            token_halves: halves as u64,
            more: swept.more || halves >= limit,
        })
    }
}

/// The loop, not yet running.
pub struct Service {
    sweeper: Arc<dyn Sweeper>,
    options: Options,
}

/// A running loop.
pub struct Handle(JoinHandle<()>);

impl Service {
    /// A loop over `sweeper`.
    pub fn new(sweeper: Arc<dyn Sweeper>, options: Options) -> Result<Self, Error> {
        if options.batch == 0 || options.interval < Duration::from_millis(1) {
            return Err(Error::Options);
        }
        Ok(Self { sweeper, options })
    }

    /// Starts the loop; it runs until `stop`, and finishes the step in hand first.
    pub fn start(self, stop: CancellationToken) -> Handle {
        metrics::describe_counter!(
            "veilcloud_sweep_removed_total",
            "Things that the sweep removed, by kind."
        );
        metrics::describe_counter!("veilcloud_sweep_failures_total", "Steps of the sweep that failed.");
        Handle(tokio::spawn(self.run(stop)))
    }

    async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            let wait = match self.sweep(&stop).await {
                Ok(()) => {
                    failures = 0;
                    self.options.interval
                }
                Err(e) => {
                    failures += 1;
                    let wait = backoff(failures);
                    metrics::counter!("veilcloud_sweep_failures_total").increment(1);
                    tracing::warn!(error = %e, failures, wait_s = wait.as_secs(), "the sweep failed and will try again");
                    wait
                }
            };
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// Steps until one was not stopped by its limit.
    async fn sweep(&self, stop: &CancellationToken) -> Result<(), StorageError> {
        for _ in 0..STEPS_MAX {
            if stop.is_cancelled() {
                break;
            }
            let step = self.sweeper.step(self.options.batch).await?;
            metrics::counter!("veilcloud_sweep_removed_total", "kind" => "upload").increment(step.uploads);
            metrics::counter!("veilcloud_sweep_removed_total", "kind" => "staged").increment(step.staged);
            metrics::counter!("veilcloud_sweep_removed_total", "kind" => "blob").increment(step.blobs);
            metrics::counter!("veilcloud_sweep_removed_total", "kind" => "token_half")
                .increment(step.token_halves);
            if !step.more {
                break;
            }
        }
        Ok(())
    }
}

impl Handle {
    /// Waits for the loop's end; it comes soon after the token given at the start is cancelled.
    pub async fn drained(self) -> Result<(), Error> {
        self.0.await.map_err(|_| Error::Panicked)
    }
}

/// Doubles from [`RETRY_MIN`] to [`RETRY_MAX`].
fn backoff(failures: u32) -> Duration {
    RETRY_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;
    use veilcloud_domain::store::StoreError;

    use super::*;

    /// Answers from a script, then with nothing to do; notes when each step came.
    struct Script {
        answers: Mutex<Vec<Result<Step, StorageError>>>,
        steps: Mutex<Vec<(Instant, usize)>>,
    }

    impl Script {
        fn new(mut answers: Vec<Result<Step, StorageError>>) -> Arc<Self> {
            answers.reverse();
            Arc::new(Self { answers: Mutex::new(answers), steps: Mutex::default() })
        }
        fn seconds(&self) -> Vec<u64> {
            let steps = self.steps.lock().unwrap();
            steps.iter().map(|(at, _)| (*at - steps[0].0).as_secs()).collect()
        }
    }

    #[async_trait]
    impl Sweeper for Script {
        async fn step(&self, limit: usize) -> Result<Step, StorageError> {
            self.steps.lock().unwrap().push((Instant::now(), limit));
            self.answers.lock().unwrap().pop().unwrap_or(Ok(Step::default()))
        }
    }

    fn full(batch: u64) -> Result<Step, StorageError> {
        Ok(Step { blobs: batch, more: true, ..Step::default() })
    }

    fn last(blobs: u64) -> Result<Step, StorageError> {
        Ok(Step { blobs, ..Step::default() })
    }

    fn broken() -> Result<Step, StorageError> {
        Err(StorageError::Store(StoreError::Full { store: "script" }))
    }

    const OPTIONS: Options = Options { interval: Duration::from_secs(100), batch: 8 };

    async fn run_for(script: &Arc<Script>, seconds: u64) {
        let stop = CancellationToken::new();
        let handle = Service::new(script.clone(), OPTIONS).unwrap().start(stop.clone());
        tokio::time::sleep(Duration::from_millis(seconds * 1000 + 500)).await;
        stop.cancel();
        handle.drained().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn steps_follow_each_other_as_long_as_there_is_more() {
        // Looking through what is in use counts too: nothing was removed and there is more.
        let script = Script::new(vec![full(8), full(0), last(3)]);
        run_for(&script, 250).await;
        assert_eq!(script.seconds(), [0, 0, 0, 100, 200]);
        assert!(script.steps.lock().unwrap().iter().all(|(_, limit)| *limit == 8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_that_never_ends_still_rests() {
        let script = Script::new((0..1000).map(|_| full(8)).collect());
        run_for(&script, 50).await;
        assert_eq!(script.seconds().len(), STEPS_MAX as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_store_is_asked_less_and_less_often_until_it_answers() {
        let script = Script::new(vec![broken(), broken(), broken(), full(1), last(0), broken()]);
        run_for(&script, 110).await;
        assert_eq!(script.seconds(), [0, 1, 3, 7, 7, 107, 108]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_loop_takes_no_further_step() {
        let script = Script::new((0..1000).map(|_| full(8)).collect());
        let stop = CancellationToken::new();
        stop.cancel();
        Service::new(script.clone(), OPTIONS).unwrap().start(stop).drained().await.unwrap();
        assert!(script.seconds().is_empty());
    }

    #[test]
    fn waits_double_up_to_their_bound() {
        assert_eq!([1, 2, 3, 9].map(|n| backoff(n).as_secs()), [1, 2, 4, 256]);
        assert_eq!(backoff(10), RETRY_MAX);
        assert_eq!(backoff(u32::MAX), RETRY_MAX);
    }

    #[test]
    fn options_that_would_spin_are_refused() {
        for options in [Options { batch: 0, ..OPTIONS }, Options { interval: Duration::ZERO, ..OPTIONS }] {
            assert!(matches!(Service::new(Script::new(vec![]), options), Err(Error::Options)));
        }
    }
}
