//! What a crash leaves, and what only somebody who put an old database back can leave.

use std::{fs, path::Path};

use tempfile::TempDir;
use veilcloud_domain::store::StoreError;

use super::model::{LOGS, Model};
use crate::support::{crash_image, fresh, open};

const SEGMENT: &str = "log/0000000000.seg";

fn refusal(outcome: Result<u64, StoreError>) -> String {
    match outcome {
        Err(StoreError::Damaged { cause, .. }) => cause,
        other => panic!("not refused as damaged: {other:?}"),
    }
}

/// Batches that are committed, and their folder, closed.
async fn grown(batches: usize) -> (TempDir, Model) {
    let (folder, stores) = fresh();
    let mut model = Model::default();
    let epoch = stores.logs().fence().await.unwrap();
    for n in 0..batches {
        model.batch(&*stores.logs(), epoch, &[(LOGS[0], 2 + n), (LOGS[1], 1)]).await;
    }
    stores.close().await;
    (folder, model)
}

/// One batch more.
async fn grow(folder: &Path, model: &mut Model) {
    let stores = open(folder).unwrap();
    let epoch = stores.logs().fence().await.unwrap();
    model.batch(&*stores.logs(), epoch, &[(LOGS[0], 3)]).await;
    stores.close().await;
}

/// The database of another folder, as a restored backup.
fn put_back(from: &Path, to: &Path) {
    for name in ["veilcloud.db-wal", "veilcloud.db-shm"] {
        let _ = fs::remove_file(to.join(name));
    }
    fs::copy(from.join("veilcloud.db"), to.join("veilcloud.db")).unwrap();
}

#[tokio::test]
async fn a_frame_torn_at_any_length_is_written_over() {
    let (folder, model) = grown(3).await;
    let committed = fs::metadata(folder.path().join(SEGMENT)).unwrap().len();
    let stores = open(folder.path()).unwrap();
    stores.logs().fence().await.unwrap();
    stores.logs().stage(&[model.clone().grow(LOGS[0], 2).0]).await.unwrap();
    stores.close().await;
    let staged = fs::metadata(folder.path().join(SEGMENT)).unwrap().len();
    assert!(staged > committed + 100);
    for len in committed..=staged {
        let image = crash_image(folder.path());
        fs::OpenOptions::new().write(true).open(image.path().join(SEGMENT)).unwrap().set_len(len).unwrap();
        let stores = open(image.path()).unwrap();
        let epoch = stores.logs().fence().await.unwrap();
        let mut model = model.clone();
        // Shorter than what may be there, so that the end of it would show.
        model.batch(&*stores.logs(), epoch, &[(LOGS[2], 1)]).await;
        model.compare(&*stores.logs()).await;
        stores.close().await;
    }
}

#[tokio::test]
async fn a_picture_of_the_folder_has_every_committed_batch() {
    let (folder, stores) = fresh();
    let mut model = Model::default();
    let epoch = stores.logs().fence().await.unwrap();
    for n in 0..12 {
        model.batch(&*stores.logs(), epoch, &[(LOGS[n % 3], 1 + 40 * n)]).await;
        let image = crash_image(folder.path());
        let after = open(image.path()).unwrap();
        assert!(after.logs().fence().await.unwrap() > epoch);
        model.compare(&*after.logs()).await;
        after.close().await;
    }
}

#[tokio::test]
async fn a_database_taken_back_by_one_commit_is_refused() {
    let (folder, mut model) = grown(3).await;
    let old = crash_image(folder.path());
    grow(folder.path(), &mut model).await;
    put_back(old.path(), folder.path());
    let stores = open(folder.path()).unwrap();
    for _ in 0..2 {
        let cause = refusal(stores.logs().fence().await);
        assert!(cause.contains("the database is older than the logs"), "{cause}");
    }
    // Nothing is committed without a fence, either: the last epoch is gone with the database.
    stores.close().await;
}

#[tokio::test]
async fn a_database_taken_back_with_its_head_is_refused_by_the_frames() {
    let (folder, mut model) = grown(3).await;
    let old = crash_image(folder.path());
    grow(folder.path(), &mut model).await;
    grow(folder.path(), &mut model).await;
    put_back(old.path(), folder.path());
    fs::copy(old.path().join("log/head"), folder.path().join("log/head")).unwrap();
    let stores = open(folder.path()).unwrap();
    let cause = refusal(stores.logs().fence().await);
    assert!(cause.contains("the database is older than the logs") && cause.contains("0.seg"), "{cause}");
}

#[tokio::test]
async fn an_empty_database_beside_logs_is_refused() {
    let (folder, _) = grown(2).await;
    for name in ["veilcloud.db", "veilcloud.db-wal", "veilcloud.db-shm", "log/head"] {
        let _ = fs::remove_file(folder.path().join(name));
    }
    let stores = open(folder.path()).unwrap();
    let cause = refusal(stores.logs().fence().await);
    assert!(cause.contains("the database is older than the logs"), "{cause}");
}

#[tokio::test]
async fn a_head_that_is_altered_or_missing_is_refused_and_an_old_one_is_not() {
    let (folder, mut model) = grown(2).await;
    let head = folder.path().join("log/head");
    let old = fs::read(&head).unwrap();
    grow(folder.path(), &mut model).await;
    let sound = fs::read(&head).unwrap();
    assert_ne!(old, sound);
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        fs::write(&head, bytes).unwrap();
        let image = crash_image(folder.path());
        let stores = open(image.path()).unwrap();
        let cause = refusal(stores.logs().fence().await);
        assert!(cause.contains("log/head is altered"), "{cause}");
        stores.close().await;
    }
    fs::write(&head, &sound[..27]).unwrap();
    let stores = open(folder.path()).unwrap();
    assert!(refusal(stores.logs().fence().await).contains("log/head is altered"));
    fs::remove_file(&head).unwrap();
    assert!(refusal(stores.logs().fence().await).contains("log/head is missing"));
    // It is written without a sync, so a crash may bring an old one back.
    fs::write(&head, &old).unwrap();
    stores.logs().fence().await.unwrap();
    model.compare(&*stores.logs()).await;
}

#[tokio::test]
async fn a_segment_shorter_than_what_is_committed_is_refused() {
    let (folder, _) = grown(2).await;
    let path = folder.path().join(SEGMENT);
    let len = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 1).unwrap();
    let stores = open(folder.path()).unwrap();
    let cause = refusal(stores.logs().fence().await);
    assert!(cause.contains(&format!("has {} bytes and {len} are committed", len - 1)), "{cause}");
    fs::remove_file(&path).unwrap();
    assert!(refusal(stores.logs().fence().await).contains("0000000000.seg is missing"));
}

#[tokio::test]
async fn a_batch_staged_before_a_crash_is_forgotten() {
    let (folder, stores) = fresh();
    let mut model = Model::default();
    let epoch = stores.logs().fence().await.unwrap();
    model.batch(&*stores.logs(), epoch, &[(LOGS[0], 5)]).await;
    let mut ahead = model.clone();
    let (extension, head) = ahead.grow(LOGS[0], 200);
    let stage = stores.logs().stage(&[extension]).await.unwrap();
    stores.close().await;
    let stores = open(folder.path()).unwrap();
    let epoch = stores.logs().fence().await.unwrap();
    assert!(stores.logs().commit(epoch, stage, vec![head]).await.is_err());
    model.compare(&*stores.logs()).await;
    model.batch(&*stores.logs(), epoch, &[(LOGS[0], 1), (LOGS[1], 1)]).await;
    model.compare(&*stores.logs()).await;
}
