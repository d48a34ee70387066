//! An HTTP request as the RPC's message. Each field has one place to come from; two places must agree.

use std::net::IpAddr;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, header, request::Parts};
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Value};
use veilcloud_proto::common::v1::ErrorReason;

use super::unique::Unique;
use crate::{
    contract::header_of,
    gate::{Gate, too_large},
    rest::{
        query,
        route::{BodyRule, Hit, Route},
    },
    status::Fault,
};

const JSON: &str = "application/json";
const RAW: &str = "application/octet-stream";
/// Fields that the Range header sets on a raw answer.
const RANGE_FIELDS: [&str; 2] = ["offset", "length"];

/// The raw body, whose hash the proof names. JSON may be larger than its message by base64 and field names.
pub async fn collect(
    gate: &Gate,
    route: &Route,
    parts: &Parts,
    from: IpAddr,
    body: Body,
    message_bytes: u64,
) -> Result<Bytes, Fault> {
    let (limit, fault) = match &route.body {
        BodyRule::None => (0, Fault::new(ErrorReason::MessageMalformed, "this path takes no body")),
        BodyRule::Json => (message_bytes + message_bytes / 2, too_large(message_bytes + message_bytes / 2)),
        BodyRule::Raw(_, max_len) => (u64::from(*max_len), Fault::too_large(u64::from(*max_len))),
    };
    if parts.headers.get(header::CONTENT_ENCODING).is_some_and(|v| v != "identity") {
        return Err(expected("identity"));
    }
    gate.collect(from, body, limit, fault).await
}

/// The message's bytes.
pub fn message(hit: &Hit<'_>, parts: &Parts, raw: Bytes) -> Result<Vec<u8>, Fault> {
    let route = hit.route;
    let mut message = match &route.body {
        BodyRule::None => DynamicMessage::new(route.method.input.clone()),
        BodyRule::Json => from_json(route, &parts.headers, &raw)?,
        BodyRule::Raw(field, _) => {
            content_type(&parts.headers, RAW)?;
            let mut message = DynamicMessage::new(route.method.input.clone());
            message.set_field(field, Value::Bytes(raw));
            message
        }
    };
    for (field, text) in &hit.variables {
        set(&mut message, field, query::value(field, text)?)?;
    }
    for field in route.method.input.fields() {
        if let Some(text) = header_text(&field, parts)? {
            set(&mut message, &field, query::value(&field, &text)?)?;
        }
    }
    for (name, text) in query::pairs(parts.uri.query().unwrap_or_default())? {
        let field = query_field(route, &name).ok_or_else(|| {
            Fault::field(name.clone(), "unknown_field", "is not a query parameter of this path")
        })?;
        if message.has_field(&field) {
            return Err(Fault::field(name, "repeated", "is given twice"));
        }
        set(&mut message, &field, query::value(&field, &text)?)?;
    }
    Ok(message.encode_to_vec())
}

/// The field that a query parameter sets: any that comes neither from the path, nor the body, nor a header.
pub fn query_field(route: &Route, name: &str) -> Option<FieldDescriptor> {
    let input = &route.method.input;
    let field = input.get_field_by_name(name).or_else(|| input.get_field_by_json_name(name))?;
    let elsewhere = match &route.body {
        BodyRule::Json => true,
        BodyRule::Raw(body, _) => body.number() == field.number(),
        BodyRule::None => false,
    };
    let by_path = route.variable_names().any(|variable| variable == field.name());
    let by_range = route.raw_response.is_some() && RANGE_FIELDS.contains(&field.name());
    let free = !elsewhere && !by_path && !by_range && header_of(&field).is_none() && query::bindable(&field);
    free.then_some(field)
}

fn header_text(field: &FieldDescriptor, parts: &Parts) -> Result<Option<String>, Fault> {
    let Some(name) = header_of(field) else { return Ok(None) };
    let mut values = parts.headers.get_all(&name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| Fault::field(field.name(), "format", "must be visible ASCII"))?;
    if values.next().is_some() {
        return Err(Fault::field(field.name(), "repeated", "is given twice"));
    }
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    let text = if reads && name == "if-none-match" { first_tag(text) } else { text };
    Ok(Some(text.to_owned()))
}

/// A cache may list several tags and weaken ours. Comparing with the first one only is safe: at worst all is sent.
fn first_tag(text: &str) -> &str {
    let first = text.split(',').next().unwrap_or_default().trim();
    first.strip_prefix("W/").unwrap_or(first)
}

fn set(message: &mut DynamicMessage, field: &FieldDescriptor, value: Value) -> Result<(), Fault> {
    if message.has_field(field) && *message.get_field(field) != value {
        return Err(Fault::field(field.name(), "repeated", "is given twice, differently"));
    }
    message.set_field(field, value);
    Ok(())
}

fn from_json(route: &Route, headers: &HeaderMap, raw: &Bytes) -> Result<DynamicMessage, Fault> {
    if raw.is_empty() {
        return Ok(DynamicMessage::new(route.method.input.clone()));
    }
    content_type(headers, JSON)?;
    let malformed = |error: serde_json::Error| {
        // The parser's own words may repeat what was sent; only the place is told.
        let place = format!("line {}, column {}", error.line(), error.column());
        Fault::new(ErrorReason::MessageMalformed, format!("the body is not JSON of this request ({place})"))
    };
    serde_json::from_slice::<Unique>(raw).map_err(malformed)?;
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let mut json = serde_json::Deserializer::from_slice(raw);
    let message = DynamicMessage::deserialize_with_options(route.method.input.clone(), &mut json, &options);
    let message = message.map_err(malformed)?;
    json.end().map_err(malformed)?;
    Ok(message)
}

fn content_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Fault> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(wanted) { Ok(()) } else { Err(expected(wanted)) }
}

fn expected(wanted: &'static str) -> Fault {
    let fault = Fault::new(ErrorReason::ContentTypeUnsupported, format!("this path takes {wanted}"));
    fault.with("expected", wanted)
}
