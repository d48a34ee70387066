use bytes::Bytes;

use super::bench::{Bench, cause, log};
use crate::{audit::port::LogStore, testkit::StoredLog};

/// Sizes at which the edge looks different.
const SIZES: [usize; 9] = [1, 2, 3, 255, 256, 257, 511, 512, 700];

#[tokio::test]
async fn a_sequencer_goes_on_where_the_one_before_ended() {
    let mut bench = Bench::new();
    let mut size = 0;
    for next in SIZES {
        let mut sequencer = bench.sequencer().await;
        bench.append(&mut sequencer, log(1), next - size).await;
        size = next;
    }
    // What was put together over many starts is what one would have made.
    let mut whole = Bench::new();
    let mut sequencer = whole.sequencer().await;
    whole.append(&mut sequencer, log(1), size).await;
    let (pieced, whole) =
        (bench.store.state(log(1)).await.unwrap(), whole.store.state(log(1)).await.unwrap());
    assert_eq!(pieced, whole);
}

#[tokio::test]
async fn a_log_that_was_altered_is_refused_and_the_others_go_on() {
    type Edit = fn(&mut StoredLog);
    let edits: [(&str, Edit); 9] = [
        ("lock row", |stored| stored.state.size -= 1),
        ("lock row", |stored| stored.state.root[0] ^= 1),
        ("checkpoint does not hold", |stored| stored.state.checkpoint = Bytes::from_static(b"note\n")),
        ("checkpoint does not hold", |stored| {
            let note = String::from_utf8(stored.state.checkpoint.to_vec()).unwrap();
            stored.state.checkpoint = note.replace("log.test", "log.else").into();
        }),
        ("root", |stored| stored.levels[0].last_mut().unwrap()[31] ^= 1),
        ("root", |stored| stored.levels[1][0][0] ^= 1),
        ("missing", |stored| stored.levels[0].truncate(299)),
        ("entries", |stored| *stored.entries.last_mut().unwrap() = Bytes::from_static(b"another")),
        ("missing", |stored| stored.entries.truncate(299)),
    ];
    for (expected, edit) in edits {
        let mut bench = Bench::new();
        let mut sequencer = bench.sequencer().await;
        bench.append(&mut sequencer, log(1), 300).await;
        bench.append(&mut sequencer, log(2), 1).await;
        drop(sequencer);
        bench.store.edit_log(log(1), edit);
        let mut sequencer = bench.sequencer().await;
        bench.record(log(1), 1).await;
        bench.record(log(2), 1).await;
        let (altered, other) = (bench.settle(log(1)), bench.settle(log(2)));
        let round = sequencer.round().await.unwrap();
        let cause = cause(altered.await.unwrap());
        assert!(cause.contains(expected), "{cause:?} does not say {expected:?}");
        assert_eq!(round.refused.len(), 1);
        other.await.unwrap().unwrap();
        assert_eq!(bench.size(log(2)), 2);
    }
}

#[tokio::test]
async fn the_last_full_bundle_is_read_when_there_is_no_partial_one() {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer().await;
    bench.append(&mut sequencer, log(1), 512).await;
    drop(sequencer);
    bench.store.edit_log(log(1), |stored| stored.entries[256] = Bytes::from_static(b"another"));
    let mut sequencer = bench.sequencer().await;
    let wait = bench.settle(log(1));
    sequencer.round().await.unwrap();
    assert!(cause(wait.await.unwrap()).contains("its last entries"));
}
