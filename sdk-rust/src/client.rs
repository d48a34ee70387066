//! The client: one server, one account at a time, any number of calls at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use time::OffsetDateTime;
use veilcloud_proto::common::v1 as pb;

use crate::access::{ChainCache, Home};
use crate::account::Account;
use crate::api_keys::{ApiKeys, TokenAccess};
use crate::audit::Audit;
use crate::builder::ClientBuilder;
use crate::capabilities::{Capabilities, HeldCapability};
use crate::directory::{Directory, OwnKey};
use crate::environments::Environments;
use crate::error::Result;
use crate::keys::KeyCache;
use crate::projects::{Project, Projects};
use crate::session::current::Current;
use crate::state::StateStore;
use crate::storage::Storage;
use crate::teams::Teams;
use crate::times;
use crate::transport::{Budget, Transport, rpc};
use crate::users::Users;

/// A client of one server. Cheap to clone; clones share connection, session and caches.
///
/// ```no_run
/// # async fn example() -> veilcloud_sdk::Result<()> {
/// use veilcloud_sdk::{Client, Password};
/// let client = Client::builder().endpoint("https://veilcloud.example.org").build()?;
/// let account = client.login("ada@example.org", &Password::from("correct horse")).await?;
/// println!("{} of {} bytes used", account.used_bytes, account.quota_bytes);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// In the one spelling the builder gives it.
    pub(crate) endpoint: String,
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) state: Arc<dyn StateStore>,
    /// What calls are made with instead of a session.
    pub(crate) held: Option<HeldCapability>,
    /// A service token: calls are made with its API key, and what is read is opened with its share.
    pub(crate) token: Option<TokenAccess>,
    pub(crate) current: Current,
    pub(crate) keys: KeyCache,
    pub(crate) chains: ChainCache,
    pub(crate) budget: Budget,
    /// Held while a log's head moves, and by a call that has to ask again because of that.
    pub(crate) advancing: futures_util::lock::Mutex<()>,
    /// Whether the directory is being followed because the logs are getting a new key.
    pub(crate) is_following: AtomicBool,
    pub(crate) own_key: OwnKey,
    /// The server, when it was last asked, named another witness policy than the pinned one.
    pub(crate) has_other_witnesses: AtomicBool,
}

/// What a server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Version of the server, e.g. `0.1.0`.
    pub version: String,
    /// The server's clock.
    pub now: OffsetDateTime,
    /// Limits to plan with.
    pub limits: Limits,
    /// Name that begins the origin of each of its logs, as it says now; what counts is what was pinned.
    pub log_name: String,
    /// Keys that sign its logs, newest first, as it says now.
    pub log_keys: Vec<[u8; 32]>,
    /// Witnesses and quorum of its logs, as it says now.
    pub witness_policy: String,
}

/// Sizes and times a client plans with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Greatest message, in bytes.
    pub message_bytes: u64,
    /// Greatest ciphertext that goes in one message, in bytes; larger ones are uploaded in chunks.
    pub direct_blob_bytes: u64,
    /// Greatest ciphertext of a version, in bytes.
    pub blob_bytes: u64,
    /// Length of a chunk, in bytes.
    pub chunk_bytes: u64,
    /// Greatest distance between this machine's clock and the server's, in milliseconds.
    pub proof_window_ms: u64,
    /// Bytes an account may store.
    pub account_quota_bytes: u64,
}

impl Client {
    /// Begins a client; [`ClientBuilder::endpoint`] is the one setting without a default.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    pub(crate) fn new(
        endpoint: String,
        transport: Box<dyn Transport>,
        state: Arc<dyn StateStore>,
        held: Option<HeldCapability>,
        token: Option<TokenAccess>,
    ) -> Self {
        let inner = Inner {
            endpoint,
            transport,
            state,
            held,
            token,
            current: Current::default(),
            keys: KeyCache::default(),
            chains: ChainCache::default(),
            budget: Budget::new(),
            advancing: futures_util::lock::Mutex::default(),
            is_following: AtomicBool::new(false),
            own_key: OwnKey::default(),
            has_other_witnesses: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The server this client talks to, in its one spelling.
    pub fn endpoint(&self) -> &str {
        &self.inner.endpoint
    }

    /// The account's projects.
    pub fn projects(&self) -> Projects {
        Projects::new(self.clone())
    }

    /// The teams that the account is in.
    pub fn teams(&self) -> Teams {
        Teams::new(self.clone())
    }

    /// Capabilities for other keys than the session's, and who may do what.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::new(self.clone())
    }

    /// Keys of programs: API keys and service tokens.
    pub fn api_keys(&self) -> ApiKeys {
        ApiKeys::new(self.clone())
    }

    /// Other people's accounts.
    pub fn users(&self) -> Users {
        Users::new(self.clone())
    }

    /// The environments of a project.
    pub fn environments(&self, project: &Project) -> Environments {
        Environments::new(self.clone(), Home::of(project))
    }

    /// Content of environments.
    pub fn storage(&self) -> Storage {
        Storage::new(self.clone())
    }

    /// What happened in a project.
    pub fn audit(&self, project: &Project) -> Audit {
        Audit::new(self.clone(), project.id)
    }

    /// The directory: which keys accounts have, proved.
    pub fn directory(&self) -> Directory {
        Directory::new(self.clone())
    }

    /// What the server says about itself; needs no login.
    ///
    /// # Errors
    /// [`crate::Error::Network`] when it is not reached.
    pub async fn server_info(&self) -> Result<ServerInfo> {
        let answer: pb::GetServerInfoResponse =
            self.call(&rpc::SERVER_INFO, &pb::GetServerInfoRequest {}).await?;
        let limits = answer.limits.unwrap_or_default();
        Ok(ServerInfo {
            version: answer.version,
            now: times::required(answer.now, &rpc::SERVER_INFO)?,
            limits: Limits {
                message_bytes: limits.message_bytes,
                direct_blob_bytes: limits.direct_blob_bytes,
                blob_bytes: limits.blob_bytes,
                chunk_bytes: limits.chunk_bytes,
                proof_window_ms: limits.proof_window_ms,
                account_quota_bytes: limits.account_quota_bytes,
            },
            log_name: answer.log_name,
            log_keys: answer.log_keys.iter().filter_map(|key| key[..].try_into().ok()).collect(),
            witness_policy: answer.witness_policy,
        })
    }

    /// The account of the session, as the server knows it now. Checks that the keys the server gives out for it are
    /// the ones the login unlocked.
    ///
    /// # Errors
    /// [`crate::Error::NotLoggedIn`]; [`crate::Error::Integrity`] for other keys.
    pub async fn me(&self) -> Result<Account> {
        self.account().await
    }

    /// Whether the server, at this client's last login or first look of a monitor, named other witnesses or another quorum
    /// than at the first contact. The ones of the first contact stay in force: a server's word does not replace them.
    pub fn has_other_witness_policy(&self) -> bool {
        self.inner.has_other_witnesses.load(Ordering::Relaxed)
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.inner.transport.now_ms()
    }
}
