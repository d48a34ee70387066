//! Disks that fail under a write: what they leave is either as it was, or nothing more is written.

use std::{
    future::Future,
    io::ErrorKind,
    pin::pin,
    task::{Context, Waker},
};

use veilchain::hash::{EMPTY_ROOT, leaf_hash};
use veilcloud_domain::{
    audit::{
        model::{OutboxKey, Trail},
        port::{Extension, LevelHashes, LogStore, SignedHead},
    },
    store::StoreError,
};

use super::{batch::Plan, segments::Fault};
use crate::{Embedded, Options, log::segments::Position};

fn one(size: u64) -> Vec<Extension> {
    let entry = size.to_be_bytes();
    vec![Extension {
        log: Trail::Directory,
        old_size: size,
        old_root: root(size),
        entries: vec![entry.to_vec().into()],
        levels: vec![LevelHashes { level: 0, first: size, hashes: vec![leaf_hash(&entry)] }],
    }]
}

/// Stands in for the root: the store compares roots and does not compute them.
fn root(size: u64) -> [u8; 32] {
    if size == 0 { EMPTY_ROOT } else { [size as u8; 32] }
}

fn head(size: u64) -> Vec<SignedHead> {
    vec![SignedHead {
        log: Trail::Directory,
        size,
        root: root(size),
        checkpoint: "signed".into(),
        publish: false,
        signed_at_ms: 1,
        edge: Vec::new(),
    }]
}

fn open(folder: &std::path::Path) -> Embedded {
    Embedded::open(folder, OutboxKey::new([9; 32]), Options::default()).unwrap()
}

async fn commit(stores: &Embedded, epoch: u64, size: u64) -> Result<(), StoreError> {
    let stage = stores.logs.stage(&one(size)).await?;
    assert_eq!(stores.logs.commit(epoch, stage, head(size + 1)).await?, Ok(()));
    Ok(())
}

fn break_next(stores: &Embedded, after: usize, kind: ErrorKind, at_sync: bool) {
    *stores.logs.segments.fault.lock().unwrap() = Some(Fault { after, kind, at_sync });
}

#[tokio::test]
async fn a_full_disk_fails_the_stage_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    let epoch = stores.logs.fence().await.unwrap();
    for size in 0..6 {
        let before = stores.logs.segments.len(0).unwrap();
        for (after, at_sync) in [(0, false), (40, false), (0, true)] {
            break_next(&stores, after, ErrorKind::StorageFull, at_sync);
            let full = commit(&stores, epoch, size).await;
            assert!(matches!(full, Err(StoreError::Full { store: "log" })), "{full:?}");
            assert_eq!(stores.logs.segments.len(0).unwrap().unwrap_or(0), before.unwrap_or(0));
        }
        commit(&stores, epoch, size).await.unwrap();
    }
    let entries = stores.logs.entries(Trail::Directory, 0, 6).await.unwrap();
    assert_eq!(entries[5][..], 5_u64.to_be_bytes());
    stores.close().await;
}

#[tokio::test]
async fn after_a_failed_write_or_sync_nothing_is_written_until_a_restart() {
    for at_sync in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let stores = open(folder.path());
        let epoch = stores.logs.fence().await.unwrap();
        commit(&stores, epoch, 0).await.unwrap();
        break_next(&stores, 60, ErrorKind::Other, at_sync);
        let failed = commit(&stores, epoch, 1).await;
        assert!(matches!(failed, Err(StoreError::Unavailable { .. })), "{failed:?}");
        let later = commit(&stores, epoch, 1).await;
        let told =
            matches!(&later, Err(StoreError::Unavailable { cause, .. }) if cause.contains("then restart"));
        assert!(told, "{later:?}");
        // What was committed can still be read.
        assert_eq!(stores.logs.entries(Trail::Directory, 0, 1).await.unwrap().len(), 1);
        stores.close().await;
        let stores = open(folder.path());
        let epoch = stores.logs.fence().await.unwrap();
        commit(&stores, epoch, 1).await.unwrap();
        stores.close().await;
    }
}

#[tokio::test]
async fn a_commit_that_the_database_refuses_leaves_the_logs_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    let epoch = stores.logs.fence().await.unwrap();
    commit(&stores, epoch, 0).await.unwrap();
    let sql = |sql: &'static str| stores.db.write(move |tx| Ok(tx.conn.execute_batch(sql)?));
    for how in ["ABORT", "ROLLBACK"] {
        let trigger =
            format!("CREATE TRIGGER no BEFORE UPDATE ON log_sequencer BEGIN SELECT RAISE({how}, 'no'); END");
        stores.db.write(move |tx| Ok(tx.conn.execute_batch(&trigger)?)).await.unwrap();
        assert!(commit(&stores, epoch, 1).await.is_err());
        assert_eq!(stores.logs.state(Trail::Directory).await.unwrap().unwrap().size, 1);
        assert!(stores.logs.entries(Trail::Directory, 1, 1).await.is_err());
        sql("DROP TRIGGER no").await.unwrap();
    }
    commit(&stores, epoch, 1).await.unwrap();
    assert_eq!(stores.logs.entries(Trail::Directory, 0, 2).await.unwrap().len(), 2);
    stores.close().await;
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_any_more_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    let epoch = stores.logs.fence().await.unwrap();
    let mut size = 0;
    for _ in 0..50 {
        let stage = stores.logs.stage(&one(size)).await.unwrap();
        {
            let mut waiting = pin!(stores.logs.commit(epoch, stage, head(size + 1)));
            // Polled once: the job is with the writer. Then dropped.
            let _ = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        // Stages behind whatever the writer makes of the first batch, and never on top of it.
        let _ = stores.logs.stage(&one(size + 1)).await.unwrap();
        size = stores.logs.state(Trail::Directory).await.unwrap().map_or(0, |state| state.size);
        let count = u16::try_from(size).unwrap();
        let entries = stores.logs.entries(Trail::Directory, 0, count).await.unwrap();
        assert!(entries.iter().zip(0_u64..).all(|(entry, n)| entry[..] == n.to_be_bytes()));
    }
    assert_eq!(size, 50);
    stores.close().await;
}

#[tokio::test]
async fn a_commit_of_which_nobody_knows_whether_it_happened_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    let epoch = stores.logs.fence().await.unwrap();
    let stage = stores.logs.stage(&one(0)).await.unwrap();
    let staged = std::fs::read(stores.logs.segments.path(0)).unwrap();
    stores.db.writer.close().await;
    assert!(stores.logs.commit(epoch, stage, head(1)).await.is_err());
    assert!(stores.logs.stage(&one(7)).await.is_err());
    assert_eq!(std::fs::read(stores.logs.segments.path(0)).unwrap(), staged);
}

#[tokio::test]
async fn nothing_of_a_longer_batch_stands_behind_the_one_that_replaced_it() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    stores.logs.fence().await.unwrap();
    let second =
        Extension { log: Trail::Account(veilcore::id::AccountId::from_bytes([1; 16])), ..one(0).remove(0) };
    let short = one(0);
    stores.logs.stage(&[short[0].clone(), second]).await.unwrap();
    let long = stores.logs.segments.len(0).unwrap().unwrap();
    stores.logs.stage(&short).await.unwrap();
    let (bytes, ..) = Plan::new(&short).unwrap().into_frame(0);
    assert_eq!(std::fs::read(stores.logs.segments.path(0)).unwrap(), bytes);
    assert!(long > bytes.len() as u64);
    stores.close().await;
}

#[test]
fn a_frame_goes_where_the_committed_end_says_and_nowhere_else() {
    let at = |segment, offset| Position { segment, offset, frame: 9 };
    assert_eq!(at(3, 0).rolled(), at(3, 0));
    assert_eq!(at(3, (64 << 20) - 1).rolled(), at(3, (64 << 20) - 1));
    assert_eq!(at(3, 64 << 20).rolled(), at(4, 0));
    assert_eq!(at(3, 70 << 20).rolled(), at(4, 0));
    let (bytes, ..) = Plan::new(&one(0)).unwrap().into_frame(9);
    assert_eq!(at(3, 10).behind(bytes.len() as u64).frame, 10);
}
