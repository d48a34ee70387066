//! A lost password, a changed password, a deleted account.

use std::fs;

use veilcloud_tests::{
    cli::{Machine, PASSWORD},
    server::Server,
};

#[test]
fn the_printed_code_sets_a_new_password_and_all_data_is_still_readable() {
    let server = Server::start();
    let alice = Machine::new(server.endpoint());
    let kit = alice.register("alice@example.com");
    alice.login("alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=1\n");

    let second = Machine::new(server.endpoint());
    fs::create_dir_all(second.config()).expect("a folder");
    let new_kit = second.config().join("new-kit.txt");
    let (old, new) = (kit.to_str().expect("plain path"), new_kit.to_str().expect("plain path"));
    let recover = [
        "recover",
        "alice@example.com",
        "--recovery-code-file",
        old,
        "--password-stdin",
        "--recovery-file",
        new,
    ];
    second.ok_with(&recover, b"a brand new password 7");
    second.ok_with(&["login", "alice@example.com", "--password-stdin"], b"a brand new password 7");
    assert_eq!(second.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=1\n");

    alice.refused(&["projects", "list"], 4, "CREDENTIAL_REVOKED");
    let old_password = Machine::new(server.endpoint());
    let ran = old_password.run_with(
        &["--output", "json", "login", "alice@example.com", "--password-stdin"],
        PASSWORD.as_bytes(),
    );
    assert_eq!((ran.code, ran.reason()), (4, "WRONG_PASSWORD".to_owned()));
    // The old code is used up.
    let third = Machine::new(server.endpoint());
    let mut again = vec!["--output", "json"];
    again.extend(recover);
    let other_kit = third.config().with_extension("kit");
    *again.last_mut().expect("the last argument") = other_kit.to_str().expect("plain path");
    let ran = third.run_with(&again, b"yet another password 9");
    assert_eq!((ran.code, ran.reason()), (4, "WRONG_RECOVERY_CODE".to_owned()), "{}", ran.stderr);
}

#[test]
fn a_changed_password_touches_no_data_and_ends_the_other_sessions() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=1\n");
    let before = alice.ok(&["--output", "json", "storage", "history", "my-app", "production"]).json();
    let other = Machine::new(server.endpoint());
    other.login("alice@example.com");

    let both = format!("{PASSWORD}\na brand new password 7\n");
    alice.ok_with(&["password", "--password-stdin"], both.as_bytes());
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=1\n");
    let after = alice.ok(&["--output", "json", "storage", "history", "my-app", "production"]).json();
    assert_eq!(before, after);
    other.refused(&["projects", "list"], 4, "CREDENTIAL_REVOKED");
    let third = Machine::new(server.endpoint());
    third.ok_with(&["login", "alice@example.com", "--password-stdin"], b"a brand new password 7");
    assert_eq!(third.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=1\n");
}

#[test]
fn a_deleted_account_is_gone_and_its_email_is_free_again() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=1\n");
    alice.ok_with(&["account", "delete", "--yes", "--password-stdin"], PASSWORD.as_bytes());
    let ran = alice.run_with(
        &["--output", "json", "login", "alice@example.com", "--password-stdin"],
        PASSWORD.as_bytes(),
    );
    assert_eq!((ran.code, ran.reason()), (4, "WRONG_PASSWORD".to_owned()));
    let again = Machine::with_account(server.endpoint(), "alice@example.com");
    assert!(!again.ok(&["projects", "list"]).text().contains("my-app"));
}
