//! The time from a closed folder to a sequencer that has the log's edge, for a small and a large log, and for one that
//! grew one leaf at a time: opening checks the whole database, and that has a row for each block of leaves.

use std::{path::Path, time::Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use veilchain::{
    checkpoint::{self, Checkpoint},
    hash::{EMPTY_ROOT, leaf_hash},
    key::{KeyType, SigningKey},
    range::CompactRange,
};
use veilcloud_domain::audit::{
    LogReader,
    port::{Extension, LevelHashes, LogStore, SignedHead},
    sequence::{BATCH_LEAVES, BATCH_LEAVES_MAX},
};

use crate::{
    measure::{PAIRS, by_turns, cpu_of, median, round, spread},
    proof::Places,
    rig::{LOG, Rig, keys, numbered, open, runtime},
};

/// Leaves of the small log.
const SMALL: u64 = 10_000;
/// Leaves of the log that grew one leaf at a time.
const SINGLE: u64 = 50_000;
/// Proofs from a log.
const PROOFS: u32 = 5_000;

/// Both by turns.
pub fn measure(disk: &Path, memory: &Path, large: u64) -> Value {
    let runtime = runtime();
    let folders = [SMALL, large].map(|leaves| {
        let folder = tempfile::tempdir_in(disk).expect("a folder");
        runtime.block_on(fill(folder.path(), leaves, BATCH_LEAVES_MAX as u64));
        folder
    });
    let [small, large_folder] = &folders;
    let mut opens = [Vec::new(), Vec::new()];
    let [small_opens, large_opens] = &mut opens;
    let pairs = by_turns(
        PAIRS + 1,
        || restart(&runtime, small.path(), small_opens),
        || restart(&runtime, large_folder.path(), large_opens),
    );
    let millis =
        |large: bool| -> Vec<f64> { pairs.iter().map(|(a, b)| 1e3 * if large { *b } else { *a }).collect() };
    let ratios: Vec<_> = pairs.iter().map(|(small, large)| large / small).collect();
    let whole = |large: usize| median(&millis(large == 1)) + median(&opens[large]);
    json!({
        "goal": "ratio at most 1.5, below 2 s",
        "leaves": [SMALL, large],
        "sequencer_ms": [spread(&millis(false)), spread(&millis(true))],
        "ratio": spread(&ratios),
        "folder_open_ms": [spread(&opens[0]), spread(&opens[1])],
        "ratio_with_folder": round(whole(1) / whole(0)),
        "pairs": pairs.len(),
        "proof_from_the_large_log_cpu_us": round(prove(&runtime, large_folder.path(), large)),
        "grown_one_leaf_at_a_time": single(&runtime, memory),
    })
}

/// The same for many blocks of one leaf.
fn single(runtime: &Runtime, memory: &Path) -> Value {
    let folder = tempfile::tempdir_in(memory).expect("a folder");
    runtime.block_on(fill(folder.path(), SINGLE, 1));
    let mut opens = Vec::new();
    let millis: Vec<_> = (0..=PAIRS).map(|_| restart(runtime, folder.path(), &mut opens) * 1e3).collect();
    json!({
        "leaves": SINGLE,
        "folder": memory,
        "sequencer_ms": spread(&millis),
        "folder_open_ms": spread(&opens),
        "proof_cpu_us": round(prove(runtime, folder.path(), SINGLE)),
    })
}

/// Seconds from the open folder to the edge in memory. How long opening took goes to `opens`, in milliseconds.
fn restart(runtime: &Runtime, folder: &Path, opens: &mut Vec<f64>) -> f64 {
    let start = Instant::now();
    let stores = open(folder);
    opens.push(start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let rig = Rig::over(runtime, stores, None, BATCH_LEAVES);
    // No line waits: the round reads the edge, checks it and answers.
    runtime.block_on(rig.log.settle(LOG)).expect("the edge is good");
    let took = start.elapsed().as_secs_f64();
    rig.stop(runtime);
    took
}

/// CPU microseconds of a proof from the segment files.
fn prove(runtime: &Runtime, folder: &Path, size: u64) -> f64 {
    let stores = open(folder);
    let reader = LogReader::new(stores.logs());
    let mut places = Places(1);
    let cpu = cpu_of(|| {
        runtime.block_on(async {
            for _ in 0..PROOFS {
                reader.prove(LOG, places.next(size), 0).await.expect("it can be proven");
            }
        });
    });
    runtime.block_on(stores.close());
    cpu * 1e6 / f64::from(PROOFS)
}

/// Fills a folder with a log, in batches of this many leaves.
async fn fill(folder: &Path, leaves: u64, batch: u64) {
    let stores = tokio::task::block_in_place(|| open(folder));
    let logs = stores.logs();
    let epoch = logs.fence().await.expect("the logs are ours");
    let origin = keys().origin(LOG);
    let key = SigningKey::from_seed(&origin, KeyType::Ed25519, &[7; 32]).expect("a good key");
    let (mut range, mut root) = (CompactRange::new(), EMPTY_ROOT);
    while range.size() < leaves {
        let end = leaves.min(range.size() + batch);
        let extension = extend(&mut range, root, end);
        root = range.root();
        let head = Checkpoint::new(&origin, range.size(), root).expect("a good origin");
        let checkpoint = Bytes::from(checkpoint::sign(&head, &[&key]).expect("its key").encode());
        let head = SignedHead {
            log: LOG,
            size: range.size(),
            root,
            checkpoint,
            publish: true,
            signed_at_ms: 1,
            edge: range.edge().to_vec(),
        };
        append(&*logs, epoch, extension, head).await;
    }
    stores.close().await;
}

async fn append(logs: &dyn LogStore, epoch: u64, extension: Extension, head: SignedHead) {
    let stage = logs.stage(&[extension]).await.expect("it is staged");
    logs.commit(epoch, stage, vec![head]).await.expect("it is committed").expect("nobody else writes");
}

fn extend(range: &mut CompactRange, old_root: [u8; 32], end: u64) -> Extension {
    let old_size = range.size();
    let mut levels: Vec<LevelHashes> = Vec::new();
    let mut entries = Vec::new();
    for number in old_size..end {
        let entry = Bytes::from(numbered(number).entry());
        range.push_with(leaf_hash(&entry), |level, index, hash| {
            if level % 8 != 0 {
                return;
            }
            match levels.iter_mut().find(|hashes| hashes.level == level / 8) {
                Some(hashes) => hashes.hashes.push(*hash),
                None => levels.push(LevelHashes { level: level / 8, first: index, hashes: vec![*hash] }),
            }
        });
        entries.push(entry);
    }
    Extension { log: LOG, old_size, old_root, entries, levels }
}
