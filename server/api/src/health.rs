//! What the server says about its own state: draining, and ready.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tonic_health::{ServingStatus, server::HealthReporter};

/// Set once, when the server begins to shut down: from then on nothing is changed any more.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// Not draining.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins; there is no way back.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it began.
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Whether the server takes requests: `/health/ready` and `grpc.health.v1` say the same.
#[derive(Debug, Clone)]
pub struct Health {
    pub(crate) ready: Arc<AtomicBool>,
    reporter: HealthReporter,
}

impl Health {
    pub(crate) fn new(reporter: HealthReporter) -> Self {
        Self { ready: Arc::default(), reporter }
    }

    /// Says whether the server is ready; it starts as not ready.
    pub async fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status("", status).await;
    }
}
