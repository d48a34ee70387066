//! Keys of accounts in the directory, and the keys that sign the logs.

use std::fs;

use rusqlite::{Connection, params};
use veilcloud_tests::{
    cli::{Machine, PASSWORD},
    log::{self, Export, Leaf},
    server::Server,
};

/// Exit code of a failed integrity check.
const INTEGRITY: i32 = 8;
const PUBLISH: u8 = 50;
const REPLACE: u8 = 51;
const REVOKE: u8 = 52;
const LOG_KEY: u8 = 60;
const ISSUER_KEY: u8 = 61;

/// Name of a server's logs, as its operator is told.
fn name(server: &mut Server) -> String {
    server.pause();
    let shown = log::operator(server.data(), &["log-key", "show"]).text();
    server.revive(&[]);
    let key = shown.lines().find_map(|line| line.strip_prefix("server ")).expect("a key");
    key.split('+').next().expect("a name").to_owned()
}

/// The directory's leaves about keys of accounts and logs, read by somebody who has no account.
fn directory(server: &Server, name: &str) -> Vec<Leaf> {
    let mut leaves = log::served(server, &format!("{name}/directory"), None);
    leaves.retain(|leaf| leaf.kind != ISSUER_KEY);
    leaves
}

fn kinds(leaves: &[Leaf]) -> Vec<u8> {
    leaves.iter().map(|leaf| leaf.kind).collect()
}

fn account(machine: &Machine) -> [u8; 16] {
    let id = machine.ok(&["--output", "json", "whoami"]).json()["account_id"].clone();
    let hex = id.as_str().expect("an id").replace('-', "");
    data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal").try_into().expect("16 bytes")
}

/// Recovers an account on a machine that never saw it; the next kit.
fn recover(
    server: &Server,
    email: &str,
    kit: &std::path::Path,
    password: &str,
) -> (Machine, std::path::PathBuf) {
    let machine = Machine::new(server.endpoint());
    fs::create_dir_all(machine.config()).expect("a folder");
    let next = machine.config().join("next-kit.txt");
    let (old, new) = (kit.to_str().expect("plain path"), next.to_str().expect("plain path"));
    let args = ["recover", email, "--recovery-code-file", old, "--password-stdin", "--recovery-file", new];
    machine.ok_with(&args, password.as_bytes());
    machine.ok_with(&["login", email, "--password-stdin"], password.as_bytes());
    (machine, next)
}

/// What wraps a key: an environment that is new.
fn wrap(machine: &Machine, env: &str) -> veilcloud_tests::cli::Ran {
    machine.run_with(&["--output", "json", "storage", "put", "my-app", env, "-"], b"A=1\n")
}

#[test]
fn the_life_of_an_accounts_keys_is_public() {
    let mut server = Server::start();
    let name = name(&mut server);
    let alice = Machine::new(server.endpoint());
    let kit = alice.register("alice@example.com");
    // Published before the first login, by nothing but the registration.
    assert_eq!(kinds(&directory(&server, &name)), [PUBLISH]);
    alice.login("alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    assert_eq!(wrap(&alice, "production").code, 0);
    let id = account(&alice);

    let (second, _) = recover(&server, "alice@example.com", &kit, "a brand new password 7");
    assert_eq!(kinds(&directory(&server, &name)), [PUBLISH, REPLACE]);
    assert_eq!(second.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=1\n");
    // The first machine logs in again: what the directory says now is what the password unlocks.
    alice.ok_with(&["login", "alice@example.com", "--password-stdin"], b"a brand new password 7");
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=1\n");
    assert_eq!(wrap(&alice, "staging").code, 0);
    assert_eq!(second.ok(&["storage", "get", "my-app", "staging"]).stdout, b"A=1\n");

    second.ok_with(&["account", "delete", "--yes", "--password-stdin"], b"a brand new password 7");
    let leaves = directory(&server, &name);
    assert_eq!(kinds(&leaves), [PUBLISH, REPLACE, REVOKE]);
    assert!(leaves.iter().all(|leaf| leaf.actor == id), "all of them are about this account");
    assert_ne!(leaves[0].digest, leaves[1].digest, "the recovery made another bundle");
    assert_eq!(leaves[1].digest, leaves[2].digest, "what is revoked is what was there");
}

#[test]
fn keys_that_somebody_else_put_in_my_name_stop_all_wrapping_until_i_have_looked() {
    let server = Server::start();
    let alice = Machine::new(server.endpoint());
    let kit = alice.register("alice@example.com");
    alice.login("alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    // Two recoveries on machines that this one knows nothing of: the bundle between them is nobody's here.
    let (_first, next) = recover(&server, "alice@example.com", &kit, "a brand new password 7");
    let (_second, _) = recover(&server, "alice@example.com", &next, "a brand new password 8");
    let login = ["--output", "json", "login", "alice@example.com", "--password-stdin"];
    alice.run_with(&login, b"a brand new password 8");
    let ran = wrap(&alice, "production");
    assert_eq!((ran.code, ran.reason()), (INTEGRITY, "KEY_UNEXPECTED".to_owned()), "{}", ran.stderr);
    let look = alice.run(&["--output", "json", "audit", "monitor", "my-app", "--once"]);
    assert_eq!(look.code, INTEGRITY, "{}", look.stderr);
    assert_eq!(look.json()["findings"][0]["kind"], "key-unexpected", "{}", look.text());
    alice.ok(&["account", "trust-key", "--yes"]);
    let ran = wrap(&alice, "production");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn nothing_is_wrapped_to_a_bundle_that_was_put_in_anothers_place() {
    let mut server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    let _bob = Machine::with_account(server.endpoint(), "bob@example.com");
    let mut edit = |sql: &str| {
        server.pause();
        let database = Connection::open(server.data().join("veilcloud.db")).expect("open the database");
        let changed = database.execute(sql, params![]).unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!(changed, 1, "{sql}");
        drop(database);
        server.revive(&[]);
    };
    let who = |email: &str| format!("(SELECT id FROM accounts WHERE email = '{email}')");
    let (mine, others) = (who("alice@example.com"), who("bob@example.com"));
    edit("UPDATE accounts SET display_name = '' WHERE email = 'alice@example.com'");
    assert_eq!(wrap(&alice, "before").code, 0);
    // The other account's bundle, then with its leaf, too.
    for columns in ["bundle", "key_index"] {
        edit(&format!(
            "UPDATE accounts SET {columns} = (SELECT {columns} FROM accounts WHERE id = {others}) WHERE id = {mine}"
        ));
        let ran = wrap(&alice, "production");
        assert_eq!((ran.code, ran.stdout.len()), (INTEGRITY, 0), "{columns}: {}", ran.stderr);
        assert!(
            ["KEY_NOT_IN_DIRECTORY", "KEY_UNEXPECTED"].contains(&ran.reason().as_str()),
            "{}",
            ran.stderr
        );
    }
    edit(&format!("UPDATE accounts SET key_index = NULL WHERE id = {mine}"));
    let ran = wrap(&alice, "production");
    assert_eq!((ran.code, ran.reason()), (INTEGRITY, "KEY_NOT_IN_DIRECTORY".to_owned()), "{}", ran.stderr);
}

#[test]
fn a_log_key_is_rotated_and_who_was_there_follows() {
    let mut server = Server::start();
    let name = name(&mut server);
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    assert_eq!(wrap(&alice, "production").code, 0);
    let export = Export::of(&alice, "my-app");
    // This one goes away now and comes back when the old key signs nothing any more.
    let away = Machine::new(server.endpoint());
    away.login("alice@example.com");
    away.ok(&["storage", "get", "my-app", "production"]);
    let proof = export.beside("old.tlog-proof");
    fs::write(&proof, alice.ok(&["audit", "proof", "my-app", "2"]).stdout).expect("write");

    server.pause();
    let early = log::operator(server.data(), &["log-key", "rotate"]);
    assert_eq!(early.code, 0, "{}", early.stderr);
    let shown = log::operator(server.data(), &["log-key", "show"]).text();
    assert_eq!(shown.lines().filter(|line| line.starts_with("directory ")).count(), 2, "{shown}");
    let early = log::operator(server.data(), &["log-key", "retire"]);
    assert_eq!(early.code, 1, "the logs do not announce the new key yet: {}", early.stderr);
    server.revive(&[]);
    log::until("the directory announces the key", || kinds(&directory(&server, &name)).contains(&LOG_KEY));
    alice.login("alice@example.com");
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=1\n");
    let policy = alice.ok(&["audit", "policy", "my-app"]).text();
    assert_eq!(policy.lines().filter(|line| line.starts_with("log ")).count(), 2, "{policy}");
    let (token, origin) = log::token(&server, &alice, "my-app");
    let checkpoint = log::file(&server, &origin, "checkpoint", Some(&token)).body;
    let signed = String::from_utf8(checkpoint).expect("text").lines().filter(|l| l.starts_with('—')).count();
    assert_eq!(signed, 2, "both keys sign");

    server.pause();
    let retired = log::operator(server.data(), &["log-key", "retire"]);
    assert_eq!(retired.code, 0, "{}", retired.stderr);
    server.revive(&[]);
    assert_eq!(wrap(&alice, "production").code, 0);
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=1\n");
    let last = (log::events(&alice, "my-app").len() - 1).to_string();
    away.refused(&["storage", "get", "my-app", "production"], INTEGRITY, "LOG_KEY_CHANGED");
    away.refused(&["audit", "list", "my-app"], INTEGRITY, "LOG_KEY_CHANGED");
    let fresh = Machine::new(server.endpoint());
    fresh.login("alice@example.com");
    assert_eq!(fresh.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=1\n");

    // Old proofs hold for ever under the policy of their time; new ones do not hold under it.
    let auditor = Machine::new("http://127.0.0.1:1");
    let old = export.policy();
    let old = old.to_str().expect("plain path");
    auditor.ok(&["audit", "verify", proof.to_str().expect("plain path"), "--policy", old]);
    let newer = export.beside("new.tlog-proof");
    fs::write(&newer, alice.ok(&["audit", "proof", "my-app", &last]).stdout).expect("write");
    let newer = newer.to_str().expect("plain path");
    auditor.refused(&["audit", "verify", newer, "--policy", old], INTEGRITY, "LOG_PROOF_INVALID");
    let all = export.beside("all.txt");
    fs::write(&all, alice.ok(&["audit", "policy", "my-app"]).stdout).expect("write");
    auditor.ok(&["audit", "verify", newer, "--policy", all.to_str().expect("plain path")]);
}

#[test]
fn a_password_change_leaves_the_keys_as_they_are() {
    let mut server = Server::start();
    let name = name(&mut server);
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let both = format!("{PASSWORD}\na brand new password 7\n");
    alice.ok_with(&["password", "--password-stdin"], both.as_bytes());
    assert_eq!(kinds(&directory(&server, &name)), [PUBLISH]);
}
