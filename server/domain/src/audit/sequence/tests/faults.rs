use std::time::Duration;

use tokio::time::Instant;

use super::bench::{Bench, Step, cause, log};
use crate::{
    audit::{
        port::{LogStore, Lost, Outbox},
        sequence::{CLOCK_WAIT, LogsLost},
    },
    store::StoreError,
};

#[tokio::test]
async fn nothing_is_signed_when_the_stage_fails_and_the_next_round_takes_the_lines() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.append(&mut sequencer, log(1), 1).await;
    bench.record(log(1), 2).await;
    bench.recorder.steps();
    let wait = bench.settle(log(1));
    bench.store.fill_next("stage");
    let round = sequencer.round().await.unwrap();
    assert!(matches!(round.failed, Some(StoreError::Full { .. })));
    assert_eq!(cause(wait.await.unwrap()), "memory is full");
    assert_eq!(bench.recorder.steps(), [Step::Clock, Step::Stage(1)]);
    assert_eq!(bench.size(log(1)), 1);
    bench.append(&mut sequencer, log(1), 1).await;
    assert_eq!(bench.size(log(1)), 4);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_looked_up() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.append(&mut sequencer, log(1), 1).await;
    for happened in [true, false] {
        let before = bench.size(log(1));
        bench.record(log(1), 2).await;
        let wait = bench.settle(log(1));
        if happened {
            bench.store.lose_answer("commit_log");
        } else {
            bench.store.fail_next("commit_log");
        }
        let round = sequencer.round().await.unwrap();
        let after = bench.size(log(1));
        assert_eq!(after, if happened { before + 2 } else { before });
        assert_eq!(wait.await.unwrap().is_ok(), happened);
        // Something went wrong either way, and an operator hears of it.
        assert_eq!((round.logs, round.failed.is_some()), (usize::from(happened), true));
    }
    // What was signed in vain is signed again as part of the next batch.
    bench.append(&mut sequencer, log(1), 1).await;
    assert_eq!(bench.size(log(1)), 6);
}

#[tokio::test]
async fn an_outcome_that_cannot_be_looked_up_is_an_error_and_the_log_goes_on() {
    for happened in [true, false] {
        let mut bench = Bench::new();
        let mut sequencer = bench.sequencer().await;
        bench.append(&mut sequencer, log(1), 1).await;
        bench.record(log(1), 2).await;
        let wait = bench.settle(log(1));
        if happened {
            bench.store.lose_answer("commit_log");
        } else {
            bench.store.fail_next("commit_log");
        }
        // The edge is in memory, so that the next look at the lock row is for the outcome.
        bench.store.fail_next("log_state");
        let round = sequencer.round().await.unwrap();
        assert!(round.failed.is_some());
        assert!(cause(wait.await.unwrap()).starts_with("memory is unavailable"));
        assert_eq!(bench.size(log(1)), if happened { 3 } else { 1 });
        bench.append(&mut sequencer, log(1), 1).await;
        assert_eq!(bench.size(log(1)), 4);
    }
}

#[tokio::test]
async fn lines_that_are_not_those_that_were_signed_are_not_signed_over() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.append(&mut sequencer, log(1), 1).await;
    bench.record(log(1), 2).await;
    let wait = bench.settle(log(1));
    bench.store.fail_next("commit_log");
    sequencer.round().await.unwrap();
    assert!(wait.await.unwrap().is_err());
    // Somebody who can write the outbox's rows puts others in their place.
    bench.store.clear_outbox(log(1));
    bench.clock.advance(1);
    bench.record(log(1), 3).await;
    bench.recorder.steps();
    let wait = bench.settle(log(1));
    let round = sequencer.round().await.unwrap();
    assert_eq!(round.refused.len(), 1);
    assert!(cause(wait.await.unwrap()).contains("not those that were signed before"));
    assert_eq!(bench.recorder.steps(), []);
}

#[tokio::test]
async fn a_fenced_sequencer_is_over_for_good() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.append(&mut sequencer, log(1), 1).await;
    bench.record(log(1), 1).await;
    let (in_batch, queued) = (bench.settle(log(1)), bench.settle(log(2)));
    LogStore::fence(&bench.store).await.unwrap();
    let lost = sequencer.round().await.unwrap_err();
    assert_eq!(lost, LogsLost(Lost::Fenced));
    assert!(cause(in_batch.await.unwrap()).contains("another one took them"));
    // Log 2 had no lines, so that it was answered before the commit was refused.
    queued.await.unwrap().unwrap();
    assert!(cause(bench.log.settle(log(1)).await).contains("another one took them"));
    assert!(bench.log.check().is_err());
    assert_eq!(sequencer.round().await.unwrap_err(), lost);
    assert_eq!(bench.size(log(1)), 1);
}

#[tokio::test]
async fn a_sequencer_whose_log_was_moved_is_over_for_good() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.append(&mut sequencer, log(1), 3).await;
    bench.record(log(1), 1).await;
    bench.store.edit_log(log(1), |stored| stored.state.size = 2);
    let (wait, other) = (bench.settle(log(1)), bench.settle(log(2)));
    bench.record(log(2), 1).await;
    assert_eq!(sequencer.round().await.unwrap_err(), LogsLost(Lost::Moved(log(1))));
    assert!(cause(wait.await.unwrap()).contains("is not where it left it"));
    assert!(other.await.unwrap().is_err());
    assert_eq!(bench.size(log(2)), 0);
}

#[tokio::test]
async fn a_store_that_went_back_is_not_built_upon() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.append(&mut sequencer, log(1), 2).await;
    let old = bench.store.state(log(1)).await.unwrap().unwrap();
    bench.append(&mut sequencer, log(1), 2).await;
    // The edge has to be read again, and the lock row is an older one that was truly signed.
    bench.record(log(1), 1).await;
    bench.record(log(2), 1).await;
    bench.store.fail_next("stage");
    let (failed, other) = (bench.settle(log(1)), bench.settle(log(2)));
    sequencer.round().await.unwrap();
    assert!(failed.await.unwrap().is_err() && other.await.unwrap().is_err());
    bench.store.edit_log(log(1), |stored| stored.state = old);
    let (refused, other) = (bench.settle(log(1)), bench.settle(log(2)));
    let round = sequencer.round().await.unwrap();
    assert!(cause(refused.await.unwrap()).contains("it has 2 leaves and had 4"));
    assert_eq!(round.refused.len(), 1);
    other.await.unwrap().unwrap();
    assert_eq!(bench.size(log(2)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_went_back_signs_nothing() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.append(&mut sequencer, log(1), 1).await;
    let signed = bench.store.state(log(1)).await.unwrap().unwrap().signed_at_ms;
    bench.record(log(1), 1).await;
    bench.clock.set(signed - 1);
    bench.recorder.steps();
    let (wait, began) = (bench.settle(log(1)), Instant::now());
    let round = sequencer.round().await.unwrap();
    assert!(round.failed.is_some());
    assert!(began.elapsed() >= CLOCK_WAIT);
    assert!(cause(wait.await.unwrap()).contains("the clock is 1 ms behind"));
    assert!(bench.recorder.steps().iter().all(|step| *step == Step::Clock));
    assert_eq!(bench.size(log(1)), 1);

    // The same time as before is no step back, and a restart does not forget.
    drop(sequencer);
    let mut sequencer = bench.sequencer().await;
    let wait = bench.settle(log(1));
    sequencer.round().await.unwrap();
    assert!(wait.await.unwrap().is_err());
    bench.clock.set(signed);
    bench.append(&mut sequencer, log(1), 1).await;
    assert_eq!(bench.size(log(1)), 3);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_a_little_behind_is_waited_for() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.append(&mut sequencer, log(1), 1).await;
    bench.record(log(1), 1).await;
    let signed = bench.store.state(log(1)).await.unwrap().unwrap().signed_at_ms;
    bench.clock.set(signed - 500);
    let (wait, clock) = (bench.settle(log(1)), bench.clock.clone());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        clock.advance(500);
    });
    let round = sequencer.round().await.unwrap();
    assert!(round.failed.is_none());
    wait.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_line_that_cannot_be_read_stops_its_log_only() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.record(log(1), 1).await;
    bench.record(log(2), 1).await;
    let (one, two) = (bench.settle(log(1)), bench.settle(log(2)));
    bench.store.fail_next("pending");
    let round = sequencer.round().await.unwrap();
    assert_eq!(round.refused.iter().map(|(log, _)| *log).collect::<Vec<_>>(), [log(1)]);
    assert!(one.await.unwrap().is_err());
    two.await.unwrap().unwrap();
    assert_eq!(bench.store.waiting(None, 10).await.unwrap(), [log(1)]);
}
