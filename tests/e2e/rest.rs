//! REST by curl, a client that knows nothing of us but two headers; and gRPC-Web over HTTP/1.1.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;
use veilcloud_tests::{
    cli::Machine,
    rest::{self, Answer},
    server::Server,
};

/// A project with a first version of `production`, and its REST path.
fn project(server: &Server) -> (Machine, String) {
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let answer = alice.ok(&["--output", "json", "projects", "create", "my-app"]).json();
    let id = answer["id"].as_str().expect("an id").to_owned();
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=1\n");
    (alice, id)
}

/// Seals content as the next version: the file, and the two headers that go with it.
fn sealed(alice: &Machine, folder: &Path, content: &[u8]) -> (std::path::PathBuf, Vec<String>) {
    let file = folder.join("next.age");
    let path = file.to_str().expect("plain path");
    let headers =
        alice.ok_with(&["api", "seal", "my-app", "production", "-", "--file", path], content).text();
    (file, headers.lines().map(str::to_owned).collect())
}

fn problem(answer: &Answer) -> (u16, String) {
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(
        kind.starts_with("application/problem+json"),
        "{kind}: {}",
        String::from_utf8_lossy(&answer.body)
    );
    (answer.status, answer.reason())
}

#[test]
fn projects_are_made_listed_renamed_and_deleted_by_curl() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let folder = TempDir::new().expect("a folder");
    let body = folder.path().join("body.json");
    let json = ["--header", "content-type: application/json"];
    fs::write(&body, r#"{"name":"by-curl"}"#).expect("write");
    let made = alice.rest("POST", "/v1/projects", Some(&body), &json);
    assert!(matches!(made.status, 200 | 201), "{}", String::from_utf8_lossy(&made.body));
    let id = made.json()["project"]["projectId"].as_str().expect("an id").to_owned();

    let list = alice.rest("GET", "/v1/projects?page_size=10", None, &[]).json();
    assert_eq!(list["projects"][0]["name"], "by-curl");
    fs::write(&body, r#"{"name":"renamed","updateMask":"name"}"#).expect("write");
    let renamed = alice.rest("PATCH", &format!("/v1/projects/{id}"), Some(&body), &json);
    assert_eq!(renamed.json()["project"]["name"], "renamed");
    assert_eq!(alice.rest("DELETE", &format!("/v1/projects/{id}"), None, &[]).status, 200);
    assert_eq!(
        problem(&alice.rest("GET", &format!("/v1/projects/{id}"), None, &[])),
        (403, "PERMISSION_DENIED".into())
    );
}

#[test]
fn a_blob_is_written_on_condition_and_read_with_etag_and_range() {
    let server = Server::start();
    let (alice, id) = project(&server);
    let folder = TempDir::new().expect("a folder");
    let path = format!("/v1/storage/{id}/production");
    let octets = "content-type: application/octet-stream";

    let head = alice.rest("HEAD", &path, None, &[]);
    let etag = head.header("etag").expect("an etag").to_owned();
    assert_eq!((head.status, head.header("veil-version")), (200, Some("1")));

    let (file, headers) = sealed(&alice, folder.path(), b"A=2\n");
    let seal = headers.iter().find(|h| h.starts_with("veil-seal:")).expect("a seal").clone();
    let without = alice.rest("PUT", &path, Some(&file), &["--header", octets, "--header", &seal]);
    assert_eq!(problem(&without), (428, "PRECONDITION_REQUIRED".into()));
    let stale = "if-match: \"v1-aaaaaaaaaaaaaaaaaaaaaaaa\"";
    let conflict =
        alice.rest("PUT", &path, Some(&file), &["--header", octets, "--header", &seal, "--header", stale]);
    assert_eq!(problem(&conflict), (412, "ETAG_MISMATCH".into()));
    assert_eq!(conflict.header("etag"), Some(etag.as_str()), "the current tag comes with the refusal");
    let first = alice.rest(
        "PUT",
        &path,
        Some(&file),
        &["--header", octets, "--header", &seal, "--header", "if-none-match: *"],
    );
    assert_eq!(problem(&first), (412, "ETAG_MISMATCH".into()));
    let wrong_type =
        alice.rest("PUT", &path, Some(&file), &["--header", "content-type: text/plain", "--header", &seal]);
    assert_eq!(problem(&wrong_type), (415, "CONTENT_TYPE_UNSUPPORTED".into()));

    let matching = format!("if-match: {etag}");
    let put = alice.rest(
        "PUT",
        &path,
        Some(&file),
        &["--header", octets, "--header", &seal, "--header", &matching],
    );
    assert!(matches!(put.status, 200 | 201), "{}", String::from_utf8_lossy(&put.body));
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=2\n");

    let whole = alice.rest("GET", &path, None, &[]);
    assert_eq!(whole.body, fs::read(&file).expect("read"));
    let now = whole.header("etag").expect("an etag").to_owned();
    let unchanged = alice.rest("GET", &path, None, &["--header", &format!("if-none-match: {now}")]);
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let part = alice.rest("GET", &path, None, &["--header", "range: bytes=10-19"]);
    assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[10..20]));
    let expected = format!("bytes 10-19/{}", whole.body.len());
    assert_eq!(part.header("content-range"), Some(expected.as_str()));
    let beyond = alice.rest("GET", &path, None, &["--header", "range: bytes=999999-"]);
    assert_eq!(problem(&beyond), (416, "RANGE_NOT_SATISFIABLE".into()));
    let old = alice.rest("GET", &format!("{path}?version=1"), None, &[]);
    assert_eq!(old.header("veil-version"), Some("1"));
    assert_eq!(
        problem(&alice.rest("GET", &format!("{path}?version=9"), None, &[])),
        (404, "VERSION_NOT_FOUND".into())
    );
}

#[test]
fn a_repeated_request_gets_the_first_answer_and_other_content_is_refused() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let folder = TempDir::new().expect("a folder");
    let body = folder.path().join("body.json");
    let more = [
        "--header",
        "content-type: application/json",
        "--header",
        "idempotency-key: 5f0f4f0e-7f9c-4d5c-9d51-0a2c3b4d5e6f",
    ];
    fs::write(&body, r#"{"name":"once"}"#).expect("write");
    let first = alice.rest("POST", "/v1/projects", Some(&body), &more);
    let again = alice.rest("POST", "/v1/projects", Some(&body), &more);
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert_eq!(again.header("veil-replayed"), Some("true"));
    fs::write(&body, r#"{"name":"twice"}"#).expect("write");
    let other = alice.rest("POST", "/v1/projects", Some(&body), &more);
    assert_eq!(problem(&other), (409, "REQUEST_ID_REUSED".into()));
    assert_eq!(
        alice.rest("GET", "/v1/projects", None, &[]).json()["projects"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_proof_is_good_for_one_request_and_for_nothing_else() {
    let server = Server::start();
    let (alice, id) = project(&server);
    let target = format!("/v1/projects/{id}");
    let call = |method: &str, path: &str, headers: &[String]| {
        let url = format!("{}{path}", server.endpoint());
        let mut args = vec!["--request", method, url.as_str()];
        for header in headers {
            args.extend(["--header", header]);
        }
        rest::curl(&args).expect("curl")
    };
    let headers = alice.headers("GET", &target, None);
    assert_eq!(call("GET", &target, &headers).status, 200);
    assert_eq!(problem(&call("GET", &target, &headers)), (401, "PROOF_REPLAYED".into()));
    let fresh = || alice.headers("GET", &target, None);
    assert_eq!(problem(&call("DELETE", &target, &fresh())), (401, "PROOF_INVALID".into()));
    assert_eq!(problem(&call("GET", &format!("{target}/envs"), &fresh())), (401, "PROOF_INVALID".into()));
    assert_eq!(problem(&call("GET", &target, &[])), (401, "CREDENTIAL_MISSING".into()));
    let only_cap: Vec<_> = fresh().into_iter().filter(|h| h.starts_with("veil-cap")).collect();
    assert_eq!(problem(&call("GET", &target, &only_cap)), (401, "CREDENTIAL_MISSING".into()));
    // One letter of the capability changed: the issuer's signature no longer holds.
    let forge = |header: String| match header.strip_prefix("veil-cap: ") {
        Some(cap) => {
            let at = cap.len() / 2;
            let letter = if &cap[at..=at] == "A" { "B" } else { "A" };
            format!("veil-cap: {}{letter}{}", &cap[..at], &cap[at + 1..])
        }
        None => header,
    };
    let forged: Vec<_> = fresh().into_iter().map(forge).collect();
    let answer = call("GET", &target, &forged);
    assert_eq!(problem(&answer), (401, "CREDENTIAL_INVALID".into()));
    assert!(answer.header("www-authenticate").is_some(), "a 401 says how to authenticate");
}

#[test]
fn tricks_with_paths_and_names_are_refused() {
    let server = Server::start();
    let (alice, id) = project(&server);
    let long = "a".repeat(300);
    let names = ["..", ".", "a..b", "%2e%2e", "a%2fb", "a%00b", "%E2%80%AEtxt", "A", "%ff", &long];
    for name in names {
        let answer = alice.rest("GET", &format!("/v1/storage/{id}/{name}"), None, &[]);
        assert!(matches!(answer.status, 400 | 404), "{name}: {}", answer.status);
        let reason = problem(&answer).1;
        assert!(
            ["FIELD_INVALID", "NAME_INVALID", "METHOD_UNKNOWN"].contains(&reason.as_str()),
            "{name}: {reason}"
        );
    }
    for path in ["/v1/nothing", "/v2/projects", "/v1/projects/", "//v1/projects", "/v1/projects/x/y/z"] {
        let answer = alice.rest("GET", path, None, &[]);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
    }
    let folder = TempDir::new().expect("a folder");
    let body = folder.path().join("body.json");
    let json = ["--header", "content-type: application/json"];
    let cases = [
        (r#"{"name":"../x"}"#.to_owned(), "FIELD_INVALID"),
        (r#"{"name":"ok","surprise":1}"#.to_owned(), "MESSAGE_MALFORMED"),
        (r#"{"name":"#.to_owned(), "MESSAGE_MALFORMED"),
        (format!(r#"{{"name":"{}"}}"#, "x".repeat(3 << 19)), "MESSAGE_TOO_LARGE"),
    ];
    for (text, reason) in cases {
        fs::write(&body, &text).expect("write");
        let answer = alice.rest("POST", "/v1/projects", Some(&body), &json);
        assert_eq!(problem(&answer).1, reason, "{}", &text[..text.len().min(40)]);
        assert!((400..=413).contains(&answer.status), "{}", answer.status);
    }
}

#[test]
fn the_description_of_the_api_is_served_and_matches_what_is_answered() {
    let server = Server::start();
    let spec = rest::get(&format!("{}/openapi.json", server.endpoint())).expect("openapi").json();
    assert_eq!(spec["openapi"].as_str().map(|v| &v[..3]), Some("3.1"));
    for path in
        ["/v1/projects", "/v1/storage/{project_id}/{env_name}", "/v1/auth/login/start", "/v1/users/me"]
    {
        assert!(spec["paths"][path].is_object(), "{path}");
    }
    let committed = fs::read(veilcloud_tests::root().join("docs/openapi/openapi.json")).expect("committed");
    let committed: Value = serde_json::from_slice(&committed).expect("JSON");
    assert_eq!(committed, spec, "the committed description is the one served");
    let info = rest::get(&format!("{}/v1/server", server.endpoint())).expect("server info").json();
    assert_eq!(info["limits"]["chunkBytes"], "983280");
}

#[test]
fn the_same_port_answers_grpc_web_over_http_1() {
    let server = Server::start();
    let folder = TempDir::new().expect("a folder");
    let body = folder.path().join("frame");
    // An empty GetServerInfoRequest: no flags, length 0.
    fs::write(&body, [0, 0, 0, 0, 0]).expect("write");
    let url = format!("{}/veilcloud.common.v1.ServerService/GetServerInfo", server.endpoint());
    let data = format!("@{}", body.display());
    let args = [
        "--http1.1",
        "--header",
        "content-type: application/grpc-web+proto",
        "--header",
        "x-grpc-web: 1",
        "--data-binary",
        &data,
        &url,
    ];
    let answer = rest::curl(&args).expect("curl");
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|t| t.starts_with("application/grpc-web")));
    let len = u32::from_be_bytes(answer.body[1..5].try_into().expect("a frame")) as usize;
    let message = &answer.body[5..5 + len];
    let info: veilcloud_proto::common::v1::GetServerInfoResponse =
        prost::Message::decode(message).expect("a message");
    assert_eq!(info.limits.expect("limits").chunk_bytes, 983_280);
    let trailers = &answer.body[5 + len..];
    assert_eq!(trailers[0], 0x80, "a trailer frame");
    assert!(
        String::from_utf8_lossy(&trailers[5..]).contains("grpc-status:0"),
        "{}",
        String::from_utf8_lossy(trailers)
    );
}

#[test]
fn an_account_stores_so_much_and_no_more() {
    let server =
        Server::start_with(&[("VEILCLOUD_QUOTA_BYTES", "8000"), ("VEILCLOUD_BLOB_MAX_BYTES", "8000")]);
    let (alice, id) = project(&server);
    let folder = TempDir::new().expect("a folder");
    let content = [b'x'; 5000];
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], &content);
    let (file, headers) = sealed(&alice, folder.path(), &content);
    let mut more = vec!["--header", "content-type: application/octet-stream"];
    headers.iter().for_each(|header| more.extend(["--header", header]));
    let refused = alice.rest("PUT", &format!("/v1/storage/{id}/production"), Some(&file), &more);
    assert_eq!(problem(&refused), (507, "QUOTA_EXCEEDED".into()));
    assert_eq!(refused.json()["metadata"]["quota_bytes"], "8000");
}
