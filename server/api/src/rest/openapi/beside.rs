//! The paths that are no RPC's: health, documentation, and the logs' files.

use serde_json::{Map, Value, json};
use veilcloud_proto::common::v1::ErrorReason::{self, *};

use super::refused;

const HEALTH: &str = "Health";
const DOCUMENTATION: &str = "Documentation";
const LOG_FILES: &str = "LogFiles";

/// What each of these paths may answer.
pub const OWN: &[ErrorReason] = &[MessageTooLarge, MethodUnknown, RateLimited, StoreUnavailable, Internal];
/// The same of the logs' files.
pub const FILES: &[ErrorReason] = &[
    MessageTooLarge,
    MethodUnknown,
    RateLimited,
    StoreUnavailable,
    Internal,
    LogFileUnknown,
    LogBehind,
    LogTokenInvalid,
    ServiceTokenSent,
];

/// Their tags.
pub fn tags() -> [Value; 3] {
    [
        (HEALTH, "Whether the server runs and takes requests."),
        (DOCUMENTATION, "This document, and what each error reason means, to read."),
        (
            LOG_FILES,
            "The logs as c2sp.org/tlog-tiles lays them out, for verifiers that know nothing else of us.",
        ),
    ]
    .map(|(name, text)| json!({"name": name, "description": text}))
}

/// Their items by path.
pub fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    let mut add = |path: &str, get: Value| {
        paths.insert(path.to_owned(), json!({"get": get}));
    };
    add("/health", health("Health", "The process is up."));
    add("/health/ready", health("Ready", "The server takes requests."));
    add("/openapi.json", page("OpenApi", "This document.", "application/json", &[]));
    add("/docs", page("Docs", "This document to read, by Swagger UI.", "text/html", &[]));
    add("/docs/errors", page("Errors", "Every error reason with what it means.", "text/html", &[]));
    let reason = json!({
        "name": "reason", "in": "path", "required": true, "schema": {"type": "string", "pattern": "^[A-Z_]+$"},
        "description": "The reason of a problem, for example ETAG_MISMATCH.",
    });
    add(
        "/docs/errors/{reason}",
        page(
            "ErrorPage",
            "What one reason means and what to do. A problem's `type` names it.",
            "text/html",
            &[reason],
        ),
    );
    add(
        "/log/{origin}/checkpoint",
        file("LogCheckpoint", "The newest published checkpoint.", "text/plain", &[]),
    );
    let level = json!({
        "name": "level", "in": "path", "required": true,
        "schema": {"type": "string", "pattern": "^(entries|[0-9]|[1-5][0-9]|6[0-3])$"},
        "description": "Level of a tile of hashes, or `entries` for a bundle of leaves.",
    });
    let tile = json!({
        "name": "tile", "in": "path", "required": true,
        "schema": {"type": "string", "examples": ["000", "x001/x234/067.p/5"]},
        "description": "Index in groups of three digits, and the width of a partial one; its slashes are sent as they are.",
    });
    let text = "A tile or a bundle that the published checkpoint covers.";
    add(
        "/log/{origin}/tile/{level}/{tile}",
        file("LogTile", text, "application/octet-stream", &[level, tile]),
    );
    paths
}

fn health(id: &str, text: &str) -> Value {
    let status =
        json!({"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}});
    let answer = |text: &str| json!({"description": text, "content": {"application/json": {"schema": status.clone()}}});
    json!({
        "operationId": id,
        "tags": [HEALTH],
        "summary": text,
        "description": text,
        "security": [],
        "parameters": [],
        "responses": {"200": answer("Yes."), "503": answer("Not now."), "default": refused(&[MethodUnknown])},
    })
}

fn page(id: &str, text: &str, kind: &str, parameters: &[Value]) -> Value {
    let schema =
        if kind == "application/json" { json!({"type": "object"}) } else { json!({"type": "string"}) };
    let had = json!({
        "name": "if-none-match", "in": "header", "required": false, "schema": {"type": "string"},
        "description": "Entity tag of what the reader has.",
    });
    json!({
        "operationId": id,
        "tags": [DOCUMENTATION],
        "summary": text,
        "description": text,
        "security": [],
        "parameters": parameters.iter().cloned().chain([had]).collect::<Vec<_>>(),
        "responses": {
            "200": {"description": text, "content": {kind: {"schema": schema}}},
            "304": {"description": "The reader has it."},
            "default": refused(OWN),
        },
    })
}

fn file(id: &str, text: &str, kind: &str, parameters: &[Value]) -> Value {
    let origin = json!({
        "name": "origin", "in": "path", "required": true,
        "schema": {"type": "string", "examples": ["cloud.example.org/log/directory"]},
        "description": "The log's origin, from its checkpoint or from GetLog; its slashes are sent as they are.",
    });
    let schema = if kind == "text/plain" {
        json!({"type": "string"})
    } else {
        json!({"type": "string", "format": "binary"})
    };
    let note = "The directory is open to all; any other log wants a token of that very log. A wrong token, and a log that \
                does not exist, are answered alike.";
    json!({
        "operationId": id,
        "tags": [LOG_FILES],
        "summary": text.trim_end_matches('.'),
        "description": format!("{text} {note}"),
        "security": [{}, {"logToken": []}],
        "parameters": Vec::from_iter([origin].iter().chain(parameters).cloned()),
        "responses": {
            "200": {"description": text, "content": {kind: {"schema": schema}}},
            "default": refused(FILES),
        },
    })
}
