//! What an account uses, in step with what it stores.

use futures_util::future::join_all;
use veilcloud_domain::{
    audit::model::Kind,
    projects::{access::KeyringRefusal, port::Written},
    storage::{
        model::{Precondition, Version},
        port::{Refusal, Started},
    },
};
use veilcloud_embedded::Embedded;

use crate::support::{
    ACCOUNT, ENVIRONMENT, PROJECT, QUOTA, UPLOAD, digest_of, environment, furnished, keyring, line, name,
    upload, version,
};

async fn used(stores: &Embedded) -> u64 {
    stores.shelf().used_bytes(ACCOUNT).await.unwrap()
}

#[tokio::test]
async fn versions_and_uploads_count_until_they_are_gone() {
    let (_folder, stores) = furnished().await;
    let (shelf, uploads, catalog) = (stores.shelf(), stores.uploads(), stores.catalog());
    let first = version(1, digest_of(b"1"), 4_000);
    shelf.commit(first.clone(), Precondition::First, line(Kind::BlobPut)).await.unwrap().unwrap();
    assert_eq!(used(&stores).await, 4_000);
    let last = digest_of(b"2");
    assert_eq!(
        uploads.start(upload(6_001, last), 8).await.unwrap(),
        Started::Quota { quota_bytes: QUOTA, used_bytes: 4_000 }
    );
    assert_eq!(uploads.start(upload(6_000, last), 8).await.unwrap(), Started::Open);
    assert_eq!(used(&stores).await, QUOTA);
    let over = version(2, digest_of(b"3"), 1);
    let refused = shelf.commit(over, Precondition::Match(first.etag()), line(Kind::BlobPut)).await.unwrap();
    assert_eq!(refused, Err(Refusal::Quota { quota_bytes: QUOTA, used_bytes: QUOTA }));
    // The upload that took the last byte can still become a version.
    let second = version(2, last, 6_000);
    shelf
        .commit(second.clone(), Precondition::Match(first.etag()), line(Kind::BlobPut))
        .await
        .unwrap()
        .unwrap();
    uploads.forget(UPLOAD).await.unwrap();
    uploads.forget(UPLOAD).await.unwrap();
    assert_eq!(used(&stores).await, QUOTA);
    shelf.delete_content(ENVIRONMENT, second.etag(), line(Kind::BlobDelete)).await.unwrap().unwrap();
    assert_eq!(used(&stores).await, 0);
    shelf.delete_content(ENVIRONMENT, second.etag(), line(Kind::BlobDelete)).await.unwrap().unwrap();
    assert_eq!(used(&stores).await, 0);
    let third = version(3, digest_of(b"3"), 100);
    shelf.commit(third, Precondition::Match(second.etag()), line(Kind::BlobPut)).await.unwrap().unwrap();
    uploads.start(upload(50, last), 8).await.unwrap();
    assert_eq!(
        catalog.delete_environment(ENVIRONMENT, line(Kind::EnvironmentDelete)).await.unwrap(),
        Written::Done
    );
    assert_eq!(used(&stores).await, 0);
    assert!(uploads.upload(UPLOAD).await.unwrap().is_none());
}

#[tokio::test]
async fn a_deleted_project_gives_back_what_it_held() {
    let (_folder, stores) = furnished().await;
    let first = version(1, digest_of(b"1"), 4_000);
    stores.shelf().commit(first, Precondition::First, line(Kind::BlobPut)).await.unwrap().unwrap();
    assert!(stores.catalog().delete_project(PROJECT, line(Kind::ProjectDelete)).await.unwrap());
    assert_eq!(used(&stores).await, 0);
    assert_eq!(stores.catalog().environment(PROJECT, &name("production")).await.unwrap(), None);
}

#[tokio::test]
async fn of_many_writers_at_once_one_wins_and_the_others_learn_who() {
    let (_folder, stores) = furnished().await;
    let commits = (0..50_u8).map(|n| {
        let shelf = stores.shelf();
        let next = version(1, digest_of(&[n]), 1);
        async move { shelf.commit(next, Precondition::First, line(Kind::BlobPut)).await.unwrap() }
    });
    let outcomes = join_all(commits).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let head = stores.shelf().version(ENVIRONMENT, None).await.unwrap();
    assert!(
        outcomes.iter().flat_map(|o| o.as_ref().err()).all(|r| *r == Refusal::Precondition(head.clone()))
    );
    assert_eq!(used(&stores).await, 1);
}

#[tokio::test]
async fn what_is_kept_in_memory_follows_every_change() {
    let (_folder, stores) = furnished().await;
    let (catalog, shelf) = (stores.catalog(), stores.shelf());
    let here = name("production");
    let read = || async { catalog.environment(PROJECT, &here).await.unwrap() };
    assert_eq!(read().await, Some(environment()));
    let first = version(1, digest_of(b"1"), 10);
    let leaf = shelf.commit(first.clone(), Precondition::First, line(Kind::BlobPut)).await.unwrap().ok();
    assert_eq!(read().await.unwrap().head, Some(Version { log_index: leaf, ..first.clone() }));
    stores.keyrings().rotate(ENVIRONMENT, keyring(2), line(Kind::KeyRotate)).await.unwrap().unwrap();
    assert_eq!(read().await.unwrap().epoch, 2);
    let stale = stores.keyrings().rotate(ENVIRONMENT, keyring(2), line(Kind::KeyRotate)).await.unwrap();
    assert_eq!(stale, Err(KeyringRefusal::Epoch(2)));
    let old = version(2, digest_of(b"2"), 10);
    let refused = shelf.commit(old, Precondition::Match(first.etag()), line(Kind::BlobPut)).await.unwrap();
    assert_eq!(refused, Err(Refusal::Epoch(2)));
    shelf.delete_content(ENVIRONMENT, first.etag(), line(Kind::BlobDelete)).await.unwrap().unwrap();
    assert!(read().await.unwrap().head.unwrap().deleted);
    assert_eq!(catalog.project(PROJECT).await.unwrap().unwrap().environment_count, 1);
    catalog.delete_environment(ENVIRONMENT, line(Kind::EnvironmentDelete)).await.unwrap();
    assert_eq!(read().await, None);
    assert_eq!(catalog.project(PROJECT).await.unwrap().unwrap().environment_count, 0);
}
