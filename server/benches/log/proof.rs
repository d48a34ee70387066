//! Proofs from a log of 350 million equal leaves, whose tiles need no memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use veilchain::{
    checkpoint::{self, Checkpoint},
    hash::{Hash, leaf_hash, node_hash},
    key::{KeyType, SigningKey},
    range::CompactRange,
};
use veilcloud_domain::{
    audit::{
        LogReader, TILES_MAX,
        model::Trail,
        port::{Extension, LogState, LogStore, Lost, SignedHead, StageId},
    },
    store::StoreError,
};

use crate::{
    measure::{cpu_of, round},
    rig::{LOG, numbered, runtime},
};

/// Leaves.
const SIZE: u64 = 350_000_000;
/// Proofs before the measured ones.
const WARM: usize = 50_000;
/// Measured proofs.
const PROOFS: usize = 20_000;

/// A log of equal leaves: every full node of a level is the same.
struct Equal {
    entry: Bytes,
    state: LogState,
    /// Hash of a full subtree by binary level.
    full: Vec<Hash>,
    tiles: AtomicU64,
    bundles: AtomicU64,
}

impl Equal {
    fn new() -> Self {
        let entry = Bytes::from(numbered(0).entry());
        let mut full = vec![leaf_hash(&entry)];
        while let Some(last) = full.last().filter(|_| full.len() < 64) {
            full.push(node_hash(last, last));
        }
        let edge: Vec<_> = (0..64).rev().filter(|bit| SIZE >> bit & 1 == 1).map(|bit| full[bit]).collect();
        let root = CompactRange::from_edge(SIZE, &edge).expect("a hash for each bit").root();
        let origin = format!("log.example.org/{LOG}");
        let key = SigningKey::from_seed(&origin, KeyType::Ed25519, &[7; 32]).expect("a good key");
        let head = Checkpoint::new(&origin, SIZE, root).expect("a good origin");
        let checkpoint = Bytes::from(checkpoint::sign(&head, &[&key]).expect("its key").encode());
        let published = Some(checkpoint.clone());
        let state = LogState { size: SIZE, root, checkpoint, published, signed_at_ms: 0, edge: Vec::new() };
        Self { entry, state, full, tiles: AtomicU64::new(0), bundles: AtomicU64::new(0) }
    }
}

fn read_only() -> StoreError {
    StoreError::Unavailable { store: "log", cause: "it only reads".to_owned() }
}

#[async_trait]
impl LogStore for Equal {
    async fn fence(&self) -> Result<u64, StoreError> {
        Err(read_only())
    }
    async fn state(&self, _: Trail) -> Result<Option<LogState>, StoreError> {
        Ok(Some(self.state.clone()))
    }
    async fn stage(&self, _: &[Extension]) -> Result<StageId, StoreError> {
        Err(read_only())
    }
    async fn commit(&self, _: u64, _: StageId, _: Vec<SignedHead>) -> Result<Result<(), Lost>, StoreError> {
        Err(read_only())
    }
    async fn publish(&self, _: Trail, _: u64, _: Bytes) -> Result<(), StoreError> {
        Err(read_only())
    }
    async fn entries(&self, _: Trail, _: u64, count: u16) -> Result<Vec<Bytes>, StoreError> {
        self.bundles.fetch_add(1, Ordering::Relaxed);
        Ok(vec![self.entry.clone(); usize::from(count)])
    }
    async fn hashes(&self, _: Trail, level: u8, _: u64, count: u16) -> Result<Vec<Hash>, StoreError> {
        self.tiles.fetch_add(1, Ordering::Relaxed);
        Ok(vec![self.full[8 * usize::from(level)]; usize::from(count)])
    }
    async fn logs(&self, _: Option<Trail>, _: usize) -> Result<Vec<Trail>, StoreError> {
        Ok(vec![LOG])
    }
}

/// Proofs of leaves all over the log, with whatever tiles the reader keeps.
pub fn measure() -> Value {
    let store = Arc::new(Equal::new());
    let reader = LogReader::new(store.clone());
    let runtime = runtime();
    let mut places = Places(1);
    runtime.block_on(async {
        for _ in 0..WARM {
            reader.prove(LOG, places.next(SIZE), 0).await.expect("it can be proven");
        }
    });
    store.bundles.store(0, Ordering::Relaxed);
    let mut reads = vec![0_u64; 16];
    let mut micros = Vec::with_capacity(PROOFS);
    let mut hashes = 0;
    let cpu = cpu_of(|| {
        runtime.block_on(async {
            for _ in 0..PROOFS {
                store.tiles.store(0, Ordering::Relaxed);
                let start = Instant::now();
                let proof = reader.prove(LOG, places.next(SIZE), 0).await.expect("it can be proven");
                micros.push(start.elapsed().as_secs_f64() * 1e6);
                hashes = hashes.max(proof.inclusion.len());
                reads[store.tiles.load(Ordering::Relaxed) as usize] += 1;
            }
        });
    });
    micros.sort_by(f64::total_cmp);
    let all: u64 = (0..).zip(&reads).map(|(number, count): (u64, _)| number * count).sum();
    json!({
        "goal": "at most 2 tile reads and 1 ms",
        "leaves": SIZE,
        "proofs": PROOFS,
        "hashes_in_a_proof": hashes,
        "tiles_kept": TILES_MAX,
        "tile_reads": {
            "mean": round(all as f64 / PROOFS as f64),
            "most": reads.iter().rposition(|count| *count > 0),
            "entry_reads": round(store.bundles.load(Ordering::Relaxed) as f64 / PROOFS as f64),
        },
        "cpu_us": round(cpu * 1e6 / PROOFS as f64),
        "p50_us": round(micros[PROOFS / 2]),
        "p99_us": round(micros[PROOFS * 99 / 100]),
    })
}

/// Places all over a log (splitmix64).
pub struct Places(pub u64);

impl Places {
    /// The next.
    pub fn next(&mut self, size: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % size
    }
}
