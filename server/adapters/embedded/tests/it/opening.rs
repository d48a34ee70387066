//! What an operator can meet at start: each has its own error, which names the file and what to do.

use std::{
    env, fs,
    io::{Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use crate::support::{UPLOAD, bytes_of, digest_of, furnish, furnished, open};
use veilcloud_embedded::OpenError;

#[tokio::test]
async fn a_folder_serves_one_process_at_a_time() {
    let (folder, first) = furnished().await;
    let second = open(folder.path());
    let Err(error @ OpenError::Locked { .. }) = second else { panic!("opened twice") };
    let text = error.to_string();
    assert!(text.contains("/lock is locked by another process: stop the other server"), "{text}");
    first.ready().await.unwrap();
    first.close().await;
    let second = open(folder.path()).unwrap();
    second.ready().await.unwrap();
}

#[tokio::test]
async fn after_closing_ports_answer_that_they_are_unavailable() {
    let (_folder, stores) = furnished().await;
    let (catalog, directory) = (stores.catalog(), stores.directory());
    stores.close().await;
    let read =
        catalog.projects(crate::support::ACCOUNT, None, veilcloud_domain::page::PageArgs::new(None, 0)).await;
    assert!(read.is_err());
    let line = crate::support::line(veilcloud_domain::audit::model::Kind::AccountUpdate);
    assert!(directory.rename_account(crate::support::ACCOUNT, "A".to_owned(), line).await.is_err());
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("veilcloud.db");
    let text = "this is a shopping list, not a database\n".repeat(100);
    fs::write(&file, &text).unwrap();
    let Err(error @ OpenError::Corrupt { .. }) = open(folder.path()) else {
        panic!("opened a shopping list")
    };
    assert!(error.to_string().contains("veilcloud.db is damaged"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_database_with_damaged_pages_is_refused() {
    let (folder, stores) = furnished().await;
    stores.close().await;
    let mut file = fs::OpenOptions::new().write(true).open(folder.path().join("veilcloud.db")).unwrap();
    // Every page but the first, which holds the schema.
    let len = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xa5; usize::try_from(len).unwrap() - 4096]).unwrap();
    let opened = open(folder.path());
    assert!(matches!(opened, Err(OpenError::Corrupt { .. })), "{:?}", opened.err());
}

#[tokio::test]
async fn a_database_cut_short_is_refused() {
    let (folder, stores) = furnished().await;
    stores.close().await;
    let file = fs::OpenOptions::new().write(true).open(folder.path().join("veilcloud.db")).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let opened = open(folder.path());
    assert!(matches!(opened, Err(OpenError::Corrupt { .. })), "{:?}", opened.err());
}

#[tokio::test]
async fn a_newer_schema_and_an_edited_migration_are_refused() {
    let (folder, stores) = furnished().await;
    stores.close().await;
    let sql = |sql: &str| {
        rusqlite::Connection::open(folder.path().join("veilcloud.db")).unwrap().execute_batch(sql).unwrap();
    };
    sql("INSERT INTO migrations VALUES (4711, zeroblob(32))");
    let Err(error @ OpenError::Newer { found: 4711, .. }) = open(folder.path()) else { panic!("opened") };
    assert!(error.to_string().contains("start the newer program"), "{error}");
    sql(
        "DELETE FROM migrations WHERE number = 4711; UPDATE migrations SET sha256 = zeroblob(32) WHERE number = 1",
    );
    assert!(matches!(open(folder.path()), Err(OpenError::MigrationChanged { name: "0001_first.sql", .. })));
}

#[test]
fn a_folder_that_cannot_be_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let Err(error) = open(&file.join("data")) else { panic!("opened a folder inside a file") };
    assert!(error.to_string().contains("/file/data"), "{error}");
}

#[test]
fn a_read_only_database_is_a_matter_of_permission() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("veilcloud.db"), "").unwrap();
    fs::set_permissions(folder.path().join("veilcloud.db"), fs::Permissions::from_mode(0o400)).unwrap();
    // The superuser may write anyway; then there is nothing to refuse.
    let writable = fs::OpenOptions::new().write(true).open(folder.path().join("veilcloud.db")).is_ok();
    match open(folder.path()) {
        Err(OpenError::Permission { file }) => assert!(!writable && file.ends_with("veilcloud.db")),
        Err(error) => panic!("{error}"),
        Ok(_) => assert!(writable),
    }
}

#[tokio::test]
async fn only_the_owner_can_look_into_the_folder() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let stores = open(&folder).unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    stores.close().await;
}

const CHILD: &str = "VEILCLOUD_MODES_TEST_FOLDER";

/// Everything below a folder with the bits that say who may do what.
fn modes(folder: &Path, seen: &mut Vec<(String, bool, u32)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        let name = entry.file_name().into_string().unwrap();
        seen.push((name, meta.is_dir(), meta.permissions().mode() & 0o777));
        if meta.is_dir() {
            modes(&entry.path(), seen);
        }
    }
}

/// The child, since the umask belongs to the process: makes one of everything and looks at it.
#[tokio::test]
async fn child_that_makes_one_of_everything() {
    let Ok(folder) = env::var(CHILD) else { return };
    let stores = open(folder.as_ref()).unwrap();
    furnish(&stores).await;
    for len in [10, 70_000] {
        let bytes = bytes_of(1, len);
        stores.blobs().put(digest_of(&bytes), bytes).await.unwrap();
    }
    // One upload that became a blob, and one that is not complete.
    for promoted in [true, false] {
        let bytes = bytes_of(2, 100_000);
        stores.staging().write(UPLOAD, 0, bytes.clone()).await.unwrap();
        if promoted {
            assert!(stores.staging().promote(UPLOAD, 100_000, digest_of(&bytes)).await.unwrap());
        }
    }
    let mut seen = Vec::new();
    modes(folder.as_ref(), &mut seen);
    for (name, is_dir, mode) in &seen {
        assert_eq!(*mode, if *is_dir { 0o700 } else { 0o600 }, "{name} has {mode:o}");
    }
    let names: Vec<_> = seen.iter().map(|(name, ..)| name.as_str()).collect();
    for name in
        ["lock", "veilcloud.db", "veilcloud.db-wal", "veilcloud.db-shm", "blobs", "tmp", "uploads", "log"]
    {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert_eq!(names.iter().filter(|name| name.len() == 64).count(), 2);
    assert_eq!(names.iter().filter(|name| name.ends_with(".part")).count(), 1);
    stores.close().await;
}

#[test]
fn files_are_for_their_owner_only_whatever_the_umask_and_the_folder_allow() {
    for (umask, wide) in [("000", true), ("022", true), ("777", true), ("000", false), ("777", false)] {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        if wide {
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        }
        let child = Command::new("sh")
            .args(["-c", &format!("umask {umask} && exec \"$0\" \"$@\"")])
            .arg(env::current_exe().unwrap())
            .args(["--exact", "opening::child_that_makes_one_of_everything"])
            .env(CHILD, &folder)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "umask {umask}, wide {wide}: {said}");
        assert!(said.contains("1 passed"), "the child is not there: {said}");
        let mode = fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if wide { 0o777 } else { 0o700 });
    }
}

#[tokio::test]
async fn a_database_that_others_could_read_is_closed_to_them() {
    let (folder, stores) = furnished().await;
    stores.close().await;
    let wide = |name: &str, mode| {
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    wide("veilcloud.db", 0o666);
    wide("lock", 0o644);
    wide("blobs", 0o755);
    let stores = open(folder.path()).unwrap();
    assert_eq!(
        [mode("veilcloud.db"), mode("veilcloud.db-wal"), mode("lock"), mode("blobs")],
        [0o600, 0o600, 0o600, 0o700]
    );
    stores.close().await;
}
