use veilchain::{checkpoint, hash::leaf_hash, range::CompactRange};

use super::bench::{Bench, Step, line, log};
use crate::{
    audit::{
        heads::Heads,
        model::Trail,
        port::{LogStore, Outbox},
        sequence::{
            LOGS_PER_BATCH, TAILS_MAX,
            tails::{Slot, Tails},
        },
    },
    testkit::log_keys,
};

#[tokio::test]
async fn a_batch_is_durable_before_it_is_signed_and_signed_before_it_is_committed() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.record(log(1), 2).await;
    bench.record(log(2), 1).await;
    let waits = [bench.settle(log(1)), bench.settle(log(2))];
    let round = sequencer.round().await.unwrap();
    assert_eq!((round.logs, round.leaves, round.cut), (2, 3, 0));
    // The time of a checkpoint is asked for when it is signed: between the write and the swap.
    let steps = bench.recorder.steps();
    let [Step::Clock, Step::Stage(2), Step::Clock, Step::Commit(heads)] = &steps[..] else {
        panic!("{steps:?}");
    };
    for (head, wait) in heads.iter().zip(waits) {
        wait.await.unwrap().unwrap();
        let state = bench.store.state(head.log).await.unwrap().unwrap();
        assert_eq!((state.size, state.root, &state.checkpoint), (head.size, head.root, &head.checkpoint));
    }
}

#[tokio::test]
async fn a_log_holds_the_entries_of_its_lines_under_a_checkpoint_of_its_name() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.append(&mut sequencer, log(1), 3).await;
    bench.clock.advance(5);
    bench.append(&mut sequencer, log(1), 2).await;
    let now_ms = crate::clock::Clock::now_ms(&*bench.clock);
    let mut expected = vec![line(log(1), now_ms - 5).entry(); 3];
    expected.extend(vec![line(log(1), now_ms).entry(); 2]);
    assert_eq!(bench.entries(log(1)), expected);
    assert_eq!(bench.store.waiting(None, 10).await.unwrap(), []);

    let state = bench.store.state(log(1)).await.unwrap().unwrap();
    let (checkpoint, _) = checkpoint::open(&state.checkpoint, &log_keys().verifiers(log(1))).unwrap();
    let mut range = CompactRange::new();
    expected.iter().for_each(|entry| range.push(leaf_hash(entry)));
    assert_eq!((checkpoint.size, checkpoint.root), (5, range.root()));
    assert_eq!(checkpoint.origin, format!("log.test/{}", log(1)));
    assert_eq!(state.signed_at_ms, now_ms);
    assert_eq!(state.published, Some(state.checkpoint));
}

#[tokio::test]
async fn with_witnesses_a_head_is_handed_on_and_not_shown() {
    let mut bench = Bench::new();
    let heads = Heads::new();
    bench.heads = Some(heads.clone());
    let mut sequencer = bench.sequencer().await;
    bench.append(&mut sequencer, log(1), 1).await;
    bench.append(&mut sequencer, log(1), 1).await;
    let state = bench.store.state(log(1)).await.unwrap().unwrap();
    assert_eq!(state.published, None);
    let head = heads.take().unwrap();
    assert_eq!((head.log, head.size, head.checkpoint, head.publish), (log(1), 2, state.checkpoint, false));
    assert!(heads.take().is_none());
}

#[tokio::test]
async fn of_more_logs_than_a_batch_takes_the_others_come_next() {
    const LOGS: u16 = LOGS_PER_BATCH as u16 + 44;
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    let mut waits = Vec::new();
    for n in 0..LOGS {
        bench.record(log(n), 1).await;
        // Several wait for the same log, and are answered together.
        waits.extend([bench.settle(log(n)), bench.settle(log(n))]);
    }
    let mut extended = Vec::new();
    while !sequencer.is_idle() {
        extended.push(sequencer.round().await.unwrap().logs);
    }
    assert_eq!(extended, [LOGS_PER_BATCH, 44]);
    for wait in waits {
        wait.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_log_with_too_many_lines_is_cut_and_keeps_nobody_else_waiting() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer_of(8).await;
    bench.record(log(1), 10).await;
    bench.record(log(2), 1).await;
    let (mut long, short) = (bench.settle(log(1)), bench.settle(log(2)));
    let round = sequencer.round().await.unwrap();
    assert_eq!((round.leaves, round.cut), (5, 1));
    short.await.unwrap().unwrap();
    assert!(long.try_recv().is_err());
    let round = sequencer.round().await.unwrap();
    assert_eq!((round.leaves, round.cut), (6, 0));
    long.await.unwrap().unwrap();
    assert_eq!(bench.size(log(1)), 10);
}

#[tokio::test]
async fn a_batch_never_has_more_logs_than_leaves() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer_of(2).await;
    let waits: Vec<_> = (0..5).map(|n| bench.settle(log(n))).collect();
    for n in 0..5 {
        bench.record(log(n), 1).await;
    }
    while !sequencer.is_idle() {
        assert!(sequencer.round().await.unwrap().leaves <= 2);
    }
    for wait in waits {
        wait.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_log_without_new_lines_is_answered_without_a_write() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    let wait = bench.settle(log(1));
    let round = sequencer.round().await.unwrap();
    assert_eq!((round.logs, round.leaves), (0, 0));
    wait.await.unwrap().unwrap();
    assert_eq!(bench.recorder.steps(), []);
    assert_eq!(bench.store.state(log(1)).await.unwrap(), None);
}

#[tokio::test]
async fn lines_that_nobody_spoke_of_are_found() {
    const LOGS: u16 = 600;
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    for n in 0..LOGS {
        bench.record(log(n), 1).await;
    }
    bench.record(Trail::Directory, 1).await;
    sequencer.poll().await.unwrap();
    while !sequencer.is_idle() {
        sequencer.round().await.unwrap();
    }
    assert_eq!(bench.store.waiting(None, 10).await.unwrap(), []);
    assert_eq!(bench.size(log(LOGS - 1)), 1);
    assert_eq!(bench.size(Trail::Directory), 1);
}

#[test]
fn the_logs_used_last_are_remembered() {
    let mut tails = Tails::default();
    for n in 0..=TAILS_MAX as u16 {
        tails.put(log(n), Slot { committed: Some(crate::audit::tail::Mark::EMPTY), ..Slot::default() });
        if tails.take(log(0)).committed.is_some() {
            tails.put(log(0), Slot { committed: Some(crate::audit::tail::Mark::EMPTY), ..Slot::default() });
        }
    }
    assert!(tails.len() <= TAILS_MAX);
    assert!(tails.take(log(0)).committed.is_some(), "used all the time");
    assert!(tails.take(log(1)).committed.is_none(), "not used for longest");
    assert!(tails.take(log(TAILS_MAX as u16)).committed.is_some(), "used last");
}
