//! Leaves into a tree in memory, and into a log, beside the SHA-256 calls alone.

use std::{
    hint::black_box,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use veilchain::{hash::leaf_hash, range::CompactRange};

use crate::{
    measure::{PAIRS, by_turns, cpu_of, speeds, spread},
    rig::{LOG, Ready, Rig, numbered, runtime},
};

/// Leaves of a batch.
pub const BATCH: usize = 4096;
/// Batches of a sample in memory.
const BATCHES: u64 = 512;
/// Batches of a sample through the database's outbox.
const OUTBOX_BATCHES: u64 = 24;
/// Lines that are recorded at the same time.
const RECORDERS: usize = 1024;

fn leaves() -> Vec<Vec<u8>> {
    (0..BATCH as u64).map(|number| numbered(number).entry()).collect()
}

/// A leaf hash for each entry and a node hash, of 65 bytes, for each entry: nothing else.
fn bare(entries: &[Vec<u8>], times: u64) {
    for _ in 0..times {
        for entry in entries {
            black_box(Sha256::new().chain_update([0]).chain_update(black_box(entry)).finalize());
            black_box(Sha256::digest(black_box(&[1; 65])));
        }
    }
}

/// As the sequencer does it: nodes of tile levels are kept.
fn tree(entries: &[Vec<u8>], times: u64) {
    let mut range = CompactRange::new();
    let mut hashes = Vec::with_capacity(2 * BATCH);
    for _ in 0..times {
        hashes.clear();
        for entry in entries {
            range.push_with(leaf_hash(black_box(entry)), |level, _, hash| {
                if level % 8 == 0 {
                    hashes.push(*hash);
                }
            });
        }
        black_box(&hashes);
    }
    black_box(range.root());
}

/// Integration in memory.
pub fn integrate() -> Value {
    let entries = leaves();
    let times = 2 * BATCHES;
    let pairs = by_turns(PAIRS, || cpu_of(|| bare(&entries, times)), || cpu_of(|| tree(&entries, times)));
    json!({"goal": "ratio >= 0.6", "result": speeds(times * BATCH as u64, &pairs)})
}

/// Full appends in a folder without a disk: sequencer, segment, lock rows, signature.
pub fn append(memory: &Path) -> Value {
    let runtime = runtime();
    let entries = leaves();
    let ours = |batches: u64| {
        let folder = tempfile::tempdir_in(memory).expect("a folder");
        let outbox = Arc::<Ready>::default();
        let rig = Rig::start(&runtime, folder.path(), Some(outbox.clone()), BATCH);
        outbox.end.store(batches * BATCH as u64, Ordering::SeqCst);
        let cpu = cpu_of(|| runtime.block_on(rig.log.settle(LOG)).expect("they are appended"));
        rig.stop(&runtime);
        cpu
    };
    let pairs = by_turns(PAIRS, || cpu_of(|| bare(&entries, BATCHES)), || ours(BATCHES));
    let result = speeds(BATCHES * BATCH as u64, &pairs);

    let mut recorded = Vec::new();
    let leaves = OUTBOX_BATCHES * BATCH as u64;
    let through = || {
        let folder = tempfile::tempdir_in(memory).expect("a folder");
        let rig = Rig::start(&runtime, folder.path(), None, BATCH);
        let outbox = rig.stores.outbox();
        let record = stream::iter(0..leaves).map(|number| outbox.record(numbered(number)));
        let record = record.buffer_unordered(RECORDERS).for_each(async |index| assert!(index.is_ok()));
        recorded.push(cpu_of(|| runtime.block_on(record)) * 1e9 / leaves as f64);
        let cpu = cpu_of(|| runtime.block_on(rig.log.settle(LOG)).expect("they are appended"));
        rig.stop(&runtime);
        cpu
    };
    let pairs = by_turns(PAIRS, || cpu_of(|| bare(&entries, OUTBOX_BATCHES)), through);
    json!({
        "goal": "ratio >= 0.3",
        "batch": BATCH,
        "folder": memory,
        "result": result,
        "from_the_database_outbox": {
            "what": "the lines wait in the database, with MACs, and leave it in the commit",
            "record_cpu_ns_per_leaf": spread(&recorded),
            "settle": speeds(leaves, &pairs),
        },
    })
}
