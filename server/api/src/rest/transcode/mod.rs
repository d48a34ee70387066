//! One REST request through the gate as the gRPC request it stands for, and back.

mod request;
mod response;
mod unique;

use std::net::IpAddr;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use tonic::Status;
use veilsign::proof::body_hash;

pub use self::{request::query_field, response::MediaType};
use super::{range::RangeWish, route::Hit};
use crate::{
    PeerAddr, Settings,
    gate::{Gate, RestOrigin, check_credentials, frame, out_of_time, trace::Trace},
    status::Fault,
};

/// Headers that the gate reads; all of their values go along, so that a doubled credential is still seen as doubled.
const FORWARDED: [HeaderName; 5] = [
    header::AUTHORIZATION,
    HeaderName::from_static("veil-cap"),
    HeaderName::from_static("veil-pop"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("grpc-timeout"),
];

/// What of the request the answer depends on.
pub struct Wishes {
    /// HTTP method.
    pub http: Method,
    /// `If-None-Match`, as sent.
    pub if_none_match: Option<String>,
}

/// Calls the route's RPC.
pub async fn call(
    gate: &Gate,
    settings: &Settings,
    hit: Hit<'_>,
    request: Request<Body>,
) -> Result<Response<Body>, Status> {
    let from = gate.address_of(&request);
    let (parts, body) = request.into_parts();
    let (origin, message) = match read(gate, settings, &hit, &parts, from, body).await {
        Ok(read) => read,
        Err(fault) => return Err(gate.charge(from, fault).await.into()),
    };

    let mut call = Request::new(Body::from(frame(&message)));
    *call.method_mut() = Method::POST;
    *call.uri_mut() = hit.route.method.path.parse().map_err(|_| Fault::internal("a method path is a URI"))?;
    call.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    for name in FORWARDED {
        for value in parts.headers.get_all(&name) {
            call.headers_mut().append(name.clone(), value.clone());
        }
    }
    let extensions = call.extensions_mut();
    extensions.insert(origin);
    if let Some(trace) = parts.extensions.get::<Trace>() {
        extensions.insert(trace.clone());
    }
    if let Some(peer) = parts.extensions.get::<PeerAddr>() {
        extensions.insert(*peer);
    }
    if hit.route.raw_response.is_some()
        && let Some(wish) = RangeWish::of(&parts.headers)
    {
        extensions.insert(wish);
    }
    let answer = gate.handle(call).await;
    let if_none_match = parts.headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    let wishes = Wishes { http: parts.method, if_none_match: if_none_match.map(str::to_owned) };
    response::translate(hit.route, &wishes, answer).await
}

/// The RPC's message, and what the request's proof was made for.
async fn read(
    gate: &Gate,
    settings: &Settings,
    hit: &Hit<'_>,
    parts: &http::request::Parts,
    from: IpAddr,
    body: Body,
) -> Result<(RestOrigin, Vec<u8>), Fault> {
    check_credentials(hit.route.method, &parts.headers)?;
    // The gate's own clock starts with the whole message; a body that trickles in is stopped here.
    let limit = settings.request_timeout;
    let raw = request::collect(gate, hit.route, parts, from, body, settings.limits.message_bytes);
    let raw = tokio::time::timeout(limit, raw).await.unwrap_or_else(|_| Err(out_of_time(limit)))?;
    let origin = RestOrigin { target: target(parts), body_hash: body_hash(&raw) };
    Ok((origin, request::message(hit, parts, raw)?))
}

/// What the proof of a REST request is made for: `METHOD SP path?query`, as sent.
fn target(parts: &http::request::Parts) -> String {
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    format!("{} {path}", parts.method)
}

#[cfg(test)]
mod tests;
