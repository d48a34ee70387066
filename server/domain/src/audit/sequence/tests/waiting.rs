use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use super::bench::{Bench, cause, line, log};
use crate::{
    audit::{
        log::{Log, SETTLE_MAX},
        pool::{READ_DELAY, WAITERS_MAX},
        port::Outbox,
    },
    store::StoreError,
};

#[tokio::test(start_paused = true)]
async fn a_line_that_nobody_waits_for_is_taken_after_a_short_delay() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.record(log(1), 1).await;
    let began = Instant::now();
    bench.log.note(log(1));
    tokio::time::sleep(READ_DELAY / 2).await;
    bench.log.note(log(1));
    sequencer.ready().await;
    assert_eq!(began.elapsed(), READ_DELAY);
    assert_eq!(sequencer.round().await.unwrap().leaves, 1);
    assert!(sequencer.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_line_that_nobody_waits_for_goes_along_with_one_that_somebody_does() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.record(log(1), 1).await;
    bench.log.note(log(1));
    bench.log.note(log(2));
    let began = Instant::now();
    let wait = bench.settle(log(1));
    sequencer.ready().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(sequencer.round().await.unwrap().leaves, 1);
    wait.await.unwrap().unwrap();
    // The other one still has its time, and the one that was taken does not come again.
    sequencer.ready().await;
    assert_eq!(began.elapsed(), READ_DELAY);
    sequencer.round().await.unwrap();
    assert!(sequencer.is_idle());
    assert!(timeout(Duration::from_secs(10), sequencer.ready()).await.is_err());
}

#[tokio::test]
async fn somebody_who_comes_during_a_round_is_served_by_the_next() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    let log_handle = bench.log.clone();
    let early = tokio::spawn(async move { log_handle.settle(log(1)).await });
    sequencer.ready().await;
    bench.record(log(1), 1).await;
    sequencer.round().await.unwrap();
    early.await.unwrap().unwrap();
    bench.record(log(1), 1).await;
    let late = bench.settle(log(1));
    assert!(!sequencer.is_idle());
    sequencer.round().await.unwrap();
    late.await.unwrap().unwrap();
    assert_eq!(bench.size(log(1)), 2);
}

#[tokio::test]
async fn a_draining_sequencer_serves_who_waits_and_lets_nobody_in() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.record(log(1), 1).await;
    bench.record(log(2), 1).await;
    let wait = bench.settle(log(1));
    bench.log.note(log(2));
    sequencer.drain();
    assert!(cause(bench.log.settle(log(1)).await).contains("shutting down"));
    assert!(bench.log.check().is_err());
    while !sequencer.is_idle() {
        sequencer.round().await.unwrap();
    }
    wait.await.unwrap().unwrap();
    assert_eq!((bench.size(log(1)), bench.size(log(2))), (1, 1));
}

#[tokio::test]
async fn a_log_that_was_put_off_and_is_found_in_the_outbox_while_draining_is_taken_once() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.record(log(1), 1).await;
    bench.log.note(log(1));
    sequencer.drain();
    sequencer.poll().await.unwrap();
    assert_eq!(bench.log.pool.take(8).len(), 1);
    assert!(sequencer.is_idle());
}

#[tokio::test]
async fn nobody_waits_for_a_sequencer_that_is_gone() {
    let mut bench = Bench::new();
    let sequencer = bench.sequencer().await;
    let wait = bench.settle(log(1));
    drop(sequencer);
    assert!(cause(wait.await.unwrap()).contains("the sequencer ended"));
    assert!(cause(bench.log.settle(log(1)).await).contains("the sequencer ended"));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_for_a_sequencer_that_never_came() {
    let log_handle = Log::new();
    let began = Instant::now();
    assert!(log_handle.settle(log(1)).await.is_err());
    assert_eq!(began.elapsed(), SETTLE_MAX);
}

#[tokio::test]
async fn too_many_waiters_are_turned_away_and_those_who_went_do_not_count_for_ever() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    let waits: Vec<_> = (0..WAITERS_MAX).map(|n| bench.settle(log(n as u16 % 300))).collect();
    let refused = bench.log.settle(log(1)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { store: "log", .. })));
    drop(waits);
    while !sequencer.is_idle() {
        sequencer.round().await.unwrap();
    }
    let wait = bench.settle(log(1));
    sequencer.round().await.unwrap();
    wait.await.unwrap().unwrap();
}

#[tokio::test]
async fn every_one_of_many_callers_finds_its_line_in_the_log() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer_of(16).await;
    let bench = Arc::new(bench);
    let callers: Vec<_> = (0..200_u16)
        .map(|n| {
            let bench = bench.clone();
            tokio::spawn(async move {
                let own = log(n % 7);
                let index = bench.store.record(line(own, u64::from(n))).await.unwrap();
                bench.log.settle(own).await.unwrap();
                assert!(bench.size(own) > index);
            })
        })
        .collect();
    let all = async {
        for caller in callers {
            caller.await.unwrap();
        }
    };
    tokio::select! {
        () = all => {}
        () = async { loop { sequencer.ready().await; sequencer.round().await.unwrap(); } } => {}
    }
}
