//! Two machines of one person, and people who are not that person.

use veilcloud_tests::{
    cli::{Machine, PASSWORD},
    server::Server,
};

#[test]
fn a_second_machine_reads_everything_after_a_login() {
    let server = Server::start();
    let first = Machine::with_account(server.endpoint(), "alice@example.com");
    first.ok(&["projects", "create", "my-app"]);
    first.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=1\n");

    let second = Machine::new(server.endpoint());
    second.login("alice@example.com");
    assert_eq!(second.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=1\n");
    second.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=2\n");
    assert_eq!(first.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=2\n");
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_plain_answer() {
    let server = Server::start();
    let alice = Machine::new(server.endpoint());
    alice.register("alice@example.com");
    let stranger = Machine::new(server.endpoint());
    let wrong = stranger.run_with(
        &["--output", "json", "login", "alice@example.com", "--password-stdin"],
        b"wrong password 1",
    );
    let unknown = stranger.run_with(
        &["--output", "json", "login", "nobody@example.com", "--password-stdin"],
        PASSWORD.as_bytes(),
    );
    assert_eq!((wrong.code, wrong.reason()), (4, "WRONG_PASSWORD".to_owned()), "{}", wrong.stderr);
    assert_eq!((unknown.code, unknown.reason()), (4, "WRONG_PASSWORD".to_owned()), "{}", unknown.stderr);
    let message = |r: &veilcloud_tests::cli::Ran| r.stderr.replace("alice", "X").replace("nobody", "X");
    let without_trace = |text: String| text.split("\"trace_id\"").next().unwrap_or_default().to_owned();
    assert_eq!(without_trace(message(&wrong)), without_trace(message(&unknown)));
    stranger.refused(&["projects", "list"], 4, "NOT_LOGGED_IN");
}

#[test]
fn after_logout_the_session_is_dead_here_and_on_the_server() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let headers = alice.headers("GET", "/v1/projects", None);
    alice.ok(&["logout"]);
    alice.refused(&["projects", "list"], 4, "NOT_LOGGED_IN");
    let url = format!("{}/v1/projects", server.endpoint());
    let mut args = vec![url.as_str()];
    for header in &headers {
        args.extend(["--header", header]);
    }
    let answer = veilcloud_tests::rest::curl(&args).expect("curl");
    assert_eq!((answer.status, answer.reason().as_str()), (401, "CREDENTIAL_REVOKED"));
}

#[test]
fn an_email_is_registered_once() {
    let server = Server::start();
    let alice = Machine::new(server.endpoint());
    alice.register("alice@example.com");
    let again = Machine::new(server.endpoint());
    let kit = again.config().with_extension("kit");
    let kit = kit.to_str().expect("plain path");
    let args =
        ["--output", "json", "register", "ALICE@example.com", "--password-stdin", "--recovery-file", kit];
    let ran = again.run_with(&args, PASSWORD.as_bytes());
    assert_eq!((ran.code, ran.reason()), (7, "EMAIL_TAKEN".to_owned()), "{}", ran.stderr);
}

#[test]
fn a_stranger_cannot_tell_my_project_from_none() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    let id = alice.ok(&["--output", "json", "projects", "show", "my-app"]).json()["id"]
        .as_str()
        .map(str::to_owned);
    let id = id.expect("an id");
    let mallory = Machine::with_account(server.endpoint(), "mallory@example.com");
    let absent = "01900000-0000-7000-8000-000000000000";
    let paths = ["", "/envs", "/envs/production", "/envs/production/keyring"];
    let mut targets: Vec<_> = paths.iter().map(|p| ("GET", format!("/v1/projects/{{}}{p}"))).collect();
    targets.extend(
        ["", "/production", "/production/versions"].iter().map(|p| ("GET", format!("/v1/storage/{{}}{p}"))),
    );
    targets.push(("DELETE", "/v1/projects/{}".to_owned()));
    targets.push(("GET", "/v1/audit/{}".to_owned()));
    for (method, target) in targets {
        let answer = |id: &str| mallory.rest(method, &target.replace("{}", id), None, &[]);
        let (foreign, absent) = (answer(&id), answer(absent));
        assert_eq!(foreign.status, 403, "{method} {target}: {}", String::from_utf8_lossy(&foreign.body));
        let body = |a: &veilcloud_tests::rest::Answer| {
            let mut json = a.json();
            json["trace_id"] = serde_json::Value::Null;
            json.to_string()
        };
        assert_eq!((foreign.status, body(&foreign)), (absent.status, body(&absent)), "{method} {target}");
    }
    assert!(alice.ok(&["projects", "list"]).text().contains("my-app"), "nothing was deleted");
}
