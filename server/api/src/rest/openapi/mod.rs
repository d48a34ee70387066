//! OpenAPI 3.1, generated from the descriptors: what the document says is what the transcoder does.

mod beside;
mod docs;
mod operation;
mod outcome;
mod reason;
mod schema;

use std::collections::BTreeSet;

use prost_reflect::{Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use veilcloud_proto::common::v1::ErrorReason;

#[cfg(test)]
pub use beside::{FILES, OWN};
use docs::Docs;
#[cfg(test)]
pub use outcome::reasons_of;
pub use reason::{Reason, reasons};

use super::{ROUTES, route::Route};
use crate::status::word;

/// The schema of every failed request.
const PROBLEM: &str = "#/components/schemas/Problem";

/// What a reader should know before the first request.
const ABOUT: &str = "Contents are sealed before they are sent and opened after they are read: the server sees ciphertext \
                     only. Requests with a session carry two headers, `veil-cap` and `veil-pop`; `veilcloud api headers` \
                     prints both for one request. Errors are `application/problem+json`; `x-veilcloud-errors` says of \
                     each `reason` what it means and what to do, and so does the page that `type` names. Answers may get \
                     new fields; requests with unknown ones are refused.";

/// The document of this contract.
pub fn openapi() -> Value {
    let docs = Docs::read();
    let mut paths = Map::new();
    let mut messages = BTreeSet::new();
    for route in &ROUTES.0 {
        let item = paths.entry(route.template.clone()).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(route.http.as_str().to_lowercase(), operation::operation(route, &docs));
        }
        if route.raw_response.is_none() {
            reach(&route.method.output, &mut messages);
        }
        route.method.input.fields().for_each(|field| {
            if let Kind::Message(message) = field.kind() {
                reach(&message, &mut messages);
            }
        });
    }
    paths.extend(beside::paths());
    let mut schemas: Map<String, Value> =
        messages.iter().map(|name| schema::component(name, &docs)).collect();
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {
            "title": "VeilCloud",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "End-to-end encrypted environments: the server sees ciphertext only.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags(&docs),
        "x-veilcloud-errors": reason::table(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "veilCapability": {
                    "type": "apiKey", "in": "header", "name": "veil-cap",
                    "description": "The session's capability, base64url without padding.",
                },
                "veilProof": {
                    "type": "apiKey", "in": "header", "name": "veil-pop",
                    "description": "Proof of possession for this very request: method, path with query, body, time and \
                                    a nonce, signed by the session's key. Base64url without padding, good once.",
                },
                "apiKey": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "vck_<id>_<secret>",
                    "description": "An API key, instead of the two. Its scope and its account's own rights both bound it.",
                },
                "logToken": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "vlt_...",
                    "description": "A token of one log, from `POST /v1/audit/{project_id}/tokens`; it opens nothing else.",
                },
            },
        },
    })
}

/// Messages of ours that a schema refers to, by full name.
fn reach(message: &MessageDescriptor, found: &mut BTreeSet<String>) {
    if !message.full_name().starts_with("veilcloud.") || !found.insert(message.full_name().to_owned()) {
        return;
    }
    for field in message.fields() {
        if let Kind::Message(nested) = field.kind() {
            reach(&nested, found);
        }
    }
}

fn tags(docs: &Docs) -> Vec<Value> {
    let services: BTreeSet<&str> = ROUTES.0.iter().map(service_of).collect();
    let tag = |name: &&str| {
        let short = name.rsplit('.').next().unwrap_or(name);
        json!({"name": short, "description": docs.of(name)})
    };
    services.iter().map(tag).chain(beside::tags()).collect()
}

fn service_of(route: &Route) -> &str {
    route.method.name.rsplit_once('.').map_or("", |(service, _)| service)
}

/// An answer that is a problem of one of these reasons.
fn refused(reasons: &[ErrorReason]) -> Value {
    let words: Vec<&str> = reasons.iter().map(|reason| word(*reason)).collect();
    let schema = json!({"$ref": PROBLEM, "properties": {"reason": {"enum": words}}});
    json!({
        "description": "The request was refused; `reason` says why (RFC 9457).",
        "content": {"application/problem+json": {"schema": schema}},
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457 problem details.",
        "required": ["type", "title", "status", "detail", "reason", "metadata", "trace_id"],
        "properties": {
            "type": {"type": "string", "description": "Page about the reason, relative to the server."},
            "title": {"type": "string", "description": "The same for every occurrence of the reason."},
            "status": {"type": "integer", "description": "HTTP status."},
            "detail": {"type": "string", "maxLength": 1024, "description": "What happened this time."},
            "reason": {"type": "string", "enum": schema::reasons(), "description": "Machine-readable reason."},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Facts."},
            "fields": {
                "type": "array",
                "description": "Fields that break a rule.",
                "items": {
                    "type": "object",
                    "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
                },
            },
            "trace_id": {"type": "string", "description": "Helps the server's operator."},
        },
    })
}

#[cfg(test)]
mod tests;
