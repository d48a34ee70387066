//! A lying or damaged log: its folder is edited between two starts. Either the server refuses to start and says why, or
//! the client refuses, by name of the reason; the operator's check names the file and the byte.

use std::{
    fs,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use rusqlite::{Connection, params};
use veilcloud_tests::{cli::Machine, log, server::Server};
use veilcore::hash::sha256;

/// Exit code of a failed integrity check.
const INTEGRITY: i32 = 8;

/// A server with an environment of two versions, seen by this machine.
fn scene() -> (Server, Machine) {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    put(&alice, 2);
    alice.ok(&["storage", "get", "my-app", "production"]);
    (server, alice)
}

fn put(machine: &Machine, times: u32) {
    for n in 1..=times {
        machine.ok_with(&["storage", "put", "my-app", "production", "-"], format!("N={n}\n").as_bytes());
    }
}

/// The file or folder beside the data folder.
fn beside(server: &Server, name: &str) -> PathBuf {
    server.data().with_file_name(name)
}

/// Starts the stopped server again, which must be refused; what it says.
fn refused(server: &Server) -> String {
    let before = server.log().len();
    let command = Server::command(server.data(), &[]);
    match Server::spawn(command, server.data()) {
        Ok(_) => panic!("the server started"),
        Err(log) => log[before..].to_owned(),
    }
}

fn databases(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("read the folder").map(|e| e.expect("read the folder").path());
    let is_database = |path: &PathBuf| {
        path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("veilcloud.db"))
    };
    entries.filter(is_database).collect()
}

/// The one segment file, and where these bytes are in it.
fn segment(server: &Server, needle: &[u8]) -> (PathBuf, usize) {
    let path = server.data().join("log/0000000000.seg");
    let bytes = fs::read(&path).expect("the segment");
    let at = bytes.windows(needle.len()).position(|w| w == needle).expect("the bytes are in the segment");
    (path, at)
}

/// Entry of the first version, as the client was shown it.
fn first_put(alice: &Machine) -> Vec<u8> {
    let events = log::events(alice, "my-app");
    let event = events.iter().find(|e| e["kind"] == "blob.put").expect("a version was written");
    HEXLOWER.decode(event["entry"].as_str().expect("bytes").as_bytes()).expect("hexadecimal")
}

fn leaf_hash(entry: &[u8]) -> [u8; 32] {
    sha256(&[&[0], entry].concat())
}

fn fsck(server: &Server, more: &[&str]) -> (i32, String) {
    let ran = log::operator(server.data(), &[&["fsck"], more].concat());
    (ran.code, format!("{}{}", String::from_utf8_lossy(&ran.stdout), ran.stderr))
}

#[test]
fn a_database_put_back_beside_newer_logs_is_refused_at_the_start() {
    let (mut server, alice) = scene();
    server.pause();
    let old = beside(&server, "old");
    fs::create_dir(&old).expect("a folder");
    for file in databases(server.data()) {
        log::copy(&file, &old);
    }
    server.revive(&[]);
    put(&alice, 3);
    server.pause();
    for file in databases(server.data()) {
        fs::remove_file(file).expect("remove");
    }
    for file in databases(&old) {
        log::copy(&file, server.data());
    }
    let said = refused(&server);
    assert!(said.contains("the database is older than the logs"), "{said}");
    assert!(said.contains("restore the newest database"), "{said}");
    let (code, found) = fsck(&server, &[]);
    assert_eq!(code, 1, "{found}");
    assert!(found.contains("the database is older than the logs"), "{found}");
    // Nothing mends that; it would sign a second history.
    let (code, _) = fsck(&server, &["--repair"]);
    assert_eq!(code, 1);
    refused(&server);
}

#[test]
fn an_old_copy_of_the_whole_folder_is_refused_by_who_saw_more() {
    let (mut server, alice) = scene();
    server.pause();
    let old = beside(&server, "old");
    log::copy(server.data(), &old);
    server.revive(&[]);
    put(&alice, 2);
    alice.ok(&["storage", "get", "my-app", "production"]);
    alice.ok(&["--output", "json", "audit", "monitor", "my-app", "--once"]);
    server.pause();
    log::exchange(&server, &old, "newest");
    // The folder is whole in itself: only who saw more can tell.
    assert_eq!(fsck(&server, &[]).0, 0);
    server.revive(&[]);
    alice.refused(&["audit", "list", "my-app"], INTEGRITY, "LOG_ROLLED_BACK");
    let ran = alice.run(&["--output", "json", "storage", "get", "my-app", "production"]);
    assert_eq!((ran.code, ran.stdout.len()), (INTEGRITY, 0), "{}", ran.stderr);
    assert!(["LOG_ROLLED_BACK", "ROLLED_BACK"].contains(&ran.reason().as_str()), "{}", ran.stderr);

    // The monitor keeps both signed checkpoints: laid side by side they convict the server.
    let evidence = beside(&server, "evidence");
    let dir = evidence.to_str().expect("plain path");
    let ran = alice.run(&["--output", "json", "audit", "monitor", "my-app", "--once", "--evidence", dir]);
    assert_eq!(ran.code, INTEGRITY, "{}", ran.stderr);
    let finding = ran.json()["findings"][0].clone();
    assert_eq!(finding["kind"], "log-rolled-back", "{finding}");
    let kept = finding["evidence"].as_array().expect("evidence").len();
    assert_eq!((kept, fs::read_dir(&evidence).expect("the folder").count()), (2, 2), "{finding}");

    // Somebody who saw nothing of it has nothing to compare with; the policy of this server has no witnesses.
    let fresh = Machine::new(server.endpoint());
    fresh.login("alice@example.com");
    assert_eq!(fresh.ok(&["storage", "get", "my-app", "production"]).stdout, b"N=2\n");
}

#[test]
fn of_two_copies_that_went_on_each_a_client_accepts_the_one_it_saw() {
    let (mut server, alice) = scene();
    let second = Machine::new(server.endpoint());
    second.login("alice@example.com");
    second.ok(&["storage", "get", "my-app", "production"]);
    server.pause();
    let copy = beside(&server, "copy");
    log::copy(server.data(), &copy);
    server.revive(&[]);
    put(&alice, 2);
    log::events(&alice, "my-app");
    server.pause();
    let first = log::exchange(&server, &copy, "first");
    server.revive(&[]);
    // The other history becomes the longer one, so that it is no rollback.
    put(&second, 5);
    log::events(&second, "my-app");
    alice.refused(&["audit", "list", "my-app"], INTEGRITY, "LOG_FORKED");
    let ran = alice.run(&["--output", "json", "storage", "get", "my-app", "production"]);
    assert_eq!((ran.code, ran.stdout.len()), (INTEGRITY, 0), "{}", ran.stderr);
    // The version itself is another one, too, and that is looked at first.
    assert!(["LOG_FORKED", "FORKED"].contains(&ran.reason().as_str()), "{}", ran.stderr);
    server.pause();
    log::exchange(&server, &first, "second");
    server.revive(&[]);
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"N=2\n");
    let ran = second.run(&["--output", "json", "storage", "get", "my-app", "production"]);
    assert_eq!((ran.code, ran.stdout.len()), (INTEGRITY, 0), "{}", ran.stderr);
    assert!(["LOG_ROLLED_BACK", "ROLLED_BACK"].contains(&ran.reason().as_str()), "{}", ran.stderr);
}

#[test]
fn a_segment_that_is_gone_or_cut_is_refused_at_the_start_and_named() {
    let (mut server, alice) = scene();
    server.pause();
    let path = server.data().join("log/0000000000.seg");
    let whole = fs::read(&path).expect("the segment");
    for cut in [None, Some(0), Some(whole.len() / 2), Some(whole.len() - 1)] {
        match cut {
            None => fs::remove_file(&path).expect("remove"),
            Some(len) => fs::write(&path, &whole[..len]).expect("write"),
        }
        let said = refused(&server);
        assert!(said.contains("0000000000.seg"), "{cut:?}: {said}");
        let (code, found) = fsck(&server, &[]);
        assert_eq!(code, 1, "{cut:?}: {found}");
        assert!(found.contains("0000000000.seg"), "{cut:?}: {found}");
    }
    fs::write(&path, &whole).expect("write");
    assert_eq!(fsck(&server, &[]).0, 0);
    server.revive(&[]);
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"N=2\n");
}

#[test]
fn an_altered_entry_is_never_shown_and_never_mended() {
    let (mut server, alice) = scene();
    let entry = first_put(&alice);
    server.pause();
    let (path, at) = segment(&server, &entry);
    log::flip(&path, at + 70);
    let (code, found) = fsck(&server, &[]);
    assert_eq!(code, 1, "{found}");
    // The entry's length stands before it: the place of the whole is named, for no hash tells which of its bytes it is.
    assert!(found.contains(&format!("0000000000.seg, byte {}: the entry of leaf 2", at - 2)), "{found} {at}");
    let (code, found) = fsck(&server, &["--repair"]);
    assert_eq!(code, 1, "{found}");
    assert!(found.contains("0 repaired"), "{found}");
    assert_eq!(fsck(&server, &[]).0, 1, "it is still there");
    server.revive(&[]);
    let ran = alice.run(&["--output", "json", "audit", "list", "my-app"]);
    assert_ne!(ran.code, 0, "{}", ran.text());
    assert_eq!(ran.stdout.len(), 0, "{}", ran.text());
    // The bytes are back, and all is well.
    server.pause();
    log::flip(&path, at + 70);
    server.revive(&[]);
    log::events(&alice, "my-app");
}

#[test]
fn an_altered_leaf_hash_is_found_and_mended() {
    let (mut server, alice) = scene();
    let hash = leaf_hash(&first_put(&alice));
    server.pause();
    let (path, at) = segment(&server, &hash);
    let whole = fs::read(&path).expect("the segment");
    log::flip(&path, at + 3);
    let (code, found) = fsck(&server, &[]);
    assert_eq!(code, 1, "{found}");
    assert!(found.contains(&format!("0000000000.seg, byte {}", at + 3)), "{found}");
    let (_, found) = fsck(&server, &["--repair"]);
    assert!(found.contains("1 repaired"), "{found}");
    assert_eq!(fs::read(&path).expect("the segment"), whole, "byte for byte");
    assert_eq!(fsck(&server, &[]).0, 0);
    server.revive(&[]);
    log::events(&alice, "my-app");
}

#[test]
fn logs_without_their_key_are_not_signed_by_another() {
    let (mut server, alice) = scene();
    server.pause();
    let keys = server.data().join("keys/log.keys");
    let aside = beside(&server, "log.keys");
    fs::rename(&keys, &aside).expect("move");
    let said = refused(&server);
    assert!(said.contains("log.keys"), "{said}");
    assert!(!keys.exists(), "no new key is made");
    fs::rename(&aside, &keys).expect("move");
    server.revive(&[]);
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"N=2\n");
}

#[test]
fn under_the_key_of_another_server_the_logs_take_no_entries() {
    let (mut server, alice) = scene();
    log::until("the read is a leaf", || log::events(&alice, "my-app").len() == 6);
    let (token, origin) = log::token(&server, &alice, "my-app");
    server.pause();
    let mut other = Server::start();
    other.pause();
    let (keys, aside) = (server.data().join("keys/log.keys"), beside(&server, "log.keys"));
    fs::rename(&keys, &aside).expect("move");
    log::copy(&other.data().join("keys/log.keys"), &keys);
    server.revive(&[]);
    let put = ["--output", "json", "storage", "put", "my-app", "production", "-"];
    assert_ne!(alice.run_with(&put, b"N=3\n").code, 0, "no change is answered as done");
    log::until("the server says why", || server.log().contains("a log takes no entries"));
    let ran = alice.run(&["--output", "json", "storage", "get", "my-app", "production"]);
    assert!(ran.code != 0 && ran.stdout.is_empty(), "what is in no log is not read: {}", ran.stderr);

    // Nothing was signed by the wrong key: with the right one all goes on, and the change that was made is there.
    server.pause();
    fs::rename(&aside, &keys).expect("move");
    server.revive(&[]);
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"N=3\n");
    let note = log::file(&server, &origin, "checkpoint", Some(&token)).body;
    assert!(log::size(&note) > 6, "{}", String::from_utf8_lossy(&note));
    assert_eq!(fsck_after(&mut server), 0);
}

/// Stops the server and checks its logs.
fn fsck_after(server: &mut Server) -> i32 {
    server.pause();
    fsck(server, &[]).0
}

#[test]
fn a_version_that_points_at_another_leaf_or_none_is_refused() {
    let (mut server, alice) = scene();
    log::until("the read is a leaf", || log::events(&alice, "my-app").len() == 6);
    // The leaf of the project's creation, of the first version, of a read of this one; none at all; one that is not there,
    // which the server itself says.
    for (index, code, reasons) in [
        (Some(0), INTEGRITY, vec!["LOG_PROOF_INVALID", "NOT_IN_LOG"]),
        (Some(2), INTEGRITY, vec!["LOG_PROOF_INVALID", "NOT_IN_LOG"]),
        (Some(5), INTEGRITY, vec!["LOG_PROOF_INVALID", "NOT_IN_LOG"]),
        (None, INTEGRITY, vec!["NOT_IN_LOG"]),
        (Some(1_000_000), 3, vec!["LOG_INDEX_UNKNOWN"]),
    ] {
        server.pause();
        let database = Connection::open(server.data().join("veilcloud.db")).expect("open the database");
        let sql = "UPDATE versions SET log_index = ?1 WHERE number = 2";
        let index = index.map(i64::from);
        assert_eq!(database.execute(sql, params![index]).expect("update"), 1);
        drop(database);
        server.revive(&[]);
        let ran = alice.run(&["--output", "json", "storage", "get", "my-app", "production"]);
        assert_eq!((ran.code, ran.stdout.len()), (code, 0), "{index:?}: {}", ran.stderr);
        assert!(reasons.contains(&ran.reason().as_str()), "{index:?}: {}", ran.stderr);
    }
}
