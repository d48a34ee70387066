//! The RPC's answer as an HTTP response: JSON, or the raw bytes of a stream, with the headers that fields name.

use axum::body::Body;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use prost_reflect::{DynamicMessage, FieldDescriptor, SerializeOptions, Value};
use tonic::{Code, Status};
use veilcloud_domain::storage::error::StorageError;

use super::Wishes;
use crate::{
    contract::header_of,
    gate::{ALLOWANCE_HEADERS, Frames, REPLAYED},
    rest::{
        range::Served,
        route::{BodyRule, Route},
    },
    status::Fault,
};

/// What a service says that the bytes of its stream are, when they are no age file.
#[derive(Debug, Clone, Copy)]
pub struct MediaType(pub &'static str);

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Translates the answer of the gate.
pub async fn translate(
    route: &Route,
    wishes: &Wishes,
    answer: Response<Body>,
) -> Result<Response<Body>, Status> {
    if let Some(status) = Status::from_header_map(answer.headers()).filter(|s| s.code() != Code::Ok) {
        // The one that was put beside the headers still knows its cause, for the log.
        return Err(answer.extensions().get::<Status>().cloned().unwrap_or(status));
    }
    let (parts, body) = answer.into_parts();
    let mut frames = Frames::new(body);
    let first = frames.next().await?.ok_or_else(|| Fault::internal("a service gave no message"))?;
    let message = DynamicMessage::decode(route.method.output.clone(), first)
        .map_err(|error| Fault::internal(format!("an answer does not decode: {error}")))?;

    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    for name in ALLOWANCE_HEADERS.into_iter().chain([REPLAYED]) {
        if let Some(value) = parts.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    field_headers(&message, headers);
    if headers.contains_key(header::ETAG) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    let reads = wishes.http == Method::GET || wishes.http == Method::HEAD;
    if reads && (flag(&message, "not_modified") || unchanged(wishes, headers)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    match &route.raw_response {
        Some(field) => {
            let served = parts.extensions.get::<Served>().copied();
            stream_out(&mut response, field.clone(), message, frames, served);
            if let Some(kind) = parts.extensions.get::<MediaType>() {
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind.0));
            }
        }
        None if wishes.http == Method::HEAD => describe(&mut response, &message)?,
        None => {
            if frames.next().await?.is_some() {
                return Err(Fault::internal("a unary answer has a second message").into());
            }
            *response.body_mut() = Body::from(json(&message)?);
            let kind = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            // PUT where nothing was before (RFC 9110, 9.3.4).
            let first = wishes.if_none_match.as_deref() == Some("*");
            if first && matches!(route.body, BodyRule::Raw(..)) {
                *response.status_mut() = StatusCode::CREATED;
            }
        }
    }
    Ok(response)
}

/// A message in proto3 JSON, every field written out.
pub fn json(message: &DynamicMessage) -> Result<Vec<u8>, Fault> {
    let mut out = serde_json::Serializer::new(Vec::new());
    let options = SerializeOptions::new().skip_default_fields(false);
    let written = message.serialize_with_options(&mut out, &options);
    written.map_err(|error| Fault::internal(format!("an answer is not JSON: {error}")))?;
    Ok(out.into_inner())
}

/// The headers that fields of the answer name, in it and in its messages.
fn field_headers(message: &DynamicMessage, headers: &mut HeaderMap) {
    for (field, value) in message.fields() {
        if let Some(nested) = value.as_message() {
            field_headers(nested, headers);
        }
        let name = header_of(&field).and_then(|name| HeaderName::try_from(name).ok());
        if let (Some(name), Some(value)) = (name, header_value(value)) {
            headers.insert(name, value);
        }
    }
}

fn header_value(value: &Value) -> Option<HeaderValue> {
    match value {
        Value::String(text) => HeaderValue::try_from(text.as_str()).ok(),
        Value::Bytes(bytes) => HeaderValue::try_from(BASE64URL_NOPAD.encode(bytes)).ok(),
        Value::U32(number) => Some(HeaderValue::from(*number)),
        Value::U64(number) => Some(HeaderValue::from(*number)),
        _ => None,
    }
}

fn flag(message: &DynamicMessage, name: &str) -> bool {
    message.get_field_by_name(name).and_then(|v| v.as_bool()).unwrap_or(false)
}

/// RFC 9110, 13.1.2, weak comparison.
fn unchanged(wishes: &Wishes, headers: &HeaderMap) -> bool {
    let Some(current) = headers.get(header::ETAG).and_then(|v| v.to_str().ok()) else { return false };
    let tags = wishes.if_none_match.iter().flat_map(|list| list.split(','));
    tags.map(|tag| tag.trim()).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == current)
}

/// HEAD: what a GET would say of the bytes, without them.
fn describe(response: &mut Response<Body>, message: &DynamicMessage) -> Result<(), Status> {
    let blob = message.get_field_by_name("blob");
    let blob =
        blob.as_ref().and_then(|v| v.as_message()).ok_or_else(|| Fault::internal("HEAD describes a blob"))?;
    if flag(blob, "deleted") {
        return Err(Fault::from(StorageError::BlobNotFound).into());
    }
    let len = blob.get_field_by_name("ciphertext_bytes").and_then(|v| v.as_u64()).unwrap_or(0);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, OCTETS);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    Ok(())
}

fn stream_out(
    response: &mut Response<Body>,
    field: FieldDescriptor,
    first: DynamicMessage,
    frames: Frames,
    served: Option<Served>,
) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, OCTETS);
    if let Some(Served { offset, len, total, partial }) = served {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
        let last = (offset + len).saturating_sub(1);
        if let (true, Ok(range)) = (partial, HeaderValue::try_from(format!("bytes {offset}-{last}/{total}")))
        {
            headers.insert(header::CONTENT_RANGE, range);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
    }
    let head = stream::iter([Ok(data(&first, &field))]);
    let rest = stream::unfold((frames, field), |(mut frames, field)| async move {
        let piece = match frames.next().await {
            Ok(None) => return None,
            Ok(Some(bytes)) => DynamicMessage::decode(field.parent_message().clone(), bytes)
                .map(|message| data(&message, &field))
                .map_err(|_| Status::internal("a piece of an answer does not decode")),
            Err(status) => Err(status),
        };
        Some((piece, (frames, field)))
    });
    // A stream that fails breaks the connection off: the announced length is not reached, so nobody takes it for whole.
    let pieces = head.chain(rest).filter(|piece| {
        let empty = piece.as_ref().is_ok_and(Bytes::is_empty);
        std::future::ready(!empty)
    });
    *response.body_mut() = Body::from_stream(pieces);
}

fn data(message: &DynamicMessage, field: &FieldDescriptor) -> Bytes {
    message.get_field(field).as_bytes().cloned().unwrap_or_default()
}
