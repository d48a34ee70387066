//! The operators' port: health, readiness, metrics. Plain HTTP, no login, and nothing in it that would need one.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, http::header, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use veilcloud_embedded::Embedded;

/// Longest wait for the store when readiness is asked for.
const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause between two rounds of housekeeping of the metrics.
const UPKEEP_PAUSE: Duration = Duration::from_secs(5);

/// What the port tells about.
#[derive(Clone)]
pub struct Admin {
    /// The store whose readiness is the server's.
    pub store: Arc<Embedded>,
    /// The metrics.
    pub metrics: PrometheusHandle,
    /// Cancelled when the server is asked to stop.
    pub stop: CancellationToken,
}

/// The port's routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

/// The port's routes of a witness, which has no store that could be away.
pub fn witness_router(metrics: PrometheusHandle, stop: CancellationToken) -> Router {
    let ready = move || {
        let stopped = stop.is_cancelled();
        async move {
            if stopped {
                (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            } else {
                (StatusCode::OK, "ready\n")
            }
        }
    };
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(move || async move { (text, metrics.render()) }))
}

/// Lets the metrics drop what is too old to matter, until `stop`.
pub async fn upkeep(metrics: PrometheusHandle, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP_PAUSE)).await.is_some() {
        metrics.run_upkeep();
    }
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if admin.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
    match timeout(READY_TIMEOUT, admin.store.ready()).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n"),
        Ok(Err(e)) => {
            tracing::warn!(error = %e, "not ready: the store does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n")
        }
        Err(_) => {
            tracing::warn!("not ready: the store does not answer in time");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer in time\n")
        }
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.metrics.render())
}
