//! The public port for tests: its services in memory, and all its layers around a service that is not ours. What must
//! never happen: a build for users with this in it (the feature `testkit` is for `dev-dependencies` alone).

use std::sync::Arc;

use axum::{Router, body::Body};
use http::Response;
use prost_reflect::DescriptorPool;
use tonic::Status;
use tonic_types::StatusExt;
use tower::util::MapResponseLayer;
use veilcloud_domain::testkit::World;

use crate::{
    Draining, Health, Services, Settings, contract, door::Side, gate, gate::Behind, layers, status::DOMAIN,
};

/// Secret of page tokens.
const PAGE_KEY: [u8; 32] = [9; 32];

/// The services of a world.
pub fn services(world: &World) -> Services {
    Services {
        auth: world.auth.clone(),
        api_keys: world.api_keys.clone(),
        capabilities: world.capabilities.clone(),
        issuers: world.issuers.clone(),
        explainer: world.explainer.clone(),
        unlocking: world.unlocking.clone(),
        projects: world.projects.clone(),
        teams: world.teams.clone(),
        storage: world.storage.clone(),
        audit: world.audit.clone(),
        meter: world.ports.meter.clone(),
        nullifiers: world.ports.nullifiers.clone(),
        replies: world.ports.replies.clone(),
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
        page_key: PAGE_KEY,
    }
}

/// A service that is not ours, in the place of ours. Anyone may call it.
pub struct Guest<'a> {
    /// Its encoded `FileDescriptorSet`, imports included.
    pub descriptors: &'a [u8],
    /// The service. What has one message as its request comes through the gate.
    pub routes: Router,
    /// What the paths of its other methods begin with: they go beside the gate, as reflection does.
    pub streams: &'static [(&'static str, &'static str)],
    /// Greatest request to one of those in bytes, its whole stream together.
    pub stream_bytes_max: usize,
}

/// The public port over a guest.
///
/// # Panics
/// When the descriptors are none.
pub fn router(guest: Guest<'_>, settings: Settings) -> Router {
    let pool = DescriptorPool::decode(guest.descriptors).expect("a set of descriptors");
    // A process has one guest and lives as long as it.
    let methods = Box::leak(Box::new(contract::guests(&pool)));
    let behind = Behind { methods, routes: guest.routes.clone(), reasons: false };
    let services = Arc::new(services(&World::default()));
    let gate = gate::Gate::new(services, Arc::new(settings), Draining::new(), behind);
    let side = Side { routes: guest.routes, names: guest.streams, bytes_max: guest.stream_bytes_max };
    let (reporter, _) = tonic_health::server::health_reporter();
    layers(gate, side, Health::new(reporter)).layer(MapResponseLayer::new(without_reason))
}

/// An error of ours without the reason in its details, of which a guest's contract knows nothing.
fn without_reason(mut response: Response<Body>) -> Response<Body> {
    let status = Status::from_header_map(response.headers());
    let info = status.and_then(|status| status.get_error_details().error_info().cloned());
    if info.is_some_and(|info| info.domain == DOMAIN) {
        response.headers_mut().remove("grpc-status-details-bin");
    }
    response
}
