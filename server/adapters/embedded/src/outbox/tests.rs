//! Callers that come while the writer is busy, and callers that go away: each line is written once or not at all, and who
//! waits is told.

use std::{pin::Pin, sync::mpsc};

use futures_util::{future::join_all, poll};
use tempfile::TempDir;
use veilcloud_domain::{
    audit::model::{Kind, Line, OutboxKey, Trail},
    store::StoreError,
};
use veilcore::id::{AccountId, ProjectId};

use super::{Recorder, record::LINES_MAX};
use crate::{Embedded, Options, db::writer::QUEUE_MAX};

const BROKEN: Trail = Trail::Account(AccountId::from_bytes([9; 16]));

type Recording<'a> = Pin<Box<dyn Future<Output = Result<Vec<u64>, StoreError>> + Send + 'a>>;

fn open() -> (TempDir, Embedded) {
    let folder = tempfile::tempdir().unwrap();
    let stores = Embedded::open(folder.path(), OutboxKey::new([9; 32]), Options::default()).unwrap();
    (folder, stores)
}

fn trail(n: u8) -> Trail {
    Trail::Project(ProjectId::from_bytes([n; 16]))
}

fn line(trail: Trail, version: u64) -> Line {
    Line {
        trail,
        kind: Kind::BlobRead,
        actor: AccountId::from_bytes([1; 16]),
        at_ms: 5,
        environment: None,
        version,
        digest: None,
        key: None,
        by_number: false,
    }
}

fn recording(recorder: &Recorder, trail: Trail, versions: std::ops::Range<u64>) -> Recording<'_> {
    Box::pin(recorder.record(versions.map(|version| line(trail, version)).collect()))
}

/// Keeps the writer busy until the sender is used or dropped.
async fn busy(stores: &Embedded) -> mpsc::Sender<()> {
    let (go, wait) = mpsc::channel::<()>();
    let (tell, told) = tokio::sync::oneshot::channel();
    let hold = move |_: &crate::db::Tx<'_>| {
        let _ = tell.send(());
        let _ = wait.recv();
        Ok(())
    };
    stores.db.writer.cast(hold, |_| ()).await.unwrap();
    told.await.unwrap();
    go
}

/// Takes every place of the writer's queue with jobs that change nothing.
async fn fill(stores: &Embedded) {
    for _ in 0..QUEUE_MAX {
        stores.db.writer.cast(|_| Ok(()), |_| ()).await.unwrap();
    }
}

/// What the trail has, by memory and by the database, which must agree.
async fn versions(stores: &Embedded, trail: Trail) -> Vec<u64> {
    let events = stores.outbox().pending(trail, 0, 4096).await.unwrap();
    assert!((0..).zip(&events).all(|(index, event)| event.index == index));
    let key = OutboxKey::new([9; 32]);
    let rows = stores.db.read(move |conn| super::pending(conn, &key, trail, 0, 4096)).await.unwrap();
    assert_eq!(events, rows, "memory and rows differ");
    events.iter().map(|event| event.line.version).collect()
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nobody_elses_lines_with_it() {
    let (_folder, stores) = open();
    let recorder = Recorder::new(stores.db.writer.clone());
    // The first one makes the job, so it is the worst one to lose; then each other one.
    for gone in 0..4 {
        let trail = trail(gone);
        let go = busy(&stores).await;
        let mut callers: Vec<_> =
            (0..4).map(|n| Some(recording(&recorder, trail, 10 * n..10 * n + 3))).collect();
        for caller in callers.iter_mut().flatten() {
            assert!(poll!(caller.as_mut()).is_pending());
        }
        callers[usize::from(gone)] = None;
        drop(go);
        let told = join_all(callers.into_iter().flatten()).await;
        let told: Vec<_> = told.into_iter().map(Result::unwrap).collect();
        let expected: Vec<Vec<u64>> =
            (0..4).filter(|n| *n != u64::from(gone)).map(|n| (3 * n..3 * n + 3).collect()).collect();
        assert_eq!(told, expected, "without {gone}");
        // Its lines are there, whole and once: it had been heard.
        assert_eq!(versions(&stores, trail).await, [0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32]);
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_before_it_had_a_place_leaves_nothing() {
    let (_folder, stores) = open();
    let recorder = Recorder::new(stores.db.writer.clone());
    let go = busy(&stores).await;
    fill(&stores).await;
    let mut gone = recording(&recorder, trail(1), 0..3);
    let mut stays = recording(&recorder, trail(1), 10..13);
    assert!(poll!(gone.as_mut()).is_pending());
    assert!(poll!(stays.as_mut()).is_pending());
    drop(gone);
    drop(go);
    assert_eq!(stays.await.unwrap(), [0, 1, 2]);
    assert_eq!(versions(&stores, trail(1)).await, [10, 11, 12]);
    // Its room is free again: as many lines as there is room for still go.
    let most = recording(&recorder, trail(2), 0..LINES_MAX as u64);
    assert_eq!(most.await.unwrap().len(), LINES_MAX);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_at_any_moment_lose_and_double_nothing() {
    let (_folder, stores) = open();
    let recorder = std::sync::Arc::new(Recorder::new(stores.db.writer.clone()));
    let tasks = (0..64_u64).map(|n| {
        let recorder = recorder.clone();
        tokio::spawn(async move {
            let mut told = Vec::new();
            for turn in 0..8 {
                let first = 1000 * n + 10 * turn;
                let mut call = recording(&recorder, trail(1), first..first + 3);
                // Some are dropped after so many looks, the others wait.
                let mut looks = (n + turn) % 4;
                loop {
                    if looks == 3 {
                        told.push((first, call.await.unwrap()));
                        break;
                    }
                    if poll!(call.as_mut()).is_ready() || looks == 2 {
                        break;
                    }
                    looks += 1;
                    tokio::task::yield_now().await;
                }
            }
            told
        })
    });
    let told: Vec<_> = join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect();
    // A change behind all of them, so that whatever was queued is written.
    stores.db.write(|_| Ok(())).await.unwrap();
    let found = versions(&stores, trail(1)).await;
    for (first, indexes) in told {
        assert_eq!(indexes.len(), 3);
        let own: Vec<_> = indexes.iter().map(|index| found[usize::try_from(*index).unwrap()]).collect();
        assert_eq!(own, [first, first + 1, first + 2]);
    }
    // Each call's lines are there once and together, or not at all.
    let (calls, rest) = found.as_chunks::<3>();
    assert!(rest.is_empty() && calls.iter().all(|[a, b, c]| a % 10 == 0 && (*b, *c) == (a + 1, a + 2)));
    let once: std::collections::BTreeSet<_> = found.iter().collect();
    assert_eq!(once.len(), found.len());
}

/// A trail to which nothing can be added: its last line has the last index that there is.
async fn breaks(stores: &Embedded) {
    let full = |tx: &crate::db::Tx<'_>| super::insert(tx.conn, BROKEN, i64::MAX as u64, 1, b"x", &[0; 32]);
    stores.db.write(full).await.unwrap();
}

#[tokio::test]
async fn what_fails_for_one_caller_is_written_for_the_others_one_by_one() {
    for broken in 0..3 {
        let (_folder, stores) = open();
        breaks(&stores).await;
        let recorder = Recorder::new(stores.db.writer.clone());
        let go = busy(&stores).await;
        let mut calls = Vec::new();
        for n in 0..4_u64 {
            if n == broken {
                // Some of its lines could be written; none is.
                let lines = vec![line(trail(1), 900), line(BROKEN, 901), line(trail(2), 902)];
                calls.push(Box::pin(recorder.record(lines)) as Recording<'_>);
            }
            calls.push(recording(&recorder, trail(1), 10 * n..10 * n + 2));
        }
        for call in &mut calls {
            assert!(poll!(call.as_mut()).is_pending());
        }
        drop(go);
        let told = join_all(calls).await;
        let (good, bad): (Vec<_>, Vec<_>) = told.into_iter().partition(Result::is_ok);
        assert_eq!(bad.len(), 1, "{bad:?}");
        let indexes: Vec<u64> = good.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(indexes, (0..8).collect::<Vec<_>>(), "broken at {broken}");
        assert_eq!(versions(&stores, trail(1)).await, [0, 1, 10, 11, 20, 21, 30, 31]);
        assert_eq!(versions(&stores, trail(2)).await, [0_u64; 0]);
        // And those behind it go on together.
        assert_eq!(recording(&recorder, trail(1), 40..42).await.unwrap(), [8, 9]);
    }
}

#[tokio::test]
async fn whoever_waits_is_told_when_the_writer_ends() {
    let (_folder, stores) = open();
    let recorder = Recorder::new(stores.db.writer.clone());
    let writer = stores.db.writer.clone();
    let go = busy(&stores).await;
    // The end is queued first: what comes behind it is not run any more.
    let mut end = Box::pin(writer.close());
    assert!(poll!(end.as_mut()).is_pending());
    let mut late = recording(&recorder, trail(1), 0..3);
    let mut later = recording(&recorder, trail(1), 3..6);
    assert!(poll!(late.as_mut()).is_pending());
    assert!(poll!(later.as_mut()).is_pending());
    drop(go);
    end.await;
    for call in [late, later] {
        assert!(matches!(call.await, Err(StoreError::Unavailable { .. })));
    }
    assert!(recording(&recorder, trail(1), 6..9).await.is_err());
}
