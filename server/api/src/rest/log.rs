//! `/log/<origin>/...`: the logs' files as c2sp.org/tlog-tiles lays them out, for verifiers that know nothing else of us.
//! The directory is open to all; any other log wants a bearer token of that log. What must never happen: an answer from
//! which the existence of a log can be told without its token.

use std::net::IpAddr;

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, header};
use veilcloud_domain::{audit::model::Trail, auth::error::AuthError};
use veilsign::service_token::SERVICE_TOKEN_PREFIX;

use super::{Refusal, Rest, other_method};
use crate::{
    gate::{Gate, trace::Trace},
    status::Fault,
};

/// How these paths begin.
pub(super) const PREFIX: &str = "/log/";
/// A checkpoint changes with every batch.
const SHORT: &str = "max-age=1";
/// A tile or bundle never does.
const LONG: &str = "max-age=31536000, immutable";

impl Rest {
    /// Answers with a file of a log. Everything is taken from the request first: its body cannot be shared between threads.
    pub(super) fn log_file(
        &self,
        request: &Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, Refusal>> + Send + use<> {
        Trace::of(request).name("log.file");
        let bearer = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let asked = Asked {
            reads: matches!(*request.method(), Method::GET | Method::HEAD),
            path: request.uri().path().strip_prefix(PREFIX).unwrap_or_default().to_owned(),
            token: bearer.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned),
            address: self.gate.address_of(request),
        };
        let gate = self.gate.clone();
        async move { asked.answer(&gate).await }
    }
}

/// What a request asks for.
struct Asked {
    reads: bool,
    path: String,
    token: Option<String>,
    address: IpAddr,
}

impl Asked {
    async fn answer(self, gate: &Gate) -> Result<Response<Body>, Refusal> {
        if !self.reads {
            return Err(other_method("GET, HEAD"));
        }
        if self.token.as_deref().is_some_and(|token| token.starts_with(SERVICE_TOKEN_PREFIX)) {
            return Err(gate.charge(self.address, AuthError::ServiceToken.into()).await.into());
        }
        let (log, path) = match gate.audit().admit(&self.path, self.token.as_deref()).await {
            Ok(admitted) => admitted,
            Err(error) => return Err(gate.charge(self.address, Fault::from(error)).await.into()),
        };
        // The directory is open, so the address pays; another log's readers share the log's own window.
        let public = log == Trail::Directory;
        if public {
            gate.take_anonymous(self.address).await?;
        } else {
            gate.take_pieces(&log.to_string()).await?;
        }
        let file = gate.audit().file(log, path).await.map_err(Fault::from)?;
        let kind = if file.text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
        let scope = if public { "public" } else { "private" };
        let age = if file.immutable { LONG } else { SHORT };
        let mut response = Response::new(Body::from(file.bytes));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Ok(value) = HeaderValue::try_from(format!("{scope}, {age}")) {
            headers.insert(header::CACHE_CONTROL, value);
        }
        Ok(response)
    }
}
