//! REST: a path of `google.api.http` becomes the gRPC request it stands for, passes the same gate, and its answer becomes
//! JSON or raw bytes. There is no second handler. What must never happen: a path segment decoded twice, a field that two
//! places of one request disagree about.

mod docs;
mod log;
mod openapi;
mod query;
mod range;
mod route;
mod transcode;

use std::sync::{Arc, LazyLock, atomic::Ordering};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use tonic::Status;
use veilcloud_proto::common::v1::ErrorReason;

#[cfg(test)]
pub use self::openapi::reasons_of;
use self::route::{Hit, Match, Routes};
pub use self::{
    openapi::openapi,
    range::{RangeWish, Served},
    transcode::MediaType,
};
use crate::{
    Health, Settings,
    gate::{Gate, trace::Trace},
    status::{Fault, problem},
};

/// Greatest path with its query in bytes: as much as a proof can name.
const TARGET_LEN_MAX: usize = veilsign::proof::TARGET_LEN_MAX - 8;

static ROUTES: LazyLock<Routes> = LazyLock::new(Routes::compile);

/// The REST door.
#[derive(Clone)]
pub struct Rest {
    gate: Gate,
    health: Health,
    settings: Arc<Settings>,
}

/// A refusal with the HTTP status and headers that only REST has.
struct Refusal {
    status: Status,
    http: Option<StatusCode>,
    allow: Option<HeaderValue>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        fault.into_status().into()
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self { status, http: None, allow: None }
    }
}

impl Rest {
    /// REST before this gate.
    pub fn new(gate: Gate, health: Health, settings: Arc<Settings>) -> Self {
        Self { gate, health, settings }
    }

    /// Answers a REST request; errors are problem+json.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let trace = Trace::of(&request);
        let head = request.method() == Method::HEAD;
        let mut response = self.answer(request).await.unwrap_or_else(|refusal| {
            let mut response = problem(&refusal.status, trace.id(), refusal.http);
            if let Some(allow) = refusal.allow {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            response
        });
        if head {
            // RFC 9110, 8.6: the length that GET has, or none; an emptied body would say 0.
            if let Some(len) = response.body().size_hint().exact().filter(|len| *len > 0) {
                response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(len.into());
            }
            *response.body_mut() = Body::empty();
        }
        response
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        if let Some(answer) = self.own(&request) {
            return answer;
        }
        if let Some(page) = self.documentation(&request) {
            return page.await;
        }
        if request.uri().path().starts_with(log::PREFIX) {
            return self.log_file(&request).await;
        }
        match found(&request) {
            Ok(hit) => {
                Trace::of(&request).name(&hit.route.method.name);
                transcode::call(&self.gate, &self.settings, hit, request).await.map_err(Refusal::from)
            }
            Err(refusal) => {
                self.gate.take_anonymous(self.gate.address_of(&request)).await?;
                let of_grpc = request.method() == Method::POST && self.gate.knows(request.uri().path());
                Err(if of_grpc { only_grpc() } else { refusal })
            }
        }
    }

    /// The few paths that are not an RPC's.
    fn own(&self, request: &Request<Body>) -> Option<Result<Response<Body>, Refusal>> {
        let ready = self.health.ready.load(Ordering::Acquire);
        let (code, body) = match request.uri().path() {
            "/health" => (StatusCode::OK, Bytes::from_static(b"{\"status\":\"ok\"}")),
            "/health/ready" if ready => (StatusCode::OK, Bytes::from_static(b"{\"status\":\"ready\"}")),
            "/health/ready" => {
                (StatusCode::SERVICE_UNAVAILABLE, Bytes::from_static(b"{\"status\":\"not ready\"}"))
            }
            _ => return None,
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Some(Err(other_method("GET, HEAD")));
        }
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = code;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Some(Ok(response))
    }
}

/// The reasons that the document lists for what a request names.
#[cfg(test)]
pub fn listed(method: &Method, path: &str) -> Option<Vec<ErrorReason>> {
    if path.starts_with(log::PREFIX) {
        return Some(openapi::FILES.to_vec());
    }
    if path.starts_with("/docs") || path == "/openapi.json" {
        return Some(openapi::OWN.to_vec());
    }
    match ROUTES.find(method, path) {
        Ok(Match::Found(hit)) => Some(openapi::reasons_of(hit.route.method)),
        _ => None,
    }
}

/// The routes that take a JSON body: method and path with its variables.
#[cfg(test)]
pub fn json_routes() -> impl Iterator<Item = (&'static Method, &'static str)> {
    let json = ROUTES.0.iter().filter(|route| matches!(route.body, route::BodyRule::Json));
    json.map(|route| (&route.http, route.template.as_str()))
}

/// The route that a request names.
fn found(request: &Request<Body>) -> Result<Hit<'static>, Refusal> {
    if request.uri().path_and_query().is_some_and(|p| p.as_str().len() > TARGET_LEN_MAX) {
        let fault = Fault::new(ErrorReason::MessageTooLarge, "the path is too long");
        return Err(fault.with("limit_bytes", TARGET_LEN_MAX).into());
    }
    match ROUTES.find(request.method(), request.uri().path())? {
        Match::Found(hit) => Ok(hit),
        Match::OtherMethod(allow) => Err(other_method(&allow)),
        Match::Nothing => Err(not_here()),
    }
}

fn not_here() -> Refusal {
    Fault::new(ErrorReason::MethodUnknown, "there is nothing at this path").into()
}

/// gRPC's rule for what is sent to a method's path and is no gRPC.
fn only_grpc() -> Refusal {
    let fault = Fault::new(ErrorReason::ContentTypeUnsupported, "this path takes gRPC and gRPC-Web");
    fault.with("expected", "application/grpc").into()
}

fn other_method(allow: &str) -> Refusal {
    let fault = Fault::new(ErrorReason::MethodUnknown, "this path does not take this method");
    Refusal {
        status: fault.into_status(),
        http: Some(StatusCode::METHOD_NOT_ALLOWED),
        allow: HeaderValue::try_from(allow).ok(),
    }
}
