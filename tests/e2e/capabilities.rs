//! Capabilities for other keys: issued, narrowed on the spot, used by a plain HTTP client, and revoked in every way there is,
//! against a real server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use veilcloud_sdk::{Client, ErrorKind, GetOptions, HeldCapability};
use veilcloud_tests::{
    binary,
    cli::{Machine, Ran},
    server::Server,
};

/// How long a running server may take until it has read what an operator changed: what the security model says.
const TAKEN_OVER: Duration = Duration::from_secs(30);

fn json(machine: &Machine, args: &[&str]) -> Value {
    let mut all = vec!["--output", "json"];
    all.extend(args);
    machine.ok(&all).json()
}

/// Alice with a project that has two environments; its id.
fn scene(server: &Server) -> (Machine, String) {
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    for env in ["production", "staging"] {
        alice.ok_with(&["storage", "put", "my-app", env, "-"], b"SECRET=1\n");
    }
    let id = json(&alice, &["projects", "show", "my-app"])["id"].as_str().expect("an id").to_owned();
    (alice, id)
}

/// A folder for capability files.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::TempDir::new().expect("a folder"))
    }

    fn at(&self, name: &str) -> String {
        self.path(name).to_str().expect("a plain path").to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What a command writes to standard output, as a file.
    fn keep(&self, name: &str, ran: &Ran) -> String {
        fs::write(self.path(name), &ran.stdout).expect("write");
        self.at(name)
    }
}

/// A request by curl with a capability that knows no session: status, and the body.
fn curl(server: &Server, cap: &[&str], method: &str, path: &str) -> (u16, Vec<u8>) {
    // A machine without a login: everything is in the file.
    let nobody = Machine::new(server.endpoint());
    let mut args = vec!["api", "headers", method, path, "--capability"];
    args.extend(cap);
    let headers = nobody.ok(&args).text();
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--request", method, "--write-out", "\n%{http_code}"]);
    for line in headers.lines() {
        command.args(["--header", line]);
    }
    let out = command.arg(format!("{}{path}", server.endpoint())).output().expect("curl runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let at = out.stdout.iter().rposition(|byte| *byte == b'\n').expect("the status stands on the last line");
    let status = String::from_utf8_lossy(&out.stdout[at + 1..]).parse().expect("a status");
    (status, out.stdout[..at].to_vec())
}

#[track_caller]
fn refused(answer: &(u16, Vec<u8>), status: u16, reason: &str) {
    let body: Value = serde_json::from_slice(&answer.1).expect("a problem");
    assert_eq!((answer.0, body["reason"].as_str()), (status, Some(reason)), "{body}");
}

/// Waits until a request is answered with this status.
fn until(server: &Server, cap: &str, path: &str, status: u16) -> Vec<u8> {
    let start = Instant::now();
    loop {
        let answer = curl(server, &[cap], "GET", path);
        if answer.0 == status {
            return answer.1;
        }
        assert!(start.elapsed() < TAKEN_OVER, "{} after {TAKEN_OVER:?}", answer.0);
        thread::sleep(Duration::from_millis(500));
    }
}

/// An operator's command beside the running server.
fn operator(data: &Path, args: &[&str]) -> String {
    let out = Command::new(binary("veilcloud-server"))
        .args(args)
        .env("VEILCLOUD_DATA_DIR", data)
        .output()
        .expect("the server's binary runs");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

/// The keys in this state, by `issuer list`.
fn keys(data: &Path, state: &str) -> Vec<String> {
    let list = operator(data, &["issuer", "list"]);
    let lines = list.lines().filter(|line| line.split(' ').nth(1) == Some(state));
    lines.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn a_capability_lets_curl_do_what_it_says_until_it_is_revoked() {
    let server = Server::start();
    let (alice, id) = scene(&server);
    let files = Files::new();
    let whole = files.at("deploy.cap");
    let issued = json(&alice, &["access", "issue", "deploy", "my-app", "--ttl", "90d", "--file", &whole]);
    assert_eq!(issued["grants"][0]["permissions"], serde_json::json!(["project:read"]), "{issued}");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&whole).expect("the file")) & 0o777;
    assert_eq!(mode, 0o600);
    alice.refused(&["access", "issue", "deploy", "my-app", "--file", &whole], 7, "FILE_EXISTS");

    let content = |env: &str| format!("/v1/storage/{id}/{env}");
    let (status, ciphertext) = curl(&server, &[&whole], "GET", &content("production"));
    assert_eq!((status, &ciphertext[..21]), (200, &b"age-encryption.org/v1"[..]), "sealed as ever");
    refused(&curl(&server, &[&whole], "DELETE", &content("production")), 403, "PERMISSION_DENIED");
    for path in ["/v1/projects", "/v1/users/me", "/v1/access/capabilities", "/v1/api-keys"] {
        refused(&curl(&server, &[&whole], "GET", path), 403, "PERMISSION_DENIED");
    }

    // Narrowed by its holder, without a server to ask.
    let nobody = Machine::new("http://127.0.0.1:9");
    let place = format!("p/{id}/e/production");
    let narrow = ["access", "attenuate", &whole, "--path", &place, "--action", "project:read"];
    let job = files.keep("job.cap", &nobody.ok(&[&narrow[..], &["--expires", "30m"]].concat()));
    assert_eq!(curl(&server, &[&job], "GET", &content("production")).0, 200);
    refused(&curl(&server, &[&job], "GET", &content("staging")), 403, "PERMISSION_DENIED");
    let wider = nobody.run(&["--json", "access", "attenuate", &job, "--action", "project:write"]);
    assert_eq!(wider.code, 2, "{}", wider.stderr);
    let brief = files.keep("brief.cap", &nobody.ok(&[&narrow[..], &["--expires", "1s"]].concat()));
    let over = until(&server, &brief, &content("production"), 401);
    assert!(String::from_utf8_lossy(&over).contains("CREDENTIAL_EXPIRED"));

    // For somebody else's key, sealed.
    let key = files.at("bob.key");
    let public = nobody.ok(&["access", "new-key", &key]).text();
    let passed = ["access", "attenuate", &job, "--to", public.trim(), "--seal"];
    let sealed = files.keep("sealed.cap", &nobody.ok(&passed));
    let shown = json(&nobody, &["access", "show", &sealed]);
    assert_eq!(
        (&shown["sealed"], &shown["has_key"], &shown["depth"]),
        (&true.into(), &false.into(), &2.into())
    );
    assert_eq!(curl(&server, &[&sealed, "--holder-key", &key], "GET", &content("production")).0, 200);
    assert_eq!(nobody.run(&["access", "attenuate", &sealed]).code, 2);

    let good = json(
        &alice,
        &[
            "access",
            "verify",
            &job,
            "--permission",
            "project:read",
            "--project",
            "my-app",
            "--env",
            "production",
        ],
    );
    assert_eq!((&good["active"], &good["depth"]), (&true.into(), &1.into()), "{good}");
    let bad = alice.run(&[
        "--json",
        "access",
        "verify",
        &job,
        "--permission",
        "project:write",
        "--project",
        "my-app",
    ]);
    assert_eq!((bad.code, &bad.json()["reason"]), (5, &"permission".into()), "{}", bad.stderr);

    alice.ok(&["access", "revoke", "deploy"]);
    for cap in [&[&*whole][..], &[&*job], &[&*sealed, "--holder-key", &key]] {
        refused(&curl(&server, cap, "GET", &content("production")), 401, "CREDENTIAL_REVOKED");
    }
    let listed = json(&alice, &["access", "capabilities"]);
    assert_eq!(listed["capabilities"][0]["revoked"], true, "{listed}");
    assert_eq!(json(&alice, &["whoami", "--check"])["email"], "alice@example.com", "the session goes on");
}

#[test]
fn a_program_lists_with_a_capability_and_opens_nothing() {
    let server = Server::start();
    let (alice, id) = scene(&server);
    let files = Files::new();
    let cap = files.at("deploy.cap");
    alice.ok(&[
        "access",
        "issue",
        "deploy",
        "my-app",
        "--permissions",
        "project:read,audit:read",
        "--file",
        &cap,
    ]);
    let held = HeldCapability::parse(&fs::read_to_string(&cap).expect("the file")).expect("a capability");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let builder = Client::builder().endpoint(server.endpoint()).capability(held);
        let client = builder.build().expect("a client");
        let project = client.projects().get(id.parse().expect("an id")).await.expect("let in");
        let environments = client.environments(&project).list().await.expect("let in");
        let names: Vec<_> = environments.iter().map(|environment| environment.name.as_str()).collect();
        assert_eq!(names, ["production", "staging"]);
        // Whatever stands in the way first, content does not come out.
        assert!(client.storage().get(&project, "production", GetOptions::default()).await.is_err());
        let denied = client.projects().create("mine").await.expect_err("it is for one project");
        assert_eq!(denied.kind(), ErrorKind::Denied);
    });
    alice.ok(&["access", "revoke", "deploy"]);
    let trail = alice.ok(&["audit", "list", "--account"]).text();
    assert!(trail.contains("access.issue") && trail.contains("access.revoke"), "{trail}");
}

#[test]
fn everything_is_revoked_at_once_by_subject() {
    let server = Server::start();
    let (alice, id) = scene(&server);
    let files = Files::new();
    let cap = files.at("deploy.cap");
    alice.ok(&["access", "issue", "deploy", "my-app", "--file", &cap]);
    let path = format!("/v1/projects/{id}");
    assert_eq!(curl(&server, &[&cap], "GET", &path).0, 200);
    alice.ok(&["access", "revoke", "--all", "--yes"]);
    refused(&curl(&server, &[&cap], "GET", &path), 401, "CREDENTIAL_REVOKED");
    assert_eq!(alice.run(&["projects", "list"]).code, 4);
    alice.login("alice@example.com");
    alice.ok(&["projects", "list"]);
}

#[test]
fn an_issuer_key_is_rotated_and_revoked_while_the_server_runs_and_sessions_live() {
    let server = Server::start();
    let (alice, id) = scene(&server);
    let files = Files::new();
    let (old, new) = (files.at("old.cap"), files.at("new.cap"));
    let path = format!("/v1/projects/{id}");
    alice.ok(&["access", "issue", "old", "my-app", "--file", &old]);
    let first = keys(server.data(), "signs");
    assert_eq!(first.len(), 1);

    // Announced: nothing changes yet. At once: the next capability is the new key's, and the old ones go on.
    operator(server.data(), &["issuer", "rotate"]);
    assert_eq!((keys(server.data(), "signs"), keys(server.data(), "announced").len()), (first.clone(), 1));
    operator(server.data(), &["issuer", "rotate", "--at-once"]);
    let start = Instant::now();
    while keys(server.data(), "signs") == first {
        // It signs when the log has it.
        assert!(start.elapsed() < TAKEN_OVER, "{}", operator(server.data(), &["issuer", "list"]));
        thread::sleep(Duration::from_millis(500));
    }
    let second = keys(server.data(), "signs");
    let signed_by = |issued: &Value| issued["token_id"].as_str().expect("a token").to_owned();
    let issued = json(&alice, &["access", "issue", "new", "my-app", "--file", &new]);
    assert!(!signed_by(&issued).is_empty());
    assert_eq!(curl(&server, &[&old], "GET", &path).0, 200);
    assert_eq!(curl(&server, &[&new], "GET", &path).0, 200);
    let start = Instant::now();
    loop {
        let told = json(&alice, &["access", "issuers"]);
        let keys = told["issuers"].as_array().expect("a list");
        assert_eq!(keys.len(), 3);
        if keys.iter().all(|key| key["proved"] == true) {
            break;
        }
        assert!(start.elapsed() < TAKEN_OVER, "each is in the directory's log: {told}");
        thread::sleep(Duration::from_millis(500));
    }

    // Revoked: what it signed dies within the bound, the session renews itself without a login.
    operator(server.data(), &["issuer", "revoke", &first[0]]);
    let over = until(&server, &old, &path, 401);
    assert!(String::from_utf8_lossy(&over).contains("CREDENTIAL_INVALID"));
    alice.ok(&["projects", "list"]);
    operator(server.data(), &["issuer", "revoke", &second[0]]);
    until(&server, &new, &path, 401);
    alice.ok(&["projects", "list"]);
    let listed = operator(server.data(), &["issuer", "list"]);
    assert!(listed.contains(" signs ") && !listed.contains(&first[0]), "{listed}");
}

#[test]
fn an_explanation_says_what_is_missing_beside_the_list_that_was_checked_here() {
    let server = Server::start();
    let (alice, id) = scene(&server);
    let bob = Machine::with_account(server.endpoint(), "bob@example.com");
    alice.ok(&["teams", "create", "crew"]);
    alice.ok(&["teams", "add", "crew", "bob@example.com"]);
    let nothing = json(&alice, &["access", "explain", "bob@example.com", "my-app"]);
    assert_eq!(
        (&nothing["permissions"], &nothing["grants"]),
        (&serde_json::json!([]), &serde_json::json!([]))
    );
    alice.ok(&["share", "add", "my-app", "crew", "--permissions", "project:read,project:write", "--yes"]);
    let shared = json(&alice, &["access", "explain", "bob@example.com", "my-app"]);
    assert_eq!(shared["permissions"], serde_json::json!(["project:read", "project:write"]), "{shared}");
    assert_eq!(
        (&shared["grants"][0]["missing"], &shared["differences"]),
        (&Value::Null, &serde_json::json!([]))
    );
    assert_eq!(json(&bob, &["access", "explain", "me", &id])["permissions"], shared["permissions"]);
    bob.refused(&["access", "explain", "alice@example.com", &id], 5, "PERMISSION_DENIED");
    alice.ok(&["teams", "remove", "crew", "bob@example.com"]);
    let out = alice.ok(&["access", "explain", "bob@example.com", "my-app"]).text();
    assert!(out.contains("may now: nothing") && out.contains("the membership is missing"), "{out}");
    let own = alice.ok(&["access", "explain", "me", "my-app"]).text();
    assert!(own.contains("owns the project"), "{own}");
    let permissions = json(&alice, &["access", "permissions"]);
    assert!(permissions["permissions"].as_array().is_some_and(|all| all.len() >= 9), "{permissions}");
}
