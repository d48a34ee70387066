use async_trait::async_trait;
use veilsign::nullifier::Nullifier;

use super::MemoryStore;
use crate::{
    auth::port::{Claim, Left, Meter, Nullifiers, Replies, RequestKey, Taken, Window},
    store::StoreError,
};

/// What is remembered of a request that may be repeated.
pub(super) struct Reply {
    content: [u8; 32],
    answer: Option<(Vec<u8>, u64)>,
}

#[async_trait]
impl Meter for MemoryStore {
    async fn take(&self, key: &str, cost: u32, windows: &[Window], now_ms: u64) -> Result<Taken, StoreError> {
        let mut state = self.begin("take_tokens")?;
        let mut tightest: Option<Left> = None;
        for window in windows {
            let sliding = state.windows.entry((key.to_owned(), *window)).or_default();
            let left = sliding.left(window, now_ms);
            if left.left < cost {
                let retry_after_ms = sliding.retry_after_ms(window, cost, now_ms);
                return Ok(Taken::Refused { left, retry_after_ms });
            }
        }
        for window in windows {
            let sliding = state.windows.entry((key.to_owned(), *window)).or_default();
            sliding.take(window, cost, now_ms);
            let left = sliding.left(window, now_ms);
            if tightest.is_none_or(|least| left.left < least.left) {
                tightest = Some(left);
            }
        }
        Ok(Taken::Granted { tightest })
    }
}

#[async_trait]
impl Nullifiers for MemoryStore {
    async fn spend(&self, nullifier: Nullifier, expires_at_ms: u64, now_ms: u64) -> Result<bool, StoreError> {
        let mut state = self.begin("spend")?;
        state.nullifiers.retain(|_, expires_at_ms| now_ms < *expires_at_ms);
        let fresh = !state.nullifiers.contains_key(&nullifier);
        if fresh {
            state.nullifiers.insert(nullifier, expires_at_ms);
        }
        Ok(fresh)
    }
}

#[async_trait]
impl Replies for MemoryStore {
    async fn claim(&self, key: &RequestKey, content: [u8; 32], now_ms: u64) -> Result<Claim, StoreError> {
        let mut state = self.begin("claim")?;
        let over = |reply: &Reply| reply.answer.as_ref().is_some_and(|(_, expires)| *expires <= now_ms);
        if state.replies.get(key).is_some_and(over) {
            state.replies.remove(key);
        }
        Ok(match state.replies.get(key) {
            None => {
                state.replies.insert(key.clone(), Reply { content, answer: None });
                Claim::Fresh
            }
            Some(reply) if reply.content != content => Claim::OtherContent,
            Some(Reply { answer: Some((answer, _)), .. }) => Claim::Answered(answer.clone()),
            Some(_) => Claim::Busy,
        })
    }

    async fn answer(&self, key: &RequestKey, reply: Vec<u8>, expires_at_ms: u64) -> Result<(), StoreError> {
        let mut state = self.begin("answer")?;
        if let Some(claimed) = state.replies.get_mut(key) {
            claimed.answer = Some((reply, expires_at_ms));
        }
        Ok(())
    }

    async fn release(&self, key: &RequestKey) -> Result<(), StoreError> {
        self.begin("release")?.replies.remove(key);
        Ok(())
    }
}
