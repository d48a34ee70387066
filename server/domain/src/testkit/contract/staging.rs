//! Bytes of unfinished uploads.

use bytes::Bytes;
use veilcore::{hash::sha256, id::UploadId};

use super::sample::*;
use crate::{storage::model::Digest, testkit::Ports};

fn id() -> UploadId {
    UploadId::from_bytes(bytes16())
}

fn digest(whole: &[u8]) -> Digest {
    Digest(sha256(whole))
}

async fn write(ports: &Ports, id: UploadId, offset: u64, bytes: &[u8]) {
    ports.staging.write(id, offset, Bytes::copy_from_slice(bytes)).await.expect("the store works");
}

async fn promote(ports: &Ports, id: UploadId, len: u64, digest: Digest) -> bool {
    ports.staging.promote(id, len, digest).await.expect("the store works")
}

async fn stored(ports: &Ports, digest: Digest) -> Option<Bytes> {
    ports.blobs.read(digest).await.expect("the store works")
}

pub async fn chunks_in_any_order_become_one_blob(ports: Ports) {
    let whole: Vec<u8> = (0..100u8).collect();
    let id = id();
    for chunk in [3, 0, 4, 2, 1, 0] {
        write(&ports, id, chunk * 20, &whole[chunk as usize * 20..][..20]).await;
    }
    assert_eq!(stored(&ports, digest(&whole)).await, None);
    assert!(promote(&ports, id, 100, digest(&whole)).await);
    assert_eq!(stored(&ports, digest(&whole)).await.as_deref(), Some(&whole[..]));
    // What was promoted stays when its upload is forgotten.
    ports.staging.discard(id).await.expect("the store works");
    assert_eq!(stored(&ports, digest(&whole)).await.as_deref(), Some(&whole[..]));
}

pub async fn a_whole_that_hashes_to_something_else_is_not_promoted(ports: Ports) {
    let id = id();
    write(&ports, id, 0, b"whole").await;
    assert!(!promote(&ports, id, 5, digest(b"other")).await);
    assert!(!promote(&ports, id, 4, digest(b"whole")).await);
    assert!(!promote(&ports, id, 6, digest(b"whole")).await);
    assert_eq!(stored(&ports, digest(b"other")).await, None);
    assert_eq!(stored(&ports, digest(b"whole")).await, None);
}

pub async fn a_missing_chunk_is_noticed(ports: Ports) {
    let id = id();
    write(&ports, id, 0, b"be").await;
    assert!(!promote(&ports, id, 6, digest(b"before")).await);
    write(&ports, id, 4, b"re").await;
    assert!(!promote(&ports, id, 6, digest(b"before")).await);
    assert!(!promote(&ports, self::id(), 6, digest(b"before")).await);
    assert_eq!(stored(&ports, digest(b"before")).await, None);
}

pub async fn a_chunk_written_again_replaces_the_first(ports: Ports) {
    let id = id();
    write(&ports, id, 0, b"wrong!").await;
    write(&ports, id, 0, b"rig").await;
    write(&ports, id, 3, b"ht!").await;
    assert!(promote(&ports, id, 6, digest(b"right!")).await);
    assert_eq!(stored(&ports, digest(b"right!")).await.as_deref(), Some(&b"right!"[..]));
}

pub async fn discarded_bytes_are_gone(ports: Ports) {
    let id = id();
    write(&ports, id, 0, b"whole").await;
    for _ in 0..2 {
        ports.staging.discard(id).await.expect("discarding again is harmless");
    }
    assert!(!promote(&ports, id, 5, digest(b"whole")).await);
    assert_eq!(stored(&ports, digest(b"whole")).await, None);
    write(&ports, id, 0, b"again").await;
    assert!(promote(&ports, id, 5, digest(b"again")).await);
}

pub async fn uploads_do_not_mix(ports: Ports) {
    let (one, two) = (id(), id());
    write(&ports, one, 0, b"one").await;
    write(&ports, two, 0, b"two").await;
    assert!(promote(&ports, one, 3, digest(b"one")).await);
    ports.staging.discard(one).await.expect("the store works");
    assert!(promote(&ports, two, 3, digest(b"two")).await);
    assert_eq!(stored(&ports, digest(b"one")).await.as_deref(), Some(&b"one"[..]));
    assert_eq!(stored(&ports, digest(b"two")).await.as_deref(), Some(&b"two"[..]));
}

pub async fn a_blob_of_somebody_else_does_not_stand_in_for_an_uploads_own_bytes(ports: Ports) {
    let (alice, _, production) = place(&ports).await;
    let whole = [7; 100];
    let owners = upload(alice.id, &production, 100, digest(&whole));
    let others = upload(alice.id, &production, 100, digest(&whole));
    for upload in [&owners, &others] {
        ports.uploads.start(upload.clone(), 8).await.expect("the store works");
    }
    write(&ports, owners.id, 0, &whole).await;
    assert!(promote(&ports, owners.id, 100, owners.digest).await);
    // Who knows a digest need not have the bytes.
    assert!(!promote(&ports, others.id, 100, others.digest).await);
    assert!(!promote(&ports, id(), 100, others.digest).await);
    write(&ports, others.id, 0, &whole).await;
    assert!(promote(&ports, others.id, 100, others.digest).await);
}

pub async fn staged_uploads_are_listed_in_order_at_every_size(ports: Ports) {
    let list = async |after, limit| ports.staging.list(after, limit).await.expect("the store works");
    assert_eq!(list(None, 10).await, []);
    let mut ids: Vec<_> = (0..5).map(|_| id()).collect();
    for id in ids.iter().rev() {
        write(&ports, *id, 0, b"whole").await;
    }
    for size in 1..=6 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = list(after, size).await;
            assert!(page.len() <= size);
            let Some(last) = page.last().copied() else { break };
            seen.extend(page);
            after = Some(last);
        }
        assert_eq!(seen, ids, "{size}");
    }
    ports.staging.discard(ids.remove(1)).await.expect("the store works");
    assert!(promote(&ports, ids.remove(1), 5, digest(b"whole")).await);
    assert_eq!(list(None, 10).await, ids);
}
