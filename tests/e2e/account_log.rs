//! The log of an account, and that of a project which is gone, from outside: who may read them, and how far one can go
//! without the server.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;
use veilcloud_tests::{
    cli::{Machine, PASSWORD},
    log,
    rest::Answer,
    server::Server,
};

/// Exit code of what does not hold.
const INTEGRITY: i32 = 8;

fn plain(path: &Path) -> &str {
    path.to_str().expect("plain path")
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.reason())
}

/// The answer without what differs from call to call.
fn words(answer: &Answer) -> (u16, Value) {
    let mut words = answer.json();
    words["trace_id"] = Value::Null;
    words["instance"] = Value::Null;
    (answer.status, words)
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap_or_default()).collect()
}

fn listed(machine: &Machine, args: &[&str]) -> Vec<Value> {
    let all = machine.ok(&[&["--output", "json", "audit", "list"], args].concat()).json();
    all["events"].as_array().expect("a list").clone()
}

/// A project with one version of `production`, deleted; its id and its events before the end.
fn deleted(alice: &Machine) -> (String, Vec<Value>) {
    alice.ok(&["projects", "create", "my-app"]);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"N=1\n");
    let before = listed(alice, &["my-app"]);
    let said = alice.ok(&["--output", "json", "projects", "delete", "my-app", "--yes"]).json();
    (said["id"].as_str().expect("the id").to_owned(), before)
}

#[test]
fn a_person_lists_proves_exports_and_watches_what_happened_to_the_account() {
    let mut server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let both = format!("{PASSWORD}\na brand new password 7\n");
    alice.ok_with(&["password", "--password-stdin"], both.as_bytes());
    let events = listed(&alice, &["--account"]);
    assert_eq!(kinds(&events)[..2], ["auth.register", "auth.login"]);
    assert!(kinds(&events).contains(&"auth.password"), "{events:?}");
    let account = alice.ok(&["--output", "json", "whoami"]).json()["account_id"].clone();
    for (place, event) in (0_u64..).zip(&events) {
        assert_eq!((&event["index"], &event["actor_id"]), (&json!(place), &account));
    }
    let look = ["--output", "json", "audit", "monitor", "--account", "--once"];
    assert_eq!(alice.ok(&look).json()["findings"], json!([]));
    let lines = alice.ok(&["audit", "export", "--account", "--format", "ndjson"]).text();
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(lines, events);
    let array = alice.ok(&["audit", "export", "--account", "--format", "json"]).json();
    assert_eq!(array.as_array(), Some(&events));

    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("e1.tlog-proof"), alice.ok(&["audit", "proof", "--account", "1"]).stdout).expect("write");
    fs::write(at("policy.txt"), alice.ok(&["audit", "policy", "--account"]).stdout).expect("write");
    alice.refused(&["audit", "proof", "--account", "999"], 3, "LOG_INDEX_UNKNOWN");
    let bundle = ["audit", "export", "--account", "--format", "bundle", "--output"];
    alice.ok(&[&bundle[..], &[plain(&at("log"))]].concat());
    server.pause();

    // Years later, on a machine that never met the server.
    let auditor = Machine::new("http://127.0.0.1:1");
    let (proof, policy) = (at("e1.tlog-proof"), at("policy.txt"));
    let verify = ["--output", "json", "audit", "verify", plain(&proof), "--policy", plain(&policy)];
    let said = auditor.ok(&verify).json();
    assert_eq!((&said["proven"], &said["event"]["kind"]), (&json!(true), &json!("auth.login")));
    let origin = said["origin"].as_str().expect("an origin");
    assert!(origin.ends_with(&format!("/account/{}", account.as_str().expect("an id"))), "{origin}");
    let log = at("log");
    let fsck = ["--output", "json", "audit", "fsck", plain(&log), "--policy", plain(&policy)];
    assert_eq!(auditor.ok(&fsck).json()["log_size"], events.len());
    log::flip(&at(&format!("log/tile/entries/000.p/{}", events.len())), 100);
    assert_eq!(auditor.run(&fsck).code, INTEGRITY);
}

#[test]
fn an_account_s_log_is_had_by_curl_and_by_nobody_else() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let bob = Machine::with_account(server.endpoint(), "bob@example.com");
    let get =
        |machine: &Machine, path: &str| machine.rest("GET", &format!("/v1/users/me/log{path}"), None, &[]);
    let described = get(&alice, "").json();
    let account = alice.ok(&["--output", "json", "whoami"]).json()["account_id"].clone();
    let account = account.as_str().expect("an id");
    assert!(
        described["origin"].as_str().is_some_and(|origin| origin.ends_with(&format!("/account/{account}")))
    );
    let policy = alice.ok(&["audit", "policy", "--account"]).text();
    // The server names its keys; that no witness is asked for is the client's to say.
    let served = described["policy"].as_str().expect("a text");
    assert_eq!(policy, format!("{served}quorum none\n"));

    let first = get(&alice, "/events?page_size=1").json();
    assert_eq!(
        (&first["events"][0]["kind"], &first["events"][0]["actorId"]),
        (&json!("auth.register"), &json!(account))
    );
    let token = first["nextPageToken"].as_str().expect("there is more");
    let second = get(&alice, &format!("/events?page_size=1&page_token={token}")).json();
    assert_eq!(second["events"][0]["kind"], "auth.login");
    // A page token is of the person it was given to.
    let stolen = get(&bob, &format!("/events?page_size=1&page_token={token}"));
    assert_eq!(refusal(&stolen), (400, "PAGE_TOKEN_INVALID".into()));
    assert_eq!(
        get(&bob, "/events").json()["events"]
            .as_array()
            .map(|all| all.iter().all(|e| e["actorId"] != account)),
        Some(true)
    );

    let proof = get(&alice, "/proof/1?log_size=1").json();
    assert_eq!(proof["proof"]["index"], "1");
    assert!(proof["proof"]["consistency"].as_array().is_some_and(|path| !path.is_empty()), "{proof}");
    assert!(proof["file"].as_str().is_some_and(|file| file.starts_with("c2sp.org/tlog-proof@v1\n")));
    assert_eq!(refusal(&get(&alice, "/proof/9999")), (404, "LOG_INDEX_UNKNOWN".into()));
    let text = get(&alice, "/export?first=1");
    assert_eq!((text.status, text.header("content-type")), (200, Some("application/x-ndjson")));
    let body = String::from_utf8(text.body).expect("text");
    let first: Value = serde_json::from_str(body.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["index"], &first["kind"]), (&json!(1), &json!("auth.login")));
    assert_eq!(get(&alice, "/export?format=xml").status, 400);
    for path in ["", "/events", "/proof/1", "/export", "/file?path=checkpoint"] {
        let url = format!("{}/v1/users/me/log{path}", server.endpoint());
        let stranger = veilcloud_tests::rest::get(&url).expect("an answer");
        assert_eq!(refusal(&stranger), (401, "CREDENTIAL_MISSING".into()), "{path}");
    }
}

#[test]
fn the_log_of_a_deleted_project_is_read_by_its_last_owner_as_before() {
    let mut server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let (id, before) = deleted(&alice);
    let events = listed(&alice, &[&id]);
    assert_eq!(events[..before.len()], before);
    assert_eq!(kinds(&events[before.len()..]), ["project.delete"]);
    // Another project of the name is another one, with a log of its own.
    alice.ok(&["projects", "create", "my-app"]);
    assert_eq!(kinds(&listed(&alice, &["my-app"])), ["project.create"]);
    let look = ["--output", "json", "audit", "monitor", &id, "--once"];
    assert_eq!(alice.ok(&look).json()["findings"], json!([]));
    assert_eq!(alice.ok(&["audit", "export", &id]).text().lines().count(), events.len());

    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let last = (events.len() - 1).to_string();
    fs::write(at("end.tlog-proof"), alice.ok(&["audit", "proof", &id, &last]).stdout).expect("write");
    fs::write(at("policy.txt"), alice.ok(&["audit", "policy", &id]).stdout).expect("write");
    alice.ok(&["audit", "export", &id, "--format", "bundle", "--output", plain(&at("log"))]);
    // What is gone stays gone, and the server remembers whose it was over a restart.
    server.pause();
    server.revive(&[]);
    assert_eq!(listed(&alice, &[&id]), events);
    let project = alice.rest("GET", &format!("/v1/projects/{id}"), None, &[]);
    assert_eq!(refusal(&project), (403, "PERMISSION_DENIED".into()));
    server.pause();
    let auditor = Machine::new("http://127.0.0.1:1");
    let (proof, policy, log) = (at("end.tlog-proof"), at("policy.txt"), at("log"));
    let verify = ["--output", "json", "audit", "verify", plain(&proof), "--policy", plain(&policy)];
    assert_eq!(auditor.ok(&verify).json()["event"]["kind"], "project.delete");
    let fsck = ["--output", "json", "audit", "fsck", plain(&log), "--policy", plain(&policy)];
    assert_eq!(auditor.ok(&fsck).json()["log_size"], events.len());
}

#[test]
fn a_deleted_project_of_somebody_else_is_refused_like_an_id_that_never_was() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let bob = Machine::with_account(server.endpoint(), "bob@example.com");
    let (gone, _) = deleted(&alice);
    alice.ok(&["projects", "create", "there"]);
    let there = alice.ok(&["--output", "json", "projects", "show", "there"]).json();
    let there = there["id"].as_str().expect("an id").to_owned();
    let never = "01920000-0000-7000-8000-00000000000a";
    for path in ["", "/proof/0", "/export", "/log", "/file?path=checkpoint"] {
        let ask =
            |machine: &Machine, id: &str| machine.rest("GET", &format!("/v1/audit/{id}{path}"), None, &[]);
        let nothing = words(&ask(&bob, never));
        assert_eq!(nothing.0, 403, "{path}");
        assert_eq!(words(&ask(&bob, &gone)), nothing, "{path}");
        assert_eq!(words(&ask(&bob, &there)), nothing, "{path}");
        assert_eq!(ask(&alice, &gone).status, 200, "{path}");
    }
    bob.refused(&["audit", "list", &gone], 5, "PERMISSION_DENIED");
    bob.refused(&["audit", "list", never], 5, "PERMISSION_DENIED");
}
