use bytes::Bytes;
use veilcore::{hash::sha256, id::UploadId};

use super::Place;
use crate::storage::{
    NewUpload, ORPHAN_GRACE_MS, Swept,
    model::{Digest, UPLOAD_TTL_MS},
    sweep::PAGES_MAX,
};

const NOTHING: Swept = Swept { uploads: 0, staged: 0, blobs: 0, more: false };

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
    assert_eq!(place.sweep(100).await, Swept { blobs: 1, ..NOTHING });
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
    assert_eq!(place.sweep(100).await, Swept { blobs: 2, ..NOTHING });
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
    assert_eq!(place.sweep(100).await, Swept { blobs: 1, ..NOTHING });
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
    assert_eq!(place.sweep(100).await, Swept { uploads: 1, ..NOTHING });
    let uploads = &place.world.ports.uploads;
    assert_eq!(uploads.upload(old.id).await.unwrap(), None);
    assert!(uploads.upload(young.id).await.unwrap().is_some());
    let promoted = place.world.ports.staging.promote(old.id, len, blob.digest).await.unwrap();
    assert!(!promoted);
}

impl Place {
    /// An upload to an environment of Alice's with a chunk of it staged.
    async fn staged(&self, name: &str) -> UploadId {
        // Ids are in order of time.
        self.world.clock.advance(1);
        let (environment, key) = self.world.environment(&self.alice, &self.access, name).await;
        let blob = self.alice.seal(&environment, &key, b"A=1\n");
        let (len, seal) = (blob.ciphertext.len() as u64, blob.seal.clone());
        let new = NewUpload { len, digest: blob.digest, seal, precondition: blob.precondition };
        let storage = &self.world.storage;
        let upload = storage.start_upload(&self.access, &environment.name, new).await.unwrap();
        let digest = sha256(&blob.ciphertext);
        let put = storage.put_chunk(&self.access, &environment.name, upload.id, 0, blob.ciphertext, digest);
        put.await.unwrap();
        upload.id
    }

    async fn all_staged(&self) -> Vec<UploadId> {
        self.world.ports.staging.list(None, 100).await.unwrap()
    }
}

#[tokio::test]
async fn bytes_of_uploads_that_went_with_their_environment_or_account_go() {
    let place = Place::new().await;
    let kept = place.staged("kept").await;
    let gone = place.staged("gone").await;
    place.world.projects.delete_environment(&place.access, &"gone".parse().unwrap()).await.unwrap();
    assert_eq!(place.all_staged().await, [kept, gone]);
    assert_eq!(place.sweep(100).await, Swept { staged: 1, ..NOTHING });
    assert_eq!(place.all_staged().await, [kept]);
    assert_eq!(place.sweep(100).await, NOTHING);
    let caller = place.alice.caller(&place.world).await;
    place.world.auth.delete_account(&caller, &place.alice.email).await.unwrap();
    assert_eq!(place.sweep(100).await, Swept { staged: 1, ..NOTHING });
    assert_eq!(place.all_staged().await, []);
}

#[tokio::test]
async fn staged_bytes_are_swept_page_by_page_past_those_in_use() {
    let place = Place::new().await;
    let kept = place.staged("kept").await;
    for n in 0..5 {
        place.staged(&format!("gone{n}")).await;
    }
    for n in 0..5 {
        let name = format!("gone{n}").parse().unwrap();
        place.world.projects.delete_environment(&place.access, &name).await.unwrap();
    }
    let steps = [place.sweep(2).await, place.sweep(2).await, place.sweep(2).await, place.sweep(2).await];
    let step = |staged, more| Swept { staged, more, ..NOTHING };
    assert_eq!(steps, [step(1, true), step(2, true), step(2, true), step(0, false)]);
    assert_eq!(place.all_staged().await, [kept]);
}

#[tokio::test]
async fn bytes_that_are_being_written_are_waited_for() {
    let place = Place::new().await;
    let gone = place.staged("gone").await;
    place.world.projects.delete_environment(&place.access, &"gone".parse().unwrap()).await.unwrap();
    let writing = place.world.storage.upload_lock(gone).read().await;
    let mut sweep = Box::pin(place.sweep(100));
    assert!(futures_util::poll!(&mut sweep).is_pending());
    drop(writing);
    assert_eq!(sweep.await, Swept { staged: 1, ..NOTHING });
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
    // Until a call was not stopped by its limit, as the worker does.
    let mut swept = 0;
    loop {
        let step = place.sweep(2).await;
        swept += step.blobs;
        if !step.more {
            break;
        }
    }
    assert_eq!((swept, place.world.store.blob_digests().len()), (5, 3));
}

#[tokio::test]
async fn a_sweep_that_only_met_blobs_in_use_says_that_there_is_more() {
    let mut place = Place::new().await;
    for n in 0..=PAGES_MAX {
        place.put(&n.to_be_bytes()).await.unwrap();
    }
    place.world.clock.advance(ORPHAN_GRACE_MS + 1);
    let steps = [place.sweep(1).await, place.sweep(1).await];
    assert_eq!(steps, [Swept { more: true, ..NOTHING }, NOTHING]);
}

#[tokio::test]
async fn a_store_that_fails_stops_the_sweep_and_loses_nothing() {
    let mut place = Place::new().await;
    let one = place.put(b"one").await.unwrap();
    let orphan = place.orphan(1).await;
    place.world.clock.advance(ORPHAN_GRACE_MS + 1);
    for method in ["referenced", "list", "expired", "remove", "list_staged", "known"] {
        place.world.store.fail_next(method);
        assert!(place.world.storage.sweep(100).await.is_err(), "{method}");
        assert!(place.stored(one.digest) && place.stored(orphan), "{method}");
    }
    assert_eq!(place.sweep(100).await, Swept { blobs: 1, ..NOTHING });
}
