//! A project of several people: each on a machine of their own, against a real server.

use serde_json::Value;
use veilcloud_tests::{cli::Machine, server::Server};

fn json(machine: &Machine, args: &[&str]) -> Value {
    let mut all = vec!["--output", "json"];
    all.extend(args);
    machine.ok(&all).json()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn put(machine: &Machine, project: &str, content: &[u8]) {
    machine.ok_with(&["storage", "put", project, "production", "-"], content);
}

fn get(machine: &Machine, project: &str) -> Vec<u8> {
    machine.ok(&["storage", "get", project, "production"]).stdout
}

/// Alice's project with one version, shared with a team that Bob is in; its id.
fn shared(server: &Server, permissions: &str) -> (Machine, Machine, String) {
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let bob = Machine::with_account(server.endpoint(), "bob@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    put(&alice, "my-app", b"SECRET=1\n");
    alice.ok(&["teams", "create", "crew"]);
    alice.ok(&["teams", "add", "crew", "bob@example.com"]);
    alice.ok(&["share", "add", "my-app", "crew", "--permissions", permissions, "--yes"]);
    let listed = json(&bob, &["projects", "list"]);
    let id = text(&listed["projects"][0]["id"]);
    (alice, bob, id)
}

#[test]
fn a_team_reads_and_writes_what_is_shared_until_somebody_is_taken_out() {
    let server = Server::start();
    let (alice, bob, id) = shared(&server, "project:read,project:write");
    assert_eq!(get(&bob, &id), b"SECRET=1\n", "with the key that was handed on");
    put(&bob, &id, b"SECRET=2\n");
    assert_eq!(get(&alice, "my-app"), b"SECRET=2\n", "what he wrote");
    let history = json(&alice, &["storage", "history", "my-app", "production"]);
    let verified = history["versions"].as_array().expect("a list").iter();
    assert!(verified.map(|version| &version["verified"]).all(|it| *it == true), "{history}");

    let report = json(&alice, &["offboard", "bob@example.com", "--yes"]);
    let project = &report["projects"][0];
    assert_eq!(project["rotated"], serde_json::json!(["production"]), "{report}");
    let exposure = &project["exposure"];
    let environment = &exposure["environments"][0];
    assert_eq!(
        (exposure["log_read"].clone(), text(&environment["environment"])),
        (true.into(), "production".into())
    );
    assert_eq!((&environment["could_open"], &environment["read"]), (&2.into(), &serde_json::json!([1])));

    bob.refused(&["storage", "get", &id, "production"], 5, "PERMISSION_DENIED");
    let denied = bob.run_with(&["--json", "storage", "put", &id, "production", "-"], b"SECRET=3\n");
    assert_eq!((denied.code, denied.reason().as_str()), (5, "PERMISSION_DENIED"), "{}", denied.stderr);
    assert_eq!(get(&alice, "my-app"), b"SECRET=2\n", "sealed anew");
    assert_eq!(json(&alice, &["envs", "show", "my-app", "production"])["epoch"], 2);
    // Done is done.
    let again = json(&alice, &["offboard", "bob@example.com", "--yes"]);
    assert_eq!((&again["teams"], &again["projects"]), (&serde_json::json!([]), &serde_json::json!([])));
}

#[test]
fn a_reader_does_not_write_and_who_joins_later_is_let_in_by_sync() {
    let server = Server::start();
    let (alice, bob, id) = shared(&server, "project:read");
    assert_eq!(get(&bob, &id), b"SECRET=1\n");
    let denied = bob.run_with(&["--json", "storage", "put", &id, "production", "-"], b"SECRET=2\n");
    assert_eq!((denied.code, denied.reason().as_str()), (5, "PERMISSION_DENIED"), "{}", denied.stderr);

    let carol = Machine::with_account(server.endpoint(), "carol@example.com");
    alice.ok(&["teams", "add", "crew", "carol@example.com"]);
    // In the team, and in no list that anybody signed.
    carol.refused(&["storage", "get", &id, "production"], 5, "PERMISSION_DENIED");
    // Nobody is let in whom nobody has looked at.
    let asked = alice.refused(&["share", "sync", "my-app"], 2, "INPUT_NEEDED");
    assert!(asked.stderr.contains("through team"), "{}", asked.stderr);
    carol.refused(&["storage", "get", &id, "production"], 5, "PERMISSION_DENIED");
    let synced = json(&alice, &["share", "sync", "my-app", "--yes"]);
    assert_eq!((&synced["keys_added"], &synced["access_list"]), (&1.into(), &2.into()), "{synced}");
    assert_eq!(get(&carol, &id), b"SECRET=1\n");
    let again = json(&alice, &["share", "sync", "my-app"]);
    assert_eq!((&again["keys_added"], &again["access_list"]), (&0.into(), &2.into()), "{again}");
    let access = json(&carol, &["access", "list", &id]);
    assert_eq!(access["access"].as_array().map(Vec::len), Some(3), "{access}");
}

#[test]
fn after_an_unshare_and_a_share_who_stayed_goes_on_and_makes_keys_for_others() {
    let server = Server::start();
    let (alice, bob, id) = shared(&server, "project:read,project:write");
    let carol = Machine::with_account(server.endpoint(), "carol@example.com");
    alice.ok(&["teams", "add", "crew", "carol@example.com"]);
    alice.ok(&["share", "sync", "my-app", "--yes"]);
    assert_eq!(get(&carol, &id), b"SECRET=1\n");
    alice.ok(&["share", "remove", "my-app", "crew"]);
    bob.refused(&["storage", "get", &id, "production"], 5, "PERMISSION_DENIED");
    alice.ok(&["teams", "remove", "crew", "bob@example.com"]);
    alice.ok(&["share", "add", "my-app", "crew", "--permissions", "project:read,project:write", "--yes"]);
    put(&carol, &id, b"SECRET=3\n");
    assert_eq!(get(&alice, "my-app"), b"SECRET=3\n");
    carol.ok(&["envs", "rotate", &id, "production"]);
    // Under the key that Carol made.
    put(&alice, "my-app", b"SECRET=4\n");
    assert_eq!(get(&carol, &id), b"SECRET=4\n");
}

#[test]
fn who_is_offboarded_is_out_also_of_what_a_team_of_somebody_else_gave() {
    let server = Server::start();
    let [alice, bob, carol] = ["alice@example.com", "bob@example.com", "carol@example.com"]
        .map(|who| Machine::with_account(server.endpoint(), who));
    carol.ok(&["teams", "create", "guests"]);
    carol.ok(&["teams", "add", "guests", "alice@example.com"]);
    carol.ok(&["teams", "add", "guests", "bob@example.com"]);
    alice.ok(&["projects", "create", "my-app"]);
    put(&alice, "my-app", b"SECRET=1\n");
    alice.ok(&["share", "add", "my-app", "guests", "--yes"]);
    let id = text(&json(&bob, &["projects", "list"])["projects"][0]["id"]);
    assert_eq!(get(&bob, &id), b"SECRET=1\n");
    alice.ok(&["offboard", "bob@example.com", "--yes"]);
    bob.refused(&["storage", "get", &id, "production"], 5, "PERMISSION_DENIED");
    assert_eq!(get(&carol, &id), b"SECRET=1\n");
    // Still in Carol's team: proposed, and not let in again.
    alice.refused(&["share", "sync", "my-app"], 2, "INPUT_NEEDED");
    bob.refused(&["storage", "get", &id, "production"], 5, "PERMISSION_DENIED");
}

#[test]
fn who_owns_a_project_is_not_said_to_be_out_of_it() {
    let server = Server::start();
    let [alice, bob] =
        ["alice@example.com", "bob@example.com"].map(|who| Machine::with_account(server.endpoint(), who));
    alice.ok(&["teams", "create", "crew"]);
    alice.ok(&["teams", "add", "crew", "bob@example.com"]);
    bob.ok(&["projects", "create", "bobs-app"]);
    put(&bob, "bobs-app", b"SECRET=1\n");
    bob.ok(&[
        "share",
        "add",
        "bobs-app",
        "crew",
        "--permissions",
        "project:read,project:write,project:share",
        "--yes",
    ]);
    alice.refused(&["offboard", "bob@example.com", "--yes"], 5, "STILL_IN");
}

#[test]
fn who_may_share_and_not_write_shuts_out_and_leaves_the_keys_to_who_may() {
    let server = Server::start();
    let (alice, bob, id) = shared(&server, "project:read,project:share");
    let carol = Machine::with_account(server.endpoint(), "carol@example.com");
    alice.ok(&["teams", "add", "crew", "carol@example.com"]);
    alice.ok(&["share", "sync", "my-app", "--yes"]);
    assert_eq!(get(&carol, &id), b"SECRET=1\n");
    let carols = text(&json(&carol, &["whoami"])["account_id"]);
    let ran = bob.run(&["--output", "json", "offboard", &carols, "--yes"]);
    assert_eq!((ran.code, ran.reason()), (10, "INCOMPLETE".to_owned()), "{}", ran.stderr);
    let report = ran.json();
    let left = &report["projects"][0]["unfinished"][0];
    assert_eq!(
        (&left["step"], &left["reason"]),
        (&"new-key".into(), &"PERMISSION_DENIED".into()),
        "{report}"
    );
    // She is out, nothing is sealed to the key that she has, and who may write finishes it.
    carol.refused(&["storage", "get", &id, "production"], 5, "PERMISSION_DENIED");
    assert_eq!(json(&alice, &["envs", "show", "my-app", "production"])["epoch"], 1);
    let finished = json(&alice, &["offboard", "carol@example.com", "--yes"]);
    assert_eq!(finished["projects"][0]["rotated"], serde_json::json!(["production"]), "{finished}");
    assert_eq!(finished["projects"][0]["exposure"]["environments"][0]["could_open"], 1, "{finished}");
    assert_eq!(get(&bob, &id), b"SECRET=1\n");
}
