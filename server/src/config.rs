//! The one typed tree of settings. Who reads it: the composition root, once, at start. What must never happen: a
//! server that runs with half a setting, or with a value that nobody can find on the page.
//!
//! Sources, each overruling the one before: defaults, the TOML file (`--config` or `VEILCLOUD_CONFIG`), the
//! environment, flags. `docs/config.md` and `deploy/veilcloud.example.toml` are written from the declarations below.

pub mod args;
mod check;
mod docs;
mod setting;
mod source;
mod values;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use veilcloud_domain::auth::model::Tier;

pub use self::{
    docs::{example, markdown},
    setting::Setting,
    source::{Given, Problem},
    values::{LogFormat, Mode, Role, Roles, StorageKind},
};
use self::{
    setting::section,
    source::Values,
    values::{Origin, Proxy},
};

section! {
    /// What this process is and where it listens.
    Server {
        /// What the process is. `standalone` serves everything from one data folder.
        mode: Mode, "server.mode", "VEILCLOUD_MODE", "standalone", "name",
            says "standalone (central and edge are not built in this version)", "0.1.0";
        /// Which roles the process plays. `all` means every role that this version has.
        roles: Roles, "server.roles", "VEILCLOUD_ROLES", "all", "names",
            says "all (api, publish, sweep), any of these, or witness alone (intake, sift, tally, issuer are not built in this version)", "0.1.0";
        /// Address of the public port: gRPC, gRPC-Web and REST. Port 0 takes a free one; see `server.addr` in the
        /// data folder.
        listen: SocketAddr, "server.listen", "VEILCLOUD_LISTEN", "127.0.0.1:8443", "address:port",
            says "not loopback without TLS, unless server.allow_plaintext", "0.1.0";
        /// Serves without TLS on an address that others can reach. Only behind a proxy that ends TLS on the same
        /// trusted network.
        allow_plaintext: bool, "server.allow_plaintext", "VEILCLOUD_ALLOW_PLAINTEXT", "false", "true or false",
            says "true or false", "0.1.0";
        /// Folder of everything the server keeps: database, blobs, keys. Back it up whole.
        data_dir: PathBuf, "server.data_dir", "VEILCLOUD_DATA_DIR", "./data", "path",
            says "one server per folder", "0.1.0";
        /// How long a stopping server waits for requests in flight before it cuts them off.
        drain_timeout_s: u64, "server.drain_timeout_s", "VEILCLOUD_DRAIN_TIMEOUT_S", "25", "seconds",
            range 1..=600, "0.1.0";
    }
}

section! {
    /// The second, plain port for operators: health, readiness, metrics. It has no login, so keep it private.
    Admin {
        /// Address of the admin port.
        listen: SocketAddr, "admin.listen", "VEILCLOUD_ADMIN_LISTEN", "127.0.0.1:9443", "address:port",
            says "not loopback only with admin.allow_public; not server.listen", "0.1.0";
        /// Lets the admin port listen on an address that others can reach.
        allow_public: bool, "admin.allow_public", "VEILCLOUD_ADMIN_ALLOW_PUBLIC", "false", "true or false",
            says "true or false", "0.1.0";
    }
}

section! {
    /// TLS 1.3 on the public port. Without a certificate the port is plaintext.
    Tls {
        /// PEM file with the certificate chain, leaf first.
        cert: Option<PathBuf>, "tls.cert", "VEILCLOUD_TLS_CERT", "", "path",
            says "together with tls.key", "0.1.0";
        /// PEM file with the private key of the leaf (PKCS#8, PKCS#1 or SEC1).
        key: Option<PathBuf>, "tls.key", "VEILCLOUD_TLS_KEY", "", "path",
            says "together with tls.cert", "0.1.0";
        /// How often the two files are looked at for a renewed pair. A pair that does not load leaves the last good
        /// one in use.
        reload_interval_ms: u64, "tls.reload_interval_ms", "VEILCLOUD_TLS_RELOAD_INTERVAL_MS", "10000", "milliseconds",
            range 100..=86_400_000, "0.1.0";
        /// Longest TLS handshake, and longest wait for the first bytes of a plaintext connection.
        handshake_timeout_ms: u64, "tls.handshake_timeout_ms", "VEILCLOUD_HANDSHAKE_TIMEOUT_MS", "10000", "milliseconds",
            range 100..=120_000, "0.1.0";
    }
}

section! {
    /// Bounds on connections and requests of the public port.
    Http {
        /// Most connections at once; one more is closed when it is accepted.
        max_connections: usize, "http.max_connections", "VEILCLOUD_MAX_CONNECTIONS", "4096", "connections",
            range 1..=1_000_000, "0.1.0";
        /// Most connections at once from one address (an IPv6 network of 64 bits is one); one more is closed when it is
        /// accepted. The addresses of http.trusted_proxies are not counted.
        max_connections_per_address: usize, "http.max_connections_per_address",
            "VEILCLOUD_MAX_CONNECTIONS_PER_ADDRESS", "256", "connections", range 1..=1_000_000, "0.1.0";
        /// Most bytes of request bodies held at once, all callers together; one address holds a quarter of it at most.
        /// A request that finds no room is refused at once (RATE_LIMITED) and may come back a second later.
        max_body_bytes_in_flight: usize, "http.max_body_bytes_in_flight", "VEILCLOUD_MAX_BODY_BYTES_IN_FLIGHT",
            "268435456", "bytes", range 8_388_608..=1_099_511_627_776, "0.1.0";
        /// Longest time until an answer begins. A client's shorter deadline wins.
        request_timeout_ms: u64, "http.request_timeout_ms", "VEILCLOUD_REQUEST_TIMEOUT_MS", "30000", "milliseconds",
            range 100..=3_600_000, "0.1.0";
        /// Longest time an HTTP/1.1 client may take to send a request's headers; also the longest idle keep-alive.
        header_read_timeout_ms: u64, "http.header_read_timeout_ms", "VEILCLOUD_HEADER_READ_TIMEOUT_MS", "15000",
            "milliseconds", range 100..=600_000, "0.1.0";
        /// Greatest size of a request's headers.
        max_header_list_bytes: u32, "http.max_header_list_bytes", "VEILCLOUD_MAX_HEADER_LIST_BYTES", "32768", "bytes",
            range 8_192..=1_048_576, "0.1.0";
        /// Most requests at once on one HTTP/2 connection.
        max_concurrent_streams: u32, "http.max_concurrent_streams", "VEILCLOUD_MAX_CONCURRENT_STREAMS", "128", "streams",
            range 1..=10_000, "0.1.0";
        /// Streams that a client may reset before they were accepted (rapid reset); one more ends the connection.
        max_pending_resets: usize, "http.max_pending_resets", "VEILCLOUD_MAX_PENDING_RESETS", "20", "streams",
            range 1..=10_000, "0.1.0";
        /// Streams that the server may have to reset because of a client's errors; one more ends the connection.
        max_error_resets: usize, "http.max_error_resets", "VEILCLOUD_MAX_ERROR_RESETS", "128", "streams",
            range 1..=100_000, "0.1.0";
        /// How long an HTTP/2 connection may be silent before the server pings it.
        keepalive_interval_s: u64, "http.keepalive_interval_s", "VEILCLOUD_KEEPALIVE_INTERVAL_S", "30", "seconds",
            range 1..=3_600, "0.1.0";
        /// How long the answer to that ping may take.
        keepalive_timeout_s: u64, "http.keepalive_timeout_s", "VEILCLOUD_KEEPALIVE_TIMEOUT_S", "10", "seconds",
            range 1..=600, "0.1.0";
        /// Age at which a connection is told to finish, give or take a tenth; a client then opens a new one.
        max_connection_age_s: u64, "http.max_connection_age_s", "VEILCLOUD_MAX_CONNECTION_AGE_S", "3600", "seconds",
            range 10..=604_800, "0.1.0";
        /// Web origins that may call from a browser. Empty: none but the server's own.
        cors_origins: Vec<Origin>, "http.cors_origins", "VEILCLOUD_CORS_ORIGINS", "", "origins",
            says "scheme://host[:port], no path, no wildcard", "0.1.0";
        /// Proxies whose X-Forwarded-For header is believed. Empty: none, the peer's address counts.
        trusted_proxies: Vec<Proxy>, "http.trusted_proxies", "VEILCLOUD_TRUSTED_PROXIES", "", "addresses",
            says "IPv4 or IPv6 addresses, one for each proxy", "0.1.0";
    }
}

section! {
    /// Where blobs go, and how large they may be.
    Storage {
        /// Kind of blob store.
        kind: StorageKind, "storage.type", "STORAGE_TYPE", "local", "name",
            says "local (s3 is not built in this version)", "0.1.0";
        /// Folder of the blobs. In this version they stay in the data folder, where finished uploads become blobs by a
        /// rename.
        local_path: Option<PathBuf>, "storage.local_path", "STORAGE_LOCAL_PATH", "", "path",
            says "server.data_dir/blobs (other folders are not built in this version)", "0.1.0";
        /// Greatest ciphertext of one version.
        blob_max_bytes: u64, "storage.blob_max_bytes", "VEILCLOUD_BLOB_MAX_BYTES", "8589934592", "bytes",
            range 1_024..=1_099_511_627_776, "0.1.0";
    }
}

section! {
    /// Who may register, and what an account may use.
    Accounts {
        /// Lets anyone who reaches the server register. False: existing accounts only.
        registration_open: bool, "accounts.registration_open", "VEILCLOUD_REGISTRATION_OPEN", "true", "true or false",
            says "true or false", "0.1.0";
        /// Rate tier of new accounts.
        default_tier: Tier, "accounts.default_tier", "VEILCLOUD_DEFAULT_TIER", "team", "name",
            says "free, pro, team, enterprise", "0.1.0";
        /// Bytes that a new account may store, unfinished uploads included.
        quota_bytes: u64, "accounts.quota_bytes", "VEILCLOUD_QUOTA_BYTES", "10737418240", "bytes",
            range 1_024..=1_125_899_906_842_624, "0.1.0";
        /// How long a login lasts when it is used; after that the person logs in again.
        session_ttl_s: u64, "accounts.session_ttl_s", "VEILCLOUD_SESSION_TTL_S", "2592000", "seconds",
            range 900..=31_536_000, "0.1.0";
    }
}

section! {
    /// Rate limits of callers without an account, of everything that guesses at passwords and recovery codes, of upload
    /// chunks, and of the tier enterprise. In no span of a window's length are more tokens given than it has.
    Limits {
        /// Calls that try a password or a recovery code, from one address (an IPv6 network of 64 bits is one). An IPv6
        /// network of 48 bits has eight times as many for all its addresses together.
        guarded_per_minute_per_address: u32, "limits.guarded_per_minute_per_address",
            "VEILCLOUD_GUARDED_PER_MINUTE_PER_ADDRESS", "30", "calls a minute", range 1..=100_000, "0.1.0";
        /// Calls that try a password or a recovery code, for one e-mail address from one address, so that nobody locks
        /// out somebody elsewhere. From all addresses together there are ten times as many for one e-mail address.
        guarded_per_minute_per_email: u32, "limits.guarded_per_minute_per_email",
            "VEILCLOUD_GUARDED_PER_MINUTE_PER_EMAIL", "10", "calls a minute", range 1..=100_000, "0.1.0";
        /// Rate tokens of callers without an account, from one address. A refused request (malformed, without a good
        /// credential) costs one too. As many API keys that were not good here before are looked up for an address.
        anonymous_per_minute_per_address: u32, "limits.anonymous_per_minute_per_address",
            "VEILCLOUD_ANONYMOUS_PER_MINUTE_PER_ADDRESS", "600", "tokens a minute", range 1..=1_000_000, "0.1.0";
        /// Rate tokens of an account of the tier enterprise, all its sessions and API keys together. 0: no bound.
        enterprise_per_minute: u32, "limits.enterprise_per_minute", "VEILCLOUD_ENTERPRISE_PER_MINUTE", "0",
            "tokens a minute", range 0..=100_000_000, "0.1.0";
        /// The same for a day. 0: no bound.
        enterprise_per_day: u32, "limits.enterprise_per_day", "VEILCLOUD_ENTERPRISE_PER_DAY", "0", "tokens a day",
            range 0..=4_000_000_000, "0.1.0";
        /// Chunks of uploads that one account may put and files of logs that it may read, whatever its tier: they cost no
        /// rate tokens. At most 983280 bytes each. The bearers of tokens of one log share as many reads.
        chunks_per_minute: u32, "limits.chunks_per_minute", "VEILCLOUD_CHUNKS_PER_MINUTE", "6000", "chunks a minute",
            range 1..=1_000_000, "0.1.0";
    }
}

section! {
    /// The keys that sign capabilities.
    Access {
        /// How long one of them signs. The next one is announced in the directory's log a day before; what an old one
        /// signed stays good. `veilcloud-server issuer` rotates and revokes by hand.
        issuer_period_days: u64, "access.issuer_period_days", "VEILCLOUD_ISSUER_PERIOD_DAYS", "30", "days",
            range 7..=365, "0.1.0";
    }
}

section! {
    /// The role that removes what nobody needs: expired uploads, bytes without a version.
    Sweep {
        /// Pause between two sweeps.
        interval_s: u64, "sweep.interval_s", "VEILCLOUD_SWEEP_INTERVAL_S", "60", "seconds",
            range 1..=86_400, "0.1.0";
        /// Most things of one kind that one step looks at; steps follow each other while they find something to
        /// remove.
        batch: usize, "sweep.batch", "VEILCLOUD_SWEEP_BATCH", "1024", "things",
            range 1..=10_000, "0.1.0";
    }
}

section! {
    /// The transparency logs: what happened, as leaves that anyone with the public key can check.
    Chain {
        /// Name that begins the origin of every log of this server, for example `cloud.example.org/log`. It is fixed by
        /// the first start and never changed: clients and witnesses know the logs by it. Empty: a name made from the
        /// log's key.
        name: Option<String>, "chain.name", "VEILCLOUD_CHAIN_NAME", "", "name",
            says "1 to 128 of a-z 0-9 . - _ / :, no slash at either end; the same at every start", "0.1.0";
        /// File with the `witness`, `group` and `quorum` lines of a c2sp.org/tlog-policy, witnesses with their URLs.
        /// Checkpoints are shown only when the quorum has cosigned them. Empty: no witnesses.
        witness_policy: Option<PathBuf>, "chain.witness_policy", "VEILCLOUD_CHAIN_WITNESS_POLICY", "", "path",
            says "a policy without log lines", "0.1.0";
        /// PEM file of the root certificates to believe when witnesses are asked. Empty: the system's.
        witness_ca: Option<PathBuf>, "chain.witness_ca", "VEILCLOUD_CHAIN_WITNESS_CA", "", "path",
            says "with chain.witness_policy", "0.1.0";
        /// Asks witnesses of other machines over plain HTTP if their URL says so. A cosignature needs no secrecy, but
        /// whoever sits on the way can keep it away.
        witness_allow_plaintext: bool, "chain.witness_allow_plaintext", "VEILCLOUD_CHAIN_WITNESS_ALLOW_PLAINTEXT",
            "false", "true or false", says "true or false", "0.1.0";
        /// Most leaves in one batch, over all logs.
        batch_leaves: usize, "chain.batch_leaves", "VEILCLOUD_CHAIN_BATCH_LEAVES", "4096", "leaves",
            range 1..=16_384, "0.1.0";
    }
}

section! {
    /// The role witness: cosigns checkpoints of other servers' logs when they only grew.
    Witness {
        /// The witness's name, as in its key and its cosignatures: a URL without its scheme.
        name: Option<String>, "witness.name", "VEILCLOUD_WITNESS_NAME", "", "name",
            says "no spaces, no plus sign; needed by the role witness", "0.1.0";
        /// Verifier keys of the logs to watch (c2sp.org/signed-note). A key whose name is a server's chain.name covers
        /// every log of that server.
        logs: Vec<String>, "witness.logs", "VEILCLOUD_WITNESS_LOGS", "", "verifier keys",
            says "name+hash+key; needed by the role witness", "0.1.0";
    }
}

section! {
    /// What is said on standard error.
    Log {
        /// Which lines: a level, or levels by module (`info,veilcloud_api=debug`).
        filter: String, "log.filter", "VEILCLOUD_LOG", "info", "filter",
            says "off, error, warn, info, debug, trace; by module if need be", "0.1.0";
        /// How lines look. `auto` is text on a terminal and JSON elsewhere.
        format: LogFormat, "log.format", "VEILCLOUD_LOG_FORMAT", "auto", "name",
            says "auto, json, text", "0.1.0";
    }
}

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[admin]`
    pub admin: Admin,
    /// `[tls]`
    pub tls: Tls,
    /// `[http]`
    pub http: Http,
    /// `[storage]`
    pub storage: Storage,
    /// `[accounts]`
    pub accounts: Accounts,
    /// `[limits]`
    pub limits: Limits,
    /// `[access]`
    pub access: Access,
    /// `[sweep]`
    pub sweep: Sweep,
    /// `[chain]`
    pub chain: Chain,
    /// `[witness]`
    pub witness: Witness,
    /// `[log]`
    pub log: Log,
}

/// The sections in the order of the page: name, what it is about, its settings.
pub const SECTIONS: &[(&str, &str, &[Setting])] = &[
    ("server", Server::ABOUT, Server::SETTINGS),
    ("admin", Admin::ABOUT, Admin::SETTINGS),
    ("tls", Tls::ABOUT, Tls::SETTINGS),
    ("http", Http::ABOUT, Http::SETTINGS),
    ("storage", Storage::ABOUT, Storage::SETTINGS),
    ("accounts", Accounts::ABOUT, Accounts::SETTINGS),
    ("limits", Limits::ABOUT, Limits::SETTINGS),
    ("access", Access::ABOUT, Access::SETTINGS),
    ("sweep", Sweep::ABOUT, Sweep::SETTINGS),
    ("chain", Chain::ABOUT, Chain::SETTINGS),
    ("witness", Witness::ABOUT, Witness::SETTINGS),
    ("log", Log::ABOUT, Log::SETTINGS),
];

/// Every setting, in the order of the page.
pub fn settings() -> Vec<&'static Setting> {
    SECTIONS.iter().flat_map(|(_, _, settings)| settings.iter()).collect()
}

/// The configuration is refused; every problem is named at once.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is wrong in {}:\n{}", count(.0), lines(.0))]
pub struct ConfigError(pub Vec<Problem>);

fn count(problems: &[Problem]) -> String {
    if problems.len() == 1 { "one place".to_owned() } else { format!("{} places", problems.len()) }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n")
}

impl Config {
    /// Reads every source and checks the whole; also gives what an operator should know but that is not wrong.
    pub fn load(given: &Given<'_>) -> Result<(Self, Vec<String>), ConfigError> {
        let settings = settings();
        let mut values = Values::gather(given, &settings);
        let config = Self {
            server: Server::take(&mut values),
            admin: Admin::take(&mut values),
            tls: Tls::take(&mut values),
            http: Http::take(&mut values),
            storage: Storage::take(&mut values),
            accounts: Accounts::take(&mut values),
            limits: Limits::take(&mut values),
            access: Access::take(&mut values),
            sweep: Sweep::take(&mut values),
            chain: Chain::take(&mut values),
            witness: Witness::take(&mut values),
            log: Log::take(&mut values),
        };
        check::whole(&config, &mut values);
        if !values.problems.is_empty() {
            return Err(ConfigError(values.problems));
        }
        Ok((config, warnings(given.env, &settings)))
    }

    /// The certificate and key, when TLS is on.
    pub fn tls_pair(&self) -> Option<(&Path, &Path)> {
        self.tls.cert.as_deref().zip(self.tls.key.as_deref())
    }

    /// See `server.drain_timeout_s`.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_secs(self.server.drain_timeout_s)
    }
}

fn warnings(env: &BTreeMap<String, String>, settings: &[&'static Setting]) -> Vec<String> {
    let strangers = source::strangers(env, settings);
    strangers.iter().map(|name| format!("{name} is set but is no setting: it has no effect")).collect()
}

#[cfg(test)]
mod tests;
