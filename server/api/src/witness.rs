//! The witness's port: c2sp.org/tlog-witness over HTTP, for anybody; the logs' signatures are the only credential. A port of
//! its own, so that no session or cookie of the cloud is near it. What must never be here: a judgement; the domain's
//! witness has them all.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderValue, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;
use veilcloud_domain::audit::witness::{BODY_LEN_MAX, SIZE_CONTENT_TYPE, Witness, WitnessRefusal};

/// Longest wait for a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Type of signature lines, checkpoints and words.
const TEXT: &str = "text/plain; charset=utf-8";
/// How long a cache may give a checkpoint out again.
const CHECKPOINT_CACHE: &str = "public, max-age=5";

/// `POST /add-checkpoint`, `GET /<hex SHA-256 of the origin>/checkpoint`, `GET /health`: submission and monitoring prefix
/// are the same.
pub fn witness_router(witness: Arc<Witness>) -> Router {
    metrics::describe_counter!(
        "veilcloud_witness_requests_total",
        "Requests to the witness, by call and status."
    );
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{origin_hash}/checkpoint", get(checkpoint))
        .route("/health", get(|| async { text(StatusCode::OK, "ok\n") }))
        .with_state(witness)
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, request: Request<Body>) -> Response {
    let response = match read(request.into_body()).await {
        Ok(body) => match witness.add_checkpoint(&body).await {
            Ok(lines) => text(StatusCode::OK, lines),
            Err(refusal) => refused(&refusal),
        },
        Err(status) => text(status, "the body cannot be read\n"),
    };
    count("add-checkpoint", response)
}

async fn checkpoint(State(witness): State<Arc<Witness>>, Path(origin_hash): Path<String>) -> Response {
    let response = match witness.checkpoint(&origin_hash).await {
        Ok(Some(note)) => {
            let mut response = text(StatusCode::OK, note);
            let cache = HeaderValue::from_static(CHECKPOINT_CACHE);
            response.headers_mut().insert(header::CACHE_CONTROL, cache);
            response
        }
        Ok(None) => text(StatusCode::NOT_FOUND, "no checkpoint of this log was cosigned here\n"),
        Err(error) => {
            tracing::warn!(%error, "the witness cannot read its records");
            text(StatusCode::SERVICE_UNAVAILABLE, "the witness cannot read its records\n")
        }
    };
    count("checkpoint", response)
}

/// The whole body, within its limits of length and time.
async fn read(body: Body) -> Result<Bytes, StatusCode> {
    match timeout(BODY_TIMEOUT, Limited::new(body, BODY_LEN_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

fn refused(refusal: &WitnessRefusal) -> Response {
    if let Some(size) = refusal.conflict() {
        let mut response = text(StatusCode::CONFLICT, format!("{size}\n"));
        let kind = HeaderValue::from_static(SIZE_CONTENT_TYPE);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        return response;
    }
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_server_error() {
        // The cause is the operator's, not the caller's.
        tracing::warn!(error = %refusal, "the witness cannot cosign");
        return text(status, "the witness cannot cosign now\n");
    }
    text(status, format!("{refusal}\n"))
}

fn text(status: StatusCode, body: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, TEXT),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body.into()).into_response()
}

fn count(call: &'static str, response: Response) -> Response {
    let status = response.status().as_str().to_owned();
    metrics::counter!("veilcloud_witness_requests_total", "call" => call, "status" => status).increment(1);
    response
}

#[cfg(test)]
mod tests;
