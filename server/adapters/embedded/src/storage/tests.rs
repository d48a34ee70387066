//! Puts on a full disk: SQLite's own "full", which takes the whole transaction away.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use tempfile::TempDir;
use veilcloud_domain::{
    audit::model::{Kind, Line, OutboxKey, Trail},
    storage::{
        model::{Digest, Precondition, Version},
        port::{BlobStore, Refusal, Shelf},
    },
    store::StoreError,
};
use veilcore::id::{AccountId, EnvironmentId, ProjectId};

use super::promises::BROKEN_MAX;
use crate::{Embedded, Options};

const DIGEST: Digest = Digest([1; 32]);
/// More than the database has free pages for.
const BYTES: Bytes = Bytes::from_static(&[7; 60_000]);

fn open(folder: &Path) -> Embedded {
    Embedded::open(folder, OutboxKey::new([9; 32]), Options::default()).unwrap()
}

/// The most pages that the database may have; SQLite raises it to what there is.
async fn set_pages_max(stores: &Embedded, pages: u32) {
    let set =
        move |tx: &crate::db::Tx<'_>| Ok(tx.conn.pragma_update(None, "max_page_count", pages).or_else(ok)?);
    stores.db.write(set).await.unwrap();
}

/// The pragma answers with a row.
fn ok(error: rusqlite::Error) -> rusqlite::Result<()> {
    if matches!(error, rusqlite::Error::ExecuteReturnedResults) { Ok(()) } else { Err(error) }
}

async fn full() -> (TempDir, Embedded) {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    set_pages_max(&stores, 1).await;
    (folder, stores)
}

/// A commit that gets as far as finding no environment, unless the bytes are missing.
async fn commit(stores: &Embedded, digest: Digest) -> Result<Result<u64, Refusal>, StoreError> {
    let (environment, author) = (EnvironmentId::from_bytes([3; 16]), AccountId::from_bytes([1; 16]));
    let version = Version {
        environment,
        number: 1,
        digest,
        len: 60_000,
        seal: vec![7; 300],
        epoch: 1,
        author,
        created_at_ms: 6_000,
        deleted: false,
        log_index: None,
    };
    let line = Line {
        trail: Trail::Project(ProjectId::from_bytes([2; 16])),
        kind: Kind::BlobPut,
        actor: author,
        at_ms: 4_000,
        environment: Some(environment),
        version: 1,
        digest: None,
        key: None,
        by_number: false,
    };
    stores.shelf.commit(version, Precondition::First, line).await
}

#[tokio::test]
async fn a_full_disk_is_told_by_the_commit_and_ends_nothing() {
    let (_folder, stores) = full().await;
    for _ in 0..2 {
        stores.blobs.put(DIGEST, BYTES).await.unwrap();
        assert!(matches!(commit(&stores, DIGEST).await, Err(StoreError::Full { .. })));
        // Told once; bytes that nobody tried to store are not this check's business.
        assert_eq!(commit(&stores, DIGEST).await.unwrap(), Err(Refusal::Denied));
    }
    stores.ready().await.unwrap();
    set_pages_max(&stores, u32::MAX >> 1).await;
    stores.blobs.put(DIGEST, BYTES).await.unwrap();
    assert_eq!(commit(&stores, DIGEST).await.unwrap(), Err(Refusal::Denied));
    assert_eq!(stores.blobs.read(DIGEST).await.unwrap(), Some(BYTES));
}

#[tokio::test]
async fn a_failure_beside_bytes_that_are_there_already_fails_nobody() {
    let (_folder, stores) = full().await;
    set_pages_max(&stores, u32::MAX >> 1).await;
    stores.blobs.put(DIGEST, BYTES).await.unwrap();
    let promise = stores.blobs.folder.promises.make(DIGEST).unwrap();
    assert_eq!(stores.blobs.read(DIGEST).await.unwrap(), Some(BYTES));
    promise.settle(Err(StoreError::Full { store: "test" }));
    assert_eq!(commit(&stores, DIGEST).await.unwrap(), Err(Refusal::Denied));
}

#[tokio::test]
async fn when_no_more_failures_can_be_remembered_a_put_tells_its_own() {
    let (_folder, stores) = full().await;
    let promises: &Arc<_> = &stores.blobs.folder.promises;
    for n in 0..BROKEN_MAX {
        let mut digest = Digest([9; 32]);
        digest.0[..8].copy_from_slice(&n.to_be_bytes());
        promises.make(digest).unwrap().settle(Err(StoreError::Full { store: "test" }));
    }
    let put = stores.blobs.put(DIGEST, BYTES).await;
    assert!(matches!(put, Err(StoreError::Full { .. })), "{put:?}");
    set_pages_max(&stores, u32::MAX >> 1).await;
    stores.blobs.put(DIGEST, BYTES).await.unwrap();
    assert!(!promises.any_open());
    assert_eq!(stores.blobs.read(DIGEST).await.unwrap(), Some(BYTES));
}

#[tokio::test]
async fn a_put_that_nobody_waited_for_is_not_open_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    drop(stores.blobs.put(DIGEST, BYTES));
    assert_eq!(stores.blobs.read(DIGEST).await.unwrap(), None);
    let blobs = stores.blobs.clone();
    stores.close().await;
    assert!(blobs.put(DIGEST, BYTES).await.is_err());
    assert!(!blobs.folder.promises.any_open());
}
