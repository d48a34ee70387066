//! Any altered byte is an error or does not matter; never is a wrong entry or hash given out.

use std::{
    fs::OpenOptions,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use veilcloud_domain::store::StoreError;
use veilcloud_embedded::Embedded;

use super::model::{LOGS, Model, batch};
use crate::support::{fresh, open};

pub fn segment(folder: &Path) -> PathBuf {
    folder.join("log/0000000000.seg")
}

/// Turns bits of one byte of a file.
pub fn flip(file: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x41], at).unwrap();
}

/// Whether anything is refused; what is given must be right.
async fn anything_refused(model: &Model, stores: &Embedded) -> bool {
    let logs = stores.logs();
    let mut refused = false;
    let mut judge = |outcome: Result<bool, StoreError>| match outcome {
        Ok(right) => assert!(right, "a wrong byte was given out"),
        Err(StoreError::Damaged { cause, .. }) => {
            assert!(cause.contains("0000000000.seg") && cause.contains("byte "), "{cause}");
            refused = true;
        }
        Err(other) => panic!("{other:?}"),
    };
    for (log, expected) in &model.0 {
        for (i, entries) in expected.entries.chunks(256).enumerate() {
            let found = logs.entries(*log, i as u64 * 256, entries.len() as u16).await;
            judge(found.map(|found| found == entries));
        }
        for (level, hashes) in (0..).zip(&expected.levels) {
            for (i, hashes) in hashes.chunks(256).enumerate() {
                let found = logs.hashes(*log, level, i as u64 * 256, hashes.len() as u16).await;
                judge(found.map(|found| found == hashes));
            }
        }
    }
    refused
}

#[tokio::test]
async fn no_altered_byte_of_a_segment_is_given_out() {
    let (folder, stores) = fresh();
    let mut model = Model::default();
    let epoch = stores.logs().fence().await.unwrap();
    model.batch(&*stores.logs(), epoch, &[(LOGS[0], 250)]).await;
    model.batch(&*stores.logs(), epoch, &[(LOGS[0], 10), (LOGS[1], 3)]).await;
    let path = segment(folder.path());
    let len = std::fs::metadata(&path).unwrap().len();
    assert!(!anything_refused(&model, &stores).await);
    let mut harmless = 0;
    for at in (0..len).filter(|at| at % 53 == 0 || at + 400 > len) {
        flip(&path, at);
        // Frame and block headers are read by the check only: identity and place of a block come from its row.
        harmless += u64::from(!anything_refused(&model, &stores).await);
        flip(&path, at);
    }
    assert!(harmless < 100, "{harmless} altered bytes were not noticed");
    assert!(!anything_refused(&model, &stores).await);
}

#[tokio::test]
async fn an_altered_row_leads_to_no_wrong_byte() {
    for edit in [
        "UPDATE log_blocks SET offset = offset + 1 WHERE first = 0",
        "UPDATE log_blocks SET offset = (SELECT MAX(offset) FROM log_blocks) WHERE first = 0",
        "UPDATE log_blocks SET entries_len = entries_len - 1 WHERE first = 0",
        "UPDATE log_blocks SET count = count - 1 WHERE first = 0",
        "UPDATE log_blocks SET segment = 7 WHERE first = 0",
        "UPDATE log_blocks SET first = first + 1 WHERE first = 0",
        "UPDATE log_blocks SET trail = x'0200000000000000000000000000000000' WHERE first = 0",
        "UPDATE log_blocks SET trail = x'0900000000000000000000000000000000' WHERE first = 0",
        "DELETE FROM log_blocks WHERE first = 0",
    ] {
        let (folder, stores) = fresh();
        let mut model = Model::default();
        let epoch = stores.logs().fence().await.unwrap();
        model.batch(&*stores.logs(), epoch, &[(LOGS[0], 20)]).await;
        model.batch(&*stores.logs(), epoch, &[(LOGS[0], 20)]).await;
        stores.close().await;
        rusqlite::Connection::open(folder.path().join("veilcloud.db")).unwrap().execute_batch(edit).unwrap();
        let stores = open(folder.path()).unwrap();
        let entries = stores.logs().entries(LOGS[0], 0, 40).await;
        assert!(matches!(entries, Err(StoreError::Damaged { .. })), "{edit}: {entries:?}");
        let hashes = stores.logs().hashes(LOGS[0], 0, 0, 40).await;
        assert!(matches!(hashes, Err(StoreError::Damaged { .. })), "{edit}: {hashes:?}");
        stores.close().await;
    }
}

#[tokio::test]
async fn a_lock_row_with_another_root_takes_no_batch() {
    let (folder, stores) = fresh();
    let mut model = Model::default();
    let epoch = stores.logs().fence().await.unwrap();
    model.batch(&*stores.logs(), epoch, &[(LOGS[0], 20)]).await;
    stores.close().await;
    let edit = "UPDATE logs SET root = zeroblob(32)";
    rusqlite::Connection::open(folder.path().join("veilcloud.db")).unwrap().execute_batch(edit).unwrap();
    let stores = open(folder.path()).unwrap();
    let epoch = stores.logs().fence().await.unwrap();
    let lost = batch(&*stores.logs(), epoch, vec![model.grow(LOGS[0], 1)]).await.unwrap();
    assert!(lost.is_err());
}
