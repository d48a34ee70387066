//! Hostile text (`tests/fixtures/injection`) on the wire: raw bytes in paths, queries, headers and bodies of a real server.
//! It must answer or hang up, never fail; its database stays whole, and its log stays one JSON object a line.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use veilcloud_tests::{cli::Machine, server::Server};
use veilcore::{id::ApiKeyId, secret::Secret};
use veilsign::api_key::ApiKey;

/// Longest wait for an answer; far above what any takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Shortest text that is looked for in the log: shorter ones are in it by chance.
const TELLING_LEN: usize = 6;

/// A header that makes a request of its own out of the rest.
const CHUNKED: &[u8] = b"transfer-encoding: chunked";

/// The values of all files.
fn values() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/injection");
    let files = ["sql.txt", "header.txt", "path.txt", "log.txt"].map(|name| folder.join(name));
    let text = files.map(|file| fs::read_to_string(file).expect("a fixture")).join("\n");
    let lines = text.lines().filter(|line| !line.starts_with("# ") && !line.is_empty());
    lines.map(unescaped).collect()
}

/// `\\ \n \r \t \0 \xNN \u{N}` as what they say.
fn unescaped(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let escape = if c == '\\' { chars.next() } else { None };
        match escape {
            None => out.extend(c.to_string().bytes()),
            Some('n') => out.push(b'\n'),
            Some('r') => out.push(b'\r'),
            Some('t') => out.push(b'\t'),
            Some('0') => out.push(0),
            Some('x') => {
                let hex: String = chars.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&hex, 16).expect("two digits"));
            }
            Some('u') => {
                let hex: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                let code = u32::from_str_radix(&hex, 16).expect("digits");
                out.extend(char::from_u32(code).expect("a character").to_string().bytes());
            }
            Some(other) => out.extend(other.to_string().bytes()),
        }
    }
    out
}

fn percent(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("%{byte:02X}").into_bytes()).collect()
}

/// An API key of this machine's account, for everything that a key may do.
fn bearer(alice: &Machine, folder: &Path) -> String {
    let key = ApiKey::from_secret(ApiKeyId::from_bytes([7; 16]), Secret::new([9; 32]));
    let permissions =
        ["project:read", "project:write", "project:delete", "project:share", "audit:read", "team:read"];
    let body = json!({
        "apiKeyId": key.id().to_string(), "name": "wire", "ttlSeconds": 3600,
        "secretHash": data_encoding::BASE64.encode(&key.hash()), "scope": {"permissions": permissions},
    });
    let file = folder.join("key.json");
    fs::write(&file, body.to_string()).expect("write");
    let made =
        alice.rest("POST", "/v1/api-keys", Some(&file), &["--header", "content-type: application/json"]);
    assert_eq!(made.status, 200, "{}", String::from_utf8_lossy(&made.body));
    format!("authorization: Bearer {}", &*key.to_text())
}

/// A request line, headers and a body.
type Asked<'a> = (Vec<u8>, Vec<Vec<u8>>, &'a [u8]);

/// A connection that says exactly what it is told to.
struct Wire {
    address: String,
    bearer: String,
}

impl Wire {
    /// Sends a request line, headers and a body as they are; `None` when the server hung up without an answer.
    fn ask(&self, line: &[u8], headers: &[&[u8]], body: &[u8]) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let mut request = [line, b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"].concat();
        request.extend(self.bearer.bytes());
        request.extend(format!("\r\ncontent-length: {}\r\n", body.len()).bytes());
        for header in headers {
            request.extend([header, &b"\r\n"[..]].concat());
        }
        request.extend([&b"\r\n"[..], body].concat());
        // It may have hung up already.
        let _ = stream.write_all(&request);
        // Who announces a body in chunks and sends none waits for the server, which waits for them: this one leaves.
        if headers.iter().any(|header| header.windows(CHUNKED.len()).any(|part| part == CHUNKED)) {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let head = answer.windows(4).position(|part| part == b"\r\n\r\n").map(|at| &answer[..at])?;
        let head = String::from_utf8_lossy(head).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Some((status.unwrap_or_else(|| panic!("{head}")), head))
    }

    /// The answer may be anything but a failure of the server, and has no header of ours.
    fn survives(&self, line: &[u8], headers: &[&[u8]], body: &[u8]) -> bool {
        let what = || format!("{} {:?}", String::from_utf8_lossy(line), headers);
        let Some((status, head)) = self.ask(line, headers, body) else { return false };
        assert!((200..500).contains(&status), "{}: {head}", what());
        for forged in ["x-injected", "set-cookie", "location"] {
            let named = |line: &str| line.to_ascii_lowercase().starts_with(&format!("{forged}:"));
            assert!(!head.lines().any(named), "{}: {head}", what());
        }
        true
    }
}

#[test]
fn hostile_text_on_the_wire_harms_neither_the_database_nor_the_log() {
    let own = TempDir::new().expect("a folder");
    let data = own.path().join("data");
    let server = Server::start_on(&data, &[("VEILCLOUD_LOG", "debug")]);
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let id = alice.ok(&["--output", "json", "projects", "create", "my-app"]).json()["id"].clone();
    let id = id.as_str().expect("an id").to_owned();
    let address = server.endpoint().trim_start_matches("http://").to_owned();
    let wire = Wire { address, bearer: bearer(&alice, own.path()) };
    let values = values();
    // What the server said of itself before, as the address that it listens at, is not from here.
    let quiet = server.log().len();
    let mut answered = 0;
    for value in &values {
        let escaped = percent(value);
        let quoted = Value::from(String::from_utf8_lossy(value).into_owned()).to_string();
        let json = format!("{{\"name\": {quoted}}}");
        let storage = format!("/v1/storage/{id}/");
        let header = |name: &str| [name.as_bytes(), b": ", value].concat();
        let content = &b"content-type: application/json"[..];
        let asked: [Asked<'_>; 9] = [
            ([b"GET /v1/projects/", &escaped[..]].concat(), vec![], b""),
            ([b"GET /v1/projects/", &value[..]].concat(), vec![], b""),
            ([b"GET ", storage.as_bytes(), &escaped].concat(), vec![], b""),
            ([b"GET /v1/projects?name=", &escaped[..]].concat(), vec![], b""),
            ([b"GET /v1/teams?page_token=", &escaped[..]].concat(), vec![], b""),
            (b"GET /v1/projects".to_vec(), vec![header("traceparent"), header("user-agent")], b""),
            (b"GET /v1/projects".to_vec(), vec![header("x-forwarded-for"), header("veil-cap")], b""),
            ([b"DELETE ", storage.as_bytes(), b"production"].concat(), vec![header("if-match")], b""),
            (b"POST /v1/projects".to_vec(), vec![content.to_vec()], json.as_bytes()),
        ];
        for (line, headers, body) in &asked {
            let headers: Vec<&[u8]> = headers.iter().map(Vec::as_slice).collect();
            answered += usize::from(wire.survives(line, &headers, body));
        }
    }
    // Hanging up is an answer to bytes that are no HTTP, not to everything.
    assert!(answered > values.len() * 6, "{answered} of {}", values.len() * 9);

    let names = alice.ok(&["--output", "json", "projects", "list"]).json().to_string();
    assert!(names.contains("my-app"), "{names}");
    let log = server.log();
    assert!(server.stop().success());
    assert_log(&log[quiet..], &values);
    assert_whole(&data);
}

fn assert_log(log: &str, values: &[Vec<u8>]) {
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        assert!(entry.is_object() && entry.get("forged").is_none(), "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    for value in values.iter().filter(|value| value.len() >= TELLING_LEN) {
        let found = log.as_bytes().windows(value.len()).any(|part| part == value.as_slice());
        assert!(!found, "{:?} is in the log", String::from_utf8_lossy(value));
    }
}

/// Every database in the folder says of itself that it is whole.
fn assert_whole(data: &Path) {
    let mut checked = 0;
    for entry in fs::read_dir(data).expect("the data folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|kind| kind != "db") {
            continue;
        }
        let database = rusqlite::Connection::open(&path).expect("it opens");
        let said: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a row");
        assert_eq!(said, "ok", "{}", path.display());
        checked += 1;
    }
    assert!(checked > 0, "no database in {}", data.display());
}
