use bytes::Bytes;
use veilcore::hash::sha256;

use super::Place;
use crate::storage::{
    NewUpload, ORPHAN_GRACE_MS, Swept,
    model::{Digest, UPLOAD_TTL_MS},
};

const NOTHING: Swept = Swept { uploads: 0, blobs: 0 };

impl Place {
    /// A blob that no version names, as a crash between the two leaves it.
    async fn orphan(&self, seed: u8) -> Digest {
        let bytes = Bytes::from(vec![seed; 10]);
        let digest = Digest(sha256(&bytes));
        self.world.ports.blobs.put(digest, bytes).await.unwrap();
        digest
    }

    async fn sweep(&self, limit: usize) -> Swept {
        self.world.storage.sweep(limit).await.unwrap()
    }

    fn stored(&self, digest: Digest) -> bool {
        self.world.store.blob_digests().contains(&digest)
    }
}

#[tokio::test]
async fn only_orphans_older_than_the_grace_go() {
    let mut place = Place::new().await;
    let one = place.put(b"one").await.unwrap();
    let two = place.put(b"two").await.unwrap();
    let old = place.orphan(1).await;
    place.world.clock.advance(ORPHAN_GRACE_MS);
    assert_eq!(place.sweep(100).await, NOTHING);
    place.world.clock.advance(1);
    let young = place.orphan(2).await;
    assert_eq!(place.sweep(100).await, Swept { uploads: 0, blobs: 1 });
    assert!(!place.stored(old) && place.stored(young));
    assert!(place.stored(one.digest) && place.stored(two.digest));
    assert_eq!(place.sweep(100).await, NOTHING);
}

#[tokio::test]
async fn deleted_content_goes_with_the_next_sweep() {
    let mut place = Place::new().await;
    let one = place.put(b"one").await.unwrap();
    let two = place.put(b"two").await.unwrap();
    place.world.clock.advance(ORPHAN_GRACE_MS + 1);
    assert_eq!(place.sweep(100).await, NOTHING);
    place.world.storage.delete(&place.access, place.name(), two.etag()).await.unwrap();
    let three = place.put(b"three").await.unwrap();
    assert_eq!(place.sweep(100).await, Swept { uploads: 0, blobs: 2 });
    assert!(!place.stored(one.digest) && !place.stored(two.digest) && place.stored(three.digest));
}

#[tokio::test]
async fn a_blob_stored_again_is_young_again() {
    let place = Place::new().await;
    let orphan = place.orphan(1).await;
    place.world.clock.advance(ORPHAN_GRACE_MS + 1);
    place.orphan(1).await;
    assert_eq!(place.sweep(100).await, NOTHING);
    assert!(place.stored(orphan));
}

#[tokio::test]
async fn a_blob_that_is_being_written_is_left_alone() {
    let place = Place::new().await;
    let orphan = place.orphan(1).await;
    place.world.clock.advance(ORPHAN_GRACE_MS + 1);
    let writing = place.world.storage.digest_lock(orphan).read().await;
    assert_eq!(place.sweep(100).await, NOTHING);
    drop(writing);
    assert_eq!(place.sweep(100).await, Swept { uploads: 0, blobs: 1 });
}

#[tokio::test]
async fn expired_uploads_go_with_their_chunks() {
    let place = Place::new().await;
    let blob = place.alice.seal(&place.environment, &place.key, b"A=1\n");
    let (len, seal) = (blob.ciphertext.len() as u64, blob.seal.clone());
    let new = NewUpload { len, digest: blob.digest, seal, precondition: blob.precondition };
    let storage = &place.world.storage;
    let old = storage.start_upload(&place.access, place.name(), new.clone()).await.unwrap();
    let digest = sha256(&blob.ciphertext);
    storage.put_chunk(&place.access, place.name(), old.id, 0, blob.ciphertext, digest).await.unwrap();
    place.world.clock.advance(UPLOAD_TTL_MS);
    let young = storage.start_upload(&place.access, place.name(), new).await.unwrap();
    place.world.clock.advance(1);
    assert_eq!(place.sweep(100).await, Swept { uploads: 1, blobs: 0 });
    let uploads = &place.world.ports.uploads;
    assert_eq!(uploads.upload(old.id).await.unwrap(), None);
    assert!(uploads.upload(young.id).await.unwrap().is_some());
    let promoted = place.world.ports.staging.promote(old.id, len, blob.digest).await.unwrap();
    assert!(!promoted);
}

#[tokio::test]
async fn small_sweeps_reach_every_blob_in_turn() {
    let mut place = Place::new().await;
    for content in [b"1", b"2", b"3"] {
        place.put(content).await.unwrap();
    }
    for seed in 1..=5 {
        place.orphan(seed).await;
    }
    place.world.clock.advance(ORPHAN_GRACE_MS + 1);
    // Until a call finds nothing, as the worker does.
    let mut swept = 0;
    loop {
        let step = place.sweep(2).await;
        if step == NOTHING {
            break;
        }
        swept += step.blobs;
    }
    assert_eq!((swept, place.world.store.blob_digests().len()), (5, 3));
}

#[tokio::test]
async fn a_store_that_fails_stops_the_sweep_and_loses_nothing() {
    let mut place = Place::new().await;
    let one = place.put(b"one").await.unwrap();
    let orphan = place.orphan(1).await;
    place.world.clock.advance(ORPHAN_GRACE_MS + 1);
    for method in ["referenced", "list", "expired", "remove"] {
        place.world.store.fail_next(method);
        assert!(place.world.storage.sweep(100).await.is_err(), "{method}");
        assert!(place.stored(one.digest) && place.stored(orphan), "{method}");
    }
    assert_eq!(place.sweep(100).await, Swept { uploads: 0, blobs: 1 });
}
