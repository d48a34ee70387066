//! One route as an OpenAPI operation.

use http::Method;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use veilcloud_proto::{RULES, common::v1 as pb};

use super::{docs::Docs, outcome::reasons_of, refused, schema, service_of};
use crate::{
    contract::{header_of, option},
    rest::{
        route::{BodyRule, Route},
        transcode::query_field,
    },
};

/// What raw bytes are when nothing else is said.
const OCTETS: &str = "application/octet-stream";

/// The operation.
pub fn operation(route: &Route, docs: &Docs) -> Value {
    let method = route.method;
    let text = docs.of(&method.name);
    let service = service_of(route).rsplit('.').next().unwrap_or_default();
    let name = method.descriptor.name();
    let suffix = if route.http == Method::HEAD { "_Head" } else { "" };
    let security = match method.access {
        access if access.keys => json!([{"veilCapability": [], "veilProof": []}, {"apiKey": []}]),
        access if access.session => json!([{"veilCapability": [], "veilProof": []}]),
        _ => json!([]),
    };
    let mut operation = json!({
        "operationId": format!("{service}_{name}{suffix}"),
        "tags": [service],
        "summary": text.split(". ").next().unwrap_or_default().trim_end_matches('.'),
        "description": text,
        "security": security,
        "parameters": parameters(route, docs),
        "responses": responses(route, docs),
        "x-veilcloud-permission": method.access.permission.map(|p| p.to_string()).unwrap_or_default(),
        "x-veilcloud-cost": method.access.cost,
    });
    if let (Some(body), Some(map)) = (request_body(route, docs), operation.as_object_mut()) {
        map.insert("requestBody".to_owned(), body);
    }
    operation
}

fn reads(route: &Route) -> bool {
    route.http == Method::GET || route.http == Method::HEAD
}

fn parameters(route: &Route, docs: &Docs) -> Vec<Value> {
    let input = &route.method.input;
    let mut found = Vec::new();
    for field in input.fields() {
        let by_path = route.variable_names().any(|name| name == field.name());
        let place = if by_path {
            Some(("path", field.name().to_owned()))
        } else if let Some(header) = header_of(&field) {
            Some(("header", header))
        } else {
            query_field(route, field.name()).map(|_| ("query", field.name().to_owned()))
        };
        if let Some((place, name)) = place {
            found.push(json!({
                "name": name,
                "in": place,
                "required": by_path || place != "header" && required(&field) || raw_needs(route, &field),
                "description": docs.of(field.full_name()),
                "schema": schema::parameter(&field, reads(route)),
            }));
        }
    }
    if route.raw_response.is_some() {
        for (name, text) in [
            ("range", "One range of bytes (RFC 9110, 14)."),
            ("if-range", "Entity tag that the range is of; the whole is sent when it is another version."),
        ] {
            found.push(json!({
                "name": name, "in": "header", "required": false, "description": text, "schema": {"type": "string"},
            }));
        }
    }
    found
}

/// With a JSON body a header is another way to say a field; with a raw body it is the only one.
fn raw_needs(route: &Route, field: &FieldDescriptor) -> bool {
    matches!(route.body, BodyRule::Raw(..)) && required(field)
}

fn required(field: &FieldDescriptor) -> bool {
    let rules: Option<pb::Rules> = option(&field.options(), &RULES);
    rules.is_some_and(|rules| rules.required)
}

fn request_body(route: &Route, docs: &Docs) -> Option<Value> {
    match &route.body {
        BodyRule::None => None,
        BodyRule::Json => {
            let in_path = |field: &FieldDescriptor| route.variable_names().any(|name| name == field.name());
            let mut schema = schema::object(&route.method.input, docs, |field| !in_path(field));
            schema::nullable(&mut schema);
            // Requests are closed: an unknown field is refused. Answers may grow.
            schema["additionalProperties"] = json!(false);
            Some(json!({"required": false, "content": {"application/json": {"schema": schema}}}))
        }
        BodyRule::Raw(field, max_len) => Some(json!({
            "required": true,
            "description": docs.of(field.full_name()),
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary", "maxLength": max_len}}},
        })),
    }
}

fn responses(route: &Route, docs: &Docs) -> Value {
    let mut headers = Map::new();
    answer_headers(&route.method.output, docs, &mut headers);
    let has_etag = headers.contains_key("etag");
    let mut found = Map::new();
    if let Some(field) = &route.raw_response {
        let binary = raw_content(field);
        found.insert(
            "200".into(),
            json!({"description": "The bytes.", "headers": headers, "content": binary}),
        );
        found.insert(
            "206".into(),
            json!({"description": "A range of them.", "headers": headers, "content": binary}),
        );
    } else if route.http == Method::HEAD {
        found.insert("200".into(), json!({"description": "What a GET would say.", "headers": headers}));
    } else {
        let text = docs.of(route.method.output.full_name());
        let content = json!({"application/json": {"schema": schema::reference(&route.method.output)}});
        let answer = json!({"description": text, "headers": headers, "content": content});
        if matches!(route.body, BodyRule::Raw(..)) && has_etag {
            found.insert("201".into(), answer.clone());
        }
        found.insert("200".into(), answer);
    }
    if has_etag && reads(route) {
        found.insert("304".into(), json!({"description": "The caller has this version."}));
    }
    found.insert("default".into(), refused(&reasons_of(route.method)));
    Value::Object(found)
}

/// The media types of a raw answer: those that its field names.
fn raw_content(field: &FieldDescriptor) -> Value {
    let rules: Option<pb::Rules> = option(&field.options(), &RULES);
    let named = rules.map(|rules| rules.media).filter(|media| !media.is_empty());
    let named = named.unwrap_or_else(|| OCTETS.to_owned());
    let schema = json!({"schema": {"type": "string", "format": "binary"}});
    Value::Object(named.split(',').map(|kind| (kind.trim().to_owned(), schema.clone())).collect())
}

fn answer_headers(message: &MessageDescriptor, docs: &Docs, found: &mut Map<String, Value>) {
    for field in message.fields().filter(|field| !field.is_list()) {
        if let Some(header) = header_of(&field) {
            let text = docs.of(field.full_name());
            found.insert(header, json!({"description": text, "schema": schema::parameter(&field, false)}));
        }
        if let Kind::Message(nested) = field.kind() {
            answer_headers(&nested, docs, found);
        }
    }
}
