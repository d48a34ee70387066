//! The composition: adapters into ports, ports into services, services into the router. Reads like a list on purpose.

use std::{sync::Arc, time::Duration};

use axum::Router;
use veilcloud_api::{Draining, Health, Limits, Services, Settings as ApiSettings};
use veilcloud_domain::{
    audit::{
        Audit, LogReader, Readers, Reads, heads::Heads, log::Log, sequence::Parts, settled::Settled,
        signer::LogKeys,
    },
    auth::{
        Auth, Credentials, Settings as AuthSettings,
        api_keys::ApiKeys,
        capabilities::Capabilities,
        issuers::{IssuerKeeper, Issuers},
    },
    clock::{Clock, Entropy, SystemClock, SystemEntropy},
    projects::{Projects, explain::Explainer, unlock::Unlocking},
    storage::{Storage, StorageSettings},
    teams::Teams,
};
use veilcloud_embedded::{Embedded, Options};

use crate::{
    config::{Config, Mode, StorageKind},
    folder::Folder,
    keys::{IssuerFile, Keys, LogKeyFile},
    start::StartError,
    witnesses::Witnesses,
};

/// What the roles need.
pub struct Wired {
    /// The store, for readiness and the end.
    pub store: Arc<Embedded>,
    /// API keys, for the uses that are not written yet.
    pub api_keys: Arc<ApiKeys>,
    /// What keeps the issuer's keys in step with their file.
    pub issuers: Arc<IssuerKeeper>,
    /// What the sweep works on.
    pub storage: Arc<Storage>,
    /// What the sequencer works with.
    pub sequencer: Parts,
    /// The handle that everybody waits for the logs at; it says whether they still take entries.
    pub log: Arc<Log>,
    /// The witnesses that heads go to, when there are any.
    pub witnesses: Option<Witnesses>,
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

    let log_keys = LogKeyFile::open(folder.path(), config.chain.name.as_deref(), &*entropy)?.keys()?;
    let log_keys = Arc::new(log_keys);
    let witnesses = Witnesses::load(&config.chain, &log_keys)?;
    let log = Log::new();
    // Every change waits for the log before it is answered.
    let directory = Arc::new(Settled::new(store.directory(), log.clone()));
    let catalog = Arc::new(Settled::new(store.catalog(), log.clone()));
    let grants = Arc::new(Settled::new(store.grants(), log.clone()));
    let keyrings = Arc::new(Settled::new(store.keyrings(), log.clone()));
    let roster = Arc::new(Settled::new(store.roster(), log.clone()));
    let shelf = Arc::new(Settled::new(store.shelf(), log.clone()));

    let issuer_file = IssuerFile::new(folder.path(), config.access.issuer_period_days, entropy.clone());
    let keyset = issuer_file.open(clock.now_ms())?;
    let issuers = Issuers::new(keyset).map_err(|error| StartError::Wire(error.to_string()))?;
    let issuers = Arc::new(issuers);
    let keeper = IssuerKeeper::new(issuers.clone(), Arc::new(issuer_file), store.outbox(), clock.clone());
    let auth = Arc::new(Auth::new(
        directory.clone(),
        store.attempts(),
        clock.clone(),
        entropy.clone(),
        Arc::new(keys.auth),
        issuers.clone(),
        auth_settings(config, clock.now_ms()),
    ));
    let store_of_keys = Arc::new(Settled::new(store.api_keys(), log.clone()));
    let api_keys = Arc::new(ApiKeys::new(store_of_keys.clone(), clock.clone(), keys.api_keys));
    let projects = Arc::new(Projects::new(
        catalog,
        grants,
        keyrings,
        directory.clone(),
        store_of_keys.clone(),
        clock.clone(),
        entropy.clone(),
    ));
    let explainer = Explainer::new(store.grants(), store.roster(), store.api_keys(), clock.clone());
    let capabilities = Capabilities::new(
        directory.clone(),
        Arc::new(Settled::new(store.capabilities(), log.clone())),
        issuers.clone(),
        projects.clone(),
        clock.clone(),
        entropy.clone(),
        AuthSettings::default().audience,
    );
    let teams = Arc::new(Teams::new(roster, clock.clone(), entropy.clone()));
    let storage = Arc::new(Storage::new(
        shelf,
        store.blobs(),
        store.staging(),
        store.uploads(),
        projects.clone(),
        Reads::new(store.outbox(), log.clone()),
        clock.clone(),
        entropy.clone(),
        StorageSettings { blob_max_bytes: config.storage.blob_max_bytes },
    ));
    let reads = Reads::new(store.outbox(), log.clone());
    let unlocking = Unlocking::new(projects.clone(), api_keys.clone(), reads, entropy.clone());
    let credentials = Credentials::new(directory.clone(), store_of_keys.clone(), clock.clone());
    let readers = Readers::new(projects.clone(), credentials);
    let audit = Audit::new(
        Arc::new(LogReader::new(store.logs())),
        log.clone(),
        directory,
        log_keys.clone(),
        keys.log_tokens,
        readers,
        clock.clone(),
        witnesses.as_ref().map(Witnesses::policy_text).unwrap_or_default(),
    );
    let sequencer = sequencer(&store, log_keys, clock.clone(), log.clone(), witnesses.as_ref());
    let services = Services {
        auth,
        api_keys: api_keys.clone(),
        capabilities: Arc::new(capabilities),
        issuers,
        explainer: Arc::new(explainer),
        unlocking: Arc::new(unlocking),
        projects,
        teams,
        storage: storage.clone(),
        audit: Arc::new(audit),
        meter: store.meter(),
        nullifiers: store.nullifiers(),
        replies: store.replies(),
        clock,
        entropy,
        page_key: *keys.page,
    };
    let draining = Draining::new();
    let (router, health) = veilcloud_api::router(services, api_settings(config), draining.clone());
    Ok(Wired {
        store,
        api_keys,
        issuers: Arc::new(keeper),
        storage,
        sequencer,
        log,
        witnesses,
        router,
        health,
        draining,
    })
}

fn sequencer(
    store: &Embedded,
    keys: Arc<LogKeys>,
    clock: Arc<dyn Clock>,
    log: Arc<Log>,
    witnesses: Option<&Witnesses>,
) -> Parts {
    let heads: Option<Arc<Heads>> = witnesses.map(|witnesses| witnesses.heads.clone());
    Parts { store: store.logs(), outbox: store.outbox(), keys, clock, log, heads }
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
        enterprise_per_minute: config.limits.enterprise_per_minute,
        enterprise_per_day: config.limits.enterprise_per_day,
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
