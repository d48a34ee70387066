//! A lying server: its store is edited between two starts, and the client must refuse, by name of the reason.

use rusqlite::{Connection, params};
use veilcloud_tests::{cli::Machine, server::Server};

/// Exit code of a failed integrity check.
const INTEGRITY: i32 = 8;

/// A server with two environments of three versions each, all seen by this machine.
fn scene() -> (Server, Machine) {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    for env in ["production", "staging"] {
        for n in 1..=3 {
            alice.ok_with(&["storage", "put", "my-app", env, "-"], format!("ENV={env}\nN={n}\n").as_bytes());
        }
        alice.ok(&["storage", "get", "my-app", env]);
    }
    (server, alice)
}

/// Stops the server, edits its database, starts it again.
fn edit(server: &mut Server, change: impl FnOnce(&Connection)) {
    server.pause();
    let database = Connection::open(server.data().join("veilcloud.db")).expect("open the database");
    change(&database);
    drop(database);
    server.revive(&[]);
}

const ENV: &str = "(SELECT id FROM environments WHERE name = ?1)";

fn run(database: &Connection, sql: &str, env: &str) {
    let changed = database.execute(sql, params![env]).unwrap_or_else(|e| panic!("{sql}: {e}"));
    assert!(changed > 0, "{sql} changed nothing");
}

#[test]
fn a_rolled_back_head_is_refused() {
    let (mut server, alice) = scene();
    edit(&mut server, |db| {
        run(db, &format!("DELETE FROM versions WHERE number = 3 AND environment = {ENV}"), "production");
        run(db, "UPDATE environments SET head = 2 WHERE name = ?1", "production");
    });
    alice.refused(&["storage", "get", "my-app", "production"], INTEGRITY, "ROLLED_BACK");
    alice.refused(&["run", "my-app", "production", "--", "env"], INTEGRITY, "ROLLED_BACK");
    assert_eq!(
        alice.ok(&["storage", "get", "my-app", "staging"]).stdout,
        b"ENV=staging\nN=3\n",
        "the other one is untouched"
    );
}

#[test]
fn a_blob_from_another_environment_is_refused() {
    let (mut server, alice) = scene();
    edit(&mut server, |db| {
        let sql = "UPDATE versions SET digest = s.digest, seal = s.seal, len = s.len FROM
            (SELECT v.* FROM versions v JOIN environments e ON e.id = v.environment WHERE e.name = 'staging' AND v.number = 3) s
            WHERE versions.number = 3 AND versions.environment = (SELECT id FROM environments WHERE name = ?1)";
        run(db, sql, "production");
    });
    // A machine that has never seen this environment has only the seal to go by.
    let fresh = Machine::new(server.endpoint());
    fresh.login("alice@example.com");
    fresh.refused(&["storage", "get", "my-app", "production"], INTEGRITY, "WRONG_ENVIRONMENT");
    let ran = alice.run(&["--output", "json", "storage", "get", "my-app", "production"]);
    assert_eq!((ran.code, ran.stdout.len()), (INTEGRITY, 0), "nothing is written out");
}

#[test]
fn a_swapped_version_is_refused() {
    let (mut server, alice) = scene();
    edit(&mut server, |db| {
        let sql = "UPDATE versions SET digest = s.digest, seal = s.seal, len = s.len FROM
            (SELECT v.* FROM versions v JOIN environments e ON e.id = v.environment WHERE e.name = 'production' AND v.number = 1) s
            WHERE versions.number = 3 AND versions.environment = (SELECT id FROM environments WHERE name = ?1)";
        run(db, sql, "production");
    });
    let ran = alice.run(&["--output", "json", "storage", "get", "my-app", "production"]);
    assert_eq!(ran.code, INTEGRITY, "{}", ran.stderr);
    assert!(["FORKED", "WRONG_VERSION"].contains(&ran.reason().as_str()), "{}", ran.stderr);
    let fresh = Machine::new(server.endpoint());
    fresh.login("alice@example.com");
    fresh.refused(&["storage", "get", "my-app", "production"], INTEGRITY, "WRONG_VERSION");
}

#[test]
fn altered_bytes_are_refused() {
    let (mut server, alice) = scene();
    edit(&mut server, |db| {
        let sql = format!("UPDATE small_blobs SET bytes = CAST(substr(bytes, 1, length(bytes) - 1) || x'00' AS BLOB) WHERE digest =
            (SELECT digest FROM versions WHERE number = 3 AND environment = {ENV})");
        run(db, &sql, "production");
        let sql = format!(
            "UPDATE small_blobs SET bytes = substr(bytes, 1, length(bytes) - 20) WHERE digest =
            (SELECT digest FROM versions WHERE number = 3 AND environment = {ENV})"
        );
        run(db, &sql, "staging");
        // The server itself would notice a length that is not the one it noted; a lying one adjusts its note.
        run(
            db,
            &format!("UPDATE versions SET len = len - 20 WHERE number = 3 AND environment = {ENV}"),
            "staging",
        );
    });
    for env in ["production", "staging"] {
        let ran = alice.run(&["--output", "json", "storage", "get", "my-app", env]);
        assert_eq!((ran.code, ran.stdout.len()), (INTEGRITY, 0), "{env}: {}", ran.stderr);
        assert!(
            ["DIGEST_MISMATCH", "CIPHERTEXT_CHANGED", "TRUNCATED", "LENGTH_MISMATCH"]
                .contains(&ran.reason().as_str()),
            "{env}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_foreign_keyring_is_refused() {
    let (mut server, alice) = scene();
    edit(&mut server, |db| {
        let sql = "UPDATE keyrings SET file = s.file, seal = s.seal FROM
            (SELECT k.* FROM keyrings k JOIN environments e ON e.id = k.environment WHERE e.name = 'staging') s
            WHERE keyrings.environment = (SELECT id FROM environments WHERE name = ?1)";
        run(db, sql, "production");
    });
    let ran = alice.run_with(&["--output", "json", "storage", "put", "my-app", "production", "-"], b"A=1\n");
    assert_eq!(ran.code, INTEGRITY, "{}", ran.stderr);
    assert!(["KEYRING_INVALID", "WRONG_ENVIRONMENT"].contains(&ran.reason().as_str()), "{}", ran.stderr);
}

#[test]
fn a_forged_seal_is_refused() {
    let (mut server, alice) = scene();
    edit(&mut server, |db| {
        // The last byte belongs to the author's signature, and no signature ends in this one: its S is below 2^253.
        let sql = format!(
            "UPDATE versions SET seal = CAST(substr(seal, 1, length(seal) - 1) || x'ff' AS BLOB) WHERE number = 3 AND environment = {ENV}"
        );
        run(db, &sql, "production");
    });
    alice.refused(&["storage", "get", "my-app", "production"], INTEGRITY, "SIGNATURE_INVALID");
}

#[test]
fn a_key_of_an_older_epoch_is_refused() {
    let (mut server, alice) = scene();
    alice.ok(&["envs", "rotate", "my-app", "production"]);
    edit(&mut server, |db| {
        run(db, &format!("DELETE FROM keyrings WHERE epoch = 2 AND environment = {ENV}"), "production");
        run(db, &format!("DELETE FROM versions WHERE epoch = 2 AND environment = {ENV}"), "production");
        run(db, "UPDATE environments SET epoch = 1, head = 3 WHERE name = ?1", "production");
    });
    let ran = alice.run_with(&["--output", "json", "storage", "put", "my-app", "production", "-"], b"A=1\n");
    assert_eq!(ran.code, INTEGRITY, "{}", ran.stderr);
    assert!(["EPOCH_ROLLED_BACK", "ROLLED_BACK"].contains(&ran.reason().as_str()), "{}", ran.stderr);
}

#[test]
fn two_projects_that_swap_their_names_are_refused_until_they_are_forgotten() {
    let (mut server, alice) = scene();
    alice.ok(&["projects", "create", "other"]);
    alice.ok_with(&["storage", "put", "other", "production", "-"], b"ENV=other\n");
    edit(&mut server, |db| {
        for (from, to) in [("my-app", "spare"), ("other", "my-app"), ("spare", "other")] {
            let sql = format!("UPDATE projects SET name = '{to}' WHERE name = ?1");
            run(db, &sql, from);
        }
    });
    alice.refused(&["storage", "get", "my-app", "production"], INTEGRITY, "WRONG_PROJECT");
    alice.refused(&["run", "my-app", "production", "--", "env"], INTEGRITY, "WRONG_PROJECT");
    alice.refused(&["projects", "list"], INTEGRITY, "WRONG_PROJECT");
    for name in ["my-app", "other"] {
        alice.ok(&["projects", "forget", name, "--yes"]);
    }
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"ENV=other\n");
}

#[test]
fn an_environment_that_is_said_to_be_missing_is_not_made_anew() {
    let (mut server, alice) = scene();
    edit(&mut server, |db| run(db, "UPDATE environments SET name = 'hidden' WHERE name = ?1", "production"));
    let put = ["--output", "json", "storage", "put", "my-app", "production", "-"];
    let ran = alice.run_with(&put, b"A=1\n");
    assert_eq!((ran.code, ran.reason()), (INTEGRITY, "ROLLED_BACK".to_owned()), "{}", ran.stderr);
    edit(&mut server, |db| run(db, "UPDATE environments SET name = 'production' WHERE name = ?1", "hidden"));
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"ENV=production\nN=3\n");
}
