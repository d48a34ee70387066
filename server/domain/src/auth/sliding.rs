//! A window of a rate limit that slides: in no span of its length are more tokens taken than its limit, at no edge either.
//! Tokens are remembered in a few groups; a group comes back whole when its *last* token is a window old, so that gathering
//! them never gives anything early.

use std::collections::VecDeque;

use super::port::{Left, Window};

/// Into how many groups the tokens of a full window are gathered; they come back up to one of these parts late.
const PARTS: u64 = 12;
/// Most groups: those of a window and of the part before it, and one that is being gathered.
const GROUPS_MAX: usize = PARTS as usize + 2;

#[derive(Debug, Clone, Copy)]
struct Group {
    first_ms: u64,
    last_ms: u64,
    tokens: u32,
}

/// Tokens taken from one window.
#[derive(Debug, Clone, Default)]
pub struct Sliding {
    groups: VecDeque<Group>,
}

impl Sliding {
    /// What is left of the window now.
    pub fn left(&mut self, window: &Window, now_ms: u64) -> Left {
        self.drop_ended(window, now_ms);
        let taken = self.groups.iter().fold(0u32, |sum, group| sum.saturating_add(group.tokens));
        let back_ms = self.groups.back().map_or(now_ms, |group| ended(group, window));
        Left {
            window: *window,
            left: window.limit.saturating_sub(taken),
            reset_after_ms: back_ms.saturating_sub(now_ms),
        }
    }

    /// Takes tokens that are left.
    pub fn take(&mut self, window: &Window, cost: u32, now_ms: u64) {
        if cost == 0 {
            return;
        }
        let part_ms = (len_ms(window) / PARTS).max(1);
        let full = self.groups.len() >= GROUPS_MAX;
        match self.groups.back_mut() {
            // A clock that went back gathers too: later is safe, earlier is not.
            Some(group) if full || now_ms < group.first_ms.saturating_add(part_ms) => {
                group.tokens = group.tokens.saturating_add(cost);
                group.last_ms = group.last_ms.max(now_ms);
            }
            _ => self.groups.push_back(Group { first_ms: now_ms, last_ms: now_ms, tokens: cost }),
        }
    }

    /// How long until this many tokens are left. What is more than the limit never is: a whole window, then.
    pub fn retry_after_ms(&mut self, window: &Window, cost: u32, now_ms: u64) -> u64 {
        let mut left = self.left(window, now_ms).left;
        for group in &self.groups {
            if left >= cost {
                break;
            }
            left = left.saturating_add(group.tokens);
            if left >= cost {
                return ended(group, window).saturating_sub(now_ms);
            }
        }
        if left >= cost { 0 } else { len_ms(window) }
    }

    /// When the last token is back.
    pub fn ends_at_ms(&self, window: &Window) -> u64 {
        self.groups.back().map_or(0, |group| ended(group, window))
    }

    fn drop_ended(&mut self, window: &Window, now_ms: u64) {
        while self.groups.front().is_some_and(|group| ended(group, window) <= now_ms) {
            self.groups.pop_front();
        }
    }
}

fn len_ms(window: &Window) -> u64 {
    u64::from(window.seconds) * 1000
}

fn ended(group: &Group, window: &Window) -> u64 {
    group.last_ms.saturating_add(len_ms(window))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Window = Window { limit: 10, seconds: 60 };

    #[test]
    fn a_burst_on_both_sides_of_an_edge_takes_no_more_than_one_window() {
        let mut sliding = Sliding::default();
        sliding.take(&MINUTE, 1, 0);
        sliding.take(&MINUTE, 9, 59_900);
        assert_eq!(sliding.left(&MINUTE, 60_000).left, 1);
        assert_eq!(sliding.retry_after_ms(&MINUTE, 2, 60_000), 59_900);
        assert_eq!(sliding.left(&MINUTE, 119_899).left, 1);
        assert_eq!(sliding.left(&MINUTE, 119_900).left, 10);
    }

    proptest! {
        #[test]
        fn no_span_of_a_window_holds_more_than_its_limit(
            steps in prop::collection::vec((0u64..20_000, 1u32..6), 1..200),
        ) {
            let (mut sliding, mut now_ms, mut granted) = (Sliding::default(), 0, Vec::new());
            for (pause_ms, cost) in steps {
                now_ms += pause_ms;
                let left = sliding.left(&MINUTE, now_ms);
                prop_assert!(sliding.groups.len() <= GROUPS_MAX);
                if left.left >= cost {
                    sliding.take(&MINUTE, cost, now_ms);
                    granted.push((now_ms, cost));
                    let span = granted.iter().filter(|(at_ms, _)| now_ms - at_ms < 60_000);
                    prop_assert!(span.map(|(_, cost)| cost).sum::<u32>() <= MINUTE.limit);
                } else {
                    let wait_ms = sliding.retry_after_ms(&MINUTE, cost, now_ms);
                    prop_assert!((1..=60_000).contains(&wait_ms));
                    prop_assert!(sliding.clone().left(&MINUTE, now_ms + wait_ms).left >= cost);
                    prop_assert!(sliding.clone().left(&MINUTE, now_ms + wait_ms - 1).left < cost);
                }
            }
        }
    }
}
