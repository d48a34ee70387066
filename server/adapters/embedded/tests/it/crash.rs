//! After a crash: what was answered is there, and what was not is there whole or not at all.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use futures_util::future::join_all;
use veilcloud_domain::{
    audit::model::{Kind, Trail},
    storage::model::{Precondition, Version},
};

use crate::support::{
    ENVIRONMENT, PROJECT, UPLOAD, blob_file, bytes_of, crash_image, digest_of, furnish, furnished, line,
    open, reopen, upload, version,
};

#[tokio::test]
async fn stores_that_were_dropped_without_closing_are_whole_when_opened_again() {
    let (folder, stores) = furnished().await;
    let bytes = bytes_of(1, 1000);
    let first = version(1, digest_of(&bytes), 1000);
    stores.blobs().put(first.digest, bytes.clone()).await.unwrap();
    let leaf = stores.shelf().commit(first.clone(), Precondition::First, line(Kind::BlobPut)).await.unwrap();
    let first = Version { log_index: leaf.ok(), ..first };
    drop(stores);
    let stores = reopen(folder.path());
    assert_eq!(stores.shelf().version(ENVIRONMENT, None).await.unwrap(), Some(first.clone()));
    assert_eq!(stores.blobs().read(first.digest).await.unwrap(), Some(bytes));
    assert_eq!(stores.outbox().pending(Trail::Project(PROJECT), 0, 10).await.unwrap().len(), 4);
}

#[tokio::test]
async fn every_answered_commit_is_in_a_picture_of_the_folder_taken_at_that_moment() {
    let (folder, stores) = furnished().await;
    let mut head: Option<Version> = None;
    for number in 1..=20 {
        let next = version(number, digest_of(&[number as u8]), 10);
        stores.blobs().put(next.digest, bytes_of(number, 10)).await.unwrap();
        let condition = head.map_or(Precondition::First, |head| Precondition::Match(head.etag()));
        let leaf =
            stores.shelf().commit(next.clone(), condition, line(Kind::BlobPut)).await.unwrap().unwrap();
        head = Some(Version { log_index: Some(leaf), ..next });
        if number % 5 == 0 {
            let image = crash_image(folder.path());
            let after = open(image.path()).unwrap();
            assert_eq!(after.shelf().version(ENVIRONMENT, None).await.unwrap(), head);
            assert_eq!(after.shelf().used_bytes(crate::support::ACCOUNT).await.unwrap(), 10 * number);
        }
    }
}

#[tokio::test]
async fn half_written_files_are_cleared_and_unfinished_uploads_stay() {
    let (folder, stores) = furnished().await;
    let bytes = bytes_of(1, 3000);
    stores.uploads().start(upload(3000, digest_of(&bytes)), 8).await.unwrap();
    stores.staging().write(UPLOAD, 1000, bytes.slice(1000..)).await.unwrap();
    stores.uploads().received(UPLOAD, 0).await.unwrap();
    stores.close().await;
    let half = folder.path().join("blobs/tmp/7");
    fs::write(&half, "half a bl").unwrap();
    let stray = folder.path().join("uploads/00000000-0000-0000-0000-000000000001.part");
    fs::write(&stray, "half an upload that nobody knows").unwrap();
    let stores = open(folder.path()).unwrap();
    assert!(!half.exists() && !stray.exists());
    assert_eq!(stores.uploads().upload(UPLOAD).await.unwrap().unwrap().received, [0]);
    // What is missing is noticed by the digest, then written, and the whole goes through.
    assert!(!stores.staging().promote(UPLOAD, 3000, digest_of(&bytes)).await.unwrap());
    stores.staging().write(UPLOAD, 0, bytes.slice(..1000)).await.unwrap();
    assert!(stores.staging().promote(UPLOAD, 3000, digest_of(&bytes)).await.unwrap());
    assert_eq!(stores.blobs().read(digest_of(&bytes)).await.unwrap(), Some(bytes));
}

#[tokio::test]
async fn an_upload_that_was_promoted_just_before_a_crash_can_be_promoted_again() {
    let (folder, stores) = furnished().await;
    let bytes = bytes_of(1, 3000);
    stores.uploads().start(upload(3000, digest_of(&bytes)), 8).await.unwrap();
    stores.staging().write(UPLOAD, 0, bytes.clone()).await.unwrap();
    assert!(stores.staging().promote(UPLOAD, 3000, digest_of(&bytes)).await.unwrap());
    stores.close().await;
    let stores = open(folder.path()).unwrap();
    assert!(stores.staging().promote(UPLOAD, 3000, digest_of(&bytes)).await.unwrap());
    assert!(!stores.staging().promote(UPLOAD, 2999, digest_of(&bytes)).await.unwrap());
    assert!(!stores.staging().promote(UPLOAD, 3000, digest_of(b"others")).await.unwrap());
}

#[tokio::test]
async fn a_blob_file_without_a_version_is_listed_for_the_sweep_and_referenced_by_none() {
    let (folder, stores) = furnished().await;
    let large = bytes_of(1, 100_000);
    stores.blobs().put(digest_of(&large), large.clone()).await.unwrap();
    stores.close().await;
    assert!(blob_file(folder.path(), digest_of(&large)).exists());
    let stores = open(folder.path()).unwrap();
    let listed = stores.blobs().list(None, 10, u64::MAX).await.unwrap();
    assert_eq!(listed, [digest_of(&large)]);
    assert_eq!(stores.shelf().referenced(&listed).await.unwrap(), []);
    stores.blobs().remove(digest_of(&large)).await.unwrap();
    assert!(!blob_file(folder.path(), digest_of(&large)).exists());
}

const CHILD: &str = "VEILCLOUD_CRASH_TEST_FOLDER";
const WRITERS: u64 = 8;

/// The child: eight writers that say on standard output what was answered, until they are killed.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_writes_until_it_is_killed() {
    let Ok(folder) = env::var(CHILD) else { return };
    let stores = open(folder.as_ref()).unwrap();
    furnish(&stores).await;
    let writers = (0..WRITERS).map(|writer| {
        let (blobs, shelf) = (stores.blobs(), stores.shelf());
        tokio::spawn(async move {
            for n in 0_u64.. {
                let large = if n % 16 == 15 { 70_000 } else { 100 };
                let bytes = bytes_of(writer << 32 | n, large);
                blobs.put(digest_of(&bytes), bytes.clone()).await.unwrap();
                let head = shelf.version(ENVIRONMENT, None).await.unwrap();
                let condition =
                    head.as_ref().map_or(Precondition::First, |head| Precondition::Match(head.etag()));
                let next = version(head.map_or(1, |head| head.number + 1), digest_of(&bytes), 1);
                if shelf.commit(next.clone(), condition, line(Kind::BlobPut)).await.unwrap().is_ok() {
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "answered {} {}", next.number, next.digest).unwrap();
                    out.flush().unwrap();
                }
            }
        })
    });
    join_all(writers).await;
}

#[tokio::test]
async fn a_killed_process_leaves_every_answered_version_whole_and_no_gap() {
    for answers in [1, 7, 40, 150] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let answered: Vec<String> =
            lines.map(Result::unwrap).filter(|line| line.contains("answered")).take(answers).collect();
        child.kill().unwrap();
        child.wait().unwrap();

        let stores = open(folder.path()).unwrap();
        let shelf = stores.shelf();
        let head = shelf.version(ENVIRONMENT, None).await.unwrap().unwrap();
        for number in 1..=head.number {
            let version =
                shelf.version(ENVIRONMENT, Some(number)).await.unwrap().expect("versions are dense");
            let bytes =
                stores.blobs().read(version.digest).await.unwrap().expect("bytes come before the version");
            assert_eq!(digest_of(&bytes), version.digest);
            let text = format!("answered {number} {}", version.digest);
            let claimed = |line: &&String| line.contains(&format!("answered {number} "));
            assert!(answered.iter().find(claimed).is_none_or(|line| line.ends_with(&text)), "{number}");
        }
        let newest =
            answered.iter().map(|line| line.split(' ').rev().nth(1).unwrap().parse::<u64>().unwrap()).max();
        assert!(newest.unwrap() <= head.number);
        let lines = 3 + head.number;
        let trail = stores.outbox().pending(Trail::Project(PROJECT), 0, 100_000).await;
        assert_eq!(trail.unwrap().len() as u64, lines, "one audit line for each version");
        assert_eq!(shelf.used_bytes(crate::support::ACCOUNT).await.unwrap(), head.number);
    }
}
