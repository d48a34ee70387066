//! The command on a real terminal: prompts, progress, Ctrl-C.

use tempfile::TempDir;
use veilcloud_tests::{cli::Machine, files, server::Server, terminal};

#[test]
fn register_asks_for_the_password_twice_and_shows_the_recovery_code_once() {
    let server = Server::start();
    let alice = Machine::new(server.endpoint());
    let mut session = terminal::open(alice.command(&["register", "alice@example.com"]));
    session.exp_regex("(?i)password").expect("asks for a password");
    session.send_line("correct horse battery staple").expect("type");
    session.exp_regex("(?i)again|repeat|confirm").expect("asks for it again");
    session.send_line("correct horse battery staple").expect("type");
    // Offers to save the code; Enter declines, and it is shown.
    session.exp_regex("(?i)recovery code").expect("offers to save it");
    session.exp_regex("Enter").expect("says how to decline");
    session.send_line("").expect("type");
    session.exp_regex("[0-9A-Z]{4,5}(-[0-9A-Z]{4,5})+").expect("the code itself");
    session.exp_eof().expect("ends");

    let mut session = terminal::open(alice.command(&["login"]));
    session.exp_regex("(?i)e-?mail").expect("asks who");
    session.send_line("alice@example.com").expect("type");
    session.exp_regex("(?i)password").expect("asks for the password");
    session.send_line("correct horse battery staple").expect("type");
    session.exp_eof().expect("ends");
    alice.ok(&["projects", "list"]);
}

#[test]
fn passwords_that_differ_are_not_taken() {
    let server = Server::start();
    let alice = Machine::new(server.endpoint());
    let mut session = terminal::open(alice.command(&["register", "alice@example.com"]));
    session.exp_regex("(?i)password").expect("asks for a password");
    session.send_line("correct horse battery staple").expect("type");
    session.exp_regex("(?i)again|repeat|confirm").expect("asks for it again");
    session.send_line("something else entirely").expect("type");
    session.exp_regex("(?i)(not the same|differ|do not match)").expect("says that they differ");
}

#[test]
fn a_large_put_shows_its_progress_on_a_terminal() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    let folder = TempDir::new().expect("a folder");
    let big = folder.path().join("big.bin");
    files::write_binary(&big, 30 << 20);
    let mut session = terminal::open(alice.command(&[
        "storage",
        "put",
        "my-app",
        "assets",
        big.to_str().expect("plain path"),
    ]));
    session.exp_regex(r"\d+%|MiB").expect("a bar with numbers");
    session.exp_eof().expect("ends");
    assert_eq!(alice.ok(&["--output", "json", "envs", "show", "my-app", "assets"]).json()["version"], 1);
}

#[test]
fn without_a_terminal_a_prompt_is_an_error_that_names_the_flag() {
    let server = Server::start();
    let alice = Machine::new(server.endpoint());
    for args in [&["register", "alice@example.com"][..], &["login", "alice@example.com"]] {
        let ran = alice.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("--password-stdin"), "{args:?}: {}", ran.stderr);
    }
}
