//! Random rounds with random faults. Whatever happens, every head that was ever signed is the head of a beginning of the
//! log as it is in the end, every committed head is proven to grow into the next, and no line is lost or moved.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use veilchain::{
    hash::{EMPTY_ROOT, Hash, leaf_hash, node_hash},
    proof::verify_consistency,
};

use super::bench::{Bench, Step, line, log};
use crate::audit::{model::Trail, port::Outbox};

const LOGS: u16 = 3;

#[derive(Debug, Clone)]
enum Act {
    Record(u16, u8),
    Round,
    Fail(&'static str),
    LoseAnswer,
    Restart,
    Clock(i8),
    Poll,
}

fn act() -> impl Strategy<Value = Act> {
    const METHODS: [&str; 7] =
        ["stage", "commit_log", "log_state", "pending", "hashes", "entries", "waiting"];
    prop_oneof![
        6 => (0..LOGS, 1..40_u8).prop_map(|(log, count)| Act::Record(log, count)),
        8 => Just(Act::Round),
        3 => prop::sample::select(&METHODS[..]).prop_map(Act::Fail),
        2 => Just(Act::LoseAnswer),
        1 => Just(Act::Restart),
        2 => (-20..40_i8).prop_map(Act::Clock),
        1 => Just(Act::Poll),
    ]
}

/// The root by the definition of RFC 9162.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(half(leaves.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// The consistency proof by the definition (RFC 9162, section 2.1.4.1).
fn naive_proof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { vec![] } else { vec![naive_root(leaves)] };
    }
    let (left, right) = leaves.split_at(half(leaves.len()));
    let (mut proof, last) = if old <= left.len() {
        (naive_proof(old, left, whole), naive_root(right))
    } else {
        (naive_proof(old - left.len(), right, false), naive_root(left))
    };
    proof.push(last);
    proof
}

fn half(len: usize) -> usize {
    len.next_power_of_two() / 2
}

#[derive(Default)]
struct History {
    /// Every head that was signed.
    signed: Vec<(Trail, u64, Hash)>,
    /// The heads of each log as they were seen to be committed.
    committed: BTreeMap<Trail, Vec<(u64, Hash)>>,
}

impl History {
    fn note(&mut self, bench: &Bench) {
        for step in bench.recorder.steps() {
            if let Step::Commit(heads) = step {
                self.signed.extend(heads.into_iter().map(|head| (head.log, head.size, head.root)));
            }
        }
        for log in (0..LOGS).map(log) {
            let head = bench.store.peek_log(log, |stored| (stored.state.size, stored.state.root));
            let heads = self.committed.entry(log).or_default();
            heads.extend(head.filter(|head| heads.last() != Some(head)));
        }
    }

    fn check(&self, log: Trail, leaves: &[Hash]) {
        for (_, size, root) in self.signed.iter().filter(|(of, ..)| *of == log) {
            assert_eq!(*root, naive_root(&leaves[..*size as usize]), "the head of {size} leaves");
        }
        let heads = self.committed.get(&log).map_or(&[][..], |heads| heads);
        for pair in heads.windows(2) {
            let [(old, old_root), (new, new_root)] = pair else { unreachable!() };
            let proof = naive_proof(*old as usize, &leaves[..*new as usize], true);
            verify_consistency(*old, old_root, *new, new_root, &proof).expect("a log only grows");
        }
    }
}

async fn play(acts: Vec<Act>) {
    let mut bench = Bench::new();
    let mut sequencer = bench.sequencer_of(50).await;
    let mut history = History::default();
    let mut lines: BTreeMap<Trail, Vec<Vec<u8>>> = BTreeMap::new();
    let mut next = 0;
    let mut waits = Vec::new();
    for act in acts {
        match act {
            Act::Record(n, count) => {
                for _ in 0..count {
                    next += 1;
                    let line = line(log(n), next);
                    lines.entry(log(n)).or_default().push(line.entry());
                    bench.store.record(line).await.unwrap();
                }
                waits.push((log(n), lines[&log(n)].len() as u64, bench.settle(log(n))));
            }
            Act::Round => drop(sequencer.round().await.unwrap()),
            Act::Fail(method) => bench.store.fail_next(method),
            Act::LoseAnswer => bench.store.lose_answer("commit_log"),
            Act::Restart => {
                drop(sequencer);
                sequencer = bench.sequencer_of(50).await;
            }
            Act::Clock(ms) if ms < 0 => {
                let now_ms = crate::clock::Clock::now_ms(&*bench.clock);
                bench.clock.set(now_ms - u64::from(ms.unsigned_abs()));
            }
            Act::Clock(ms) => bench.clock.advance(u64::from(ms.unsigned_abs())),
            Act::Poll => drop(sequencer.poll().await),
        }
        history.note(&bench);
        // Nobody is told of a line that is not there.
        for (log, size, wait) in &mut waits {
            if let Ok(Ok(())) = wait.try_recv() {
                assert!(bench.size(*log) >= *size);
            }
        }
    }
    // Once the faults are over, everything is taken.
    bench.clock.advance(100_000);
    for _ in 0..200 {
        let _ = sequencer.poll().await;
        while !sequencer.is_idle() {
            sequencer.round().await.unwrap();
        }
        history.note(&bench);
    }
    for (log, expected) in lines {
        let entries = bench.entries(log);
        assert_eq!(entries, expected);
        let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        history.check(log, &leaves);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_head_ever_signed_is_a_beginning_of_the_log(acts in vec(act(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(acts));
    }
}
