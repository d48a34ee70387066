//! The role `api`: the public port with gRPC, gRPC-Web and REST.

use std::{sync::Arc, time::Duration};

use axum::Router;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use veilcloud_api::{Draining, Health};
use veilcloud_domain::audit::log::Log;
use veilcloud_embedded::Embedded;

use crate::{
    config::Config,
    listen::{Options, Port},
    start::StartError,
    tls::Tls,
};

/// Pause between two looks at the store.
const HEALTH_PAUSE: Duration = Duration::from_secs(1);

/// Loads the certificate, if there is one, and binds the port.
pub async fn bind(config: &Config, stop: &CancellationToken) -> Result<Port, StartError> {
    let tls = match config.tls_pair() {
        Some((cert, key)) => Some(Tls::load(cert, key)?),
        None => None,
    };
    if let Some(tls) = &tls {
        let interval = Duration::from_millis(config.tls.reload_interval_ms);
        tokio::spawn(Arc::clone(tls).watch(interval, stop.clone()));
    }
    let options = Options {
        port: "public",
        max_connections: config.http.max_connections,
        max_per_address: config.http.max_connections_per_address,
        uncounted: config.http.trusted_proxies.iter().map(|proxy| proxy.0).collect(),
        handshake_timeout: Duration::from_millis(config.tls.handshake_timeout_ms),
        max_age: Duration::from_secs(config.http.max_connection_age_s),
        grace: config.drain_timeout(),
    };
    let address = config.server.listen;
    let bound = Port::bind(address, options, &config.http, tls).await;
    bound.map_err(|cause| StartError::Bind { setting: "VEILCLOUD_LISTEN", address, cause })
}

/// Lets the public port say whether it takes requests: while the store answers and the logs take entries, until `stop`. Then nothing is changed any
/// more.
pub async fn report(
    store: Arc<Embedded>,
    log: Arc<Log>,
    health: Health,
    draining: Draining,
    stop: CancellationToken,
) {
    let mut was = None;
    loop {
        let ready = store.ready().await.is_ok() && log.check().is_ok();
        if was != Some(ready) {
            health.set_ready(ready).await;
            was = Some(ready);
        }
        if stop.run_until_cancelled(tokio::time::sleep(HEALTH_PAUSE)).await.is_none() {
            break;
        }
    }
    draining.begin();
    health.set_ready(false).await;
}

/// Starts the role; it ends after `stop`, drained or cut off (then it says false).
pub fn start(port: Port, router: Router, stop: CancellationToken) -> JoinHandle<bool> {
    tokio::spawn(port.serve(router, stop))
}
