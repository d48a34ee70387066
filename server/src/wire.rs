//! The composition: adapters into ports, ports into services, services into the router. Reads like a list on purpose.

use std::{sync::Arc, time::Duration};

use axum::Router;
use veilcloud_api::{Draining, Health, Limits, Services, Settings as ApiSettings};
use veilcloud_domain::{
    audit::Audit,
    auth::{Auth, Settings as AuthSettings},
    clock::{Clock, Entropy, SystemClock, SystemEntropy},
    projects::Projects,
    storage::{Storage, StorageSettings},
};
use veilcloud_embedded::{Embedded, Options};

use crate::{
    config::{Config, Mode, StorageKind},
    folder::Folder,
    keys::Keys,
    start::StartError,
};

/// What the roles need.
pub struct Wired {
    /// The store, for readiness and the end.
    pub store: Arc<Embedded>,
    /// What the sweep works on.
    pub storage: Arc<Storage>,
    /// The public port's routes.
    pub router: Router,
    /// What the public port says of its own state.
    pub health: Health,
    /// Begun when the process is asked to stop: from then on the public port changes nothing.
    pub draining: Draining,
}

/// Opens keys and store and puts everything together. Blocks: the whole database is checked.
pub fn open(config: &Config, folder: &Folder) -> Result<Wired, StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let keys = Keys::open(folder.path(), folder.has_database(), &*entropy)?;
    let store = match (config.server.mode, config.storage.kind) {
        (Mode::Standalone, StorageKind::Local) => {
            Arc::new(Embedded::open(folder.path(), keys.outbox, Options::default())?)
        }
    };

    let auth = Arc::new(Auth::new(
        store.directory(),
        store.attempts(),
        clock.clone(),
        entropy.clone(),
        Arc::new(keys.auth),
        auth_settings(config, clock.now_ms()),
    ));
    let projects = Arc::new(Projects::new(
        store.catalog(),
        store.keyrings(),
        store.directory(),
        clock.clone(),
        entropy.clone(),
    ));
    let storage = Arc::new(Storage::new(
        store.shelf(),
        store.blobs(),
        store.staging(),
        store.uploads(),
        projects.clone(),
        clock.clone(),
        entropy.clone(),
        StorageSettings { blob_max_bytes: config.storage.blob_max_bytes },
    ));
    let services = Services {
        auth,
        projects,
        storage: storage.clone(),
        audit: Arc::new(Audit::new(store.outbox())),
        meter: store.meter(),
        nullifiers: store.nullifiers(),
        replies: store.replies(),
        clock,
        entropy,
        page_key: *keys.page,
    };
    let draining = Draining::new();
    let (router, health) = veilcloud_api::router(services, api_settings(config), draining.clone());
    Ok(Wired { store, storage, router, health, draining })
}

fn auth_settings(config: &Config, started_at_ms: u64) -> AuthSettings {
    AuthSettings {
        registration_open: config.accounts.registration_open,
        default_tier: config.accounts.default_tier,
        account_quota_bytes: config.accounts.quota_bytes,
        session_ttl_ms: config.accounts.session_ttl_s * 1000,
        proofs_not_before_ms: started_at_ms,
        ..AuthSettings::default()
    }
}

fn api_settings(config: &Config) -> ApiSettings {
    ApiSettings {
        limits: Limits {
            blob_bytes: config.storage.blob_max_bytes,
            account_quota_bytes: config.accounts.quota_bytes,
            ..Limits::default()
        },
        request_timeout: Duration::from_millis(config.http.request_timeout_ms),
        guarded_per_minute_per_address: config.limits.guarded_per_minute_per_address,
        guarded_per_minute_per_email: config.limits.guarded_per_minute_per_email,
        chunks_per_minute: config.limits.chunks_per_minute,
        body_bytes_in_flight: config.http.max_body_bytes_in_flight,
        anonymous_per_minute_per_address: config.limits.anonymous_per_minute_per_address,
        trusted_proxies: config.http.trusted_proxies.iter().map(|proxy| proxy.0).collect(),
        cors_origins: config.http.cors_origins.iter().map(|origin| origin.0.clone()).collect(),
        tls: config.tls_pair().is_some(),
        version: env!("CARGO_PKG_VERSION"),
    }
}
