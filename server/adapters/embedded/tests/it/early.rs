//! Small blobs are answered when they are queued: what fails afterwards is told by the commit, and no version is ever
//! without its bytes.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use futures_util::future::join_all;
use rusqlite::Connection;
use tokio::sync::Semaphore;
use veilcloud_domain::{
    audit::model::{Kind, Trail},
    projects::{model::Environment, port::Written},
    storage::{
        model::{Digest, Precondition, Version},
        port::{BlobStore, Refusal, Shelf},
    },
    store::StoreError,
};
use veilcloud_embedded::Embedded;
use veilcore::id::EnvironmentId;

use crate::support::{
    ACCOUNT, ENVIRONMENT, PROJECT, bytes_of, digest_of, environment, furnished, keyring, line, name, reopen,
    version,
};

const WRITERS: u8 = 64;

/// Makes storing fail for bytes that begin with 0xff, the way the disk's trouble would: for the one statement, or for
/// the whole transaction.
fn refuse_some_bytes(folder: &Path, how: &str) {
    sql(
        folder,
        &format!(
            "CREATE TRIGGER refusing BEFORE INSERT ON small_blobs WHEN substr(new.bytes, 1, 1) = x'ff'
             BEGIN SELECT RAISE({how}, 'no'); END"
        ),
    );
}

fn sql(folder: &Path, sql: &str) {
    Connection::open(folder.join("veilcloud.db")).unwrap().execute_batch(sql).unwrap();
}

fn refused_bytes(seed: u64) -> Bytes {
    [&[0xff], &bytes_of(seed, 100)[..]].concat().into()
}

fn place(n: u8) -> EnvironmentId {
    EnvironmentId::from_bytes([100 + n; 16])
}

/// One more environment for each writer.
async fn with_places(stores: &Embedded) {
    for n in 0..WRITERS {
        let new = Environment { id: place(n), name: name(&format!("place-{n}")), ..environment() };
        let line = line(Kind::EnvironmentCreate);
        let created = stores.catalog().create_environment(new, keyring(1), 100, line).await.unwrap();
        assert_eq!(created, Written::Done);
    }
}

/// Stores bytes and commits them as the next version after `head`.
async fn write(
    (blobs, shelf): &(Arc<dyn BlobStore>, Arc<dyn Shelf>),
    environment: EnvironmentId,
    head: Option<&Version>,
    bytes: &Bytes,
) -> Result<Result<Version, Refusal>, StoreError> {
    let number = head.map_or(1, |head| head.number + 1);
    let next = Version { environment, ..version(number, digest_of(bytes), 1) };
    let condition = head.map_or(Precondition::First, |head| Precondition::Match(head.etag()));
    blobs.put(next.digest, bytes.clone()).await?;
    let committed = shelf.commit(next.clone(), condition, line(Kind::BlobPut)).await?;
    Ok(committed.map(|leaf| Version { log_index: Some(leaf), ..next }))
}

async fn lines(stores: &Embedded) -> usize {
    stores.outbox().pending(Trail::Project(PROJECT), 0, 10_000).await.unwrap().len()
}

#[tokio::test]
async fn bytes_that_could_not_be_stored_fail_the_commit_and_nothing_is_visible() {
    for how in ["ABORT", "FAIL", "ROLLBACK"] {
        let (folder, stores) = furnished().await;
        let ports = (stores.blobs(), stores.shelf());
        refuse_some_bytes(folder.path(), how);
        let before = lines(&stores).await;
        let bytes = refused_bytes(1);
        for _ in 0..3 {
            let failed = write(&ports, ENVIRONMENT, None, &bytes).await;
            assert!(matches!(failed, Err(StoreError::Damaged { .. })), "{how}: {failed:?}");
            assert_eq!(stores.shelf().version(ENVIRONMENT, None).await.unwrap(), None);
            assert_eq!(stores.blobs().read(digest_of(&bytes)).await.unwrap(), None);
            assert_eq!(stores.blobs().list(None, 10, u64::MAX).await.unwrap(), []);
            assert_eq!(stores.shelf().used_bytes(ACCOUNT).await.unwrap(), 0);
            assert_eq!(lines(&stores).await, before);
        }
        // Other bytes are not concerned, and these are not once they can be stored.
        let other = write(&ports, ENVIRONMENT, None, &bytes_of(2, 100)).await.unwrap().unwrap();
        sql(folder.path(), "DROP TRIGGER refusing");
        write(&ports, ENVIRONMENT, Some(&other), &bytes).await.unwrap().unwrap();
        assert_eq!(stores.blobs().read(digest_of(&bytes)).await.unwrap(), Some(bytes));
    }
}

#[tokio::test]
async fn each_writer_whose_bytes_failed_is_told_also_when_they_are_the_same_bytes() {
    let (folder, stores) = furnished().await;
    with_places(&stores).await;
    refuse_some_bytes(folder.path(), "ABORT");
    let ports = (stores.blobs(), stores.shelf());
    let bytes = refused_bytes(1);
    let writes = (0..WRITERS).map(|n| write(&ports, place(n), None, &bytes));
    assert!(join_all(writes).await.iter().all(Result::is_err));
}

#[tokio::test]
async fn bytes_that_came_by_an_upload_after_a_failed_put_can_be_committed() {
    let (folder, stores) = furnished().await;
    refuse_some_bytes(folder.path(), "ABORT");
    let bytes = refused_bytes(1);
    let digest = digest_of(&bytes);
    stores.blobs().put(digest, bytes.clone()).await.unwrap();
    let upload = crate::support::UPLOAD;
    stores.staging().write(upload, 0, bytes.clone()).await.unwrap();
    // The failure has come by now: reading waits for it.
    assert_eq!(stores.blobs().read(digest).await.unwrap(), None);
    assert!(stores.staging().promote(upload, bytes.len() as u64, digest).await.unwrap());
    let first = version(1, digest, 1);
    stores.shelf().commit(first, Precondition::First, line(Kind::BlobPut)).await.unwrap().unwrap();
    assert_eq!(stores.blobs().read(digest).await.unwrap(), Some(bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_writers_each_finds_its_bytes_or_its_failure_whoever_fails_beside_it() {
    let (folder, stores) = furnished().await;
    with_places(&stores).await;
    refuse_some_bytes(folder.path(), "ABORT");
    let before = lines(&stores).await;
    let writers = (0..WRITERS).map(|n| {
        let ports = (stores.blobs(), stores.shelf());
        tokio::spawn(async move {
            let (mut head, mut committed) = (None, 0);
            for round in 0..6 {
                let seed = u64::from(n) << 32 | round;
                let fails = (u64::from(n) + round).is_multiple_of(3);
                let bytes = if fails { refused_bytes(seed) } else { bytes_of(seed, 100 + usize::from(n)) };
                let outcome = write(&ports, place(n), head.as_ref(), &bytes).await;
                assert_eq!(outcome.is_err(), fails, "{n} {round}: {outcome:?}");
                if let Ok(next) = outcome {
                    head = Some(next.unwrap());
                    committed += 1;
                }
                let stored = ports.0.read(digest_of(&bytes)).await.unwrap();
                assert_eq!(stored, (!fails).then_some(bytes));
                assert_eq!(ports.1.version(place(n), None).await.unwrap(), head);
            }
            committed
        })
    });
    let committed: usize = join_all(writers).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(committed, usize::from(WRITERS) * 4);
    assert_eq!(lines(&stores).await, before + committed);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_are_dropped_in_the_middle_leave_no_version_without_its_bytes() {
    let (folder, stores) = furnished().await;
    with_places(&stores).await;
    let answers = Arc::new(Semaphore::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let (ports, answers) = ((stores.blobs(), stores.shelf()), answers.clone());
            tokio::spawn(async move {
                let mut head = None;
                for round in 0_u64.. {
                    let bytes = bytes_of(u64::from(n) << 32 | round, 200);
                    head = Some(write(&ports, place(n), head.as_ref(), &bytes).await.unwrap().unwrap());
                    answers.add_permits(1);
                }
            })
        })
        .collect();
    answers.acquire_many(200).await.unwrap().forget();
    writers.iter().for_each(|writer| writer.abort());
    assert!(join_all(writers).await.iter().all(Result::is_err));
    drop(stores);
    let stores = reopen(folder.path());
    let mut versions = 0;
    for n in 0..WRITERS {
        let head = stores.shelf().version(place(n), None).await.unwrap();
        for number in 1..=head.map_or(0, |head| head.number) {
            let version = stores.shelf().version(place(n), Some(number)).await.unwrap().unwrap();
            let bytes = stores.blobs().read(version.digest).await.unwrap().expect("bytes come first");
            assert_eq!(digest_of(&bytes), version.digest);
            versions += 1;
        }
    }
    assert!(versions >= 200, "{versions}");
}

#[tokio::test]
async fn an_old_blob_is_young_from_the_moment_that_storing_it_again_is_answered() {
    let (folder, stores) = furnished().await;
    let bytes = bytes_of(1, 100);
    let digest: Digest = digest_of(&bytes);
    stores.blobs().put(digest, bytes.clone()).await.unwrap();
    assert_eq!(stores.blobs().list(None, 10, u64::MAX).await.unwrap(), [digest]);
    sql(folder.path(), "UPDATE small_blobs SET stored_at_ms = 1");
    assert_eq!(stores.blobs().list(None, 10, 1_000).await.unwrap(), [digest]);
    stores.blobs().put(digest, bytes).await.unwrap();
    assert_eq!(stores.blobs().list(None, 10, 1_000).await.unwrap(), []);
}
