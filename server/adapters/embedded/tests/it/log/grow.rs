//! Logs that grow: whatever the batches, every part of them comes back, also after a restart.

use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use veilcloud_domain::{
    audit::{
        model::{Kind, Trail},
        port::Lost,
    },
    storage::model::Precondition,
    store::StoreError,
};

use super::model::{LOGS, Log, Model, batch};
use crate::support::{ENVIRONMENT, PROJECT, digest_of, fresh, furnished, line, open, version};

fn segments(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder.join("log")).unwrap();
    let mut names: Vec<_> = names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn logs_of_any_batches_come_back_at_every_width(
        batches in prop::collection::vec(
            prop::collection::btree_map(
                0usize..3, prop::sample::select(vec![1usize, 3, 255, 256, 257, 4096]), 1..4,
            ),
            1..7,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (folder, stores) = fresh();
            let mut model = Model::default();
            let epoch = stores.logs().fence().await.unwrap();
            for growth in batches {
                let growth: Vec<_> = growth.into_iter().map(|(log, count)| (LOGS[log], count)).collect();
                model.batch(&*stores.logs(), epoch, &growth).await;
            }
            model.compare(&*stores.logs()).await;
            stores.close().await;
            let stores = open(folder.path()).unwrap();
            model.compare(&*stores.logs()).await;
            assert!(stores.logs().fence().await.unwrap() > epoch);
            stores.close().await;
        });
    }
}

#[tokio::test]
async fn a_log_of_many_small_batches_comes_back_after_a_restart() {
    let (folder, stores) = fresh();
    let mut model = Model::default();
    let epoch = stores.logs().fence().await.unwrap();
    for n in 0..300 {
        model.batch(&*stores.logs(), epoch, &[(LOGS[n % 2], 1 + n % 3), (LOGS[2], 1)]).await;
    }
    stores.close().await;
    let stores = open(folder.path()).unwrap();
    model.compare(&*stores.logs()).await;
    let epoch = stores.logs().fence().await.unwrap();
    model.batch(&*stores.logs(), epoch, &[(LOGS[2], 700)]).await;
    model.compare(&*stores.logs()).await;
}

#[tokio::test]
async fn a_full_segment_is_followed_by_the_next_and_lost_segments_are_named() {
    let (folder, stores) = fresh();
    let mut model = Model::default();
    let epoch = stores.logs().fence().await.unwrap();
    // Entries of the greatest length: one frame above 64 MiB.
    let large = (0..1_050_u32).map(|n| Bytes::from(n.to_be_bytes().repeat(16_384)).slice(..65_535)).collect();
    let grown = model.grow_by(LOGS[0], large);
    assert_eq!(batch(&*stores.logs(), epoch, vec![grown]).await.unwrap(), Ok(()));
    model.batch(&*stores.logs(), epoch, &[(LOGS[0], 300), (LOGS[1], 5)]).await;
    assert_eq!(segments(folder.path()), ["0000000000.seg", "0000000001.seg", "head"]);
    model.compare(&*stores.logs()).await;
    stores.close().await;

    let first = folder.path().join("log/0000000000.seg");
    std::fs::rename(&first, folder.path().join("log/aside")).unwrap();
    let stores = open(folder.path()).unwrap();
    let refused = stores.logs().fence().await;
    assert!(
        matches!(&refused, Err(StoreError::Damaged { cause, .. }) if cause.contains("0000000000.seg is missing"))
    );
    let lost = stores.logs().entries(LOGS[0], 0, 1).await;
    assert!(
        matches!(&lost, Err(StoreError::Damaged { cause, .. }) if cause.contains("0000000000.seg is missing"))
    );
    assert_eq!(stores.logs().entries(LOGS[1], 0, 5).await.unwrap(), model.0[&LOGS[1]].entries);
    std::fs::rename(folder.path().join("log/aside"), &first).unwrap();
    assert!(stores.logs().fence().await.is_ok());
}

#[tokio::test]
async fn lines_become_leaves_where_their_version_says() {
    let (_folder, stores) = furnished().await;
    let trail = Trail::Project(PROJECT);
    let logs = stores.logs();
    let epoch = logs.fence().await.unwrap();
    let mut model = Model::default();
    let mut condition = Precondition::First;
    for number in 1..=3 {
        // Three lines that were there, then one for each version.
        let size = model.0.get(&trail).map_or(0, Log::size);
        let next = version(number, digest_of(&number.to_be_bytes()), 1);
        condition = {
            let leaf = stores.shelf().commit(next.clone(), condition, line(Kind::BlobPut)).await.unwrap();
            assert_eq!(leaf, Ok(2 + number));
            Precondition::Match(next.etag())
        };
        assert_eq!(stores.outbox().waiting(None, 10).await.unwrap(), [trail]);
        let lines = stores.outbox().pending(trail, size, 10).await.unwrap();
        let grown = model.grow_by(trail, lines.iter().map(|event| event.line.entry().into()).collect());
        assert_eq!(batch(&*logs, epoch, vec![grown]).await.unwrap(), Ok(()));
        assert_eq!(stores.outbox().waiting(None, 10).await.unwrap(), []);
        assert_eq!(stores.outbox().pending(trail, 0, 10).await.unwrap(), []);
        let stored = stores.shelf().version(ENVIRONMENT, Some(number)).await.unwrap().unwrap();
        assert_eq!(stored.log_index, Some(2 + number));
    }
    model.compare(&*logs).await;
    assert_eq!(stores.outbox().record(line(Kind::BlobRead)).await.unwrap(), 6);
}

#[tokio::test]
async fn a_batch_that_is_none_is_refused_before_anything_is_written() {
    let (folder, stores) = fresh();
    let logs = stores.logs();
    logs.fence().await.unwrap();
    let (good, _) = Model::default().grow(LOGS[0], 300);
    let mut bad = vec![vec![], vec![good.clone(), good.clone()]];
    let mut altered = |alter: &dyn Fn(&mut veilcloud_domain::audit::port::Extension)| {
        let mut extension = good.clone();
        alter(&mut extension);
        bad.push(vec![extension]);
    };
    altered(&|e| e.entries.clear());
    altered(&|e| e.entries[7] = vec![0; 65_536].into());
    altered(&|e| drop(e.levels.remove(0)));
    altered(&|e| drop(e.levels.remove(1)));
    altered(&|e| e.levels[0].hashes.truncate(299));
    altered(&|e| e.levels[1].hashes.push([0; 32]));
    altered(&|e| e.levels[1].first = 1);
    altered(&|e| e.levels[1].level = 0);
    altered(&|e| e.levels[1].level = 8);
    altered(&|e| e.old_size = 1);
    altered(&|e| e.old_size = u64::MAX - 10);
    for batch in bad {
        assert!(logs.stage(&batch).await.is_err());
    }
    assert_eq!(segments(folder.path()), ["head"]);
    assert!(logs.stage(&[good]).await.is_ok());
}

#[tokio::test]
async fn nothing_is_committed_under_an_epoch_that_nobody_took() {
    let (_folder, stores) = fresh();
    let logs = stores.logs();
    let grown = Model::default().grow(LOGS[0], 1);
    assert_eq!(batch(&*logs, 0, vec![grown.clone()]).await.unwrap(), Err(Lost::Fenced));
    let epoch = logs.fence().await.unwrap();
    assert_eq!(batch(&*logs, epoch + 1, vec![grown.clone()]).await.unwrap(), Err(Lost::Fenced));
    assert_eq!(batch(&*logs, epoch, vec![grown.clone()]).await.unwrap(), Ok(()));
    assert_eq!(batch(&*logs, epoch, vec![grown]).await.unwrap(), Err(Lost::Moved(LOGS[0])));
}
