//! Rate limits. Whether tokens come back one by one or some at once is the adapter's, but never before their time.

use super::sample::*;
use crate::{
    auth::port::{Taken, Window},
    testkit::Ports,
};

const MINUTE: Window = Window { limit: 5, seconds: 60 };
const DAY: Window = Window { limit: 8, seconds: 86_400 };
/// Keys of a flood: more than a store in memory has room for.
const FLOOD: u32 = 150_000;

async fn take(ports: &Ports, key: &str, cost: u32, windows: &[Window], now_ms: u64) -> Taken {
    ports.meter.take(key, cost, windows, now_ms).await.expect("the store works")
}

fn granted(taken: Taken) -> bool {
    matches!(taken, Taken::Granted { .. })
}

fn left(taken: Taken) -> Option<(Window, u32)> {
    let Taken::Granted { tightest } = taken else { panic!("refused: {taken:?}") };
    tightest.map(|left| (left.window, left.left))
}

pub async fn tokens_run_out_and_come_back(ports: Ports) {
    let first = take(&ports, "k", 2, &[MINUTE], NOW_MS).await;
    assert_eq!(left(first), Some((MINUTE, 3)));
    let second = take(&ports, "k", 3, &[MINUTE], NOW_MS).await;
    assert_eq!(left(second), Some((MINUTE, 0)));
    let Taken::Refused { left, retry_after_ms } = take(&ports, "k", 1, &[MINUTE], NOW_MS).await else {
        panic!("the window is empty");
    };
    assert_eq!((left.window, left.left), (MINUTE, 0));
    assert!((1..=60_000).contains(&retry_after_ms), "{retry_after_ms}");
    assert!(granted(take(&ports, "k", 1, &[MINUTE], NOW_MS + retry_after_ms).await));
    assert!(granted(take(&ports, "k", 5, &[MINUTE], NOW_MS + 200_000).await));
    assert!(!granted(take(&ports, "k", 5, &[MINUTE], NOW_MS + 200_000).await));
}

pub async fn a_refusal_takes_from_no_window(ports: Ports) {
    assert!(granted(take(&ports, "k", 4, &[MINUTE, DAY], NOW_MS).await));
    assert!(granted(take(&ports, "k", 4, &[MINUTE, DAY], NOW_MS + 61_000).await));
    let Taken::Refused { left, .. } = take(&ports, "k", 1, &[MINUTE, DAY], NOW_MS + 61_000).await else {
        panic!("the day is used up");
    };
    assert_eq!(left.window, DAY);
    assert!(!granted(take(&ports, "k", 1, &[MINUTE, DAY], NOW_MS + 61_000).await));
    // The minute still has the one token that the refusals did not take.
    assert!(granted(take(&ports, "k", 1, &[MINUTE], NOW_MS + 61_000).await));
    assert!(!granted(take(&ports, "k", 6, &[MINUTE], NOW_MS + 600_000).await));
    assert!(granted(take(&ports, "k", 5, &[MINUTE], NOW_MS + 600_000).await));
}

pub async fn a_burst_around_an_edge_takes_no_more_than_one_window(ports: Ports) {
    for key in ["k", "guard:k"] {
        assert!(granted(take(&ports, key, 1, &[MINUTE], NOW_MS).await));
        assert!(granted(take(&ports, key, 4, &[MINUTE], NOW_MS + 59_900).await));
        assert!(!granted(take(&ports, key, 2, &[MINUTE], NOW_MS + 60_100).await));
        assert!(granted(take(&ports, key, 1, &[MINUTE], NOW_MS + 60_100).await));
        assert!(!granted(take(&ports, key, 5, &[MINUTE], NOW_MS + 119_800).await));
        assert!(granted(take(&ports, key, 5, &[MINUTE], NOW_MS + 180_000).await));
    }
}

pub async fn keys_do_not_share_tokens(ports: Ports) {
    assert!(granted(take(&ports, "alice", 5, &[MINUTE], NOW_MS).await));
    assert!(!granted(take(&ports, "alice", 1, &[MINUTE], NOW_MS).await));
    assert!(granted(take(&ports, "bob", 5, &[MINUTE], NOW_MS).await));
}

pub async fn a_guarded_window_outlives_a_flood_of_others(ports: Ports) {
    assert!(granted(take(&ports, "guard:k", 5, &[MINUTE], NOW_MS).await));
    for n in 0..FLOOD {
        assert!(granted(take(&ports, &format!("k{n}"), 1, &[DAY], NOW_MS).await));
    }
    assert!(!granted(take(&ports, "guard:k", 1, &[MINUTE], NOW_MS + 59_999).await));
    assert!(granted(take(&ports, "guard:k", 1, &[MINUTE], NOW_MS + 60_000).await));
}

pub async fn no_windows_mean_no_limit(ports: Ports) {
    for _ in 0..100 {
        assert_eq!(take(&ports, "k", 1000, &[], NOW_MS).await, Taken::Granted { tightest: None });
    }
}
