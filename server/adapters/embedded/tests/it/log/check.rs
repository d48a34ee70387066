//! The offline check: finds what is wrong and where, and mends only what is certain.

use std::{fs, path::Path};

use tempfile::TempDir;
use veilcloud_embedded::{Check, Finding, OpenError, Problem, Summary, fsck};

use super::{
    bytes::{flip, segment},
    model::{LOGS, Model, checkpoint},
};
use crate::support::{fresh, open};

/// Frame header, then the block of 256 leaves.
const BLOCK: u64 = 32;
const ENTRIES: u64 = BLOCK + 35;

/// One log: a block of 256 leaves in the first frame, one of 44 in the same, one of 6 in the second.
async fn grown() -> (TempDir, Model, Vec<u8>) {
    let (folder, stores) = fresh();
    let mut model = Model::default();
    let epoch = stores.logs().fence().await.unwrap();
    model.batch(&*stores.logs(), epoch, &[(LOGS[0], 300)]).await;
    model.batch(&*stores.logs(), epoch, &[(LOGS[0], 6), (LOGS[2], 2)]).await;
    stores.close().await;
    let bytes = fs::read(segment(folder.path())).unwrap();
    (folder, model, bytes)
}

/// Where the leaf hashes of the first block begin.
fn leaves(model: &Model) -> u64 {
    let entries = &model.0[&LOGS[0]].entries[..256];
    ENTRIES + entries.iter().map(|entry| entry.len() as u64 + 2).sum::<u64>() + 4
}

fn check(folder: &Path, repair: bool) -> (Summary, Vec<Finding>) {
    let mut findings = Vec::new();
    let verify = |log, size, _: &[u8; 32], note: &[u8]| note == checkpoint(log, size);
    let mut check = Check {
        repair,
        verify: Some(&verify),
        progress: &mut |_| {},
        report: &mut |finding| findings.push(finding.clone()),
    };
    let summary = fsck(folder, &mut check).unwrap();
    assert_eq!(summary.findings, findings.len() as u64);
    (summary, findings)
}

fn sql(folder: &Path, sql: &str) {
    rusqlite::Connection::open(folder.join("veilcloud.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn sound_logs_have_no_findings_and_every_block_is_told() {
    let (folder, ..) = grown().await;
    let mut seen = Vec::new();
    let summary = fsck(
        folder.path(),
        &mut Check {
            repair: true,
            verify: None,
            progress: &mut |progress| seen.push((progress.log, progress.leaves, progress.size)),
            report: &mut |finding| panic!("{finding}"),
        },
    )
    .unwrap();
    assert_eq!(summary, Summary { logs: 2, leaves: 308, blocks: 4, findings: 0, repaired: 0 });
    assert_eq!(seen, [(LOGS[0], 256, 306), (LOGS[0], 300, 306), (LOGS[0], 306, 306), (LOGS[2], 2, 2)]);
    let (empty, stores) = fresh();
    let mut check = Check { repair: true, verify: None, progress: &mut |_| {}, report: &mut |_| {} };
    assert!(matches!(fsck(empty.path(), &mut check), Err(OpenError::Locked { .. })));
    stores.close().await;
    assert_eq!(fsck(empty.path(), &mut check).unwrap(), Summary::default());
}

#[tokio::test]
async fn a_folder_without_a_database_is_refused_and_stays_empty() {
    let folder = tempfile::tempdir().unwrap();
    let mut check = Check { repair: true, verify: None, progress: &mut |_| {}, report: &mut |_| {} };
    assert!(fsck(folder.path(), &mut check).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn hashes_and_checksums_are_mended_byte_for_byte() {
    let (folder, model, sound) = grown().await;
    let path = segment(folder.path());
    let leaves = leaves(&model);
    let upper = leaves + 256 * 32 + 4;
    let hash = |level| Problem::Hash { level, leaf: 0 };
    let cases = [
        (BLOCK + 20, Problem::BlockHeader { leaf: 0 }),
        (leaves - 2, Problem::EntryChecksum { leaf: 0 }),
        (leaves, hash(0)),
        (leaves + 5_000, hash(0)),
        (leaves + 256 * 32 + 1, hash(0)),
        (upper + 31, hash(1)),
        (upper + 32, hash(1)),
    ];
    for (at, problem) in cases {
        flip(&path, at);
        for repair in [false, true] {
            let (summary, findings) = check(folder.path(), repair);
            let finding = findings.iter().find(|finding| finding.problem == problem).unwrap();
            assert_eq!((finding.offset, finding.log, finding.repairable), (Some(at), Some(LOGS[0]), true));
            assert_eq!(finding.file, path);
            assert_eq!(summary.repaired, u64::from(repair));
        }
        assert_eq!(fs::read(&path).unwrap(), sound, "{problem:?}");
        assert_eq!(check(folder.path(), true).0.findings, 0);
    }
}

#[tokio::test]
async fn an_altered_entry_is_found_at_its_place_and_never_mended() {
    let (folder, model, _) = grown().await;
    let path = segment(folder.path());
    // The length of the sixth entry, a byte inside it, and one of the very last entry.
    let before: u64 = model.0[&LOGS[0]].entries[..5].iter().map(|entry| entry.len() as u64 + 2).sum();
    for (at, leaf) in [(ENTRIES + before + 1, 5), (ENTRIES + before + 9, 5), (leaves(&model) - 6, 255)] {
        flip(&path, at);
        let altered = fs::read(&path).unwrap();
        let (summary, findings) = check(folder.path(), true);
        // Its hash is intact, so the root is still reached and nothing else is wrong.
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(finding.problem, Problem::Entry { leaf }, "{finding}");
        assert!(
            (finding.offset.unwrap()..finding.offset.unwrap() + 120).contains(&at) && !finding.repairable
        );
        assert_eq!(summary.repaired, 0);
        assert_eq!(fs::read(&path).unwrap(), altered);
        flip(&path, at);
    }
    assert_eq!(check(folder.path(), false).0.findings, 0);
}

#[tokio::test]
async fn a_forged_entry_with_a_right_checksum_does_not_get_its_hash_written() {
    let (folder, model, _) = grown().await;
    let path = segment(folder.path());
    let mut bytes = fs::read(&path).unwrap();
    let (header, end) = (BLOCK as usize, leaves(&model) as usize - 4);
    bytes[ENTRIES as usize + 10] ^= 1;
    let seed = crc32c::crc32c_append(crc32c::crc32c(&bytes[header..header + 31]), &[1]);
    let crc = crc32c::crc32c_append(seed, &bytes[ENTRIES as usize..end]);
    bytes[end..end + 4].copy_from_slice(&crc.to_be_bytes());
    fs::write(&path, &bytes).unwrap();
    let (summary, findings) = check(folder.path(), true);
    let problems: Vec<_> = findings.iter().map(|finding| &finding.problem).collect();
    assert!(problems.contains(&&Problem::Hash { level: 0, leaf: 0 }), "{problems:?}");
    assert!(problems.contains(&&Problem::Root), "{problems:?}");
    assert_eq!(summary.repaired, 0);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn frames_are_dense_and_have_no_byte_between_them() {
    let (folder, _, sound) = grown().await;
    let path = segment(folder.path());
    let second = sound.windows(8).rposition(|bytes| bytes == b"veillog1").unwrap() as u64;
    for (at, expected) in [(3, 0), (10, 0), (18, 0), (25, 0), (30, 0), (second + 12, 1)] {
        flip(&path, at);
        let (_, findings) = check(folder.path(), false);
        let frame = findings.iter().find(|finding| finding.problem == Problem::Frame { expected });
        assert_eq!(frame.and_then(|frame| frame.offset), Some(if expected == 0 { 0 } else { second }));
        flip(&path, at);
    }
    fs::remove_file(&path).unwrap();
    let (_, findings) = check(folder.path(), true);
    assert!(findings.iter().all(|f| matches!(f.problem, Problem::Unreadable { .. })), "{findings:?}");
    assert!(findings.len() >= 5);
}

#[tokio::test]
async fn lock_rows_and_blocks_that_do_not_fit_are_found() {
    type Expected = fn(&Problem) -> bool;
    let cases: [(&str, Expected); 8] = [
        ("UPDATE logs SET root = zeroblob(32) WHERE size = 306", |p| *p == Problem::Root),
        ("UPDATE logs SET size = 307 WHERE size = 306", |p| *p == Problem::Size { found: 306, size: 307 }),
        ("DELETE FROM log_blocks WHERE first = 256", |p| *p == Problem::Gap { leaf: 256 }),
        ("DELETE FROM logs WHERE size = 2", |p| *p == Problem::Blocks { rows: 4, frames: 4, logs: 3 }),
        ("UPDATE logs SET checkpoint = x'00' WHERE size = 2", |p| *p == Problem::Checkpoint { size: 2 }),
        ("UPDATE logs SET published = x'00', published_size = 299 WHERE size = 306", |p| {
            *p == Problem::Checkpoint { size: 299 }
        }),
        ("UPDATE log_blocks SET offset = offset + 1 WHERE first = 300", |p| {
            *p == Problem::BlockHeader { leaf: 300 }
        }),
        ("UPDATE log_sequencer SET frame = 1", |p| matches!(p, Problem::Frame { .. })),
    ];
    for (edit, expected) in cases {
        let (folder, ..) = grown().await;
        sql(folder.path(), edit);
        let (summary, findings) = check(folder.path(), true);
        assert!(findings.iter().any(|finding| expected(&finding.problem)), "{edit}: {findings:?}");
        assert_eq!(summary.repaired, 0, "{edit}");
    }
}

#[tokio::test]
async fn a_lost_head_is_written_again_unless_the_database_is_old() {
    let (folder, mut model, _) = grown().await;
    let head = folder.path().join("log/head");
    let old = crate::support::crash_image(folder.path());
    fs::remove_file(&head).unwrap();
    assert_eq!(check(folder.path(), false).1[0].problem, Problem::Head);
    assert!(!head.exists());
    assert_eq!(check(folder.path(), true).0.repaired, 1);
    assert_eq!(check(folder.path(), true).0.findings, 0);
    let stores = open(folder.path()).unwrap();
    let epoch = stores.logs().fence().await.unwrap();
    model.batch(&*stores.logs(), epoch, &[(LOGS[1], 1)]).await;
    model.batch(&*stores.logs(), epoch, &[(LOGS[1], 1)]).await;
    stores.close().await;
    fs::copy(old.path().join("veilcloud.db"), folder.path().join("veilcloud.db")).unwrap();
    assert!(matches!(check(folder.path(), true).1[0].problem, Problem::TakenBack { .. }));
    fs::remove_file(&head).unwrap();
    let (summary, findings) = check(folder.path(), true);
    assert!(findings.iter().any(|finding| matches!(finding.problem, Problem::TakenBack { .. })));
    assert_eq!(summary.repaired, 0);
    assert!(!head.exists());
}
