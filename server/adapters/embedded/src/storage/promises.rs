//! Puts of small blobs are answered as soon as they are queued, so that a write waits for one commit and not for two:
//! the version's commit stands behind them in the writer's queue. What is open, and what went wrong after the answer, is
//! kept here. What must never happen: a version whose bytes are not there. So a put that fails after its answer leaves a
//! note, and the commit of that digest fails with it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use veilcloud_domain::{storage::model::Digest, store::StoreError};

/// Failed puts that are remembered until somebody asks for their commit, about 100 bytes each. When there are as many,
/// puts are answered after their own commit instead, so that none has to be forgotten.
pub(crate) const BROKEN_MAX: usize = 16_384;

#[derive(Default)]
struct State {
    /// Answered and not committed: how many puts of each digest. No more than the writer's queue and batch hold, and
    /// the callers that wait for a place.
    open: HashMap<Digest, usize>,
    /// Answered and failed: how many puts of each digest, and why the last one failed.
    broken: HashMap<Digest, (usize, StoreError)>,
}

/// Shared by everything that stores, reads or commits.
#[derive(Default)]
pub(crate) struct Promises(Mutex<State>);

/// One put that is answered before its commit. Dropped when its job is: then it is not open any more.
pub(crate) struct Promise {
    promises: Arc<Promises>,
    digest: Digest,
}

impl Promises {
    /// Call before the put is queued. `None` when its failure could not be remembered: then it must not be answered
    /// before its commit.
    pub fn make(self: &Arc<Self>, digest: Digest) -> Option<Promise> {
        let mut state = self.lock();
        if state.broken.len() >= BROKEN_MAX {
            return None;
        }
        *state.open.entry(digest).or_default() += 1;
        Some(Promise { promises: self.clone(), digest })
    }

    /// True while a put of these bytes is answered and not committed.
    pub fn is_open(&self, digest: Digest) -> bool {
        self.lock().open.contains_key(&digest)
    }

    /// True while any put is answered and not committed.
    pub fn any_open(&self) -> bool {
        !self.lock().open.is_empty()
    }

    /// The bytes are there for good, whoever stored them: earlier failures do not matter any more.
    pub fn kept(&self, digest: Digest) {
        self.lock().broken.remove(&digest);
    }

    /// True when a put of these bytes failed after its answer and nobody was told yet.
    pub fn is_broken(&self, digest: Digest) -> bool {
        self.lock().broken.contains_key(&digest)
    }

    /// Takes one failure, to tell it to the caller. Each failed put is told to one commit: its own, or that of another
    /// put that failed too.
    pub fn take_broken(&self, digest: Digest) -> Option<StoreError> {
        let mut state = self.lock();
        let (count, error) = state.broken.get_mut(&digest)?;
        *count -= 1;
        let (last, error) = (*count == 0, error.clone());
        if last {
            state.broken.remove(&digest);
        }
        Some(error)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promise {
    /// The put's own answer, in the writer's thread: before any later job, of the same transaction too, is run.
    pub fn settle(self, committed: Result<(), StoreError>) {
        let mut state = self.promises.lock();
        match committed {
            Ok(()) => drop(state.broken.remove(&self.digest)),
            Err(error) => {
                let (count, last) = state.broken.entry(self.digest).or_insert((0, error.clone()));
                *count += 1;
                *last = error;
            }
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut state = self.promises.lock();
        if let Some(count) = state.open.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                state.open.remove(&self.digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: Digest = Digest([1; 32]);

    fn full() -> StoreError {
        StoreError::Full { store: "test" }
    }

    #[test]
    fn a_put_is_open_until_its_last_job_is_settled_or_dropped() {
        let promises = Arc::new(Promises::default());
        let (one, two) = (promises.make(DIGEST).unwrap(), promises.make(DIGEST).unwrap());
        assert!(promises.is_open(DIGEST) && !promises.is_open(Digest([2; 32])) && promises.any_open());
        one.settle(Ok(()));
        assert!(promises.is_open(DIGEST));
        drop(two);
        assert!(!promises.is_open(DIGEST) && !promises.any_open());
        assert!(!promises.is_broken(DIGEST));
    }

    #[test]
    fn each_failed_put_is_told_once_and_a_later_success_ends_them_all() {
        let promises = Arc::new(Promises::default());
        for _ in 0..2 {
            promises.make(DIGEST).unwrap().settle(Err(full()));
        }
        assert!(promises.is_broken(DIGEST) && !promises.any_open());
        assert!(promises.take_broken(DIGEST).is_some());
        assert!(promises.take_broken(DIGEST).is_some());
        assert!(promises.take_broken(DIGEST).is_none() && !promises.is_broken(DIGEST));
        promises.make(DIGEST).unwrap().settle(Err(full()));
        promises.make(DIGEST).unwrap().settle(Ok(()));
        assert!(promises.take_broken(DIGEST).is_none());
        promises.make(DIGEST).unwrap().settle(Err(full()));
        promises.kept(DIGEST);
        assert!(promises.take_broken(DIGEST).is_none());
    }

    #[test]
    fn when_no_more_failures_can_be_remembered_none_is_promised_until_one_was_told() {
        let promises = Arc::new(Promises::default());
        let digest = |n: usize| {
            let mut digest = Digest([0; 32]);
            digest.0[..8].copy_from_slice(&n.to_be_bytes());
            digest
        };
        for n in 0..BROKEN_MAX {
            promises.make(digest(n)).unwrap().settle(Err(full()));
        }
        assert!(promises.make(DIGEST).is_none() && !promises.any_open());
        assert!(promises.take_broken(digest(7)).is_some());
        assert!(promises.make(DIGEST).is_some());
    }
}
