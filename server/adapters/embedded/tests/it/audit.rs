//! The outbox: in step with the changes, and edited rows are seen.

use rusqlite::Connection;
use veilcloud_domain::{
    audit::model::{Kind, Trail},
    projects::port::Written,
    storage::model::Precondition,
    store::StoreError,
};
use veilcloud_embedded::Embedded;

use crate::support::{ACCOUNT, PROJECT, digest_of, furnished, line, name, open, project, version};

async fn trail(stores: &Embedded) -> Result<Vec<u64>, StoreError> {
    let lines = stores.outbox().pending(Trail::Project(PROJECT), 0, 1000).await?;
    Ok(lines.iter().map(|event| event.index).collect())
}

#[tokio::test]
async fn a_refused_change_leaves_no_line_and_a_done_one_leaves_one() {
    let (_folder, stores) = furnished().await;
    assert_eq!(trail(&stores).await.unwrap(), [0, 1, 2]);
    let taken = stores.catalog().create_project(project(), 10, line(Kind::ProjectCreate)).await.unwrap();
    assert_eq!(taken, Written::Taken);
    let stale = version(2, digest_of(b"2"), 1);
    let refused = stores.shelf().commit(stale, Precondition::First, line(Kind::BlobPut)).await.unwrap();
    assert!(refused.is_err());
    assert_eq!(trail(&stores).await.unwrap(), [0, 1, 2]);
    stores.catalog().rename_project(PROJECT, name("other"), line(Kind::ProjectUpdate)).await.unwrap();
    assert_eq!(trail(&stores).await.unwrap(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_row_that_was_edited_moved_or_taken_out_is_damage() {
    for edit in [
        "UPDATE outbox SET entry = CAST(substr(entry, 1, 91) || x'ff' AS BLOB) WHERE idx = 1",
        "UPDATE outbox SET entry = x'' WHERE idx = 2",
        "UPDATE outbox SET mac = zeroblob(32) WHERE idx = 1",
        "UPDATE outbox SET mac = (SELECT mac FROM outbox WHERE idx = 1) WHERE idx = 0",
        "UPDATE outbox SET idx = idx + 10",
        "UPDATE outbox SET idx = 9 WHERE idx = 0; UPDATE outbox SET idx = 0 WHERE idx = 1;
         UPDATE outbox SET idx = 1 WHERE idx = 9",
        "DELETE FROM outbox WHERE idx = 1",
        "DELETE FROM outbox WHERE idx = 0",
    ] {
        let (folder, stores) = furnished().await;
        stores.close().await;
        let conn = Connection::open(folder.path().join("veilcloud.db")).unwrap();
        conn.execute_batch(edit).unwrap();
        drop(conn);
        let stores = open(folder.path()).unwrap();
        let seen = trail(&stores).await;
        assert!(matches!(seen, Err(StoreError::Damaged { .. })), "{edit}: {seen:?}");
        stores.close().await;
    }
}

#[tokio::test]
async fn an_audit_line_takes_at_most_300_bytes_of_the_file() {
    let (folder, stores) = furnished().await;
    let pages = |conn: &Connection| -> u64 {
        conn.query_row("PRAGMA page_count", [], |r| r.get::<_, i64>(0)).unwrap().cast_unsigned() * 4096
    };
    stores.close().await;
    let before = pages(&Connection::open(folder.path().join("veilcloud.db")).unwrap());
    let stores = open(folder.path()).unwrap();
    let lines = 2_000;
    let changes =
        (0..lines).map(|_| {
            let directory = stores.directory();
            async move {
                directory.rename_account(ACCOUNT, "A".to_owned(), line(Kind::AccountUpdate)).await.unwrap()
            }
        });
    assert!(futures_util::future::join_all(changes).await.into_iter().all(|done| done));
    stores.close().await;
    let after = pages(&Connection::open(folder.path().join("veilcloud.db")).unwrap());
    assert!((after - before) / lines <= 300, "{} bytes a line", (after - before) / lines);
}
