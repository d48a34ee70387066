//! A lost head file beside a database of which nobody can say whether it is the newest.

use std::{
    fs::{self, OpenOptions},
    path::Path,
};

use veilchain::{hash::leaf_hash, range::CompactRange};
use veilcloud_domain::audit::{
    model::{OutboxKey, Trail},
    port::{Extension, LevelHashes, LogStore, SignedHead},
};

use super::{Check, Finding, Problem, Summary, fsck};
use crate::{Embedded, Options};

const DATABASE: &str = "veilcloud.db";
const HEAD: &str = "log/head";
const SEGMENT: &str = "log/0000000000.seg";

/// Opens the folder, adds one leaf to one log as a sequencer does, and closes it.
async fn grow(folder: &Path, size: u64) {
    let root = |size: u64| {
        let mut tree = CompactRange::new();
        (0..size).for_each(|leaf| tree.push(leaf_hash(&leaf.to_be_bytes())));
        tree.root()
    };
    let entry = size.to_be_bytes();
    let extension = Extension {
        log: Trail::Directory,
        old_size: size,
        old_root: root(size),
        entries: vec![entry.to_vec().into()],
        levels: vec![LevelHashes { level: 0, first: size, hashes: vec![leaf_hash(&entry)] }],
    };
    let head = SignedHead {
        log: Trail::Directory,
        size: size + 1,
        root: root(size + 1),
        checkpoint: "signed".into(),
        publish: false,
        signed_at_ms: 1,
        edge: Vec::new(),
    };
    let stores = Embedded::open(folder, OutboxKey::new([9; 32]), Options::default()).unwrap();
    let epoch = stores.logs.fence().await.unwrap();
    let stage = stores.logs.stage(&[extension]).await.unwrap();
    stores.logs.commit(epoch, stage, vec![head]).await.unwrap().unwrap();
    stores.close().await;
}

fn check(folder: &Path, repair: bool) -> (Summary, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut report = |finding: &Finding| findings.push(finding.clone());
    let mut check = Check { repair, verify: None, progress: &mut |_| {}, report: &mut report };
    let summary = fsck(folder, &mut check).unwrap();
    (summary, findings)
}

#[tokio::test]
async fn a_lost_head_is_not_written_for_a_database_that_is_one_batch_old() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (database, head, segment) = (path.join(DATABASE), path.join(HEAD), path.join(SEGMENT));
    grow(path, 0).await;
    let end = fs::metadata(&segment).unwrap().len();
    let old = fs::read(&database).unwrap();
    grow(path, 1).await;
    let newest = fs::read(&database).unwrap();
    fs::write(&database, &old).unwrap();
    fs::remove_file(&head).unwrap();
    for repair in [false, true] {
        let (summary, findings) = check(path, repair);
        assert!(findings.len() == 2 && findings.iter().all(|finding| !finding.repairable), "{findings:?}");
        assert_eq!(findings[0].problem, Problem::Head);
        assert_eq!((&findings[1].file, findings[1].offset), (&segment, Some(end)));
        assert_eq!(findings[1].problem, Problem::Undecided { frame: 1 });
        assert_eq!(summary.repaired, 0);
        assert!(!head.exists());
    }
    // The newest database knows the frame.
    fs::write(&database, &newest).unwrap();
    assert_eq!(check(path, true).0.repaired, 1);
    assert!(check(path, true).1.is_empty());
    // Half a frame was never committed: only a whole one is on the disk before the commit.
    fs::write(&database, &old).unwrap();
    fs::remove_file(&head).unwrap();
    let torn = fs::metadata(&segment).unwrap().len() - 1;
    OpenOptions::new().write(true).open(&segment).unwrap().set_len(torn).unwrap();
    assert_eq!(check(path, true).0.repaired, 1);
    grow(path, 1).await;
}
