//! Token windows, in this process. They slide: in no span of a window's length are more tokens taken than its limit. A
//! restart gives everybody a fresh window. What must never happen: a guarded window that is forgotten before its end, or
//! whoever guesses a secret would flood the meter to get a fresh one.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use veilcloud_domain::{
    auth::{
        port::{GUARD, Left, Meter, Taken, Window},
        sliding::Sliding,
    },
    store::StoreError,
};

/// Most windows of either sort at one time, 200 to 600 bytes each. When there are more, the one that would end first
/// goes; a guarded one stays, and the newcomer is refused.
pub(crate) const WINDOWS_MAX: usize = 131_072;

type Key = (Arc<str>, u32);

#[derive(Default)]
struct Open {
    ends_at_ms: u64,
    sliding: Sliding,
}

#[derive(Default)]
struct State {
    open: HashMap<Key, Open>,
    by_end: BTreeSet<(u64, Key)>,
}

/// Meters in bounded maps.
#[derive(Default)]
pub(crate) struct MemoryMeter {
    /// Windows of keys that begin with [`GUARD`].
    guarded: Mutex<State>,
    others: Mutex<State>,
}

#[async_trait]
impl Meter for MemoryMeter {
    async fn take(&self, key: &str, cost: u32, windows: &[Window], now_ms: u64) -> Result<Taken, StoreError> {
        let guarded = key.starts_with(GUARD);
        let state = if guarded { &self.guarded } else { &self.others };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.drop_ended(now_ms);
        let key: Arc<str> = key.into();
        for window in windows {
            let Some(open) = state.open.get_mut(&(key.clone(), window.seconds)) else {
                if cost > window.limit {
                    let mut fresh = Sliding::default();
                    let retry_after_ms = fresh.retry_after_ms(window, cost, now_ms);
                    return Ok(Taken::Refused { left: fresh.left(window, now_ms), retry_after_ms });
                }
                continue;
            };
            let left = open.sliding.left(window, now_ms);
            if left.left < cost {
                let retry_after_ms = open.sliding.retry_after_ms(window, cost, now_ms);
                return Ok(Taken::Refused { left, retry_after_ms });
            }
        }
        if guarded && cost > 0 && !state.has_room(&key, windows) {
            return Err(StoreError::Full { store: "meter" });
        }
        let mut tightest: Option<Left> = None;
        for window in windows {
            let left = state.take((key.clone(), window.seconds), cost, window, now_ms);
            if tightest.is_none_or(|fewest| left.left < fewest.left) {
                tightest = Some(left);
            }
        }
        Ok(Taken::Granted { tightest })
    }
}

impl State {
    fn drop_ended(&mut self, now_ms: u64) {
        while self.by_end.first().is_some_and(|(ends_at_ms, _)| *ends_at_ms <= now_ms) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, key)) = self.by_end.pop_first() {
            self.open.remove(&key);
        }
    }

    /// Whether these windows fit without one that would have to go.
    fn has_room(&self, key: &Arc<str>, windows: &[Window]) -> bool {
        let known = |window: &&Window| self.open.contains_key(&(key.clone(), window.seconds));
        let new = windows.len() - windows.iter().filter(known).count();
        self.open.len() + new <= WINDOWS_MAX
    }

    /// Takes from a window that has enough; gives what is left.
    fn take(&mut self, key: Key, cost: u32, window: &Window, now_ms: u64) -> Left {
        if cost == 0 && !self.open.contains_key(&key) {
            return Sliding::default().left(window, now_ms);
        }
        if !self.open.contains_key(&key) && self.open.len() >= WINDOWS_MAX {
            self.drop_first();
        }
        let open = self.open.entry(key.clone()).or_default();
        open.sliding.take(window, cost, now_ms);
        let ends_at_ms = open.sliding.ends_at_ms(window);
        let before_ms = std::mem::replace(&mut open.ends_at_ms, ends_at_ms);
        let left = open.sliding.left(window, now_ms);
        if before_ms != ends_at_ms {
            self.by_end.remove(&(before_ms, key.clone()));
            self.by_end.insert((ends_at_ms, key));
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Window = Window { limit: 3, seconds: 60 };
    const DAY: Window = Window { limit: 4, seconds: 86_400 };

    fn left(taken: Taken) -> Option<(Window, u32)> {
        let Taken::Granted { tightest } = taken else { panic!("refused: {taken:?}") };
        tightest.map(|left| (left.window, left.left))
    }

    #[tokio::test]
    async fn tokens_are_taken_from_every_window_or_from_none() {
        let meter = MemoryMeter::default();
        let granted = meter.take("a", 2, &[MINUTE, DAY], 1_000).await.unwrap();
        assert_eq!(left(granted), Some((MINUTE, 1)));
        let refused = meter.take("a", 2, &[MINUTE, DAY], 2_000).await.unwrap();
        assert!(matches!(
            refused,
            Taken::Refused { left: Left { window: MINUTE, left: 1, .. }, retry_after_ms: 59_000 }
        ));
        // The minute is over, and the refused tokens are not missing from the day.
        let granted = meter.take("a", 2, &[MINUTE, DAY], 61_000).await.unwrap();
        assert_eq!(left(granted), Some((DAY, 0)));
        let refused = meter.take("a", 1, &[MINUTE, DAY], 122_000).await.unwrap();
        assert!(matches!(refused, Taken::Refused { left: Left { window: DAY, .. }, .. }));
        // Somebody else's windows are their own; no windows, no bound.
        assert!(matches!(meter.take("b", 3, &[MINUTE], 1_000).await.unwrap(), Taken::Granted { .. }));
        assert_eq!(meter.take("a", 9, &[], 1_000).await.unwrap(), Taken::Granted { tightest: None });
    }

    #[tokio::test]
    async fn many_keys_do_not_take_more_than_their_room() {
        let meter = MemoryMeter::default();
        for n in 0..WINDOWS_MAX + 10 {
            meter.take(&n.to_string(), 1, &[MINUTE], 0).await.unwrap();
        }
        let state = meter.others.lock().unwrap();
        assert_eq!(state.open.len(), WINDOWS_MAX);
        assert_eq!(state.by_end.len(), WINDOWS_MAX);
    }

    #[tokio::test]
    async fn a_full_guard_refuses_newcomers_and_forgets_nobody() {
        let meter = MemoryMeter::default();
        let guarded = |n: usize| format!("{GUARD}{n}");
        for n in 0..WINDOWS_MAX {
            meter.take(&guarded(n), 2, &[MINUTE], 0).await.unwrap();
        }
        let newcomer = meter.take(&guarded(WINDOWS_MAX), 1, &[MINUTE], 0).await;
        assert!(matches!(newcomer, Err(StoreError::Full { .. })));
        // Who is known is metered as before, and others are not concerned.
        assert!(matches!(meter.take(&guarded(0), 1, &[MINUTE], 0).await, Ok(Taken::Granted { .. })));
        assert!(matches!(meter.take(&guarded(0), 1, &[MINUTE], 0).await, Ok(Taken::Refused { .. })));
        assert!(matches!(meter.take("other", 1, &[MINUTE], 0).await, Ok(Taken::Granted { .. })));
        // Time makes room.
        let later = meter.take(&guarded(WINDOWS_MAX), 1, &[MINUTE], 60_000).await;
        assert!(matches!(later, Ok(Taken::Granted { .. })));
    }
}
