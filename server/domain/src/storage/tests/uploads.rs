use bytes::Bytes;
use veilcore::{hash::sha256, id::UploadId};

use super::{Place, seal_check};
use crate::{
    storage::{
        NewUpload,
        error::StorageError,
        model::{CHUNK_LEN, DIRECT_BLOB_MAX, UPLOAD_TTL_MS, UPLOADS_MAX, Upload},
    },
    store::StoreError,
    testkit::SealedBlob,
};

/// Content whose blob has three chunks.
fn large() -> Vec<u8> {
    (0..2_100_000u32).map(|n| (n % 255) as u8).collect()
}

fn announced(blob: &SealedBlob) -> NewUpload {
    let (len, seal) = (blob.ciphertext.len() as u64, blob.seal.clone());
    NewUpload { len, digest: blob.digest, seal, precondition: blob.precondition }
}

fn chunk(blob: &SealedBlob, index: u32) -> Bytes {
    let start = index as usize * CHUNK_LEN as usize;
    blob.ciphertext.slice(start..(start + CHUNK_LEN as usize).min(blob.ciphertext.len()))
}

impl Place {
    fn large_blob(&self) -> SealedBlob {
        self.alice.seal(&self.environment, &self.key, &large())
    }

    async fn start(&self, blob: &SealedBlob) -> Result<Upload, StorageError> {
        self.world.storage.start_upload(&self.access, self.name(), announced(blob)).await
    }

    async fn send(&self, id: UploadId, index: u32, chunk: Bytes) -> Result<u32, StorageError> {
        let digest = sha256(&chunk);
        self.world.storage.put_chunk(&self.access, self.name(), id, index, chunk, digest).await
    }

    async fn send_all(&self, id: UploadId, blob: &SealedBlob) {
        for index in [2, 0, 1] {
            self.send(id, index, chunk(blob, index)).await.unwrap();
        }
    }

    async fn commit(&self, id: UploadId) -> Result<u64, StorageError> {
        let committed = self.world.storage.commit_upload(&self.access, self.name(), id).await?;
        Ok(committed.1.number)
    }

    async fn head(&self) -> Option<u64> {
        let now = self.world.projects.environment(&self.access, self.name()).await.unwrap();
        now.head.map(|v| v.number)
    }
}

#[tokio::test]
async fn chunks_in_any_order_become_the_next_version() {
    let place = Place::new().await;
    let blob = place.large_blob();
    let upload = place.start(&blob).await.unwrap();
    assert_eq!(upload.chunk_count(), 3);
    assert!(matches!(
        place.commit(upload.id).await,
        Err(StorageError::UploadIncomplete { missing_count: 3, first_missing: 0 })
    ));
    assert_eq!(place.send(upload.id, 2, chunk(&blob, 2)).await.unwrap(), 1);
    assert_eq!(place.send(upload.id, 0, chunk(&blob, 0)).await.unwrap(), 2);
    assert_eq!(place.send(upload.id, 0, chunk(&blob, 0)).await.unwrap(), 2);
    let now = place.world.storage.upload(&place.access, place.name(), upload.id).await.unwrap();
    assert_eq!(now.received, [0, 2]);
    assert!(matches!(
        place.commit(upload.id).await,
        Err(StorageError::UploadIncomplete { missing_count: 1, first_missing: 1 })
    ));
    assert_eq!(place.send(upload.id, 1, chunk(&blob, 1)).await.unwrap(), 3);
    assert_eq!(place.commit(upload.id).await.unwrap(), 1);

    // Too large for one message, so it is streamed.
    let read = place.world.storage.read(&place.access, place.name(), None, None).await;
    assert!(matches!(read, Err(StorageError::TooLarge { limit_bytes: DIRECT_BLOB_MAX })));
    let opened = place.world.storage.open(&place.access, place.name(), None, None, 0, 0).await.unwrap();
    assert_eq!(opened.len, blob.ciphertext.len() as u64);
    let used = place.world.storage.used_bytes(place.alice.account).await.unwrap();
    assert_eq!(used, blob.ciphertext.len() as u64);
}

#[tokio::test]
async fn a_commit_sent_again_gives_the_same_answer_and_no_second_version() {
    let mut place = Place::new().await;
    let blob = place.large_blob();
    let upload = place.start(&blob).await.unwrap();
    place.send_all(upload.id, &blob).await;
    for _ in 0..3 {
        assert_eq!(place.commit(upload.id).await.unwrap(), 1);
    }
    assert_eq!(place.head().await, Some(1));
    // Once another version is the current one, the upload is history.
    place.environment = place.world.projects.environment(&place.access, place.name()).await.unwrap();
    place.put(b"two").await.unwrap();
    assert!(matches!(place.commit(upload.id).await, Err(StorageError::UploadNotFound)));
}

#[tokio::test]
async fn a_commit_that_failed_half_way_can_be_sent_again() {
    for method in ["promote", "open", "commit", "discard", "forget"] {
        let place = Place::new().await;
        let blob = place.large_blob();
        let upload = place.start(&blob).await.unwrap();
        place.send_all(upload.id, &blob).await;
        place.world.store.fail_next(method);
        let first = place.commit(upload.id).await;
        // Once the version is committed, a session that stays behind is no failure.
        assert_eq!(first.is_ok(), matches!(method, "discard" | "forget"), "{method}");
        assert_eq!(place.commit(upload.id).await.unwrap(), 1, "{method}");
        assert_eq!(place.head().await, Some(1), "{method}");
        let left = place.world.ports.uploads.upload(upload.id).await.unwrap();
        assert_eq!(left, None, "{method}");
    }
}

#[tokio::test]
async fn an_upload_that_fills_the_store_gives_its_room_back() {
    let place = Place::new().await;
    let blob = place.large_blob();
    let upload = place.start(&blob).await.unwrap();
    place.send(upload.id, 0, chunk(&blob, 0)).await.unwrap();
    place.world.store.fill_next("write");
    let full = place.send(upload.id, 1, chunk(&blob, 1)).await;
    assert!(matches!(full, Err(StorageError::Store(StoreError::Full { .. }))));
    assert!(matches!(
        place.commit(upload.id).await,
        Err(StorageError::UploadIncomplete { missing_count: 3, .. })
    ));
    // A store that is only away keeps what it has.
    place.send(upload.id, 0, chunk(&blob, 0)).await.unwrap();
    place.world.store.fail_next("write");
    assert!(place.send(upload.id, 1, chunk(&blob, 1)).await.is_err());
    assert_eq!(place.send(upload.id, 1, chunk(&blob, 1)).await.unwrap(), 2);
}

#[tokio::test]
async fn an_upload_is_nobody_elses_and_in_no_other_place() {
    let place = Place::new().await;
    let blob = place.large_blob();
    let upload = place.start(&blob).await.unwrap();
    place.send_all(upload.id, &blob).await;
    place.world.environment(&place.alice, &place.access, "staging").await;
    let mallory = place.world.person("mallory@example.org").await;
    let theirs = place.world.project(&mallory.caller(&place.world).await, "app").await;
    place.world.environment(&mallory, &theirs, "production").await;
    let storage = &place.world.storage;
    for (access, name) in [(&place.access, "staging"), (&theirs, "production")] {
        let name = name.parse().unwrap();
        let (bytes, digest) = (chunk(&blob, 1), sha256(&chunk(&blob, 1)));
        let refusals = [
            storage.put_chunk(access, &name, upload.id, 1, bytes, digest).await.err(),
            storage.upload(access, &name, upload.id).await.err(),
            storage.commit_upload(access, &name, upload.id).await.err(),
            storage.abort_upload(access, &name, upload.id).await.err(),
        ];
        assert!(refusals.iter().all(|e| matches!(e, Some(StorageError::UploadNotFound))));
    }
    assert_eq!(place.commit(upload.id).await.unwrap(), 1);
    // Nor is the answer to a commit given to anybody else.
    let name = "production".parse().unwrap();
    let again = storage.commit_upload(&theirs, &name, upload.id).await;
    assert!(matches!(again, Err(StorageError::UploadNotFound)));
}

#[tokio::test]
async fn a_chunk_that_is_not_the_announced_one_is_refused() {
    let place = Place::new().await;
    let blob = place.large_blob();
    let upload = place.start(&blob).await.unwrap();
    let check = async |index, bytes: Bytes, digest| {
        let put = place.world.storage.put_chunk(&place.access, place.name(), upload.id, index, bytes, digest);
        match put.await {
            Err(StorageError::Chunk { check }) => check,
            other => panic!("{other:?}"),
        }
    };
    let second = chunk(&blob, 1);
    assert_eq!(check(3, second.clone(), sha256(&second)).await, "index");
    assert_eq!(check(u32::MAX, second.clone(), sha256(&second)).await, "index");
    let short = second.slice(1..);
    assert_eq!(check(1, short.clone(), sha256(&short)).await, "length");
    assert_eq!(check(2, second.clone(), sha256(&second)).await, "length");
    assert_eq!(check(1, second, [0; 32]).await, "digest");
    let now = place.world.storage.upload(&place.access, place.name(), upload.id).await.unwrap();
    assert_eq!(now.received, []);
}

#[tokio::test]
async fn a_first_chunk_that_begins_no_age_file_is_refused_when_it_arrives() {
    let place = Place::new().await;
    let blob = place.large_blob();
    let upload = place.start(&blob).await.unwrap();
    let refused = place.send(upload.id, 0, Bytes::from(b"A=1\n".repeat(CHUNK_LEN as usize / 4))).await;
    assert!(matches!(refused, Err(StorageError::Stanza { check }) if check == "age_version"));
}

#[tokio::test]
async fn a_whole_that_is_not_the_announced_one_starts_over() {
    let place = Place::new().await;
    let blob = place.large_blob();
    let upload = place.start(&blob).await.unwrap();
    place.send_all(upload.id, &blob).await;
    place.send(upload.id, 1, Bytes::from(vec![7; CHUNK_LEN as usize])).await.unwrap();
    assert!(matches!(place.commit(upload.id).await, Err(StorageError::DigestMismatch)));
    assert_eq!(place.head().await, None);
    assert!(matches!(
        place.commit(upload.id).await,
        Err(StorageError::UploadIncomplete { missing_count: 3, first_missing: 0 })
    ));
    place.send_all(upload.id, &blob).await;
    assert_eq!(place.commit(upload.id).await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_an_announcement_is_said_before_the_bytes_come() {
    let mut place = Place::new().await;
    let blob = place.large_blob();
    let mut forged = blob.clone();
    forged.seal[50] ^= 1;
    assert_eq!(seal_check(place.start(&forged).await), "signature");
    let start = |new| place.world.storage.start_upload(&place.access, place.name(), new);
    let longer = NewUpload { len: announced(&blob).len + 1, ..announced(&blob) };
    assert_eq!(seal_check(start(longer).await), "length");
    let empty = NewUpload { len: 0, ..announced(&blob) };
    assert_eq!(seal_check(start(empty).await), "length");
    let endless = NewUpload { len: u64::MAX, ..announced(&blob) };
    assert!(
        matches!(start(endless).await, Err(StorageError::TooLarge { limit_bytes }) if limit_bytes == 8 << 30)
    );
    let one = place.put(b"one").await.unwrap();
    let late = place.start(&blob).await;
    assert!(matches!(late, Err(StorageError::EtagMismatch { current }) if current == Some(one.etag())));
}

#[tokio::test]
async fn a_version_written_meanwhile_wins_over_an_upload() {
    let mut place = Place::new().await;
    let blob = place.large_blob();
    let upload = place.start(&blob).await.unwrap();
    place.send_all(upload.id, &blob).await;
    let one = place.put(b"one").await.unwrap();
    for _ in 0..2 {
        let late = place.commit(upload.id).await;
        assert!(matches!(late, Err(StorageError::EtagMismatch { current }) if current == Some(one.etag())));
    }
    assert_eq!(place.head().await, Some(1));
}

#[tokio::test]
async fn a_key_rotated_meanwhile_makes_an_upload_stale() {
    let mut place = Place::new().await;
    let blob = place.large_blob();
    let upload = place.start(&blob).await.unwrap();
    place.send_all(upload.id, &blob).await;
    place.rotate().await;
    assert!(matches!(place.commit(upload.id).await, Err(StorageError::EpochStale { current: 2 })));
    assert_eq!(place.head().await, None);
}

#[tokio::test]
async fn an_upload_ends_when_it_is_aborted_or_its_day_is_over() {
    let place = Place::new().await;
    let blob = place.large_blob();
    let aborted = place.start(&blob).await.unwrap();
    place.send_all(aborted.id, &blob).await;
    place.world.storage.abort_upload(&place.access, place.name(), aborted.id).await.unwrap();
    assert!(matches!(place.commit(aborted.id).await, Err(StorageError::UploadNotFound)));
    assert_eq!(place.world.storage.used_bytes(place.alice.account).await.unwrap(), 0);

    let late = place.start(&blob).await.unwrap();
    place.send_all(late.id, &blob).await;
    place.world.clock.advance(UPLOAD_TTL_MS);
    assert!(matches!(place.commit(late.id).await, Err(StorageError::UploadNotFound)));
    let put = place.send(late.id, 0, chunk(&blob, 0)).await;
    assert!(matches!(put, Err(StorageError::UploadNotFound)));
}

#[tokio::test]
async fn an_aborted_upload_is_gone_even_when_its_bytes_cannot_be_discarded() {
    let place = Place::new().await;
    let blob = place.large_blob();
    let upload = place.start(&blob).await.unwrap();
    place.send_all(upload.id, &blob).await;
    place.world.store.fail_next("discard");
    let aborted = place.world.storage.abort_upload(&place.access, place.name(), upload.id).await;
    assert!(matches!(aborted, Err(StorageError::Store(_))));
    // Never a session that claims chunks whose bytes are gone.
    assert!(matches!(place.commit(upload.id).await, Err(StorageError::UploadNotFound)));
}

#[tokio::test]
async fn an_account_has_a_limit_of_unfinished_uploads() {
    let place = Place::new().await;
    let blob = place.alice.seal(&place.environment, &place.key, b"small");
    let mut last = None;
    for _ in 0..UPLOADS_MAX {
        last = Some(place.start(&blob).await.unwrap());
    }
    assert!(matches!(place.start(&blob).await, Err(StorageError::UploadLimit { limit: UPLOADS_MAX })));
    let id = last.unwrap().id;
    place.world.storage.abort_upload(&place.access, place.name(), id).await.unwrap();
    place.start(&blob).await.unwrap();
}
