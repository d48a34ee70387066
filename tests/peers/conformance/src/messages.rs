//! What a request asks the service to answer, and what the service saw of it.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message;
use prost_types::Any;
use tokio::time::sleep;
use tonic::{Code, Response, Status, metadata::MetadataMap};

use crate::{
    pb::{
        ConformancePayload, Error, Header, UnaryResponseDefinition, conformance_payload::RequestInfo,
        unary_response_definition::Response as Wanted,
    },
    trailers::Trailers,
};

/// A message of the runner's package, packed.
pub fn any(name: &str, message: &impl Message) -> Any {
    let type_url = format!("type.googleapis.com/connectrpc.conformance.v1.{name}");
    Any { type_url, value: message.encode_to_vec() }
}

/// The head of a request.
pub struct Seen {
    headers: Vec<Header>,
    timeout_ms: Option<i64>,
}

impl Seen {
    /// What arrived with a request.
    pub fn of(metadata: &MetadataMap) -> Self {
        let headers = metadata.clone().into_headers();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let values = |name| headers.get_all(name).iter().map(text).collect();
        let listed = headers.keys().map(|name| Header { name: name.to_string(), value: values(name) });
        let timeout_ms = headers.get("grpc-timeout").and_then(|v| v.to_str().ok()).and_then(timeout_ms);
        Self { headers: listed.collect(), timeout_ms }
    }

    /// All of it, with these requests.
    pub fn info(&self, requests: Vec<Any>) -> RequestInfo {
        let (request_headers, timeout_ms) = (self.headers.clone(), self.timeout_ms);
        RequestInfo { request_headers, timeout_ms, requests, connect_get_info: None }
    }
}

fn timeout_ms(text: &str) -> Option<i64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = digits.parse().ok()?;
    Some(match unit {
        "H" => number * 3_600_000,
        "M" => number * 60_000,
        "S" => number * 1000,
        "m" => number,
        "u" => number / 1000,
        "n" => number / 1_000_000,
        _ => return None,
    })
}

/// Headers or trailers to send.
pub fn map(headers: &[Header]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for Header { name, value } in headers {
        for value in value {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                map.append(name, value);
            }
        }
    }
    map
}

/// An answer's message.
pub fn payload(data: Vec<u8>, request_info: Option<RequestInfo>) -> ConformancePayload {
    ConformancePayload { data, request_info }
}

/// An error as it was asked for; with `info` when no message went before it.
pub fn status(mut error: Error, info: Option<RequestInfo>, metadata: HeaderMap) -> Status {
    error.details.extend(info.map(|info| any("ConformancePayload.RequestInfo", &info)));
    let (code, message) = (error.code, error.message.unwrap_or_default());
    let details = tonic_types::pb::Status { code, message: message.clone(), details: error.details };
    let metadata = MetadataMap::from_headers(metadata);
    Status::with_details_and_metadata(Code::from(code), message, details.encode_to_vec().into(), metadata)
}

/// The answer of a method that gives one message.
pub async fn one(
    definition: Option<UnaryResponseDefinition>,
    info: RequestInfo,
) -> Result<Response<ConformancePayload>, Status> {
    let definition = definition.unwrap_or_default();
    sleep(Duration::from_millis(definition.response_delay_ms.into())).await;
    let (mut headers, trailers) = (map(&definition.response_headers), map(&definition.response_trailers));
    let data = match definition.response {
        Some(Wanted::Error(error)) => {
            headers.extend(trailers);
            return Err(status(error, Some(info), headers));
        }
        Some(Wanted::ResponseData(data)) => data,
        None => Vec::new(),
    };
    let mut response = Response::new(payload(data, Some(info)));
    *response.metadata_mut() = MetadataMap::from_headers(headers);
    response.extensions_mut().insert(Trailers(trailers));
    Ok(response)
}
