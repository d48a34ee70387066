//! The life of a session: renewed when its capability ends, and dead for everybody once somebody used a copy.

use std::fs;

use serde_json::Value;
use veilcloud_tests::{cli::Machine, files, server::Server};

fn session_file(machine: &Machine) -> std::path::PathBuf {
    files::below(machine.config()).into_iter().find(|f| f.ends_with("session.json")).expect("a session file")
}

fn session(machine: &Machine) -> Value {
    serde_json::from_slice(&fs::read(session_file(machine)).expect("read")).expect("JSON")
}

/// Makes the machine believe that its capability is over, so that its next call renews it.
fn expire(machine: &Machine) {
    let mut session = session(machine);
    session["capability_expires_at_ms"] = 1.into();
    fs::write(session_file(machine), session.to_string()).expect("write");
}

#[test]
fn a_session_is_renewed_when_its_capability_ends() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let before = session(&alice);
    expire(&alice);
    alice.ok(&["projects", "list"]);
    let after = session(&alice);
    assert_ne!(before["capability"], after["capability"]);
    assert_ne!(before["refresh_token"], after["refresh_token"], "the token is good once");
    assert_eq!(before["holder"], after["holder"], "the key stays");
}

#[test]
fn two_commands_at_once_renew_the_session_without_killing_it() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    for _ in 0..5 {
        expire(&alice);
        let mut both: Vec<_> = (0..4).map(|_| alice.start(&["projects", "list"])).collect();
        assert!(both.iter_mut().all(|c| veilcloud_tests::server::wait(c).success()));
    }
    alice.ok(&["projects", "list"]);
}

#[test]
fn a_copied_refresh_token_ends_the_session_for_thief_and_owner() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let copy = fs::read(session_file(&alice)).expect("read");
    expire(&alice);
    alice.ok(&["projects", "list"]);

    // The thief comes with the copy, whose token was used by its owner since.
    let thief = Machine::new(server.endpoint());
    fs::create_dir_all(thief.config()).expect("a folder");
    let place = thief
        .config()
        .join(session_file(&alice).strip_prefix(alice.config()).expect("inside the config folder"));
    fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
    fs::write(&place, &copy).expect("write");
    expire(&thief);
    thief.refused(&["projects", "list"], 4, "REFRESH_REUSED");
    alice.refused(&["projects", "list"], 4, "CREDENTIAL_REVOKED");
}
