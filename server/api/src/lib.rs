//! The server's face to the network: gRPC, gRPC-Web and REST on one port, one gate before all of them, one place where
//! errors become answers. Who calls us: `server/src` puts the router behind its accept loop. What must never be here: a
//! business rule, a store, a second handler for REST.

mod contract;
mod convert;
mod cors;
mod door;
mod gate;
mod grpc;
mod health;
mod leftover;
mod page_token;
mod rest;
mod settings;
mod status;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod witness;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, body::Body};
use http::{Request, Response};
use tonic::service::Routes;
use tower::util::MapResponseLayer;
use veilcloud_domain::{
    audit::Audit,
    auth::{
        Auth,
        api_keys::ApiKeys,
        capabilities::Capabilities,
        issuers::Issuers,
        port::{Meter, Nullifiers, Replies},
    },
    clock::{Clock, Entropy},
    projects::{Projects, explain::Explainer, unlock::Unlocking},
    storage::Storage,
    teams::Teams,
};

use self::gate::Behind;
pub use self::{
    health::{Draining, Health},
    rest::openapi,
    settings::{Limits, Settings},
    witness::witness_router,
};

/// The domain's services and the ports that the gate itself needs.
pub struct Services {
    /// Accounts and sessions.
    pub auth: Arc<Auth>,
    /// API keys.
    pub api_keys: Arc<ApiKeys>,
    /// Capabilities issued for other keys.
    pub capabilities: Arc<Capabilities>,
    /// The keys that sign capabilities.
    pub issuers: Arc<Issuers>,
    /// Who may do what in a project, and why.
    pub explainer: Arc<Explainer>,
    /// Keyrings of service tokens.
    pub unlocking: Arc<Unlocking>,
    /// Projects and environments.
    pub projects: Arc<Projects>,
    /// Teams and their members.
    pub teams: Arc<Teams>,
    /// Versions and uploads.
    pub storage: Arc<Storage>,
    /// The audit trail.
    pub audit: Arc<Audit>,
    /// Rate tokens.
    pub meter: Arc<dyn Meter>,
    /// Spent proofs.
    pub nullifiers: Arc<dyn Nullifiers>,
    /// Answers given before.
    pub replies: Arc<dyn Replies>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Trace ids.
    pub entropy: Arc<dyn Entropy>,
    /// Secret of page tokens and of the meter's e-mail keys; kept across restarts, 32 random bytes.
    pub page_key: [u8; 32],
}

/// The address at the other end of the connection. The accept loop puts it into each request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// Everything on the public port, and the handle that says when it is ready.
pub fn router(services: Services, settings: Settings, draining: Draining) -> (Router, Health) {
    let (services, settings) = (Arc::new(services), Arc::new(settings));
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let health = Health::new(reporter);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(veilcloud_proto::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let sound = "the descriptor set was decoded at build time";
    // The older name is the only one that some clients ask for, grpcio's own for Python among them.
    let (newer, older) = (reflection().build_v1().expect(sound), reflection().build_v1alpha().expect(sound));
    let side = Routes::new(health_service).add_service(newer).add_service(older).prepare().into_axum_router();

    let routes = grpc::routes(services.clone(), settings.clone());
    let behind = Behind { methods: &contract::METHODS, routes, reasons: true };
    let gate = gate::Gate::new(services, settings, draining, behind);
    (layers(gate, door::Side::usual(side), health.clone()), health)
}

/// Everything before the services.
fn layers(gate: gate::Gate, side: door::Side, health: Health) -> Router {
    let (settings, entropy) = (gate.settings(), gate.entropy());
    let rest = rest::Rest::new(gate.clone(), health, settings.clone());
    let door = door::Door { gate, rest, side, entropy };

    let enter = move |request: Request<Body>| {
        let door = door.clone();
        async move { door.enter(request).await }
    };
    let router = Router::new().fallback(enter);
    let router = match cors::layer(&settings) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    let tls = settings.tls;
    router.layer(MapResponseLayer::new(move |mut response: Response<Body>| {
        door::secure(tls, response.headers_mut());
        response
    }))
}
