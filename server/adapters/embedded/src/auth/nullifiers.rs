//! Spent request proofs, in this process. Each is kept until its time is over. When the set is full, nothing more is
//! spent and the caller is told so: the gate refuses the request, because forgetting a proof would let it in twice.
//! A restart forgets them, so whoever builds the gate must refuse proofs that were made before the process started.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use veilcloud_domain::{auth::port::Nullifiers, store::StoreError};
use veilsign::nullifier::Nullifier;

/// Nullifiers kept when the options do not say: 14,000 requests a second over 150 s, about 200 MB when full.
pub(crate) const NULLIFIERS_MAX_DEFAULT: usize = 2_097_152;
/// Parts of the set, so that requests seldom wait for each other.
const SHARDS: usize = 16;
/// Nullifiers that end within the same span are forgotten together.
const SPAN_MS: u64 = 1_000;

#[derive(Default)]
struct Shard {
    spent: HashMap<Nullifier, u64>,
    by_end: BTreeMap<u64, Vec<Nullifier>>,
}

/// The set.
pub(crate) struct MemoryNullifiers {
    shards: Vec<Mutex<Shard>>,
    /// Drawn for this process: a caller draws nonces until its nullifier looks as it likes, and must not be able to fill
    /// the part that somebody else's falls into.
    keys: RandomState,
    shard_limit: usize,
}

impl MemoryNullifiers {
    /// A set of about `limit` nullifiers at most: each of its parts takes an equal share.
    pub fn new(limit: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, keys: RandomState::new(), shard_limit: limit.div_ceil(SHARDS).max(1) }
    }

    fn shard_of(&self, nullifier: &Nullifier) -> &Mutex<Shard> {
        let place = self.keys.hash_one(nullifier.as_bytes()) % SHARDS as u64;
        &self.shards[usize::try_from(place).unwrap_or(0)]
    }
}

#[async_trait]
impl Nullifiers for MemoryNullifiers {
    async fn spend(&self, nullifier: Nullifier, expires_at_ms: u64, now_ms: u64) -> Result<bool, StoreError> {
        let mut shard = self.shard_of(&nullifier).lock().unwrap_or_else(PoisonError::into_inner);
        shard.forget_ended(now_ms);
        if shard.spent.get(&nullifier).is_some_and(|end| *end > now_ms) {
            return Ok(false);
        }
        if shard.spent.len() >= self.shard_limit {
            return Err(StoreError::Full { store: "nullifiers" });
        }
        shard.spent.insert(nullifier, expires_at_ms);
        shard.by_end.entry(expires_at_ms / SPAN_MS).or_default().push(nullifier);
        Ok(true)
    }
}

impl Shard {
    fn forget_ended(&mut self, now_ms: u64) {
        // The whole span is over when the one after it has begun.
        while let Some(first) = self.by_end.first_entry().filter(|e| *e.key() < now_ms / SPAN_MS) {
            for nullifier in first.remove() {
                // It may have been spent again with a later end.
                if self.spent.get(&nullifier).is_some_and(|end| *end <= now_ms) {
                    self.spent.remove(&nullifier);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_nullifier_is_fresh_once_within_its_time() {
        let set = MemoryNullifiers::new(1000);
        let n = Nullifier::from_bytes([1; 32]);
        assert!(set.spend(n, 5_000, 0).await.unwrap());
        assert!(!set.spend(n, 5_000, 0).await.unwrap());
        assert!(!set.spend(n, 9_000, 4_999).await.unwrap());
        assert!(set.spend(n, 9_000, 5_000).await.unwrap());
        assert!(!set.spend(n, 9_000, 8_000).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_can_aim_at_a_part_of_the_set() {
        let set = MemoryNullifiers::new(SHARDS * 200);
        for n in 0..1000_u32 {
            // Hashes that somebody drew until their first byte was this one.
            let mut bytes = [0; 32];
            bytes[1..5].copy_from_slice(&n.to_be_bytes());
            assert!(set.spend(Nullifier::from_bytes(bytes), 5_000, 0).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_full_set_refuses_instead_of_forgetting_until_time_makes_room() {
        let set = MemoryNullifiers::new(SHARDS);
        let of = |n: u8| Nullifier::from_bytes([n; 32]);
        let first = of(0);
        let same_part = |n: &Nullifier| std::ptr::eq(set.shard_of(n), set.shard_of(&first));
        let second = (1..=u8::MAX).map(of).find(same_part).expect("one in sixteen is");
        assert!(set.spend(first, 5_000, 0).await.unwrap());
        // No room in its part.
        assert!(matches!(set.spend(second, 5_000, 0).await, Err(StoreError::Full { .. })));
        assert!(!set.spend(first, 5_000, 0).await.unwrap());
        assert!(set.spend(second, 9_000, 6_000).await.unwrap());
    }
}
