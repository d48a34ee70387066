use futures_util::StreamExt;

use super::Place;
use crate::{
    page::PageArgs,
    projects::error::ProjectsError,
    storage::{
        Opened,
        error::StorageError,
        model::{Digest, Etag},
    },
};

async fn collected(opened: Opened) -> Vec<u8> {
    let mut stream = opened.stream.expect("the caller does not have it");
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        all.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(all.len() as u64, opened.len);
    all
}

#[tokio::test]
async fn an_empty_environment_holds_nothing() {
    let place = Place::new().await;
    let storage = &place.world.storage;
    assert!(matches!(
        storage.read(&place.access, place.name(), None, None).await,
        Err(StorageError::BlobNotFound)
    ));
    assert!(matches!(storage.stat(&place.access, place.name(), None).await, Err(StorageError::BlobNotFound)));
    let first = storage.stat(&place.access, place.name(), Some(1)).await;
    assert!(matches!(first, Err(StorageError::VersionNotFound { version: 1, current: 0 })));
    let etag = Etag::of(1, Digest([1; 32]));
    let deleted = storage.delete(&place.access, place.name(), etag).await;
    assert!(matches!(deleted, Err(StorageError::BlobNotFound)));
}

#[tokio::test]
async fn a_version_is_described_and_read_by_number() {
    let mut place = Place::new().await;
    let one = place.put(b"one").await.unwrap();
    let two = place.put(b"two").await.unwrap();
    let storage = &place.world.storage;
    for (number, expected) in [(None, &two), (Some(1), &one), (Some(2), &two)] {
        let (_, version) = storage.stat(&place.access, place.name(), number).await.unwrap();
        assert_eq!(version, *expected);
        let read = storage.read(&place.access, place.name(), number, None).await.unwrap();
        assert_eq!(read.version, *expected);
        assert_eq!(read.body.unwrap().len() as u64, expected.len);
    }
    for absent in [0, 3] {
        let read = storage.read(&place.access, place.name(), Some(absent), None).await;
        assert!(
            matches!(read, Err(StorageError::VersionNotFound { version, current: 2 }) if version == absent),
            "{absent}"
        );
    }
}

#[tokio::test]
async fn what_the_caller_has_is_not_sent_again() {
    let mut place = Place::new().await;
    let one = place.put(b"one").await.unwrap();
    let storage = &place.world.storage;
    let read = storage.read(&place.access, place.name(), None, Some(one.etag())).await.unwrap();
    assert_eq!((read.version, read.body), (one.clone(), None));
    let opened = storage.open(&place.access, place.name(), None, Some(one.etag()), 0, 0).await.unwrap();
    assert!(opened.stream.is_none());
    for other in [Etag::of(2, one.digest), Etag::of(1, Digest([1; 32]))] {
        let read = storage.read(&place.access, place.name(), None, Some(other)).await.unwrap();
        assert!(read.body.is_some());
    }
}

#[tokio::test]
async fn any_range_inside_the_blob_is_streamed() {
    let mut place = Place::new().await;
    let one = place.put(&b"KEY=value\n".repeat(50)).await.unwrap();
    let storage = &place.world.storage;
    let whole = storage.read(&place.access, place.name(), None, None).await.unwrap().body.unwrap();
    for (offset, length, end) in [
        (0, 0, one.len),
        (0, 1, 1),
        (10, 20, 30),
        (one.len - 1, 1, one.len),
        (one.len - 1, 0, one.len),
        (5, u64::MAX, one.len),
    ] {
        let opened = storage.open(&place.access, place.name(), None, None, offset, length).await.unwrap();
        assert_eq!((opened.offset, opened.len), (offset, end - offset));
        assert_eq!(collected(opened).await, whole[offset as usize..end as usize]);
    }
    for offset in [one.len, u64::MAX] {
        let refused = storage.open(&place.access, place.name(), None, None, offset, 1).await.err();
        assert!(matches!(refused, Some(StorageError::Range { length }) if length == one.len));
    }
}

#[tokio::test]
async fn deleted_bytes_are_gone_and_their_history_stays() {
    let mut place = Place::new().await;
    let one = place.put(b"one").await.unwrap();
    let two = place.put(b"two").await.unwrap();
    let storage = place.world.storage.clone();
    let stale = storage.delete(&place.access, place.name(), one.etag()).await;
    assert!(matches!(stale, Err(StorageError::EtagMismatch { current }) if current == Some(two.etag())));
    storage.delete(&place.access, place.name(), two.etag()).await.unwrap();
    for number in [None, Some(1), Some(2)] {
        let read = storage.read(&place.access, place.name(), number, None).await;
        assert!(matches!(read, Err(StorageError::BlobNotFound)));
        let opened = storage.open(&place.access, place.name(), number, Some(two.etag()), 0, 0).await.err();
        assert!(matches!(opened, Some(StorageError::BlobNotFound)));
        assert!(storage.stat(&place.access, place.name(), number).await.unwrap().1.deleted);
    }
    let again = storage.delete(&place.access, place.name(), two.etag()).await;
    assert!(matches!(again, Err(StorageError::BlobNotFound)));
    assert_eq!(storage.used_bytes(place.alice.account).await.unwrap(), 0);
    let three = place.put(b"three").await.unwrap();
    assert_eq!(three.number, 3);
    let (_, page) = storage.versions(&place.access, place.name(), PageArgs::new(None, 2)).await.unwrap();
    assert_eq!(page.items.iter().map(|v| (v.number, v.deleted)).collect::<Vec<_>>(), [(3, false), (2, true)]);
    assert_eq!(page.next, Some(2));
}

#[tokio::test]
async fn bytes_that_the_store_lost_are_reported_as_damage() {
    let mut place = Place::new().await;
    let one = place.put(b"one").await.unwrap();
    place.world.store.lose_blob(one.digest);
    let read = place.world.storage.read(&place.access, place.name(), None, None).await;
    assert!(matches!(read, Err(StorageError::Store(crate::store::StoreError::Damaged { .. }))));
}

#[tokio::test]
async fn nobody_reads_through_somebody_elses_door() {
    let mut place = Place::new().await;
    place.put(b"one").await.unwrap();
    let mallory = place.world.person("mallory@example.org").await.caller(&place.world).await;
    let actions = veilsign::capability::Actions::PROJECT_READ;
    let access = place.world.projects.authorize(&mallory, place.access.project(), actions).await;
    assert!(matches!(access, Err(ProjectsError::Denied)));
    // Nor does a right to read write or delete.
    let alice = place.alice.caller(&place.world).await;
    let read = place.world.projects.authorize(&alice, place.access.project(), actions).await.unwrap();
    let next = place.alice.seal(&place.environment, &place.key, b"two");
    let put = place.world.storage.put(&read, place.name(), next.put()).await;
    assert!(matches!(put, Err(StorageError::Projects(ProjectsError::Denied))));
    let etag = place.environment.head.as_ref().unwrap().etag();
    let deleted = place.world.storage.delete(&read, place.name(), etag).await;
    assert!(matches!(deleted, Err(StorageError::Projects(ProjectsError::Denied))));
}
