//! Keys of programs against a real server: a machine without an account reads with a service token, until it is revoked, and
//! then nothing opens, whatever was kept.

use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use veilcloud_tests::{
    cli::{Machine, Ran},
    files,
    server::Server,
};

fn json(machine: &Machine, args: &[&str]) -> Value {
    let mut all = vec!["--output", "json"];
    all.extend(args);
    machine.ok(&all).json()
}

/// Alice with a project of two environments.
fn alice(server: &Server) -> Machine {
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    for environment in ["production", "staging"] {
        let content = format!("WHERE={environment}\n");
        alice.ok_with(&["storage", "put", "my-app", environment, "-"], content.as_bytes());
    }
    alice
}

/// A machine that has nothing but a token, in a file.
struct Program {
    machine: Machine,
    token: PathBuf,
}

impl Program {
    fn new(server: &Server, token: &str) -> Self {
        let machine = Machine::new(server.endpoint());
        std::fs::create_dir_all(machine.config()).expect("a folder");
        let file = machine.config().join("token");
        std::fs::write(&file, token).expect("written");
        Self { machine, token: file }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let token = self.token.to_str().expect("plain path");
        let mut all = vec!["--token-file", token, "--output", "json"];
        all.extend(args);
        self.machine.run(&all)
    }

    fn get(&self, environment: &str) -> Ran {
        let token = self.token.to_str().expect("plain path");
        self.machine.run(&["--token-file", token, "storage", "get", "my-app", environment])
    }

    fn reads(&self, environment: &str) -> bool {
        let got = self.get(environment);
        got.code == 0 && got.stdout == format!("WHERE={environment}\n").into_bytes()
    }

    fn refused(&self, args: &[&str]) -> (i32, String) {
        let ran = self.run(args);
        (ran.code, ran.reason())
    }
}

fn make(alice: &Machine, name: &str, more: &[&str]) -> String {
    let mut args = vec!["api-keys", "create", name, "my-app"];
    args.extend(more);
    alice.ok(&args).text().trim_end().to_owned()
}

#[test]
fn a_machine_without_an_account_reads_what_its_token_was_made_for_and_nothing_else() {
    let server = Server::start();
    let alice = alice(&server);
    let token = make(&alice, "ci", &["--env", "production"]);
    assert!(token.starts_with("vst_") && token.len() == 130, "{}", token.len());
    let ci = Program::new(&server, &token);
    assert!(ci.reads("production"), "{:?}", ci.get("production"));
    let mut run = ci.machine.command(&[
        "run",
        "my-app",
        "production",
        "--",
        "sh",
        "-c",
        "echo $WHERE-$VEILCLOUD_TOKEN",
    ]);
    let out = run.env("VEILCLOUD_TOKEN", &token).output().expect("runs");
    assert_eq!(String::from_utf8_lossy(&out.stdout), "production-\n", "{out:?}");

    let listed = |args: &[&str]| {
        let ran = ci.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.stderr);
        ran.json()
    };
    assert_eq!(listed(&["projects", "list"])["projects"][0]["name"], "my-app");
    assert_eq!(listed(&["envs", "list", "my-app"])["environments"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed(&["envs", "show", "my-app", "production"])["version"], 1);
    assert_eq!(listed(&["storage", "history", "my-app", "production"])["versions"][0]["verified"], true);
    assert_eq!(ci.run(&["export", "my-app", "--env", "production"]).stdout, b"WHERE=production\n");
    let (code, reason) = ci.refused(&["api-keys", "list"]);
    assert_eq!((code, reason.as_str()), (4, "NOT_LOGGED_IN"), "what is about an account takes a login");

    // Not in scope: neither the names of the server nor a key lead there.
    let (code, reason) = ci.refused(&["storage", "get", "my-app", "staging"]);
    assert_eq!((code, reason.as_str()), (5, "PERMISSION_DENIED"));
    let written = ci.machine.run_with(
        &["--token-file", ci.token.to_str().expect("plain"), "storage", "put", "my-app", "production", "-"],
        b"WHERE=elsewhere\n",
    );
    assert_ne!(written.code, 0, "a token writes nothing");
    // New content under the same key, and under the next one.
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"WHERE=production\n# 2\n");
    assert_eq!(ci.get("production").stdout, b"WHERE=production\n# 2\n");
    alice.ok(&["envs", "rotate", "my-app", "production"]);
    assert_eq!(ci.get("production").stdout, b"WHERE=production\n# 2\n", "sealed to the next key");
    // Each time the server helped is a line of the project's log that names the key.
    let listed = json(&alice, &["api-keys", "list"]);
    let key = &listed["api_keys"][0];
    assert_eq!((&key["name"], &key["kind"]), (&"ci".into(), &"token".into()), "{listed}");
    let events = json(&alice, &["audit", "list", "my-app"]);
    let unlocks: Vec<_> = events["events"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|event| event["kind"] == "key.unlock")
        .collect();
    assert!(unlocks.len() >= 3 && unlocks.iter().all(|event| event["api_key_id"] == key["id"]), "{events}");
}

/// The server's halves as they are stored.
fn stored_shares(server: &Server) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for path in files::below(server.data()) {
        let Ok(database) = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
            continue;
        };
        let Ok(mut select) = database.prepare("SELECT substr(share, 4097) FROM token_halves") else {
            continue;
        };
        let rows = select.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("rows");
        found.extend(rows.map(|share| share.expect("bytes")));
    }
    found
}

#[test]
fn a_revoked_token_opens_nothing_and_the_servers_half_is_in_no_file_any_more() {
    let server = Server::start();
    let alice = alice(&server);
    let ci = Program::new(&server, &make(&alice, "ci", &[]));
    assert!(ci.reads("production") && ci.reads("staging"));
    let shares = stored_shares(&server);
    assert_eq!(shares.len(), 1, "one token, one half");

    let revoked = json(&alice, &["api-keys", "revoke", "ci", "--yes"]);
    assert_eq!(revoked["rotated"], serde_json::json!(["production", "staging"]), "{revoked}");
    let open: Vec<_> =
        revoked["could_open"].as_array().expect("a list").iter().map(|it| &it["environment"]).collect();
    assert_eq!(open, ["production", "staging"]);
    for environment in ["production", "staging"] {
        let (code, reason) = ci.refused(&["storage", "get", "my-app", environment]);
        assert_eq!(code, 4, "{reason}");
    }
    assert_eq!(stored_shares(&server), Vec::<Vec<u8>>::new());
    for path in files::below(server.data()) {
        assert!(!files::contains(&path, &shares[0][..32]), "{} has the half", path.display());
    }
    // Whoever stays reads on.
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"WHERE=production\n");
    let again = json(&alice, &["api-keys", "list"]);
    assert!(again["api_keys"][0]["revoked_at"].is_string(), "{again}");
}

#[test]
fn a_rotated_token_and_the_one_before_both_read_while_they_overlap() {
    let server = Server::start();
    let alice = alice(&server);
    let first = Program::new(&server, &make(&alice, "ci", &["--env", "production"]));
    assert!(first.reads("production"));
    let second = alice.ok(&["api-keys", "rotate", "ci", "--overlap", "1h"]).text().trim_end().to_owned();
    let second = Program::new(&server, &second);
    assert!(second.reads("production"), "{:?}", second.get("production"));
    // A machine that has met the server, and one that has not.
    assert!(first.reads("production"), "{:?}", first.get("production"));
    let third = alice.ok(&["api-keys", "rotate", "ci", "--overlap", "0"]).text().trim_end().to_owned();
    let third = Program::new(&server, &third);
    assert!(third.reads("production"), "{:?}", third.get("production"));
    assert!(!second.reads("production") && !first.reads("production"));
}

#[test]
fn a_token_is_good_from_its_networks_only() {
    let server = Server::start();
    let alice = alice(&server);
    let elsewhere = Program::new(&server, &make(&alice, "far", &["--network", "192.0.2.0/24"]));
    assert!(!elsewhere.reads("production"));
    let here = Program::new(&server, &make(&alice, "near", &["--network", "127.0.0.0/8,::1/128"]));
    assert!(here.reads("production"), "{:?}", here.get("production"));
}

#[test]
fn an_api_key_that_opens_nothing_is_made_without_a_list() {
    let server = Server::start();
    let alice = alice(&server);
    let key = make(&alice, "metrics", &["--opens-nothing"]);
    assert!(key.starts_with("vck_") && key.len() == 86, "{}", key.len());
    assert_eq!(json(&alice, &["access", "list", "my-app"])["access"].as_array().map(Vec::len), Some(1));
    let ci = Program::new(&server, &key);
    let (code, _) = ci.refused(&["storage", "get", "my-app", "production"]);
    assert_eq!(code, 2, "it is no service token");
    alice.ok(&["api-keys", "revoke", "metrics", "--yes"]);
}
