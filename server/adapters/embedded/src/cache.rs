//! A bounded map over rows of the database that never says something older than an answered change.
//!
//! A reader that finds nothing leaves a ticket, reads the database, and may keep the value only if its ticket is still
//! there. The writer takes tickets and values away after each commit and before it answers. A ticket that survives was
//! left after every such commit, so the reader's snapshot, which began later still, holds them all. This is true because
//! one process owns the file and has one writer.
//!
//! A map may have a life besides: what is older is read again. It corrects nothing that is known; it bounds what a change
//! that nobody spoke of (a row edited by hand, a verb that forgot to forget) could do.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use veilcloud_domain::store::StoreError;

enum Slot<V> {
    /// Readers are reading; the ticket names the latest.
    Reading(u64),
    /// Read at this time.
    Known(V, Instant),
}

struct Slots<K, V> {
    map: HashMap<K, Slot<V>>,
    tickets: u64,
}

/// The map. `limit` entries at most: when it is full, it is emptied, which is rare and costs one read for each key.
pub(crate) struct Cache<K, V> {
    slots: Mutex<Slots<K, V>>,
    limit: usize,
    life: Option<Duration>,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// An empty map of at most `limit` entries.
    pub fn new(limit: usize) -> Self {
        Self { slots: Mutex::new(Slots { map: HashMap::new(), tickets: 0 }), limit, life: None }
    }

    /// The same, and each value is read again when it is this old.
    pub fn living(self, life: Duration) -> Self {
        Self { life: Some(life), ..self }
    }

    /// The value of a key: known, or read by `read`. Only what exists is kept.
    pub async fn get<F>(&self, key: &K, read: F) -> Result<Option<V>, StoreError>
    where
        F: Future<Output = Result<Option<V>, StoreError>>,
    {
        // Before the reading: a value is as old as what was read.
        let now = self.life.map(|_| Instant::now());
        let ticket = {
            let mut slots = self.lock();
            if let Some(Slot::Known(value, at)) = slots.map.get(key)
                && self.is_young(*at, now)
            {
                return Ok(Some(value.clone()));
            }
            if slots.map.len() >= self.limit {
                slots.map.clear();
            }
            slots.tickets += 1;
            let ticket = slots.tickets;
            slots.map.insert(key.clone(), Slot::Reading(ticket));
            ticket
        };
        let found = read.await;
        let mut slots = self.lock();
        if matches!(slots.map.get(key), Some(Slot::Reading(t)) if *t == ticket) {
            match &found {
                Ok(Some(value)) => {
                    let at = now.unwrap_or_else(Instant::now);
                    slots.map.insert(key.clone(), Slot::Known(value.clone(), at))
                }
                _ => slots.map.remove(key),
            };
        }
        found
    }

    /// The writer changed this row.
    pub fn forget(&self, key: &K) {
        self.lock().map.remove(key);
    }

    /// The writer changed rows that it did not count.
    pub fn forget_all(&self) {
        self.lock().map.clear();
    }

    fn is_young(&self, at: Instant, now: Option<Instant>) -> bool {
        match (self.life, now) {
            (Some(life), Some(now)) => now.saturating_duration_since(at) < life,
            _ => true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots<K, V>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_is_read_once_until_the_writer_changes_it() {
        let cache = Cache::new(8);
        assert_eq!(cache.get(&1, async { Ok(Some("old")) }).await.unwrap(), Some("old"));
        assert_eq!(cache.get(&1, async { panic!("not read again") }).await.unwrap(), Some("old"));
        cache.forget(&1);
        assert_eq!(cache.get(&1, async { Ok(Some("new")) }).await.unwrap(), Some("new"));
    }

    #[tokio::test]
    async fn a_reader_that_was_overtaken_by_a_commit_keeps_nothing() {
        let cache = Cache::new(8);
        let read = async {
            cache.forget(&1);
            Ok(Some("old"))
        };
        assert_eq!(cache.get(&1, read).await.unwrap(), Some("old"));
        assert_eq!(cache.get(&1, async { Ok(Some("new")) }).await.unwrap(), Some("new"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_nobody_forgot_is_read_again_when_it_is_old() {
        let life = Duration::from_secs(30);
        let cache = Cache::new(8).living(life);
        assert_eq!(cache.get(&1, async { Ok(Some("old")) }).await.unwrap(), Some("old"));
        tokio::time::advance(life - Duration::from_millis(1)).await;
        assert_eq!(cache.get(&1, async { panic!("not read again") }).await.unwrap(), Some("old"));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(cache.get(&1, async { Ok(Some("new")) }).await.unwrap(), Some("new"));
        // A reading that took long is as old as its beginning.
        let slow = async {
            tokio::time::advance(life).await;
            Ok(Some("slow"))
        };
        assert_eq!(cache.get(&2, slow).await.unwrap(), Some("slow"));
        assert_eq!(cache.get(&2, async { Ok(Some("newer")) }).await.unwrap(), Some("newer"));
        let lasting = Cache::new(8);
        lasting.get(&1, async { Ok(Some("for ever")) }).await.unwrap();
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        assert_eq!(lasting.get(&1, async { panic!("not read again") }).await.unwrap(), Some("for ever"));
    }

    #[tokio::test]
    async fn absence_is_asked_again_and_the_map_stays_bounded() {
        let cache = Cache::new(2);
        assert_eq!(cache.get(&1, async { Ok(None) }).await.unwrap(), None);
        assert_eq!(cache.get(&1, async { Ok(Some(1)) }).await.unwrap(), Some(1));
        for key in 2..100 {
            cache.get(&key, async { Ok(Some(key)) }).await.unwrap();
            assert!(cache.lock().map.len() <= 2);
        }
    }
}
