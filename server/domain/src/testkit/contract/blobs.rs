//! Bytes by digest.

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::task::JoinSet;
use veilcore::hash::sha256;

use super::sample::*;
use crate::{
    storage::model::{DIRECT_BLOB_MAX, Digest, PIECE_LEN},
    testkit::Ports,
};

/// A time after everything that a test stores, whatever clock the adapter has.
const LATER_MS: u64 = 1 << 50;

fn bytes(len: usize, seed: u8) -> (Digest, Bytes) {
    let bytes: Bytes = (0..len).map(|at| (at % 251) as u8 ^ seed).collect::<Vec<_>>().into();
    (Digest(sha256(&bytes)), bytes)
}

async fn put(ports: &Ports, len: usize, seed: u8) -> (Digest, Bytes) {
    let (digest, bytes) = bytes(len, seed);
    ports.blobs.put(digest, bytes.clone()).await.expect("the store works");
    (digest, bytes)
}

/// All pieces of a range; each is bounded.
async fn opened(ports: &Ports, digest: Digest, offset: u64, len: u64) -> Option<Vec<u8>> {
    let mut stream = ports.blobs.open(digest, offset, len).await.expect("the store works")?;
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.expect("the store works");
        assert!(!piece.is_empty() && piece.len() <= PIECE_LEN, "{}", piece.len());
        all.extend_from_slice(&piece);
    }
    Some(all)
}

pub async fn bytes_come_back_as_they_were_stored(ports: Ports) {
    for (len, seed) in [(1, 1), (300, 2), (65_536, 3), (DIRECT_BLOB_MAX as usize, 4)] {
        let (digest, stored) = put(&ports, len, seed).await;
        assert_eq!(ports.blobs.read(digest).await.expect("the store works"), Some(stored.clone()));
        ports.blobs.put(digest, stored.clone()).await.expect("storing again is harmless");
        assert_eq!(ports.blobs.read(digest).await.expect("the store works"), Some(stored));
    }
    assert_eq!(ports.blobs.read(Digest(bytes32())).await.expect("the store works"), None);
    assert_eq!(opened(&ports, Digest(bytes32()), 0, 1).await, None);
}

pub async fn any_range_can_be_opened(ports: Ports) {
    let (digest, stored) = put(&ports, 1000, 1).await;
    for (offset, len) in [(0, 1000), (0, 1), (999, 1), (1, 998), (500, 500), (250, 1)] {
        let expected = &stored[offset as usize..(offset + len) as usize];
        assert_eq!(opened(&ports, digest, offset, len).await.as_deref(), Some(expected), "{offset} {len}");
    }
}

pub async fn a_large_blob_comes_in_bounded_pieces(ports: Ports) {
    let (digest, stored) = put(&ports, 3 * PIECE_LEN - 1, 1).await;
    assert_eq!(opened(&ports, digest, 0, stored.len() as u64).await.as_deref(), Some(&stored[..]));
    let middle = opened(&ports, digest, 10, 2 * PIECE_LEN as u64).await;
    assert_eq!(middle.as_deref(), Some(&stored[10..10 + 2 * PIECE_LEN]));
}

pub async fn a_removed_blob_is_gone(ports: Ports) {
    let (digest, stored) = put(&ports, 100, 1).await;
    let (other, kept) = put(&ports, 100, 2).await;
    for _ in 0..2 {
        ports.blobs.remove(digest).await.expect("removing again is harmless");
        assert_eq!(ports.blobs.read(digest).await.expect("the store works"), None);
    }
    assert_eq!(ports.blobs.read(other).await.expect("the store works"), Some(kept));
    assert_eq!(ports.blobs.list(None, 10, LATER_MS).await.expect("the store works"), [other]);
    ports.blobs.put(digest, stored.clone()).await.expect("the store works");
    assert_eq!(ports.blobs.read(digest).await.expect("the store works"), Some(stored));
}

pub async fn blobs_are_listed_in_order_page_by_page(ports: Ports) {
    let mut expected = Vec::new();
    for seed in 0..7 {
        expected.push(put(&ports, 50, seed).await.0);
    }
    expected.sort();
    for limit in 1..=8 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = ports.blobs.list(after, limit, LATER_MS).await.expect("the store works");
            assert!(page.len() <= limit, "limit {limit}");
            found.extend_from_slice(&page);
            after = page.last().copied();
            if page.is_empty() {
                break;
            }
        }
        assert_eq!(found, expected, "limit {limit}");
    }
}

pub async fn young_blobs_are_not_listed(ports: Ports) {
    put(&ports, 50, 1).await;
    assert_eq!(ports.blobs.list(None, 10, 1).await.expect("the store works"), []);
    assert_eq!(ports.blobs.list(None, 10, LATER_MS).await.expect("the store works").len(), 1);
}

pub async fn many_writers_of_one_blob_agree(ports: Ports) {
    let (digest, stored) = bytes(100_000, 1);
    let mut race = JoinSet::new();
    for _ in 0..WRITERS {
        let (ports, stored) = (ports.clone(), stored.clone());
        race.spawn(async move { ports.blobs.put(digest, stored).await.expect("the store works") });
    }
    race.join_all().await;
    assert_eq!(ports.blobs.read(digest).await.expect("the store works"), Some(stored));
    assert_eq!(ports.blobs.list(None, 10, LATER_MS).await.expect("the store works"), [digest]);
}
