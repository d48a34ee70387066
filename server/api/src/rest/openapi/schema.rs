//! Messages and fields as JSON schemas (proto3 JSON).

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use veilcloud_proto::{POOL, RULES, common::v1 as pb};

use super::docs::Docs;
use crate::contract::option;

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

/// A field as a query, path or header parameter: bytes are base64url there, numbers are plain.
pub fn parameter(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::Bytes => json!({"type": "string", "contentEncoding": "base64url"}),
        Kind::Uint64 => json!({"type": "integer", "format": "int64", "minimum": 0}),
        _ => value(field),
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
pub fn reasons() -> Vec<String> {
    let list = POOL.get_enum_by_name("veilcloud.common.v1.ErrorReason").expect("the contract has reasons");
    let words = list.values().filter(|v| v.number() != 0);
    words.map(|v| v.name().trim_start_matches("ERROR_REASON_").to_owned()).collect()
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
        Kind::Bytes => {
            let most = rules.exact_len.max(rules.max_len);
            let mut bytes = json!({"type": "string", "contentEncoding": "base64"});
            if let (true, Some(map)) = (most > 0, bytes.as_object_mut()) {
                map.insert("maxLength".to_owned(), json!(most.div_ceil(3) * 4));
            }
            bytes
        }
        Kind::Uint32 => {
            let most = if rules.max_value > 0 { rules.max_value } else { u64::from(u32::MAX) };
            json!({"type": "integer", "minimum": 0, "maximum": most})
        }
        // proto3 JSON: 64 bits do not fit a JavaScript number.
        Kind::Uint64 => json!({"type": "string", "pattern": "^(0|[1-9][0-9]{0,19})$"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
            "google.protobuf.FieldMask" => json!({"type": "string", "examples": ["name"]}),
            _ => reference(&message),
        },
        _ => json!({}),
    }
}

fn text(rules: &pb::Rules) -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("string"));
    if rules.max_len > 0 {
        schema.insert("maxLength".to_owned(), json!(rules.max_len));
    }
    let shape = match rules.format() {
        pb::Format::Uuid => Some(("format", "uuid")),
        pb::Format::Email => Some(("format", "email")),
        pb::Format::Name => Some(("pattern", "^[a-z0-9](\\.?[a-z0-9_-])*\\.?$")),
        pb::Format::Etag => Some(("pattern", "^(\\*|\"[!#-~]+\")$")),
        pb::Format::Lines | pb::Format::Unspecified => None,
    };
    if let Some((key, value)) = shape {
        schema.insert(key.to_owned(), json!(value));
    }
    Value::Object(schema)
}
