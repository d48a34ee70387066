//! The first hour of a user, command by command, as the README tells it.

use std::fs;

use tempfile::TempDir;
use veilcloud_tests::{cli::Machine, files, server::Server};

#[test]
fn an_environment_comes_back_byte_for_byte_and_its_history_can_be_rolled_back() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let folder = TempDir::new().expect("a folder");
    let env = folder.path().join(".env");
    let first = files::dotenv();
    fs::write(&env, &first).expect("write");
    let path = env.to_str().expect("plain path");

    alice.ok(&["projects", "create", "my-app"]);
    assert!(alice.ok(&["projects", "list"]).text().contains("my-app"));
    alice.ok(&["storage", "put", "my-app", "production", path]);
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, first);

    let second = [first.as_slice(), b"ADDED_LATER=yes\n"].concat();
    fs::write(&env, &second).expect("write");
    alice.ok(&["storage", "put", "my-app", "production", path]);
    fs::write(&env, b"ONLY=this\n").expect("write");
    alice.ok(&["storage", "put", "my-app", "production", path]);
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"ONLY=this\n");

    let history = alice.ok(&["--output", "json", "storage", "history", "my-app", "production"]).json();
    let numbers: Vec<_> =
        history["versions"].as_array().expect("a list").iter().map(|v| v["version"].as_u64()).collect();
    assert_eq!(numbers, [Some(3), Some(2), Some(1)]);

    alice.ok(&["storage", "rollback", "my-app", "production", "--to", "2"]);
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, second);
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production", "--version", "1"]).stdout, first);
    let history = alice.ok(&["--output", "json", "storage", "history", "my-app", "production"]).json();
    assert_eq!(history["versions"].as_array().map(Vec::len), Some(4), "a rollback is a new version");
}

#[test]
fn run_gives_the_child_the_variables_and_keeps_its_exit_code_and_signal() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    alice.ok_with(
        &["storage", "put", "my-app", "production", "-"],
        "GREETING='grüß dich'\nLITERAL=$HOME\n".as_bytes(),
    );

    let printed = alice.ok(&["run", "my-app", "production", "--", "env"]).text();
    assert!(printed.lines().any(|l| l == "GREETING=grüß dich"), "{printed}");
    assert!(printed.lines().any(|l| l == "LITERAL=$HOME"), "values are taken literally: {printed}");
    assert_eq!(alice.run(&["run", "my-app", "production", "--", "sh", "-c", "exit 42"]).code, 42);
    // -1 is how the harness shows a death by signal: the shell that would have said 143 is not there.
    assert_eq!(alice.run(&["run", "my-app", "production", "--", "sh", "-c", "kill -TERM $$"]).code, -1);
}

#[test]
fn a_clone_has_a_key_of_its_own_and_diff_masks_what_it_shows() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    let content = b"KEPT=same\nCHANGED=topsecret-before\nGONE=topsecret-gone\n";
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], content);
    alice.ok(&["envs", "clone", "my-app", "production", "staging"]);
    assert_eq!(alice.ok(&["storage", "get", "my-app", "staging"]).stdout, content);

    alice.ok_with(
        &["storage", "put", "my-app", "staging", "-"],
        b"KEPT=same\nCHANGED=topsecret-after\nNEW=topsecret-new\n",
    );
    let masked = alice.ok(&["diff", "my-app", "production", "staging"]).text();
    for name in ["CHANGED", "GONE", "NEW"] {
        assert!(masked.contains(name), "{masked}");
    }
    assert!(!masked.contains("topsecret") && !masked.contains("KEPT"), "{masked}");
    let revealed = alice.ok(&["diff", "my-app", "production", "staging", "--reveal"]).text();
    assert!(revealed.contains("topsecret-before") && revealed.contains("topsecret-after"), "{revealed}");
}

#[test]
fn import_and_export_keep_names_and_values_in_every_format() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    let folder = TempDir::new().expect("a folder");
    let dotenv = folder.path().join("real.env");
    fs::write(&dotenv, files::dotenv()).expect("write");
    let plain = |p: &std::path::Path| p.to_str().expect("plain path").to_owned();
    alice.ok(&["import", "my-app", "first", &plain(&dotenv), "--format", "dotenv"]);
    let reference = alice.ok(&["export", "my-app", "--env", "first", "--format", "json"]).json();
    assert_eq!(reference.as_object().map(serde_json::Map::len), Some(200), "the fixture has 200 keys");
    for format in ["dotenv", "json", "yaml"] {
        let file = folder.path().join(format);
        alice.ok(&["export", "my-app", "--env", "first", "--format", format, "--file", &plain(&file)]);
        alice.ok(&["import", "my-app", format, &plain(&file), "--format", format]);
        let back = alice.ok(&["export", "my-app", "--env", format, "--format", "json"]).json();
        assert_eq!(back, reference, "through {format}");
    }
}

#[test]
fn a_rotated_key_opens_old_and_new_versions() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=1\n");
    alice.ok(&["envs", "rotate", "my-app", "production"]);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=2\n");
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=2\n");
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production", "--version", "1"]).stdout, b"A=1\n");
    let env = alice.ok(&["--output", "json", "envs", "show", "my-app", "production"]).json();
    assert_eq!(env["epoch"], 2);
}

#[test]
fn what_was_stored_survives_a_restart_and_so_does_the_session() {
    let mut server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=1\n");
    server.pause();
    server.revive(&[]);
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=1\n");
}

#[test]
fn doctor_and_whoami_say_where_things_come_from() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let who = alice.ok(&["--output", "json", "whoami"]).json();
    assert_eq!(who["email"], "alice@example.com");
    assert!(who.to_string().contains("VEILCLOUD_ENDPOINT"), "the source of the endpoint is named: {who}");
    alice.ok(&["doctor"]);
    let nobody = alice.at("http://127.0.0.1:9");
    let doctor = nobody.run(&["doctor"]);
    assert_eq!(doctor.code, 6, "{}{}", doctor.stderr, doctor.text());
}
