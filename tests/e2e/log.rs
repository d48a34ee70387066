//! The log of a project from outside: what becomes a leaf, the commands around it, its files over HTTP.

use std::{fs, path::Path};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use veilcloud_tests::{
    cli::{Machine, PASSWORD},
    files,
    log::{self, Export},
    rest::{self, Answer},
    server::Server,
};

/// Exit code of what does not hold.
const INTEGRITY: i32 = 8;

/// A server and a project with two versions of `production`, the newest read once: six leaves, for who writes a second
/// version reads the first.
fn scene() -> (Server, Machine) {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    for n in 1..=2 {
        alice.ok_with(&["storage", "put", "my-app", "production", "-"], format!("N={n}\n").as_bytes());
    }
    alice.ok(&["storage", "get", "my-app", "production"]);
    log::until("the read is a leaf", || log::kinds(&alice, "my-app").len() == 6);
    (server, alice)
}

fn project_id(machine: &Machine, project: &str) -> String {
    let all = machine.ok(&["--output", "json", "projects", "list"]).json();
    let one = all["projects"].as_array().expect("a list").iter().find(|p| p["name"] == project);
    one.and_then(|p| p["id"].as_str()).expect("the project has an id").to_owned()
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("plain path")
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.reason())
}

#[test]
fn every_change_is_a_leaf_before_its_answer_and_every_read_soon_after() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let mut expected = Vec::new();
    // The command came back: whoever looks now finds its leaves, and nothing else.
    let mut change = |project: &str, args: &[&str], input: &[u8], adds: &[&str]| {
        alice.ok_with(args, input);
        expected.extend(adds.iter().map(|&kind| kind.to_owned()));
        assert_eq!(log::kinds(&alice, project), expected, "{args:?}");
    };
    let put = ["storage", "put", "my-app", "production", "-"];
    change("my-app", &["projects", "create", "my-app"], b"", &["project.create"]);
    change("my-app", &["envs", "create", "my-app", "production"], b"", &["env.create"]);
    change("my-app", &put, b"A=1\n", &["blob.put"]);
    change("my-app", &put, b"A=2\n", &["blob.read", "blob.put"]);
    let rotated = ["key.rotate", "blob.read", "blob.put"];
    change("my-app", &["envs", "rotate", "my-app", "production"], b"", &rotated);
    let cloned = ["env.clone", "blob.read", "blob.put"];
    change("my-app", &["envs", "clone", "my-app", "production", "staging"], b"", &cloned);
    change("my-app", &["storage", "delete", "my-app", "staging", "--yes"], b"", &["blob.delete"]);
    change("my-app", &["envs", "delete", "my-app", "staging", "--yes"], b"", &["env.delete"]);
    change("shop", &["projects", "rename", "my-app", "shop"], b"", &["project.update"]);

    // The newest version, then the first by its number: each read has a leaf that says which one was given out.
    alice.ok(&["storage", "get", "shop", "production"]);
    log::until("the read is a leaf", || log::kinds(&alice, "shop").len() == expected.len() + 1);
    alice.ok(&["storage", "get", "shop", "production", "--version", "1"]);
    log::until("the read is a leaf", || log::kinds(&alice, "shop").len() == expected.len() + 2);
    let events = log::events(&alice, "shop");
    let reads: Vec<_> = events[expected.len()..]
        .iter()
        .map(|e| (e["kind"].as_str(), e["version"].as_u64(), e["by_number"].as_bool()))
        .collect();
    let read = |version, by_number| (Some("blob.read"), Some(version), Some(by_number));
    assert_eq!(reads, [read(3, false), read(1, true)]);
    for (place, event) in (0_u64..).zip(&events) {
        assert_eq!(event["index"], place, "the indexes are dense");
    }
    let put =
        events.iter().find(|e| e["version"] == 1 && e["kind"] == "blob.put").expect("the first version");
    let last = events.last().expect("the read of the first version");
    assert_eq!(put["digest"], last["digest"], "what was read is what was written");

    // The end of a project is in its log, too; whoever has a token reads it there.
    let (token, origin) = log::token(&server, &alice, "shop");
    alice.ok(&["projects", "delete", "shop", "--yes"]);
    let leaves = log::served(&server, &origin, Some(&token));
    assert_eq!(leaves.len(), events.len() + 1);
    assert_eq!(leaves.last().map(|leaf| leaf.kind), Some(22));
}

#[test]
fn a_read_just_before_the_server_is_stopped_is_in_the_log() {
    let (mut server, alice) = scene();
    let before = log::kinds(&alice, "my-app").len();
    alice.ok(&["storage", "get", "my-app", "production"]);
    server.pause();
    let database = Connection::open(server.data().join("veilcloud.db")).expect("open the database");
    let left: i64 = database.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)).expect("count");
    drop(database);
    assert_eq!(left, 0, "nothing waits for the next start: {}", server.log());
    server.revive(&[]);
    assert_eq!(log::kinds(&alice, "my-app").len(), before + 1);
}

#[test]
fn what_happens_to_an_account_is_in_a_log_of_its_own() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let both = format!("{PASSWORD}\na brand new password 7\n");
    alice.ok_with(&["password", "--password-stdin"], both.as_bytes());
    let file = |path: &str| {
        let answer = alice.rest("GET", &format!("/v1/users/me/log/file?path={path}"), None, &[]);
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        BASE64.decode(answer.json()["data"].as_str().expect("bytes").as_bytes()).expect("base64")
    };
    let size = log::size(&file("checkpoint"));
    let kinds: Vec<_> =
        log::leaves(&file(&format!("tile/entries/000.p/{size}"))).iter().map(|leaf| leaf.kind).collect();
    assert_eq!(kinds[..2], [1, 2], "registered, logged in");
    assert!(kinds.contains(&6), "the password was changed: {kinds:?}");
    // It is the account's and nobody else's: no token opens it.
    alice.ok(&["projects", "create", "my-app"]);
    let (token, origin) = log::token(&server, &alice, "my-app");
    let account = alice.ok(&["--output", "json", "whoami"]).json()["account_id"].clone();
    let name = origin.split_once("/project/").expect("an origin").0;
    let origin = format!("{name}/account/{}", account.as_str().expect("an id"));
    let answer = log::file(&server, &origin, "checkpoint", Some(&token));
    assert_eq!(refusal(&answer), (401, "LOG_TOKEN_INVALID".into()));
}

#[test]
fn a_proof_is_verified_while_the_server_is_stopped_and_no_neighbour_of_it_is() {
    let (mut server, alice) = scene();
    alice.ok(&["projects", "create", "other"]);
    let folder = TempDir::new().expect("a folder");
    let write = |name: &str, args: &[&str]| {
        let file = folder.path().join(name);
        fs::write(&file, alice.ok(args).stdout).expect("write");
        file
    };
    let proof = write("e2.tlog-proof", &["audit", "proof", "my-app", "2"]);
    let policy = write("policy.txt", &["audit", "policy", "my-app"]);
    let other = write("other.txt", &["audit", "policy", "other"]);
    alice.refused(&["audit", "proof", "my-app", "99"], 3, "LOG_INDEX_UNKNOWN");
    let (proof, policy, other) = (plain(&proof), plain(&policy), plain(&other));
    server.pause();

    // Somebody who never met the server, with the policy; and the machine that pinned the server at its first contact.
    let auditor = Machine::new("http://127.0.0.1:1");
    let said = auditor.ok(&["--output", "json", "audit", "verify", proof, "--policy", policy]).json();
    assert_eq!((&said["proven"], &said["event"]["index"]), (&json!(true), &json!(2)));
    assert_eq!((&said["event"]["kind"], &said["event"]["version"]), (&json!("blob.put"), &json!(1)));
    alice.ok(&["audit", "verify", proof]);
    auditor.ok_with(&["audit", "verify", "-", "--policy", policy], &fs::read(proof).expect("read"));
    auditor.refused(&["audit", "verify", proof, "--policy", other], INTEGRITY, "LOG_PROOF_INVALID");

    let good = fs::read(proof).expect("read");
    let bad = folder.path().join("bad.tlog-proof");
    for at in (0..good.len()).step_by(7).chain([good.len() - 1]) {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&bad, bytes).expect("write");
        let ran = auditor.run(&["--output", "json", "audit", "verify", plain(&bad), "--policy", policy]);
        assert_eq!((ran.code, ran.stdout.len()), (INTEGRITY, 0), "byte {at}: {}", ran.stderr);
    }
    for len in [0, 1, good.len() / 2, good.len() - 1] {
        fs::write(&bad, &good[..len]).expect("write");
        auditor.refused(
            &["audit", "verify", plain(&bad), "--policy", policy],
            INTEGRITY,
            "LOG_PROOF_INVALID",
        );
    }
}

#[test]
fn the_whole_trail_is_exported_as_text() {
    let (server, alice) = scene();
    let listed = log::events(&alice, "my-app");
    let lines = alice.ok(&["audit", "export", "my-app"]).text();
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(lines, listed);
    let array = alice.ok(&["audit", "export", "my-app", "--format", "json"]).json();
    assert_eq!(array.as_array(), Some(&listed));
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("events.ndjson");
    alice.ok(&["audit", "export", "my-app", "--format", "ndjson", "--output", plain(&file)]);
    assert_eq!(fs::read_to_string(&file).expect("read").lines().count(), listed.len());

    let path = format!("/v1/audit/{}/export", project_id(&alice, "my-app"));
    let text = alice.rest("GET", &format!("{path}?format=ndjson"), None, &[]);
    assert_eq!((text.status, text.header("content-type")), (200, Some("application/x-ndjson")));
    let body = String::from_utf8(text.body).expect("text");
    let entries: Vec<_> = body
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).expect("JSON")["entry"].clone())
        .map(|e| HEXLOWER.encode(&BASE64.decode(e.as_str().expect("bytes").as_bytes()).expect("base64")))
        .collect();
    let expected: Vec<_> = listed.iter().map(|e| e["entry"].as_str().unwrap_or_default()).collect();
    assert_eq!(entries, expected);
    let array = alice.rest("GET", &format!("{path}?format=json&first=3"), None, &[]);
    assert_eq!(array.header("content-type"), Some("application/json"));
    let array = array.json();
    assert_eq!(array.as_array().map(Vec::len), Some(listed.len() - 3));
    assert_eq!(array[0]["index"], 3);
    let other = alice.rest("GET", &format!("{path}?format=xml"), None, &[]);
    assert_eq!(other.status, 400, "{}", String::from_utf8_lossy(&other.body));
    let stranger = rest::get(&format!("{}{path}", server.endpoint())).expect("an answer");
    assert_eq!(refusal(&stranger), (401, "CREDENTIAL_MISSING".into()));
}

#[test]
fn an_exported_log_is_checked_offline_and_brought_up_to_date() {
    let (mut server, alice) = scene();
    let export = Export::of(&alice, "my-app");
    let (dir, policy) = (export.log(), export.policy());
    let again = ["audit", "export", "my-app", "--format", "bundle", "--output", plain(&dir)];
    let fsck = ["--output", "json", "audit", "fsck", plain(&dir), "--policy", plain(&policy)];
    let auditor = Machine::new("http://127.0.0.1:1");
    assert_eq!(auditor.ok(&fsck).json()["log_size"], 6);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"N=3\n");
    alice.ok(&again);
    server.pause();
    let said = auditor.ok(&fsck).json();
    assert_eq!((&said["ok"], &said["log_size"]), (&json!(true), &json!(8)));
    assert_eq!(auditor.ok(&["--output", "json", "audit", "verify", plain(&dir)]).json()["ok"], true);

    for file in files::below(&dir) {
        let name = file.strip_prefix(&dir).expect("below").to_str().expect("plain path").to_owned();
        // Files of the smaller size are not part of the log any more; the policy beside the folder is the one that counts.
        if name.contains(".p/6") || name == "policy.txt" || name == "key.vkey" {
            continue;
        }
        let len = fs::metadata(&file).expect("there").len();
        for at in [0, len / 2, len - 1] {
            let at = usize::try_from(at).expect("small");
            log::flip(&file, at);
            let ran = auditor.run(&fsck);
            assert_eq!(ran.code, INTEGRITY, "{name}, byte {at}: {}", ran.stderr);
            assert_eq!(ran.json()["finding"]["path"], name.as_str(), "byte {at}");
            log::flip(&file, at);
        }
    }
    auditor.ok(&fsck);
}

#[test]
fn a_monitor_finds_nothing_in_a_log_where_all_is_well() {
    let (_server, alice) = scene();
    let look = ["--output", "json", "audit", "monitor", "my-app", "--once"];
    let first = alice.ok(&look).json();
    assert_eq!((&first["log_size"], &first["findings"]), (&json!(6), &json!([])));
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"N=3\n");
    alice.ok(&["envs", "rotate", "my-app", "production"]);
    let second = alice.ok(&look).json();
    assert_eq!((&second["log_size"], &second["findings"]), (&json!(11), &json!([])));
    assert!(!alice.config().join("evidence").exists(), "there is nothing to keep");
}

#[test]
fn a_proof_is_had_and_checked_by_curl() {
    let (server, alice) = scene();
    let id = project_id(&alice, "my-app");
    let answer = alice.rest("GET", &format!("/v1/audit/{id}/proof/2?log_size=3"), None, &[]);
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    let file = answer["file"].as_str().expect("a proof file").to_owned();
    assert_eq!(answer["proof"]["index"], "2");
    assert!(answer["proof"]["consistency"].as_array().is_some_and(|path| !path.is_empty()), "{answer}");
    let missing = alice.rest("GET", &format!("/v1/audit/{id}/proof/6"), None, &[]);
    assert_eq!(refusal(&missing), (404, "LOG_INDEX_UNKNOWN".into()));
    let strange = alice.rest("GET", &format!("/v1/audit/{id}/proof/-1"), None, &[]);
    assert_eq!(strange.status, 400);
    let stranger = Machine::with_account(server.endpoint(), "bob@example.com");
    let refused = stranger.rest("GET", &format!("/v1/audit/{id}/proof/2"), None, &[]);
    assert_eq!(refusal(&refused), (403, "PERMISSION_DENIED".into()));

    let policy = alice.ok(&["audit", "policy", "my-app"]).text();
    let described = alice.rest("GET", &format!("/v1/audit/{id}/log"), None, &[]).json();
    assert!(policy.starts_with(&format!("log {}", described["keys"][0].as_str().expect("a key"))));
    let folder = TempDir::new().expect("a folder");
    let body = folder.path().join("body.json");
    let url = format!("{}/v1/audit/verify", server.endpoint());
    let verify = |file: &str, policy: &str| {
        fs::write(&body, json!({ "file": file, "policy": policy }).to_string()).expect("write");
        let data = format!("@{}", body.display());
        rest::curl(&["--header", "content-type: application/json", "--data-binary", &data, &url])
            .expect("curl")
    };
    let good = verify(&file, &policy);
    assert_eq!(good.status, 200, "{}", String::from_utf8_lossy(&good.body));
    let said = good.json();
    assert_eq!((&said["index"], &said["logSize"]), (&json!("2"), &json!("6")));
    assert_eq!(said["event"]["kind"], "blob.put");
    for (file, policy, (status, reason)) in [
        (file.replace("index 2", "index 1"), policy.clone(), (422, "LOG_PROOF_INVALID")),
        (file.replace("extra Aig", "extra Aio"), policy.clone(), (422, "LOG_PROOF_INVALID")),
        (file[..file.len() - 20].to_owned(), policy.clone(), (422, "LOG_PROOF_INVALID")),
        (file.clone(), policy.replace("/project/", "/account/"), (400, "LOG_POLICY_INVALID")),
        (file.clone(), "quorum nobody\n".to_owned(), (400, "LOG_POLICY_INVALID")),
        (file.replace('\n', "\r\n"), policy.clone(), (400, "FIELD_INVALID")),
    ] {
        assert_eq!(refusal(&verify(&file, &policy)), (status, reason.into()), "{policy}");
    }
}

#[test]
fn the_files_of_a_log_are_served_to_whoever_has_its_token() {
    let (server, alice) = scene();
    alice.ok(&["projects", "create", "other"]);
    let (token, origin) = log::token(&server, &alice, "my-app");
    let (foreign, _) = log::token(&server, &alice, "other");
    let get = |path: &str, token: Option<&str>| log::file(&server, &origin, path, token);

    let checkpoint = get("checkpoint", Some(&token));
    assert_eq!((checkpoint.status, log::size(&checkpoint.body)), (200, 6));
    assert_eq!(checkpoint.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(checkpoint.header("cache-control"), Some("private, max-age=1"));
    let tile = get("tile/0/000.p/6", Some(&token));
    assert_eq!((tile.status, tile.body.len()), (200, 6 * 32));
    assert_eq!(tile.header("content-type"), Some("application/octet-stream"));
    assert_eq!(tile.header("cache-control"), Some("private, max-age=31536000, immutable"));
    let kinds: Vec<_> = log::served(&server, &origin, Some(&token)).iter().map(|leaf| leaf.kind).collect();
    assert_eq!(kinds, [20, 30, 40, 42, 40, 42]);

    for path in ["checkpoint", "tile/0/000.p/6", "tile/entries/000.p/6"] {
        for wrong in [None, Some(foreign.as_str()), Some(""), Some("vlt_"), Some(&token[..token.len() - 1])] {
            let answer = get(path, wrong);
            assert_eq!(refusal(&answer), (401, "LOG_TOKEN_INVALID".into()), "{path} {wrong:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
    // A log that does not exist is refused in the same words.
    let (name, _) = origin.split_once("/project/").expect("an origin");
    let nothing = format!("{name}/project/{}", "01920000-0000-7000-8000-00000000000a");
    let answer = log::file(&server, &nothing, "checkpoint", Some(&token));
    let words = |answer: &Answer| {
        let mut words = answer.json();
        words["trace_id"] = Value::Null;
        words
    };
    assert_eq!(words(&answer), words(&get("checkpoint", Some(&foreign))));

    let directory = log::file(&server, &format!("{name}/directory"), "checkpoint", None);
    assert_eq!((directory.status, directory.header("cache-control")), (200, Some("public, max-age=1")));
}

#[test]
fn a_token_ends_with_the_session_that_made_it() {
    let (server, alice) = scene();
    let (token, origin) = log::token(&server, &alice, "my-app");
    assert_eq!(log::file(&server, &origin, "checkpoint", Some(&token)).status, 200);
    alice.ok(&["logout"]);
    let answer = log::file(&server, &origin, "checkpoint", Some(&token));
    assert_eq!(refusal(&answer), (401, "LOG_TOKEN_INVALID".into()));
}

#[test]
fn an_altered_or_expired_token_opens_nothing() {
    let (server, alice) = scene();
    let (token, origin) = log::token(&server, &alice, "my-app");
    let refused = |token: &str| {
        let answer = log::file(&server, &origin, "checkpoint", Some(token));
        assert_eq!(refusal(&answer), (401, "LOG_TOKEN_INVALID".into()), "{token}");
    };
    let bytes = BASE64URL_NOPAD.decode(&token.as_bytes()[4..]).expect("base64url");
    for at in (0..bytes.len()).step_by(5) {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        refused(&format!("vlt_{}", BASE64URL_NOPAD.encode(&altered)));
    }
    // An end in the past, and one that never comes.
    for end in [1_u64, u64::MAX] {
        let mut altered = bytes.clone();
        altered[17..25].copy_from_slice(&end.to_be_bytes());
        refused(&format!("vlt_{}", BASE64URL_NOPAD.encode(&altered)));
    }
    refused(&token.to_uppercase());
    let short = alice.ok(&["--output", "json", "audit", "token", "my-app", "--ttl", "1s"]).json();
    let short = short["token"].as_str().expect("a token").to_owned();
    let status = || log::file(&server, &origin, "checkpoint", Some(&short)).status;
    log::until("the token expires", || status() == 401);
    assert_eq!(log::file(&server, &origin, "checkpoint", Some(&token)).status, 200);
}

#[test]
fn the_logs_are_read_with_get_and_head_and_by_one_spelling() {
    let (server, alice) = scene();
    let (token, origin) = log::token(&server, &alice, "my-app");
    let bearer = format!("authorization: Bearer {token}");
    let call = |args: &[&str], path: &str| {
        let url = format!("{}{path}", server.endpoint());
        rest::curl(&[args, &["--header", &bearer, &url]].concat()).expect("curl")
    };
    let checkpoint = format!("/log/{origin}/checkpoint");
    let head = call(&["--head"], &checkpoint);
    let get = call(&[], &checkpoint);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), get.header("content-length"));
    assert_eq!(head.header("cache-control"), get.header("cache-control"));
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let answer = call(&["--request", method], &checkpoint);
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method}");
    }
    let paths = [
        "",
        "/",
        "/checkpoint/",
        "/Checkpoint",
        "/%63heckpoint",
        "/./checkpoint",
        "//checkpoint",
        "/tile/../checkpoint",
        "/tile/0/0",
        "/tile/0/000",
        "/tile/0/000.p/0",
        "/tile/0/000.p/06",
        "/tile/0/000.p/7",
        "/tile/0/000.p/256",
        "/tile/0/x000/000",
        "/tile/0/001",
        "/tile/00/000.p/6",
        "/tile/-1/000.p/6",
        "/tile/64/000.p/1",
        "/tile/entries/000",
        "/tile/entries/000.p/7",
        "/tile/entries/000.p/6/",
        "/tile/entries/000%2ep/6",
        "/tile/entries/..%2f..%2f..%2f..%2fkeys%2flog.keys",
        "/tile/entries/../../../../keys/log.keys",
        "/tile/entries/%00",
        &format!("/tile/{}", "x".repeat(4_000)),
    ];
    for path in paths {
        let answer = call(&[], &format!("/log/{origin}{path}"));
        assert_eq!(refusal(&answer), (404, "LOG_FILE_UNKNOWN".into()), "{path}");
    }
    let shout = format!("/log/{}/checkpoint", origin.to_uppercase());
    for path in ["/log", "/log/", "/log/checkpoint", "/log//checkpoint", "/log/directory/checkpoint", &shout]
    {
        assert!(matches!(call(&[], path).status, 400 | 404), "{path}");
    }
}
