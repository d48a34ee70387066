//! Says what is wrong with a log once in a while, not in every round.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;
use veilcloud_domain::{audit::model::Trail, store::StoreError};

/// Shortest time between two warnings of the same log.
const PAUSE: Duration = Duration::from_secs(60);
/// Most logs that are remembered.
const LOGS_MAX: usize = 1_024;

/// When what was last warned of.
#[derive(Default)]
pub(super) struct Warnings {
    logs: HashMap<Trail, Instant>,
    all: Option<Instant>,
}

impl Warnings {
    /// Something is wrong with one log.
    pub(super) fn of_log(&mut self, log: Trail, error: &StoreError) {
        let now = Instant::now();
        if self.is_due(log, now) {
            tracing::error!(%log, %error, "a log takes no entries");
        }
    }

    /// Something is wrong with all of them.
    pub(super) fn of_all(&mut self, error: &StoreError, what: &'static str) {
        let now = Instant::now();
        if self.all.is_none_or(|last| now - last >= PAUSE) {
            self.all = Some(now);
            tracing::warn!(%error, what, "the logs are held up");
        }
    }

    fn is_due(&mut self, log: Trail, now: Instant) -> bool {
        if self.logs.get(&log).is_some_and(|last| now - *last < PAUSE) {
            return false;
        }
        if self.logs.len() >= LOGS_MAX {
            self.logs.retain(|_, last| now - *last < PAUSE);
        }
        // With that many logs in trouble, one more line for each says nothing new.
        if self.logs.len() >= LOGS_MAX {
            return false;
        }
        self.logs.insert(log, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_log_is_warned_of_once_in_a_while() {
        let mut warnings = Warnings::default();
        assert!(warnings.is_due(Trail::Directory, Instant::now()));
        tokio::time::advance(PAUSE - Duration::from_millis(1)).await;
        assert!(!warnings.is_due(Trail::Directory, Instant::now()));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(warnings.is_due(Trail::Directory, Instant::now()));
    }
}
