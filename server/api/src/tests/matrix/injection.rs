//! Hostile text (`tests/fixtures/injection`) in every text field of every RPC, over gRPC and over REST by path, query, header
//! and body. Nobody is answered that the server has a bug, nothing changes, no header is forged, and each line of the log
//! stays one JSON object without what was sent in it.

use std::{
    io,
    sync::{Arc, Mutex},
};

use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, Kind, MessageDescriptor};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;
use veilcloud_domain::name::Name;

use super::{
    place::Place,
    rows::ROWS,
    send::{Ask, Credential, RestAsk, Seen, percent},
};

/// Stands where the text goes until the request is written.
const MARK: &str = "qqqqqqqqqqqqqqqqqqqqqqqqq";
/// Shortest text that is looked for in the log: shorter ones are in it by chance.
const TELLING_LEN: usize = 6;
/// Headers that only an injected line would add.
const FORGED: [&str; 4] = ["x-injected", "set-cookie", "location", "transfer-encoding"];
/// A field that takes any text but control characters: what people are called is their own business.
const FREE: &str = "displayName";

#[tokio::test]
async fn hostile_sql_changes_nothing_and_is_no_error_of_ours() {
    run(include_str!("../../../../../tests/fixtures/injection/sql.txt"), false).await;
}

#[tokio::test]
async fn hostile_headers_forge_none_of_ours() {
    run(include_str!("../../../../../tests/fixtures/injection/header.txt"), false).await;
}

#[tokio::test]
async fn hostile_paths_lead_nowhere() {
    run(include_str!("../../../../../tests/fixtures/injection/path.txt"), true).await;
}

#[tokio::test]
async fn hostile_text_forges_no_line_of_the_log() {
    run(include_str!("../../../../../tests/fixtures/injection/log.txt"), false).await;
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("one thread").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().expect("one thread"))
    }
}

/// The values of a file of `tests/fixtures/injection`.
fn values(file: &str) -> Vec<Vec<u8>> {
    let lines = file.lines().filter(|line| !line.starts_with("# ") && !line.is_empty());
    let values: Vec<Vec<u8>> = lines.map(unescaped).collect();
    assert!(values.len() >= 55, "{}", values.len());
    values
}

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
            Some('\\') => out.push(b'\\'),
            Some('x') => {
                let hex: String = chars.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&hex, 16).unwrap_or_else(|e| panic!("{line}: {e}")));
            }
            Some('u') => {
                let hex: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                let code = u32::from_str_radix(&hex, 16).unwrap_or_else(|e| panic!("{line}: {e}"));
                let named = char::from_u32(code).expect("a character");
                out.extend(named.to_string().bytes());
            }
            Some(other) => panic!("{line}: \\{other}"),
        }
    }
    out
}

/// Every place of a request's JSON where a text goes, as a JSON pointer.
fn text_fields(message: &MessageDescriptor, at: &str) -> Vec<String> {
    let each = message.fields().flat_map(|field| {
        let here = format!("{at}/{}", field.json_name());
        match field.kind() {
            Kind::String if field.is_list() => vec![format!("{here}/0")],
            Kind::String => vec![here],
            // As JSON a mask is a text.
            Kind::Message(mask) if mask.full_name() == "google.protobuf.FieldMask" => vec![here],
            Kind::Message(nested) if !field.is_list() => text_fields(&nested, &here),
            _ => Vec::new(),
        }
    });
    each.collect()
}

/// The request with the mark in this field.
fn marked(ask: &Ask, pointer: &str) -> Ask {
    let mut ask = ask.clone();
    let mut here = &mut ask.json;
    for part in pointer.split('/').skip(1) {
        if part == "0" {
            *here = json!([Value::Null]);
            here = &mut here[0];
        } else {
            if !here.is_object() {
                *here = json!({});
            }
            here = &mut here[part];
        }
    }
    *here = MARK.into();
    ask
}

async fn run(file: &str, raw_paths: bool) {
    let lines = Lines::default();
    let layer = tracing_subscriber::fmt().json().flatten_event(true).with_writer(lines.clone());
    let log = layer.with_max_level(tracing::Level::TRACE).finish();
    let _log = tracing::subscriber::set_default(log);
    let values = values(file);
    let mut place = Place::new().await;
    let mut sent = 0;
    for (method, template, _) in ROWS {
        let ask = place.ask(method, template, &place.own);
        for pointer in text_fields(&ask.method.input, "") {
            let marked = marked(&ask, &pointer);
            let before = place.port.world.store.picture();
            let mut taken = false;
            for value in &values {
                for seen in sent_everywhere(&place, &ask, &marked, &pointer, value, raw_paths).await {
                    let what = format!("{method} {pointer} {:?}", String::from_utf8_lossy(value));
                    check(&what, &seen);
                    let done = seen.reason == "OK" && ask.method.access.mutation;
                    assert!(!done || may_be_taken(&pointer, value), "{what} was taken: {seen:?}");
                    taken |= done;
                    sent += 1;
                }
            }
            check_log(&lines.take(), &values, &format!("{method} {pointer}"));
            let after = place.port.world.store.picture();
            if taken {
                place = Place::new().await;
            } else if ask.method.access.mutation {
                assert_eq!(before, after, "{method} {pointer}");
            } else {
                // A read that was answered is an entry of a log, and nothing else.
                assert_eq!(but_logs(&before), but_logs(&after), "{method} {pointer}");
            }
        }
    }
    println!("{} values, {sent} requests", values.len());
}

fn but_logs(picture: &[String]) -> Vec<&String> {
    picture.iter().filter(|line| !line.starts_with("log ")).collect()
}

/// Sends a value over gRPC, as each REST request, and raw in the path if asked to.
async fn sent_everywhere(
    place: &Place,
    ask: &Ask,
    marked: &Ask,
    pointer: &str,
    value: &[u8],
    raw_paths: bool,
) -> Vec<Seen> {
    let owner = Credential::Session(&place.ada.session().capability, &place.ada.holder);
    let mut seen = Vec::new();
    if let Some(message) = message(ask, pointer, value) {
        seen.push(place.port.over_grpc(&ask.method.path, &message, &owner).await);
    }
    for rest in marked.rest() {
        seen.extend(place.port.over_rest(&written(&rest, value, percent), &owner).await);
        if raw_paths && rest.line.contains(MARK) {
            let raw = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            seen.extend(place.port.over_rest(&written(&rest, value, raw), &owner).await);
        }
    }
    seen
}

/// The message with the value in the field; `None` for a mask, whose paths have no such text, and for bytes that are shorter
/// than what they replace can be.
fn message(ask: &Ask, pointer: &str, value: &[u8]) -> Option<Vec<u8>> {
    // As many letters as the value has bytes, and as unlike anything else as that many letters can be.
    let stand_in = "Q".repeat(value.len());
    let text = std::str::from_utf8(value).map_or(stand_in.clone(), str::to_owned);
    let mut json = marked(ask, pointer).json;
    *json.pointer_mut(pointer).expect("it was put there") = text.as_str().into();
    let options = DeserializeOptions::new();
    let message = DynamicMessage::deserialize_with_options(ask.method.input.clone(), json, &options).ok()?;
    let mut bytes = message.encode_to_vec();
    if text == stand_in {
        let at = bytes.windows(value.len()).position(|part| part == stand_in.as_bytes())?;
        bytes[at..at + value.len()].copy_from_slice(value);
    }
    Some(bytes)
}

/// The REST request with the value where the mark is.
fn written(ask: &RestAsk, value: &[u8], in_path: impl Fn(&[u8]) -> String) -> RestAsk {
    let json = match std::str::from_utf8(value) {
        Ok(text) => {
            let quoted = Value::from(text).to_string();
            quoted.as_bytes()[1..quoted.len() - 1].to_vec()
        }
        Err(_) => value.to_vec(),
    };
    let headers = ask.headers.iter().map(|(name, held)| (name.clone(), replaced(held, value)));
    RestAsk {
        line: ask.line.replace(MARK, &in_path(value)),
        headers: headers.collect(),
        body: replaced(&ask.body, &json),
    }
}

fn replaced(bytes: &[u8], value: &[u8]) -> Vec<u8> {
    match bytes.windows(MARK.len()).position(|part| part == MARK.as_bytes()) {
        Some(at) => [&bytes[..at], value, &bytes[at + MARK.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

/// Whether a field may take the value: what people are called, and a name that is one.
fn may_be_taken(pointer: &str, value: &[u8]) -> bool {
    let text = std::str::from_utf8(value);
    let plain = text.is_ok_and(|text| !text.chars().any(char::is_control));
    pointer.ends_with(FREE) && plain || text.is_ok_and(|text| text.parse::<Name>().is_ok())
}

fn check(what: &str, seen: &Seen) {
    const OURS: [&str; 5] =
        ["INTERNAL", "STORE_UNAVAILABLE", "STORE_FULL", "LOG_UNAVAILABLE", "DEADLINE_EXCEEDED"];
    assert!(!OURS.contains(&&*seen.reason) && !seen.code.starts_with('5'), "{what}: {seen:?}");
    for name in FORGED {
        assert!(!seen.headers.contains_key(name), "{what}: {seen:?}");
    }
    assert_eq!(seen.headers.get_all("veil-trace-id").iter().count(), 1, "{what}: {seen:?}");
    let kind = seen.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
    assert!(!kind.starts_with("text/html"), "{what}: {seen:?}");
}

fn check_log(log: &[u8], values: &[Vec<u8>], what: &str) {
    let text = std::str::from_utf8(log).unwrap_or_else(|e| panic!("{what}: the log is not UTF-8: {e}"));
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{what}: {e}: {line}"));
        assert!(entry.is_object() && entry.get("forged").is_none(), "{what}: {line}");
        assert!(!line.contains(char::is_control), "{what}: {line}");
    }
    for value in values.iter().filter(|value| value.len() >= TELLING_LEN) {
        // What is no UTF-8 cannot be in a text that is.
        let Ok(value) = std::str::from_utf8(value) else { continue };
        assert!(!text.contains(value), "{what}: {value:?} is in the log:\n{text}");
    }
}
