//! The one public port's door: tells gRPC, gRPC-Web and REST apart, begins the trace, counts and logs every call. What
//! every answer tells a browser stands here too. What must never be logged: header values, addresses, e-mails, bodies.

use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{Router, body::Body};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::Limited;
use tonic::{Code, Status};
use tonic_web::GrpcWebLayer;
use tower::{Layer, ServiceExt, service_fn};
use tracing::Instrument;
use veilcloud_domain::clock::Entropy;
use veilcloud_proto::common::v1::ErrorReason;

use crate::{
    gate::{
        Gate,
        trace::{TRACE_ID, Trace},
    },
    leftover,
    rest::Rest,
    status::{self, Fault, problem, reason_of, word},
};

/// What the path of a call to health begins with.
const HEALTH_PREFIX: &str = "/grpc.health.v1.";
/// What the path of a call to reflection begins with.
const REFLECTION_PREFIX: &str = "/grpc.reflection.";
/// Greatest request to health or reflection in bytes, its whole stream together.
const SIDE_BYTES_MAX: usize = 64 * 1024;

/// Everything behind the public port.
#[derive(Clone)]
pub struct Door {
    /// The gate with our services.
    pub gate: Gate,
    /// The REST door.
    pub rest: Rest,
    /// What does not pass the gate.
    pub side: Side,
    /// Trace ids.
    pub entropy: Arc<dyn Entropy>,
}

/// Services that are not ours and take no credential; their requests may be streams.
#[derive(Clone)]
pub struct Side {
    /// The services.
    pub routes: Router,
    /// What their paths begin with, and their name in the metrics.
    pub names: &'static [(&'static str, &'static str)],
    /// Greatest request in bytes, its whole stream together.
    pub bytes_max: usize,
}

impl Side {
    /// Health and reflection.
    pub fn usual(routes: Router) -> Self {
        let names = &[(HEALTH_PREFIX, "grpc.health"), (REFLECTION_PREFIX, "grpc.reflection")];
        Self { routes, names, bytes_max: SIDE_BYTES_MAX }
    }
}

/// Content types of gRPC-Web.
const WEB_TYPES: [&str; 4] = [
    "application/grpc-web+proto",
    "application/grpc-web",
    "application/grpc-web-text+proto",
    "application/grpc-web-text",
];

fn is_grpc_web(request: &Request<Body>) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    request.method() == Method::POST && WEB_TYPES.iter().any(|known| known.as_bytes() == kind)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Grpc,
    GrpcWeb,
    Rest,
}

impl Protocol {
    fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if kind.starts_with(b"application/grpc-web") {
            Self::GrpcWeb
        } else if kind.starts_with(b"application/grpc") {
            Self::Grpc
        } else {
            Self::Rest
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::Rest => "rest",
        }
    }
}

impl Door {
    /// Answers any request of the public port.
    pub async fn enter(&self, request: Request<Body>) -> Response<Body> {
        let mut request = leftover::watch(request);
        let begun = Instant::now();
        let _one = InFlight::enter();
        let protocol = Protocol::of(request.headers());
        let trace = Trace::begin(request.headers(), &*self.entropy);
        request.extensions_mut().insert(trace.clone());
        let span = tracing::info_span!("call", trace_id = trace.id(), protocol = protocol.name());

        let answer =
            AssertUnwindSafe(self.dispatch(protocol, request)).catch_unwind().instrument(span.clone()).await;
        let mut response = answer.unwrap_or_else(|_| {
            let status = Fault::internal("the door panicked").into_status();
            match protocol {
                Protocol::Rest => problem(&status, trace.id(), None),
                Protocol::Grpc | Protocol::GrpcWeb => status.into_http(),
            }
        });
        span.in_scope(|| report(&trace, protocol, begun, &response));
        if let Ok(id) = HeaderValue::try_from(trace.id()) {
            response.headers_mut().insert(TRACE_ID, id);
        }
        response
    }

    async fn dispatch(&self, protocol: Protocol, request: Request<Body>) -> Response<Body> {
        match protocol {
            Protocol::Rest => self.rest.handle(request).await,
            Protocol::Grpc => self.grpc(request).await,
            // The layer answers these with a bare code; here they get their reason.
            Protocol::GrpcWeb if !is_grpc_web(&request) => {
                let fault = Fault::new(ErrorReason::ContentTypeUnsupported, "this is not a gRPC-Web request");
                let fault = fault.with("expected", WEB_TYPES[0]);
                self.gate.charge(self.gate.address_of(&request), fault).await.into_status().into_http()
            }
            Protocol::GrpcWeb => {
                let door = self.clone();
                let inner = service_fn(move |request: Request<tonic::body::Body>| {
                    let door = door.clone();
                    async move { Ok::<_, Infallible>(door.grpc(request.map(Body::new)).await) }
                });
                match GrpcWebLayer::new().layer(inner).oneshot(request).await {
                    Ok(response) => response.map(Body::new),
                    Err(never) => match never {},
                }
            }
        }
    }

    async fn grpc(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        let Some((prefix, name)) = self.side.names.iter().find(|(prefix, _)| path.starts_with(prefix)) else {
            return self.gate.handle(request).await;
        };
        Trace::of(&request).name(name);
        // A probe asks every few seconds from one address and costs nothing; reflection is paid like any other call.
        let address = self.gate.address_of(&request);
        if *prefix != HEALTH_PREFIX
            && let Err(fault) = self.gate.take_anonymous(address).await
        {
            return fault.into_status().into_http();
        }
        let request = request.map(|body| Body::new(Limited::new(body, self.side.bytes_max)));
        match self.side.routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// What every answer of the public port tells a browser, a preflight's too. A page of ours has a policy of its own.
pub fn secure(tls: bool, headers: &mut HeaderMap) {
    for (name, value) in SECURITY {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if tls {
        let a_year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, a_year);
    }
}

const SECURITY: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-site"),
];

/// Counts a call while it is being answered.
struct InFlight;

impl InFlight {
    fn enter() -> Self {
        metrics::gauge!("veilcloud_requests_in_flight").increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("veilcloud_requests_in_flight").decrement(1.0);
    }
}

/// One line for a call that failed, and its place in the metrics. Success is quiet.
fn report(trace: &Trace, protocol: Protocol, begun: Instant, response: &Response<Body>) {
    let status = response.extensions().get::<Status>();
    let code = status.map_or(Code::Ok, Status::code);
    let method = trace.method().to_owned();
    let elapsed = begun.elapsed();
    let labels =
        [("method", method.clone()), ("code", format!("{code:?}")), ("protocol", protocol.name().to_owned())];
    metrics::counter!("veilcloud_requests_total", &labels).increment(1);
    metrics::histogram!("veilcloud_request_seconds", "method" => method.clone())
        .record(elapsed.as_secs_f64());

    let Some(status) = status.filter(|s| s.code() != Code::Ok) else { return };
    let reason = reason_of(status);
    let ms = elapsed.as_millis();
    let cause = std::error::Error::source(status).and_then(|s| s.downcast_ref::<status::Cause>());
    let cause = cause.map(ToString::to_string).unwrap_or_default();
    match reason {
        // Our bug: somebody must look.
        ErrorReason::Internal | ErrorReason::Unspecified => {
            tracing::error!(method, ?code, reason = word(reason), ms, cause, "call failed");
        }
        // An operator may act.
        ErrorReason::StoreUnavailable | ErrorReason::StoreFull | ErrorReason::DeadlineExceeded => {
            tracing::warn!(method, ?code, reason = word(reason), ms, cause, "call failed");
        }
        _ if is_quiet(reason) => {
            tracing::debug!(method, ?code, reason = word(reason), ms, "call refused");
        }
        _ => tracing::info!(method, ?code, reason = word(reason), ms, "call refused"),
    }
}

/// What anybody may cause as often as they like: no credential or a wrong one, and what comes after too much of it. The
/// metrics count these; a line each would fill the log.
fn is_quiet(reason: ErrorReason) -> bool {
    use ErrorReason as R;
    matches!(
        reason,
        R::CredentialMissing
            | R::CredentialInvalid
            | R::CredentialExpired
            | R::CredentialRevoked
            | R::ServiceTokenSent
            | R::ProofInvalid
            | R::ProofStale
            | R::ProofReplayed
            | R::RateLimited
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_may_cause_is_not_logged_by_default() {
        for reason in [ErrorReason::CredentialMissing, ErrorReason::ProofInvalid, ErrorReason::RateLimited] {
            assert!(is_quiet(reason));
        }
        for reason in [ErrorReason::LoginFailed, ErrorReason::RefreshReused, ErrorReason::PermissionDenied] {
            assert!(!is_quiet(reason));
        }
    }
}
