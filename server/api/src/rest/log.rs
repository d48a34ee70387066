//! `/log/<origin>/...`: the logs' files as c2sp.org/tlog-tiles lays them out, for verifiers that know nothing else of us.
//! The directory is open to all; any other log wants a bearer token of that log. What must never happen: an answer from
//! which the existence of a log can be told without its token.

use std::net::IpAddr;

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, header};

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
        // Whoever shows no token pays with their address; a token was paid for when it was made.
        if self.token.is_none() {
            gate.take_anonymous(self.address).await?;
        }
        let file = match gate.audit().served_file(&self.path, self.token.as_deref()).await {
            Ok(file) => file,
            Err(error) if self.token.is_none() => return Err(Fault::from(error).into()),
            Err(error) => return Err(gate.charge(self.address, Fault::from(error)).await.into()),
        };
        let kind = if file.text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
        let scope = if self.token.is_none() { "public" } else { "private" };
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
