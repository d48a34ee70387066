//! Half-finished protocol runs, in this process. A restart forgets them: the client starts its login again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use veilcloud_domain::{
    auth::{model::Attempt, port::Attempts},
    store::StoreError,
};
use veilcore::id::AttemptId;

/// Most attempts at one time, about 1 KiB each. When there are more, the oldest goes.
pub(crate) const ATTEMPTS_MAX: usize = 16_384;

struct Kept {
    attempt: Attempt,
    expires_at_ms: u64,
    order: u64,
}

#[derive(Default)]
struct State {
    kept: HashMap<AttemptId, Kept>,
    by_age: BTreeMap<u64, AttemptId>,
    next: u64,
}

/// Attempts in a bounded map.
#[derive(Default)]
pub(crate) struct MemoryAttempts(Mutex<State>);

#[async_trait]
impl Attempts for MemoryAttempts {
    async fn keep(&self, id: AttemptId, attempt: Attempt, expires_at_ms: u64) -> Result<(), StoreError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let order = state.next;
        state.next += 1;
        if let Some(replaced) = state.kept.insert(id, Kept { attempt, expires_at_ms, order }) {
            state.by_age.remove(&replaced.order);
        }
        state.by_age.insert(order, id);
        while state.kept.len() > ATTEMPTS_MAX {
            let Some((_, oldest)) = state.by_age.pop_first() else { break };
            state.kept.remove(&oldest);
        }
        Ok(())
    }

    async fn take(&self, id: AttemptId, now_ms: u64) -> Result<Option<Attempt>, StoreError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = state.kept.remove(&id) else { return Ok(None) };
        state.by_age.remove(&kept.order);
        Ok((kept.expires_at_ms > now_ms).then_some(kept.attempt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> AttemptId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        AttemptId::from_bytes(bytes)
    }

    fn attempt() -> Attempt {
        Attempt::Recover { account: None, challenge: [7; 32] }
    }

    #[tokio::test]
    async fn an_attempt_is_taken_once_and_not_after_its_time() {
        let attempts = MemoryAttempts::default();
        attempts.keep(id(1), attempt(), 100).await.unwrap();
        assert!(attempts.take(id(1), 99).await.unwrap().is_some());
        assert!(attempts.take(id(1), 99).await.unwrap().is_none());
        attempts.keep(id(2), attempt(), 100).await.unwrap();
        assert!(attempts.take(id(2), 100).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn when_it_is_full_the_oldest_goes() {
        let attempts = MemoryAttempts::default();
        for n in 0..=ATTEMPTS_MAX {
            attempts.keep(id(n), attempt(), 100).await.unwrap();
        }
        assert!(attempts.take(id(0), 0).await.unwrap().is_none());
        assert!(attempts.take(id(1), 0).await.unwrap().is_some());
        assert!(attempts.take(id(ATTEMPTS_MAX), 0).await.unwrap().is_some());
    }
}
