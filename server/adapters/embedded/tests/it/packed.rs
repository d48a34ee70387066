//! Rows of the outbox with several lines: edited ones are seen, and the log takes each line once, wherever it stopped.

use std::{path::Path, sync::Arc};

use rusqlite::Connection;
use veilchain::{
    hash::{Hash, leaf_hash},
    range::CompactRange,
};
use veilcloud_domain::{
    audit::{
        log::Log,
        model::{Kind, Line, Trail},
        sequence::{Parts, Round, Sequencer},
    },
    clock::SystemClock,
    store::StoreError,
    testkit::log_keys,
};
use veilcloud_embedded::Embedded;

use crate::support::{PROJECT, fresh, line, open};

const TRAIL: Trail = Trail::Project(PROJECT);
/// Where the entry of a packed row's second line begins: a byte, then each entry behind its length.
const SECOND: &str = "6 + unicode(substr(entry, 3, 1))";

fn read(number: u64) -> Line {
    Line { version: number, ..line(Kind::BlobRead) }
}

/// Records these lines together: in one row.
async fn record(stores: &Embedded, numbers: std::ops::Range<u64>) -> Vec<u64> {
    stores.outbox().record_all(numbers.map(read).collect()).await.unwrap()
}

fn sql(folder: &Path, text: &str) {
    Connection::open(folder.join("veilcloud.db")).unwrap().execute_batch(text).unwrap();
}

/// First index and number of lines of each row.
fn rows(folder: &Path) -> Vec<(i64, i64)> {
    let conn = Connection::open(folder.join("veilcloud.db")).unwrap();
    let mut statement = conn.prepare("SELECT idx, count FROM outbox ORDER BY idx").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

async fn sequencer(stores: &Embedded, batch_leaves: usize) -> Sequencer {
    let parts = Parts {
        store: stores.logs(),
        outbox: stores.outbox(),
        keys: log_keys(),
        clock: Arc::new(SystemClock),
        log: Log::new(),
        heads: None,
    };
    Sequencer::start(parts, batch_leaves).await.unwrap()
}

async fn round(sequencer: &mut Sequencer) -> Round {
    sequencer.poll().await.unwrap();
    sequencer.round().await.unwrap()
}

/// The numbers of the log's lines, and the root that they have.
async fn leaves(stores: &Embedded) -> (Vec<u64>, Hash) {
    let size = stores.logs().state(TRAIL).await.unwrap().map_or(0, |state| state.size);
    let (mut numbers, mut range) = (Vec::new(), CompactRange::new());
    for index in 0..size {
        let entry = stores.logs().entries(TRAIL, index, 1).await.unwrap().remove(0);
        range.push(leaf_hash(&entry));
        numbers.push(Line::parse(TRAIL, &entry).unwrap().version);
    }
    (numbers, range.root())
}

#[tokio::test]
async fn an_edited_row_of_many_lines_is_damage_with_a_name_and_no_log_takes_it() {
    let cases = [
        // Bytes: of a line, of a length, of the mark, one too few, one too many, none.
        format!("UPDATE outbox SET entry = CAST(substr(entry, 1, {SECOND}) || x'ff' || substr(entry, {SECOND} + 2) AS BLOB) WHERE idx = 3"),
        "UPDATE outbox SET entry = CAST(substr(entry, 1, 1) || x'0001' || substr(entry, 4) AS BLOB) WHERE idx = 3".to_owned(),
        "UPDATE outbox SET entry = CAST(x'01' || substr(entry, 2) AS BLOB) WHERE idx = 3".to_owned(),
        "UPDATE outbox SET entry = CAST(substr(entry, 1, length(entry) - 1) AS BLOB) WHERE idx = 3".to_owned(),
        "UPDATE outbox SET entry = CAST(entry || x'00' AS BLOB) WHERE idx = 3".to_owned(),
        "UPDATE outbox SET entry = x'' WHERE idx = 3".to_owned(),
        // The number of lines, with everything else as it was: the MAC says nothing of it, the bytes do.
        "UPDATE outbox SET count = 4 WHERE idx = 3".to_owned(),
        "UPDATE outbox SET count = 6 WHERE idx = 3".to_owned(),
        "UPDATE outbox SET count = 1 WHERE idx = 3".to_owned(),
        // Another row's MAC, bytes or place.
        "UPDATE outbox SET mac = zeroblob(32) WHERE idx = 3".to_owned(),
        "UPDATE outbox SET mac = (SELECT mac FROM outbox WHERE idx = 8) WHERE idx = 3".to_owned(),
        "UPDATE outbox SET (entry, mac) = (SELECT entry, mac FROM outbox WHERE idx = 8) WHERE idx = 3".to_owned(),
        "UPDATE outbox SET idx = 4 WHERE idx = 3".to_owned(),
        "DELETE FROM outbox WHERE idx = 3".to_owned(),
    ];
    for edit in cases {
        let (folder, stores) = fresh();
        for numbers in [0..3, 3..8, 8..13] {
            record(&stores, numbers).await;
        }
        stores.close().await;
        assert_eq!(rows(folder.path()), [(0, 3), (3, 5), (8, 5)]);
        sql(folder.path(), &edit);
        let stores = open(folder.path()).unwrap();
        let seen = stores.outbox().pending(TRAIL, 0, 100).await;
        let named = |cause: &str| {
            cause.contains("of an audit trail") || cause.contains("an audit trail lacks line 3")
        };
        assert!(matches!(&seen, Err(StoreError::Damaged { cause, .. }) if named(cause)), "{edit}: {seen:?}");
        // The lines before it are sound, and nothing of the row is signed.
        let mut sequencer = sequencer(&stores, 100).await;
        let refused = round(&mut sequencer).await.refused;
        assert!(matches!(&refused[..], [(TRAIL, StoreError::Damaged { .. })]), "{edit}: {refused:?}");
        assert_eq!(stores.logs().state(TRAIL).await.unwrap(), None, "{edit}");
        stores.close().await;
    }
}

#[tokio::test]
async fn a_row_that_a_log_took_in_part_goes_on_after_a_restart_where_it_stopped() {
    // So many leaves in a batch: rows of 200 and 60 lines are cut at every kind of place.
    for batch in [1, 7, 199, 200, 201] {
        let (folder, stores) = fresh();
        record(&stores, 0..200).await;
        record(&stores, 200..260).await;
        let mut stores = stores;
        let mut taken = 0;
        while taken < 260 {
            let mut sequencer = sequencer(&stores, batch).await;
            let added = round(&mut sequencer).await;
            assert!(added.failed.is_none() && added.refused.is_empty(), "{added:?}");
            assert_eq!(added.leaves as u64, (batch as u64).min(260 - taken));
            taken += added.leaves as u64;
            // Most of the many restarts of the smallest batch say nothing new.
            if batch == 1 && !(198..=202).contains(&taken) && taken > 2 && taken < 259 {
                continue;
            }
            drop(sequencer);
            stores.close().await;
            let kept: Vec<_> =
                [(0, 200), (200, 60)].into_iter().filter(|(at, n)| at + n > taken as i64).collect();
            assert_eq!(rows(folder.path()), kept, "after {taken} of {batch}");
            stores = open(folder.path()).unwrap();
            let left = stores.outbox().pending(TRAIL, taken, 1000).await.unwrap();
            assert_eq!(
                left.iter().map(|event| event.line.version).collect::<Vec<_>>(),
                (taken..260).collect::<Vec<_>>()
            );
        }
        let (numbers, root) = leaves(&stores).await;
        assert_eq!(numbers, (0..260).collect::<Vec<_>>());
        assert_eq!(stores.logs().state(TRAIL).await.unwrap().unwrap().root, root);
        assert_eq!(stores.outbox().waiting(None, 10).await.unwrap(), []);
        // The next line follows the log.
        assert_eq!(record(&stores, 260..262).await, [260, 261]);
        stores.close().await;
    }
}

#[tokio::test]
async fn a_line_taken_before_the_restart_is_not_given_again_by_an_older_size() {
    let (folder, stores) = fresh();
    record(&stores, 0..10).await;
    assert_eq!(round(&mut sequencer(&stores, 4).await).await.leaves, 4);
    stores.close().await;
    let stores = open(folder.path()).unwrap();
    // The row is whole in the database; who asks says where the log stands.
    for first in 0..10 {
        let given = stores.outbox().pending(TRAIL, first, 2).await.unwrap();
        let given: Vec<_> = given.iter().map(|event| (event.index, event.line.version)).collect();
        assert_eq!(given, (first..10).take(2).map(|n| (n, n)).collect::<Vec<_>>());
    }
    stores.close().await;
}

/// Grows a log by this many lines, edits its lock row, and grows it by some more.
async fn grown_over(first: u64, edit: &str) -> (Vec<Round>, Option<(Vec<u64>, Hash, Hash)>) {
    let (folder, stores) = fresh();
    record(&stores, 0..first).await;
    let mut rounds = vec![round(&mut sequencer(&stores, 1000).await).await];
    stores.close().await;
    sql(folder.path(), edit);
    let stores = open(folder.path()).unwrap();
    record(&stores, first..first + 5).await;
    rounds.push(round(&mut sequencer(&stores, 1000).await).await);
    let state = stores.logs().state(TRAIL).await.ok().flatten();
    let grown = match state {
        Some(state) => {
            let (numbers, root) = leaves(&stores).await;
            Some((numbers, root, state.root))
        }
        None => None,
    };
    stores.close().await;
    (rounds, grown)
}

#[tokio::test]
async fn an_edge_that_does_not_give_the_root_is_read_anew_and_never_built_upon() {
    for first in [1, 2, 3, 255, 256, 257] {
        for edit in [
            "SELECT 1",
            "UPDATE logs SET edge = x''",
            "UPDATE logs SET edge = zeroblob(32)",
            "UPDATE logs SET edge = zeroblob(length(edge))",
            "UPDATE logs SET edge = zeroblob(64 * 32)",
            "UPDATE logs SET edge = CAST(edge || zeroblob(32) AS BLOB)",
            "UPDATE logs SET edge = CAST(substr(edge, 33) AS BLOB)",
        ] {
            let (rounds, grown) = grown_over(first, edit).await;
            assert_eq!(rounds[1].leaves, 5, "{edit} at {first}: {:?}", rounds[1]);
            let (numbers, root, signed) = grown.unwrap();
            assert_eq!(numbers, (0..first + 5).collect::<Vec<_>>(), "{edit} at {first}");
            assert_eq!(root, signed, "{edit} at {first}");
        }
    }
}

#[tokio::test]
async fn an_edge_of_no_whole_number_of_hashes_is_damage_and_nothing_is_signed() {
    for edit in
        ["UPDATE logs SET edge = zeroblob(31)", "UPDATE logs SET edge = CAST(substr(edge, 2) AS BLOB)"]
    {
        let (rounds, grown) = grown_over(3, edit).await;
        assert_eq!(rounds[1].leaves, 0, "{edit}");
        assert!(
            matches!(&rounds[1].refused[..], [(TRAIL, StoreError::Damaged { .. })]),
            "{edit}: {:?}",
            rounds[1]
        );
        assert!(grown.is_none());
    }
}
