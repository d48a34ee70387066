//! A server whose checkpoints two of three witnesses have to cosign, each a process of its own.

use std::{fs, process::Command};

use serde_json::json;
use tempfile::TempDir;
use veilcloud_tests::{
    cli::Machine,
    log::{self, Export, Witnessed},
    server::Server,
};

/// Exit code of what does not hold.
const INTEGRITY: i32 = 8;

/// All of them, and a project with one version that the witnesses have seen.
fn scene() -> (Witnessed, Machine) {
    let all = Witnessed::start();
    let alice = Machine::with_account(all.server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    put(&alice, 1);
    assert_eq!(get(&alice), b"N=1\n");
    (all, alice)
}

fn put(machine: &Machine, n: u32) {
    machine.ok_with(&["storage", "put", "my-app", "production", "-"], format!("N={n}\n").as_bytes());
}

fn get(machine: &Machine) -> Vec<u8> {
    machine.ok(&["storage", "get", "my-app", "production"]).stdout
}

/// The project's checkpoint as it is shown now, and how many witnesses cosigned it.
fn shown(all: &Witnessed, (token, origin): &(String, String)) -> (u64, usize) {
    let note = log::file(&all.server, origin, "checkpoint", Some(token)).body;
    let text = String::from_utf8(note.clone()).expect("text");
    let cosigned = text.lines().filter(|l| l.starts_with("— w") && l.contains(".example.net ")).count();
    (log::size(&note), cosigned)
}

#[test]
fn what_is_shown_has_a_quorum_of_cosignatures() {
    let (all, alice) = scene();
    let access = log::token(&all.server, &alice, "my-app");
    let (size, cosigned) = shown(&all, &access);
    assert!(size >= 3 && (2..=3).contains(&cosigned), "{size} leaves, {cosigned} cosignatures");
    let export = Export::of(&alice, "my-app");
    let (dir, policy) = (export.log(), export.policy());
    let text = fs::read_to_string(&policy).expect("read");
    assert!(all.keys.iter().all(|key| text.contains(key)) && text.ends_with("quorum all3\n"), "{text}");
    let auditor = Machine::new("http://127.0.0.1:1");
    let (dir, policy) = (dir.to_str().expect("plain path"), policy.to_str().expect("plain path"));
    let fsck = ["--output", "json", "audit", "fsck", dir, "--policy", policy];
    let said = auditor.ok(&fsck).json();
    assert!(said["witnesses"].as_array().is_some_and(|w| w.len() >= 2), "{said}");

    let proof = alice.ok(&["audit", "proof", "my-app", "2"]).text();
    let file = export.beside("e2.tlog-proof");
    let verify =
        ["--output", "json", "audit", "verify", file.to_str().expect("plain path"), "--policy", policy];
    fs::write(&file, &proof).expect("write");
    assert_eq!(auditor.ok(&verify).json()["proven"], json!(true));
    // With the cosignature of one witness, or of none, the same checkpoint is too little.
    for kept in 0..2 {
        let mut cosignatures = 0;
        let few: String = proof
            .split_inclusive('\n')
            .filter(|line| {
                let is_cosignature = line.starts_with("— w") && line.contains(".example.net ");
                cosignatures += usize::from(is_cosignature);
                !is_cosignature || cosignatures <= kept
            })
            .collect();
        fs::write(&file, few).expect("write");
        let ran = auditor.run(&verify);
        assert_eq!(
            (ran.code, ran.reason()),
            (INTEGRITY, "WITNESS_QUORUM".to_owned()),
            "{kept}: {}",
            ran.stderr
        );
    }
}

#[test]
fn without_a_quorum_nothing_new_is_shown_and_writing_goes_on() {
    let (mut all, alice) = scene();
    let access = log::token(&all.server, &alice, "my-app");
    // One of three may be away.
    all.witnesses[2].pause();
    put(&alice, 2);
    assert_eq!(get(&alice), b"N=2\n");
    log::until("the last read is shown", || shown(&all, &access).0 == 6);

    all.witnesses[1].pause();
    put(&alice, 3);
    let before = shown(&all, &access);
    let last = ["--output", "json", "storage", "get", "my-app", "production"];
    let ran = alice.run(&last);
    assert_ne!(ran.code, 0, "{}", ran.text());
    assert_eq!((ran.stdout.len(), ran.reason()), (0, "LOG_BEHIND".to_owned()), "{}", ran.stderr);
    let old = ["storage", "get", "my-app", "production", "--version", "2"];
    assert_eq!(alice.ok(&old).stdout, b"N=2\n", "what the witnesses have seen is read as ever");
    assert_eq!(shown(&all, &access), before, "nothing new is shown");
    assert_eq!(before.0, 6, "not even the write that was answered");

    all.revive_witness(1);
    log::until("the new version is shown", || alice.run(&last).code == 0);
    assert_eq!(get(&alice), b"N=3\n");
    let (size, cosigned) = shown(&all, &access);
    assert!(size > before.0 && cosigned == 2, "{size} leaves, {cosigned} cosignatures");
    alice.ok(&["audit", "monitor", "my-app", "--once"]);
}

#[test]
fn a_server_that_was_set_back_shows_nothing_that_the_witnesses_know_better() {
    let (mut all, alice) = scene();
    let access = log::token(&all.server, &alice, "my-app");
    let second = Machine::new(all.server.endpoint());
    second.login("alice@example.com");
    // Both reads are leaves before the copy is taken.
    log::until("the read is shown", || shown(&all, &access).0 == 4);
    all.server.pause();
    let old = all.server.data().with_file_name("old");
    log::copy(all.server.data(), &old);
    all.revive();
    for n in 2..=4 {
        put(&alice, n);
    }
    assert_eq!(get(&alice), b"N=4\n");
    log::until("more is shown", || shown(&all, &access).0 > 8);
    all.server.pause();
    log::exchange(&all.server, &old, "newest");
    all.revive();

    // The copy goes on by itself: changes are answered. But what the witnesses saw is more than there is.
    let name = ["projects", "rename", "my-app", "shop"];
    second.ok(&name);
    let said = "a witness saw more of this log than there is here";
    log::until("the server says why", || all.server.log().contains(said));
    assert_eq!(shown(&all, &access).0, 4, "nothing is shown but what was shown before");
    let put = ["--output", "json", "storage", "put", "shop", "production", "-"];
    let ran = second.run_with(&put, b"N=5\n");
    let get = second.run(&["--output", "json", "storage", "get", "shop", "production", "--version", "2"]);
    assert_eq!(
        (get.stdout.len(), get.reason()),
        (0, "LOG_BEHIND".to_owned()),
        "{}{}",
        ran.stderr,
        get.stderr
    );
    assert_eq!(shown(&all, &access).0, 4);
    let ran = alice.run(&["--output", "json", "audit", "list", "shop"]);
    assert_eq!((ran.code, ran.reason()), (INTEGRITY, "LOG_ROLLED_BACK".to_owned()), "{}", ran.stderr);
}

#[test]
fn a_quorum_that_cannot_be_reached_is_refused_at_the_start() {
    let folder = TempDir::new().expect("a folder");
    let policy = folder.path().join("witnesses.txt");
    let key = "w.example.net+a6d5338d+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X";
    for text in [
        format!("witness w {key}\nquorum w\n"),
        format!("witness w {key} https://w.example.net\nquorum nobody\n"),
        format!("witness w {key}x https://w.example.net\nquorum w\n"),
        format!("witness w {key} http://w.example.net\nquorum w\n"),
    ] {
        fs::write(&policy, &text).expect("write");
        let settings = [("VEILCLOUD_CHAIN_WITNESS_POLICY", policy.to_str().expect("plain path"))];
        let data = folder.path().join("data");
        let command: Command = Server::command(&data, &settings);
        match Server::spawn(command, &data) {
            Ok(_) => panic!("started with {text:?}"),
            Err(said) => {
                assert!(said.contains("witness_policy") || said.contains("witness"), "{text:?}: {said}")
            }
        }
    }
}
