//! How fast leaves are integrated, next to the SHA-256 calls alone: `bare` hashes as many leaves and nodes, without a tree.
//! The ratio of the two throughputs is what the tree costs.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sha2::{Digest, Sha256};
use veilchain::{hash::leaf_hash, range::CompactRange};

const LEAVES: usize = 4096;

/// One leaf hash for each entry and one node hash, of 65 bytes, for each entry but one.
fn bare(entries: &[Vec<u8>], node: &[u8; 65]) {
    for (number, entry) in entries.iter().enumerate() {
        let leaf = Sha256::new().chain_update([0]).chain_update(black_box(entry)).finalize();
        black_box(leaf);
        if number > 0 {
            black_box(Sha256::digest(black_box(node)));
        }
    }
}

fn tree(entries: &[Vec<u8>]) -> CompactRange {
    let mut range = CompactRange::new();
    for entry in entries {
        range.push(leaf_hash(black_box(entry)));
    }
    range
}

/// As the sequencer does it: the nodes of tile levels are kept.
fn tiles(entries: &[Vec<u8>], hashes: &mut Vec<[u8; 32]>) -> CompactRange {
    let mut range = CompactRange::new();
    hashes.clear();
    for entry in entries {
        range.push_with(leaf_hash(black_box(entry)), |level, _, hash| {
            if level % 8 == 0 {
                hashes.push(*hash);
            }
        });
    }
    range
}

fn integrate(c: &mut Criterion) {
    for len in [132, 512] {
        let entries: Vec<Vec<u8>> = (0..LEAVES).map(|number| vec![number as u8; len]).collect();
        let mut hashes = Vec::with_capacity(2 * LEAVES);
        let mut group = c.benchmark_group(format!("integrate/{len}"));
        group.throughput(Throughput::Elements(LEAVES as u64));
        group.bench_function(BenchmarkId::from_parameter("bare"), |b| b.iter(|| bare(&entries, &[1; 65])));
        group.bench_function(BenchmarkId::from_parameter("tree"), |b| b.iter(|| tree(&entries)));
        group.bench_function(BenchmarkId::from_parameter("tiles"), |b| {
            b.iter(|| tiles(&entries, &mut hashes))
        });
        group.finish();
    }
}

criterion_group!(benches, integrate);
criterion_main!(benches);
