//! Signed heads on their way to the witnesses. Only the newest of each log matters: a witness that sees it has seen those
//! before. What must never happen: the sequencer waits here.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{model::Trail, port::SignedHead};

/// Most logs with a head that no witness was asked about yet. When more come, the log that waits longest is forgotten;
/// it is pursued again with its next head.
pub const HEADS_MAX: usize = 4_096;

/// A bounded queue of committed heads, one for each log.
#[derive(Default)]
pub struct Heads {
    state: Mutex<State>,
    changed: Notify,
    scan: Notify,
}

#[derive(Default)]
struct State {
    heads: HashMap<Trail, SignedHead>,
    order: VecDeque<Trail>,
}

impl Heads {
    /// An empty queue.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Puts a head in; it takes the place of an older one of its log. Never waits.
    pub fn put(&self, head: SignedHead) {
        let mut state = self.lock();
        let log = head.log;
        if let Some(older) = state.heads.get_mut(&log) {
            if older.size <= head.size {
                *older = head;
            }
        } else {
            if state.heads.len() >= HEADS_MAX
                && let Some(longest) = state.order.pop_front()
            {
                state.heads.remove(&longest);
                // Found again by a look through the logs.
                self.scan_again();
            }
            state.heads.insert(log, head);
            state.order.push_back(log);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Takes the head of the log that waits longest.
    pub fn take(&self) -> Option<SignedHead> {
        let mut state = self.lock();
        let log = state.order.pop_front()?;
        let head = state.heads.remove(&log);
        if !state.order.is_empty() {
            // One permit is kept however many heads were put: another taker may be waiting.
            self.changed.notify_one();
        }
        head
    }

    /// Waits for a head and takes it. Dropped while it waits, it takes none.
    pub async fn next(&self) -> SignedHead {
        loop {
            let changed = self.changed.notified();
            if let Some(head) = self.take() {
                return head;
            }
            changed.await;
        }
    }

    /// Has the publisher look through all logs for heads that are committed and not shown: for when a head may have been
    /// committed and could not be put here. Never waits; asked several times before it begins, it looks once.
    pub fn scan_again(&self) {
        self.scan.notify_one();
    }

    /// Waits until that was asked for.
    pub(super) async fn scan_asked(&self) {
        self.scan.notified().await;
    }

    // The two collections change together, without a panic in between.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    #[test]
    fn the_newest_head_of_a_log_takes_the_place_of_the_older() {
        let heads = Heads::new();
        for (log, size) in [(1, 1), (2, 1), (1, 3), (1, 2)] {
            heads.put(head(log, size));
        }
        assert_eq!(heads.take(), Some(head(1, 3)));
        assert_eq!(heads.take(), Some(head(2, 1)));
        assert_eq!(heads.take(), None);
    }

    #[test]
    fn when_too_many_logs_wait_the_longest_waiting_is_forgotten() {
        let heads = Heads::new();
        for log in 0..=HEADS_MAX as u16 {
            heads.put(head(log, 1));
        }
        assert_eq!(heads.take(), Some(head(1, 1)));
        assert_eq!(std::iter::from_fn(|| heads.take()).count(), HEADS_MAX - 1);
    }

    #[tokio::test]
    async fn every_taker_gets_a_head_however_they_came() {
        let heads = Heads::new();
        let takers: Vec<_> = (0..3)
            .map(|_| {
                let heads = heads.clone();
                tokio::spawn(async move { heads.next().await })
            })
            .collect();
        tokio::task::yield_now().await;
        for log in 0..3 {
            heads.put(head(log, 1));
        }
        for taker in takers {
            taker.await.unwrap();
        }
        assert_eq!(heads.take(), None);
    }
}
