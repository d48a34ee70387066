//! A server's life: open, start, tell, wait, drain, close.

use std::{sync::Arc, time::Duration};

use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use veilcloud_domain::auth::api_keys::ApiKeys;
use veilcloud_domain::clock::{SystemClock, SystemEntropy};
use veilcloud_embedded::Embedded;
use veilcloud_workers::sweep::Swept;

use crate::{
    address::{AddressFile, Addresses},
    admin::{self, Admin},
    config::{Config, Role},
    folder::Folder,
    listen::{Options, Port},
    roles, say, shutdown,
    start::StartError,
    telemetry, wire,
};

/// Most connections of the admin port.
const ADMIN_CONNECTIONS_MAX: usize = 64;
/// Longest wait for the admin port's last answers.
const ADMIN_GRACE: Duration = Duration::from_secs(2);

/// Serves until a signal, then drains.
pub fn to_the_end(config: &Config, warnings: &[String], hints: bool) -> Result<(), StartError> {
    telemetry::start_log(&config.log);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if telemetry::core_dumps_on() {
        tracing::warn!(
            "core dumps are on: a crash would write keys to disk; start with `ulimit -c 0` or LimitCORE=0"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("veilcloud").build();
    let runtime = runtime.map_err(|e| StartError::System { step: "start threads", cause: e.to_string() })?;
    let outcome = runtime.block_on(serve(config, hints));
    // Whatever still blocks is a read of a file; nothing durable waits for it.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// What runs, and what ends it.
struct Running {
    api: Option<JoinHandle<bool>>,
    reporter: JoinHandle<()>,
    publish: Option<veilcloud_workers::publish::Handle>,
    publisher: Option<JoinHandle<()>>,
    publish_stop: CancellationToken,
    sweep: Option<veilcloud_workers::sweep::Handle>,
    issuers: JoinHandle<()>,
    admin: Option<JoinHandle<bool>>,
    admin_stop: CancellationToken,
    store: Arc<Embedded>,
    api_keys: Arc<ApiKeys>,
}

async fn serve(config: &Config, hints: bool) -> Result<(), StartError> {
    if config.server.roles.has(Role::Witness) {
        return witness(config).await;
    }
    let metrics = telemetry::start_metrics()
        .map_err(|e| StartError::System { step: "start the metrics", cause: e.to_string() })?;
    let folder = Folder::open(&config.server.data_dir)?;
    if let Some(mode) = folder.open_to_others() {
        let mode = format!("{mode:o}");
        tracing::warn!(mode, "others than the owner may look into the data folder: chmod 700 it");
    }
    AddressFile::clear(folder.path());
    let stop = shutdown::listen()
        .map_err(|e| StartError::System { step: "listen for signals", cause: e.to_string() })?;

    // Ports first: a port in use is found before a new folder gets keys and a database.
    let public =
        if config.server.roles.has(Role::Api) { Some(roles::api::bind(config, &stop).await?) } else { None };
    let private = bind_admin(config).await?;
    let addresses = addresses(config, public.as_ref(), &private)?;

    // Blocking is fine: nothing else runs yet.
    let wired = tokio::task::block_in_place(|| wire::open(config, &folder))?;
    let admin_stop = CancellationToken::new();
    let admin = Admin { store: wired.store.clone(), metrics: metrics.clone(), stop: stop.clone() };
    tokio::spawn(admin::upkeep(metrics, admin_stop.clone()));
    let publish_stop = CancellationToken::new();
    let (publish, publisher) = if config.server.roles.has(Role::Publish) {
        let publisher = match wired.witnesses {
            Some(witnesses) => {
                let (logs, clock) = (wired.sequencer.store.clone(), wired.sequencer.clock.clone());
                Some(witnesses.start(logs, clock, publish_stop.clone())?)
            }
            None => None,
        };
        let sequencer = roles::publish::start(wired.sequencer, &config.chain, publish_stop.clone()).await?;
        (Some(sequencer), publisher)
    } else {
        (None, None)
    };
    let reporter =
        roles::api::report(wired.store.clone(), wired.log, wired.health, wired.draining, stop.clone());
    let sweep = if config.server.roles.has(Role::Sweep) {
        let swept = Swept { storage: wired.storage, api_keys: wired.api_keys.clone() };
        let started = roles::sweep::start(swept, &config.sweep, stop.clone());
        Some(started.map_err(|e| StartError::Wire(e.to_string()))?)
    } else {
        None
    };
    let keeps = config.server.roles.has(Role::Sweep);
    let running = Running {
        issuers: veilcloud_workers::issuers::start(wired.issuers, keeps, stop.clone()),
        api: public.map(|port| roles::api::start(port, wired.router, stop.clone())),
        reporter: tokio::spawn(reporter),
        publish,
        publisher,
        publish_stop,
        sweep,
        admin: Some(tokio::spawn(private.serve(admin::router(admin), admin_stop.clone()))),
        admin_stop,
        store: wired.store,
        api_keys: wired.api_keys,
    };
    let file = AddressFile::write(folder.path(), &addresses).map_err(|cause| StartError::Folder {
        step: "write to",
        path: folder.path().to_path_buf(),
        cause,
    })?;
    tell(config, &addresses, hints);
    let outcome = running.until(&stop).await;
    drop(file);
    outcome
}

/// A witness's life: it has a data folder and a public port, and nothing of a server's stores.
async fn witness(config: &Config) -> Result<(), StartError> {
    let metrics = telemetry::start_metrics()
        .map_err(|e| StartError::System { step: "start the metrics", cause: e.to_string() })?;
    let folder = Folder::open(&config.server.data_dir)?;
    AddressFile::clear(folder.path());
    let stop = shutdown::listen()
        .map_err(|e| StartError::System { step: "listen for signals", cause: e.to_string() })?;
    let public = roles::api::bind(config, &stop).await?;
    let private = bind_admin(config).await?;
    let addresses = addresses(config, Some(&public), &private)?;
    let name = config.witness.name.clone().unwrap_or_default();
    let witness = tokio::task::block_in_place(|| {
        let clock = Arc::new(SystemClock);
        roles::witness::open(folder.path(), &name, &config.witness.logs, clock, &SystemEntropy)
    })?;
    let admin_stop = CancellationToken::new();
    tokio::spawn(admin::upkeep(metrics.clone(), admin_stop.clone()));
    let admin = admin::witness_router(metrics, stop.clone());
    let admin = tokio::spawn(private.serve(admin, admin_stop.clone()));
    let mut api = Some(roles::witness::start(public, witness, stop.clone()));
    let file = AddressFile::write(folder.path(), &addresses).map_err(|cause| StartError::Folder {
        step: "write to",
        path: folder.path().to_path_buf(),
        cause,
    })?;
    tell(config, &addresses, false);
    let early = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        () = of(&mut api) => Some(StartError::Role { role: "witness", cause: "its loop is over".to_owned() }),
    };
    stop.cancel();
    drop(joined(api).await);
    admin_stop.cancel();
    drop(admin.await);
    drop(file);
    tracing::info!("stopped");
    early.map_or(Ok(()), Err)
}

impl Running {
    /// Waits for `stop` and drains: public port, sweep, sequencer, admin port, store, in this order.
    async fn until(mut self, stop: &CancellationToken) -> Result<(), StartError> {
        let ended = |role: &'static str| StartError::Role { role, cause: "its loop is over".to_owned() };
        // In this order: the signal ends the loops too, and that is not their fault.
        let early = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            () = of(&mut self.api) => Some(ended("api")),
            () = of(&mut self.admin) => Some(ended("admin")),
            cause = over(&mut self.publish) => Some(StartError::Role { role: "publish", cause }),
        };
        stop.cancel();
        match joined(self.api).await {
            Some(Ok(false)) => tracing::warn!("some connections did not finish in time: cut off"),
            Some(Err(_)) => tracing::error!("bug: the public port panicked"),
            Some(Ok(true)) | None => {}
        }
        if let Some(sweep) = self.sweep
            && let Err(e) = sweep.drained().await
        {
            tracing::error!(error = %e, "bug: the sweep did not end well");
        }
        drop(self.issuers.await);
        // After the public port: its last answers wait for the logs.
        self.publish_stop.cancel();
        if let Some(publish) = self.publish
            && let Err(e) = publish.drained().await
        {
            tracing::error!(error = %e, "the sequencer did not end well");
        }
        if let Some(publisher) = self.publisher {
            drop(publisher.await);
        }
        self.admin_stop.cancel();
        drop(joined(self.admin).await);
        drop(self.reporter.await);
        if let Err(error) = self.api_keys.flush_used().await {
            tracing::warn!(%error, "when API keys were last used could not be written");
        }
        match Arc::try_unwrap(self.store) {
            Ok(store) => store.close().await,
            // Every answered change is durable; what is left undone is tidying, and the next start does it.
            Err(_) => tracing::warn!("the store is still in use: left open"),
        }
        tracing::info!("stopped");
        early.map_or(Ok(()), Err)
    }
}

/// The end of a task, which is then no longer there; of one that is not there it never comes.
async fn of(task: &mut Option<JoinHandle<bool>>) {
    match task {
        Some(running) => drop(running.await),
        None => std::future::pending().await,
    }
    *task = None;
}

/// Why the sequencer ended by itself; while it runs, and where there is none, this never comes.
async fn over(publish: &mut Option<veilcloud_workers::publish::Handle>) -> String {
    match publish {
        Some(running) => {
            let cause = match running.ended().await {
                Ok(()) => "its loop is over".to_owned(),
                Err(error) => error.to_string(),
            };
            *publish = None;
            cause
        }
        None => std::future::pending().await,
    }
}

/// What a task that is still there ends with.
async fn joined(task: Option<JoinHandle<bool>>) -> Option<Result<bool, JoinError>> {
    match task {
        Some(task) => Some(task.await),
        None => None,
    }
}

async fn bind_admin(config: &Config) -> Result<Port, StartError> {
    let options = Options {
        port: "admin",
        max_connections: ADMIN_CONNECTIONS_MAX,
        max_per_address: ADMIN_CONNECTIONS_MAX,
        uncounted: Vec::new(),
        handshake_timeout: Duration::from_millis(config.tls.handshake_timeout_ms),
        max_age: Duration::from_secs(config.http.max_connection_age_s),
        grace: ADMIN_GRACE,
    };
    let address = config.admin.listen;
    let bound = Port::bind(address, options, &config.http, None).await;
    bound.map_err(|cause| StartError::Bind { setting: "VEILCLOUD_ADMIN_LISTEN", address, cause })
}

fn addresses(config: &Config, public: Option<&Port>, private: &Port) -> Result<Addresses, StartError> {
    let known = |port: &Port| {
        port.address().map_err(|e| StartError::System { step: "read a port's address", cause: e.to_string() })
    };
    let listen = public.map(known).transpose()?;
    let tls = config.tls_pair().is_some();
    let scheme = if tls { "https" } else { "http" };
    Ok(Addresses {
        endpoint: listen.map(|address| format!("{scheme}://{address}")),
        listen,
        admin_listen: known(private)?,
        tls,
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// The line that says where everything is, and on a terminal what to do next.
fn tell(config: &Config, addresses: &Addresses, hints: bool) {
    let endpoint = addresses.endpoint.as_deref().unwrap_or("none");
    tracing::info!(
        endpoint,
        admin = %addresses.admin_listen,
        data = %config.server.data_dir.display(),
        roles = %config.server.roles,
        tls = addresses.tls,
        "veilcloud-server {} serves {endpoint}, admin on http://{}",
        addresses.version,
        addresses.admin_listen
    );
    if let Some(listen) = addresses.listen.filter(|_| !addresses.tls) {
        if listen.ip().is_loopback() {
            tracing::warn!(
                "PLAINTEXT: no certificate is set, so only programs on this machine should and can connect"
            );
        } else {
            tracing::warn!(
                "PLAINTEXT on {listen}: everyone on the network path sees and can alter what passes, sessions included. \
                 Only right behind a proxy that ends TLS"
            );
        }
    }
    if hints && let Some(endpoint) = &addresses.endpoint {
        say(&format!(
            "\nIn another terminal:\n  export VEILCLOUD_ENDPOINT={endpoint}\n  veilcloud register you@example.com\n  \
             veilcloud login\n  veilcloud projects create my-app\n"
        ));
    }
}
