//! A status as RFC 9457 problem+json. It is made from the gRPC status, so that both protocols say the same.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use tonic::Status;
use tonic_types::StatusExt;
use veilcloud_proto::common::v1::ErrorReason;

use super::{reason_of, row, word};
use crate::gate::ALLOWANCE_HEADERS;

/// Content type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// What a missing or wrong credential is answered with (RFC 9110, 11.6.1).
const CHALLENGE: &str = "Veil realm=\"veilcloud\", Bearer realm=\"veilcloud\"";

/// The answer for a failed REST request. `http` overrides the reason's own status (405).
pub fn problem(status: &Status, trace_id: &str, http: Option<StatusCode>) -> Response<Body> {
    let details = status.get_error_details();
    let reason = reason_of(status);
    let row = row(reason);
    let code =
        http.unwrap_or_else(|| StatusCode::from_u16(row.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    let metadata = details.error_info().map(|info| info.metadata.clone()).unwrap_or_default();
    let retry_after = details.retry_info().and_then(|info| info.retry_delay);

    let mut body = Map::new();
    body.insert("type".into(), json!(format!("/docs/errors/{}", word(reason))));
    body.insert("title".into(), json!(row.title));
    body.insert("status".into(), json!(code.as_u16()));
    body.insert("detail".into(), json!(status.message()));
    body.insert("reason".into(), json!(word(reason)));
    // Sorted: the same error is the same bytes.
    let sorted: std::collections::BTreeMap<_, _> = metadata.iter().collect();
    body.insert("metadata".into(), json!(sorted));
    if let Some(request) = details.bad_request().filter(|r| !r.field_violations.is_empty()) {
        let fields =
            request.field_violations.iter().map(|v| json!({"field": v.field, "detail": v.description}));
        body.insert("fields".into(), Value::Array(fields.collect()));
    }
    body.insert("trace_id".into(), json!(trace_id));

    let mut response = Response::new(Body::from(Value::Object(body).to_string()));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    if let Some(after) = retry_after {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    for name in ALLOWANCE_HEADERS {
        if let Some(value) = status.metadata().as_ref().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    if code == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    }
    if let (ErrorReason::RangeNotSatisfiable, Some(length)) = (reason, metadata.get("length"))
        && let Ok(value) = HeaderValue::try_from(format!("bytes */{length}"))
    {
        headers.insert(header::CONTENT_RANGE, value);
    }
    if let (ErrorReason::EtagMismatch, Some(etag)) = (reason, metadata.get("current_etag"))
        && let Some(value) = HeaderValue::try_from(etag.as_str()).ok().filter(|v| !v.is_empty())
    {
        headers.insert(header::ETAG, value);
    }
    response.extensions_mut().insert(status.clone());
    response
}
