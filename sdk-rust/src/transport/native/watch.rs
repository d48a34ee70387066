//! Stands between tonic's client and its channel and keeps the facts that tonic flattens into text: why a connection
//! failed, and which HTTP status a proxy answered with.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use tonic::body::Body;
use tower::Service;

use crate::error::NetworkError;

/// Most causes of an error that are looked at.
const CAUSES_MAX: usize = 16;

#[derive(Clone)]
pub(super) struct Watch<S> {
    inner: S,
}

impl<S> Watch<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl<S> Service<Request<Body>> for Watch<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(|e| classify(&*e.into()).into())
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await.map_err(|e| BoxError::from(classify(&*e.into())))?;
            if is_grpc(&response) { Ok(response) } else { Err(proxy(response.status()).into()) }
        })
    }
}

pub(super) fn is_grpc(response: &Response<Body>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
    response.status() == StatusCode::OK && kind.starts_with(b"application/grpc")
}

fn proxy(status: StatusCode) -> NetworkError {
    NetworkError::Proxy { status: status.as_u16() }
}

/// The fact at the bottom of an error from the channel.
pub(super) fn classify(e: &(dyn StdError + 'static)) -> NetworkError {
    let mut cause = Some(e);
    let mut detail = String::new();
    for _ in 0..CAUSES_MAX {
        let Some(e) = cause else { break };
        if let Some(known) = e.downcast_ref::<NetworkError>() {
            return known.clone();
        }
        detail = e.to_string();
        cause = e.source();
    }
    NetworkError::Lost { detail }
}
