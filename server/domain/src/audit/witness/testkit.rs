//! A witness's store in memory, and what every [`WitnessStore`] must do, as tests that run against any of them:
//!
//! ```text
//! async fn fresh() -> veilcloud_domain::audit::witness::testkit::Fresh { .. }
//! veilcloud_domain::witness_contract_tests!(fresh);
//! ```

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use veilchain::hash::Hash;

use super::port::{OriginHash, Seen, WitnessStore};
use crate::store::StoreError;

/// Makes a `#[tokio::test]` of each test of the contract. The argument is the name of an async function without arguments
/// that gives a [`testkit::Fresh`](crate::audit::witness::testkit::Fresh).
#[macro_export]
macro_rules! witness_contract_tests {
    ($fresh:ident) => { $crate::witness_contract_tests! { @each $fresh, [
        nothing_is_known_at_first,
        a_record_is_read_as_it_was_written,
        an_advance_from_anything_but_the_record_changes_nothing,
        a_record_never_goes_back,
        a_record_may_be_cosigned_again,
        logs_do_not_mix,
        of_many_advances_from_one_record_one_wins,
    ] } };
    (@each $fresh:ident, [$($test:ident),* $(,)?]) => {
        mod witness_store {
            $(
                #[tokio::test]
                async fn $test() {
                    $crate::audit::witness::testkit::$test(super::$fresh().await).await;
                }
            )*
        }
    };
}

/// A new and empty store.
pub struct Fresh {
    /// The store.
    pub store: Arc<dyn WitnessStore>,
    /// What must live as long: a temporary folder, a handle.
    pub guard: Arc<dyn Any + Send + Sync>,
}

/// Records in memory. Faults can be asked for.
#[derive(Default)]
pub struct MemoryWitness(Mutex<State>);

#[derive(Default)]
struct State {
    records: BTreeMap<OriginHash, Seen>,
    faults: u32,
}

impl MemoryWitness {
    /// Makes the next advance fail, changing nothing. Calls add up.
    pub fn fail_next_advance(&self) {
        self.lock().faults += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl WitnessStore for MemoryWitness {
    async fn latest(&self, log: OriginHash) -> Result<Option<Seen>, StoreError> {
        Ok(self.lock().records.get(&log).cloned())
    }

    async fn advance(
        &self,
        log: OriginHash,
        from: Option<(u64, Hash)>,
        to: Seen,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if state.faults > 0 {
            state.faults -= 1;
            return Err(StoreError::Unavailable { store: "memory", cause: "asked to fail".to_owned() });
        }
        let record = state.records.get(&log);
        let moved = record.map(|seen| (seen.size, seen.root)) != from;
        if moved || record.is_some_and(|seen| to.size < seen.size || to.cosigned_at_s < seen.cosigned_at_s) {
            return Ok(false);
        }
        state.records.insert(log, to);
        Ok(true)
    }
}

fn log(name: &str) -> OriginHash {
    OriginHash::of(name)
}

fn seen(size: u64, root: u8, cosigned_at_s: u64) -> Seen {
    let note = Bytes::from(format!("note of {size} with {root} at {cosigned_at_s}"));
    Seen { size, root: [root; 32], note, cosigned_at_s }
}

async fn advance(fresh: &Fresh, from: Option<(u64, u8)>, to: &Seen) -> bool {
    let from = from.map(|(size, root)| (size, [root; 32]));
    fresh.store.advance(log("a"), from, to.clone()).await.expect("the store works")
}

async fn latest(fresh: &Fresh) -> Option<Seen> {
    fresh.store.latest(log("a")).await.expect("the store works")
}

/// See its name.
pub async fn nothing_is_known_at_first(fresh: Fresh) {
    assert_eq!(latest(&fresh).await, None);
}

/// See its name.
pub async fn a_record_is_read_as_it_was_written(fresh: Fresh) {
    for (from, to) in [
        (None, seen(0, 1, 10)),
        (Some((0, 1)), seen(5, 2, 11)),
        // The largest tree there is, and the latest time.
        (Some((5, 2)), seen(1 << 62, 3, i64::MAX as u64)),
    ] {
        assert!(advance(&fresh, from, &to).await);
        assert_eq!(latest(&fresh).await, Some(to));
    }
}

/// See its name.
pub async fn an_advance_from_anything_but_the_record_changes_nothing(fresh: Fresh) {
    assert!(!advance(&fresh, Some((5, 1)), &seen(9, 9, 10)).await);
    assert_eq!(latest(&fresh).await, None);
    let record = seen(5, 1, 10);
    assert!(advance(&fresh, None, &record).await);
    for from in [None, Some((4, 1)), Some((6, 1)), Some((5, 2)), Some((0, 0))] {
        assert!(!advance(&fresh, from, &seen(9, 9, 10)).await, "{from:?}");
        assert_eq!(latest(&fresh).await.as_ref(), Some(&record));
    }
}

/// See its name.
pub async fn a_record_never_goes_back(fresh: Fresh) {
    let record = seen(5, 1, 10);
    assert!(advance(&fresh, None, &record).await);
    for to in [seen(4, 2, 10), seen(0, 2, 11), seen(6, 2, 9)] {
        assert!(!advance(&fresh, Some((5, 1)), &to).await, "{to:?}");
        assert_eq!(latest(&fresh).await.as_ref(), Some(&record));
    }
}

/// See its name.
pub async fn a_record_may_be_cosigned_again(fresh: Fresh) {
    assert!(advance(&fresh, None, &seen(5, 1, 10)).await);
    for at_s in [10, 12] {
        let again = seen(5, 1, at_s);
        assert!(advance(&fresh, Some((5, 1)), &again).await);
        assert_eq!(latest(&fresh).await, Some(again));
    }
}

/// See its name.
pub async fn logs_do_not_mix(fresh: Fresh) {
    let (one, two) = (seen(5, 1, 10), seen(7, 2, 9));
    assert!(advance(&fresh, None, &one).await);
    assert!(fresh.store.advance(log("b"), None, two.clone()).await.expect("the store works"));
    assert_eq!(latest(&fresh).await, Some(one));
    assert_eq!(fresh.store.latest(log("b")).await.expect("the store works"), Some(two));
}

/// See its name.
pub async fn of_many_advances_from_one_record_one_wins(fresh: Fresh) {
    assert!(advance(&fresh, None, &seen(1, 1, 10)).await);
    for round in 1..=8_u8 {
        let from = Some((u64::from(round), round));
        // The same size with different roots: a fork if two won.
        let tries = (0..8).map(|root| seen(u64::from(round) + 1, 100 + root, 10)).collect::<Vec<_>>();
        let won = join_all(tries.iter().map(|to| advance(&fresh, from, to))).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let winner = won.iter().position(|won| *won).map(|at| tries[at].clone());
        assert_eq!(latest(&fresh).await, winner);
        // The next round's name for it.
        let next = seen(u64::from(round) + 1, round + 1, 10);
        let from = winner.map(|seen| (seen.size, seen.root));
        assert!(fresh.store.advance(log("a"), from, next).await.expect("the store works"));
    }
}
