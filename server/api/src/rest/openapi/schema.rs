//! Messages and fields as JSON schemas (proto3 JSON).

use data_encoding::BASE64;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use veilcloud_proto::{POOL, RULES, common::v1 as pb};

use super::{docs::Docs, reason};
use crate::contract::option;

/// A UUID in lower case.
const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
/// Longest example of bytes.
const EXAMPLE_LEN_MAX: u32 = 512;

/// A component's name and schema.
pub fn component(full_name: &str, docs: &Docs) -> (String, Value) {
    let message = POOL.get_message_by_name(full_name).expect("the name came from this pool");
    (short(full_name), object(&message, docs, |_| true))
}

/// A message as an object of those fields that `wanted` lets in.
pub fn object(message: &MessageDescriptor, docs: &Docs, wanted: impl Fn(&FieldDescriptor) -> bool) -> Value {
    let fields: Vec<FieldDescriptor> = message.fields().filter(wanted).collect();
    let properties: Map<String, Value> =
        fields.iter().map(|f| (f.json_name().to_owned(), field(f, docs))).collect();
    let required: Vec<&str> = fields.iter().filter(|f| rules(f).required).map(|f| f.json_name()).collect();
    let mut schema = json!({
        "type": "object",
        "description": docs.of(message.full_name()),
        "properties": properties,
    });
    if let (false, Some(schema)) = (required.is_empty(), schema.as_object_mut()) {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

/// A field in a JSON message.
pub fn field(field: &FieldDescriptor, docs: &Docs) -> Value {
    let mut one = value(field);
    if field.is_list() {
        one = json!({"type": "array", "items": one});
        let max_items = rules(field).max_items;
        if let (true, Some(list)) = (max_items > 0, one.as_object_mut()) {
            list.insert("maxItems".to_owned(), json!(max_items));
        }
    }
    described(one, docs.of(field.full_name()))
}

/// A field as a query, path or header parameter: bytes are base64url there, numbers are plain. A tag that a read compares
/// with may be weak and one of a list (RFC 9110, 13.1.2).
pub fn parameter(field: &FieldDescriptor, reads: bool) -> Value {
    match field.kind() {
        Kind::Bytes => json!({"type": "string", "contentEncoding": "base64url"}),
        Kind::Uint64 => json!({"type": "integer", "format": "uint64", "minimum": 0, "maximum": u64::MAX}),
        Kind::String if reads && rules(field).format() == pb::Format::Etag => json!({"type": "string"}),
        _ => value(field),
    }
}

/// Lets every field of a request's object that need not be there be `null`, as proto3 JSON does: it is then not set.
pub fn nullable(object: &mut Value) {
    let required = object["required"].as_array().cloned().unwrap_or_default();
    let Some(properties) = object["properties"].as_object_mut() else { return };
    for (_, schema) in properties.iter_mut().filter(|(name, _)| !required.contains(&json!(name))) {
        if let Some(kind) = schema.get("type").cloned() {
            schema["type"] = json!([kind, "null"]);
        } else {
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let one = json!({"anyOf": [schema.take(), {"type": "null"}]});
            *schema = described(one, description.as_ref().and_then(Value::as_str).unwrap_or_default());
        }
    }
}

/// A schema with a description.
pub fn described(mut schema: Value, text: &str) -> Value {
    if let (false, Some(map)) = (text.is_empty(), schema.as_object_mut()) {
        map.insert("description".to_owned(), json!(text));
    }
    schema
}

/// Every reason's word.
pub fn reasons() -> Vec<&'static str> {
    reason::reasons().iter().map(|reason| reason.word).collect()
}

/// A reference to a message's component.
pub fn reference(message: &MessageDescriptor) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", short(message.full_name()))})
}

/// `veilcloud.storage.v1.BlobInfo` -> `storage.BlobInfo`.
fn short(full_name: &str) -> String {
    let parts: Vec<&str> = full_name.split('.').collect();
    match parts.as_slice() {
        [_, area, _, name] => format!("{area}.{name}"),
        _ => full_name.to_owned(),
    }
}

fn rules(field: &FieldDescriptor) -> pb::Rules {
    option(&field.options(), &RULES).unwrap_or_default()
}

fn value(field: &FieldDescriptor) -> Value {
    let rules = rules(field);
    match field.kind() {
        Kind::String => text(&rules),
        Kind::Bytes => base64(&rules),
        Kind::Uint32 => {
            let most = if rules.max_value > 0 { rules.max_value } else { u64::from(u32::MAX) };
            json!({"type": "integer", "minimum": 0, "maximum": most})
        }
        // proto3 JSON: 64 bits do not fit a JavaScript number.
        Kind::Uint64 => json!({"type": "string", "pattern": "^(0|[1-9][0-9]{0,19})$", "examples": ["1"]}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => {
                json!({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]})
            }
            "google.protobuf.FieldMask" => json!({"type": "string", "examples": ["name"]}),
            _ => reference(&message),
        },
        _ => json!({}),
    }
}

/// Bytes in JSON: base64 of either alphabet, padded or not.
fn base64(rules: &pb::Rules) -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("string"));
    schema.insert("contentEncoding".to_owned(), json!("base64"));
    schema.insert("pattern".to_owned(), json!("^[A-Za-z0-9+/_-]*={0,2}$"));
    let most = rules.exact_len.max(rules.max_len);
    let least = rules.exact_len.max(rules.min_len).max(u32::from(rules.required));
    if least > 0 {
        // An optional field may also be empty; that a rule of a length is not about.
        let empty = if rules.required { (least * 4).div_ceil(3) } else { 0 };
        schema.insert("minLength".to_owned(), json!(empty));
    }
    if most > 0 {
        schema.insert("maxLength".to_owned(), json!(most.div_ceil(3) * 4));
        let sample = vec![0; least.min(EXAMPLE_LEN_MAX) as usize];
        schema.insert("examples".to_owned(), json!([BASE64.encode(&sample)]));
    }
    Value::Object(schema)
}

fn text(rules: &pb::Rules) -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("string"));
    if rules.max_len > 0 {
        schema.insert("maxLength".to_owned(), json!(rules.max_len));
    }
    if rules.required || rules.min_len > 0 {
        schema.insert("minLength".to_owned(), json!(rules.min_len.max(1)));
    }
    let shape = match rules.format() {
        pb::Format::Uuid => Some((UUID, "0190a8f0-5b7c-7d1e-8a2b-3c4d5e6f7081")),
        pb::Format::Email => Some(("[!-?A-~]+@[!-?A-~]+", "ada@example.com")),
        pb::Format::Name => Some((r"[a-z0-9](\.?[a-z0-9_-])*\.?", "production")),
        pb::Format::Etag => Some((r#"\*|"[!#-~]+""#, r#""v7-mfrggzdfmztwq2lknnwg23tp""#)),
        pb::Format::Lines | pb::Format::Unspecified => None,
    };
    if let Some((shape, example)) = shape {
        // What need not be there may also be empty.
        let end = if rules.required { "" } else { "?" };
        schema.insert("pattern".to_owned(), json!(format!("^({shape}){end}$")));
        schema.insert("examples".to_owned(), json!([example]));
    }
    Value::Object(schema)
}
