//! Heads that no quorum has seen yet: one for each log, the newest; each with the time of its next try. No clock and no
//! network in here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;
use veilchain::note::NoteSignature;

use crate::audit::{model::Trail, port::SignedHead};

/// Most logs whose heads wait.
pub const HEADS_MAX: usize = 16_384;
/// First wait after a head was not published; doubled with each failure in a row.
const RETRY_MIN: Duration = Duration::from_millis(250);
/// Longest wait.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// A head and the cosignatures it has so far, by witness.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// The head.
    pub head: SignedHead,
    /// Valid cosignatures of it.
    pub cosigned: BTreeMap<usize, NoteSignature>,
}

/// What becomes of a log after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Its head is published.
    Done,
    /// Again, later each time.
    Retry,
    /// Again, as late as it gets: somebody has to look.
    Hold,
}

struct Entry {
    job: Job,
    failures: u32,
    held: bool,
    /// When it is tried next; `None` while it is being tried.
    due: Option<Instant>,
    /// A head that came while this one was being tried.
    newer: Option<SignedHead>,
}

#[derive(Default)]
pub(super) struct Queue {
    entries: BTreeMap<Trail, Entry>,
    due: BTreeSet<(Instant, Trail)>,
}

impl Queue {
    /// Takes a head in if it is newer than the log's other one. A log that failed before keeps its next time, so that new
    /// heads do not make it ask faster. False when there is no room.
    pub fn offer(&mut self, head: SignedHead, now: Instant) -> bool {
        let log = head.log;
        if let Some(entry) = self.entries.get_mut(&log) {
            let newest = entry.newer.as_ref().map_or(entry.job.head.size, |newer| newer.size);
            if head.size > newest {
                match entry.due {
                    Some(_) => entry.job = Job { head, cosigned: BTreeMap::new() },
                    None => entry.newer = Some(head),
                }
            }
            return true;
        }
        if self.entries.len() >= HEADS_MAX {
            return false;
        }
        let job = Job { head, cosigned: BTreeMap::new() };
        self.entries.insert(log, Entry { job, failures: 0, held: false, due: Some(now), newer: None });
        self.due.insert((now, log));
        true
    }

    /// The head that waits longest, if its time has come.
    pub fn take(&mut self, now: Instant) -> Option<Job> {
        let (at, log) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        let entry = self.entries.get_mut(&log)?;
        entry.due = None;
        Some(entry.job.clone())
    }

    /// Gives back what [`Queue::take`] gave, with what it has now.
    pub fn give(&mut self, job: Job, next: Next, now: Instant) {
        let log = job.head.log;
        let Some(entry) = self.entries.get_mut(&log) else { return };
        let newer = entry.newer.take();
        if next == Next::Done && newer.is_none() {
            self.entries.remove(&log);
            return;
        }
        entry.held = next == Next::Hold;
        entry.failures = if next == Next::Done { 0 } else { entry.failures.saturating_add(1) };
        let wait = match next {
            Next::Done => Duration::ZERO,
            Next::Retry => backoff(entry.failures),
            Next::Hold => RETRY_MAX,
        };
        entry.job = match newer {
            Some(head) => Job { head, cosigned: BTreeMap::new() },
            None => job,
        };
        entry.due = Some(now + wait);
        self.due.insert((now + wait, log));
    }

    /// When the next head has its time.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Room for more logs.
    pub fn room(&self) -> usize {
        HEADS_MAX.saturating_sub(self.entries.len())
    }

    /// Logs that wait, those being tried included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Logs whose last try ended in [`Next::Hold`].
    pub fn held(&self) -> Vec<Trail> {
        self.entries.iter().filter(|(_, entry)| entry.held).map(|(log, _)| *log).collect()
    }
}

/// Doubles from [`RETRY_MIN`] to [`RETRY_MAX`].
fn backoff(failures: u32) -> Duration {
    RETRY_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use veilcore::id::ProjectId;

    use super::*;

    fn head(log: u16, size: u64) -> SignedHead {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&log.to_be_bytes());
        SignedHead {
            log: Trail::Project(ProjectId::from_bytes(id)),
            size,
            root: [0; 32],
            checkpoint: Bytes::new(),
            publish: false,
            signed_at_ms: 0,
            edge: Vec::new(),
        }
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn only_the_newest_head_of_a_log_is_kept() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for size in [3, 7, 5] {
            assert!(queue.offer(head(1, size), now));
        }
        assert_eq!(queue.take(now).unwrap().head.size, 7);
        assert!(queue.take(now).is_none());
    }

    #[test]
    fn a_head_that_comes_during_a_try_is_tried_next() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.offer(head(1, 3), now);
        let job = queue.take(now).unwrap();
        queue.offer(head(1, 4), now);
        queue.offer(head(1, 2), now);
        assert!(queue.take(now).is_none(), "one try for each log at a time");
        queue.give(job, Next::Done, now);
        let job = queue.take(now).unwrap();
        assert_eq!(job.head.size, 4);
        queue.give(job, Next::Done, now);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_log_that_failed_waits_longer_each_time_and_new_heads_do_not_hurry_it() {
        let (mut queue, mut now) = (Queue::default(), Instant::now());
        queue.offer(head(1, 1), now);
        for (failure, wait) in [250, 500, 1000, 2000].into_iter().enumerate() {
            let job = queue.take(now).unwrap();
            queue.give(job, Next::Retry, now);
            queue.offer(head(1, failure as u64 + 2), now);
            assert!(queue.take(now + MS * (wait - 1)).is_none());
            now += MS * wait;
            assert_eq!(queue.next_due(), Some(now));
        }
        assert_eq!(backoff(u32::MAX), RETRY_MAX);
    }

    #[test]
    fn cosignatures_stay_with_their_head() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.offer(head(1, 1), now);
        let mut job = queue.take(now).unwrap();
        let line = NoteSignature { name: "w".to_owned(), key_id: [0; 4], signature: vec![1] };
        job.cosigned.insert(0, line);
        queue.give(job, Next::Retry, now);
        let later = now + RETRY_MAX;
        let job = queue.take(later).unwrap();
        assert_eq!(job.cosigned.len(), 1);
        queue.give(job, Next::Retry, later);
        queue.offer(head(1, 2), later);
        assert_eq!(queue.take(later + RETRY_MAX).unwrap().cosigned.len(), 0);
    }

    #[test]
    fn a_held_log_is_told_until_it_moves_on() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.offer(head(1, 1), now);
        let job = queue.take(now).unwrap();
        queue.give(job, Next::Hold, now);
        assert_eq!(queue.held(), [head(1, 1).log]);
        assert_eq!(queue.next_due(), Some(now + RETRY_MAX));
        let job = queue.take(now + RETRY_MAX).unwrap();
        queue.give(job, Next::Done, now);
        assert!(queue.held().is_empty());
    }

    #[test]
    fn a_full_queue_refuses_new_logs_and_takes_news_of_known_ones() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for log in 0..HEADS_MAX as u16 {
            assert!(queue.offer(head(log, 1), now));
        }
        assert!(!queue.offer(head(u16::MAX, 1), now));
        assert!(queue.offer(head(0, 2), now));
        assert_eq!((queue.room(), queue.len()), (0, HEADS_MAX));
    }
}
