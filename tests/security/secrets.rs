//! Canaries: unique texts planted as secrets, then looked for in everything that the server has, says or writes.

use std::fs;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use veilcloud_tests::{
    cli::{Machine, PASSWORD},
    files, rest,
    server::Server,
};

const NAME: &str = "CANARY_NAME_7Q2XK9";
const VALUE: &str = "canary-value-w8r3mz1p";
const EMAIL: &str = "canary-person@example.com";

#[test]
fn no_secret_reaches_the_server_its_log_or_its_metrics() {
    let server = Server::start_with(&[("VEILCLOUD_LOG", "trace")]);
    let alice = Machine::new(server.endpoint());
    let kit = alice.register(EMAIL);
    alice.login(EMAIL);
    alice.ok(&["projects", "create", "my-app"]);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], format!("{NAME}={VALUE}\n").as_bytes());
    alice.ok(&["storage", "get", "my-app", "production"]);
    alice.ok(&["envs", "clone", "my-app", "production", "staging"]);
    // Things that fail are logged more: they must not tell more.
    let stranger = Machine::new(server.endpoint());
    stranger.run_with(&["login", EMAIL, "--password-stdin"], b"canary-wrong-password-5t");
    alice.run(&["storage", "get", "my-app", "nowhere"]);

    let code = fs::read_to_string(&kit).expect("the kit");
    let code = code
        .split_whitespace()
        .find(|w| w.matches('-').count() >= 3 && w.len() > 20)
        .expect("a code")
        .to_owned();
    let session: serde_json::Value = alice_session(&alice);
    let secret = |key: &str| session[key].as_str().expect("a secret of the session").to_owned();
    let mut canaries = vec![
        NAME.to_owned(),
        VALUE.to_owned(),
        PASSWORD.to_owned(),
        "canary-wrong-password-5t".to_owned(),
        code.clone(),
        code.replace('-', ""),
        secret("identity"),
        secret("holder"),
        secret("refresh_token"),
    ];
    for text in [VALUE, PASSWORD] {
        canaries.extend([BASE64.encode(text.as_bytes()), HEXLOWER.encode(text.as_bytes())]);
    }
    let mut raw: Vec<Vec<u8>> = canaries.into_iter().map(String::into_bytes).collect();
    for key in ["identity", "holder", "refresh_token"] {
        raw.push(BASE64URL_NOPAD.decode(secret(key).as_bytes()).expect("base64url"));
    }
    let log = server.log();
    let metrics = rest::get(&format!("{}/metrics", server.admin())).expect("metrics").body;
    for canary in &raw {
        let shown = String::from_utf8_lossy(canary).into_owned();
        for file in files::below(server.data()) {
            assert!(!files::contains(&file, canary), "{shown:?} is in {}", file.display());
        }
        assert!(!contains(log.as_bytes(), canary), "{shown:?} is in the log");
        assert!(!contains(&metrics, canary), "{shown:?} is in the metrics");
    }
    // Personal data that the server must store is still not for its log and metrics.
    for personal in [EMAIL, "127.0.0.1:"] {
        let lines: Vec<_> = log
            .lines()
            .filter(|l| l.contains(personal) && !l.contains("listen") && !l.contains("serves"))
            .collect();
        assert!(lines.is_empty(), "{personal} is in the log: {lines:?}");
        assert!(!contains(&metrics, personal.as_bytes()), "{personal} is in the metrics");
    }
}

#[test]
fn what_the_server_stores_in_clear_is_what_this_page_says() {
    let mut server = Server::start();
    let alice = Machine::with_account(server.endpoint(), EMAIL);
    alice.ok(&["projects", "create", "visible-project"]);
    alice.ok_with(&["storage", "put", "visible-project", "visible-env", "-"], b"A=1\n");
    server.pause();
    let database = server.data().join("veilcloud.db");
    for visible in ["visible-project", "visible-env", EMAIL] {
        assert!(
            files::contains(&database, visible.as_bytes()),
            "{visible} is stored: docs/security-model.md says so"
        );
    }
}

#[test]
fn sizes_are_padded() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), EMAIL);
    let made = alice.ok(&["--output", "json", "projects", "create", "my-app"]).json();
    let path = format!("/v1/storage/{}/production", made["id"].as_str().expect("an id"));
    let mut sizes = Vec::new();
    for len in [1_usize, 9, 40, 44] {
        let text = format!("A={}\n", "x".repeat(len));
        alice.ok_with(&["storage", "put", "my-app", "production", "-"], text.as_bytes());
        // What the server has: age's header varies by a random grease stanza, the rest is the padded content.
        let file = alice.rest("GET", &path, None, &[]).body;
        let header = veilvault::lint::lint(&file, veilvault::lint::Policy::BLOB).expect("an age file");
        sizes.push(file.len() - header.header_len);
    }
    // Padme steps: 260 and 268 bytes of plaintext become 272, 299 and 303 become 304.
    assert_eq!((sizes[0], sizes[2]), (sizes[1], sizes[3]), "{sizes:?}");
    assert_eq!(sizes[2] - sizes[0], 32, "{sizes:?}");
}

fn alice_session(machine: &Machine) -> serde_json::Value {
    let file = files::below(machine.config())
        .into_iter()
        .find(|f| f.file_name().is_some_and(|n| n == "session.json"));
    serde_json::from_slice(&fs::read(file.expect("a session file")).expect("read")).expect("JSON")
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|w| w == needle)
}
