//! What happened in a project or account: the entries of its log, each shown to be in it. Nothing is listed that was not hashed into
//! the root of a signed checkpoint which continues the one this machine has seen.

#[cfg(feature = "native")]
mod bundle;
mod event;
mod fresh;
#[cfg(feature = "native")]
mod fsck;
mod monitor;
mod proof;
mod rules;

use std::time::Duration;

use time::OffsetDateTime;
use veilchain::key::{KeyType, VerifierKey};
use veilcloud_proto::audit::v1 as pb;
use veilcore::id::ProjectId;
use zeroize::Zeroizing;

#[cfg(feature = "native")]
pub use bundle::{BundleOptions, BundleReport};
pub use event::AuditEvent;
#[cfg(feature = "native")]
pub use fsck::{BundleCheck, BundleFinding, check_bundle};
pub use monitor::{Evidence, Finding, Monitor, Step};
pub use proof::{EventProof, Proven, verify_file};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::log::{Files, LogId, Newest, STEP_MAX, Walk};
use crate::times;
use crate::transport::rpc;

/// Most events that [`Audit::events`] takes into memory; [`Audit::reader`] has no such limit.
pub const EVENTS_MAX: usize = 100_000;
/// Longest life of a log token.
pub const TOKEN_TTL_MAX: Duration = Duration::from_secs(86_400);

/// The audit trail of a project, there or deleted, or of the account; see [`Client::audit`], [`Client::audit_of`],
/// [`Client::audit_account`].
#[derive(Clone)]
pub struct Audit {
    client: Client,
    log: LogId,
}

/// Reads a log's events in order, up to the checkpoint that was the newest when it began.
pub struct EventReader {
    files: Files,
    walk: Walk,
    newest: Option<Newest>,
}

/// A bearer token that reads one project's log at `/log/`, for tools that know nothing of accounts.
#[derive(Clone)]
#[non_exhaustive]
pub struct LogToken {
    /// The token, for the header `authorization: Bearer ...`. Secret until it expires.
    pub token: Zeroizing<String>,
    /// Address of the log, with a slash at its end.
    pub url: String,
    /// When it expires.
    pub expires_at: OffsetDateTime,
}

impl Audit {
    pub(crate) fn new(client: Client, project: ProjectId) -> Self {
        Self { client, log: LogId::Project(project) }
    }

    fn log(&self) -> LogId {
        self.log
    }

    fn files(&self) -> Files {
        Files::new(self.client.clone(), self.log())
    }

    /// The whole trail, oldest first; at most [`EVENTS_MAX`] events.
    ///
    /// # Errors
    /// What the server says; [`Error::Integrity`] when the events do not lead to a signed root that continues the one
    /// seen before; [`Error::Invalid`] for more events than that.
    pub async fn events(&self) -> Result<Vec<AuditEvent>> {
        let mut reader = self.reader().await?;
        if reader.len() > EVENTS_MAX as u64 {
            return Err(Error::invalid("audit trail", format!("{} events: export them", reader.len())));
        }
        let mut events = Vec::new();
        while let Some(more) = reader.next().await? {
            events.extend(more);
        }
        Ok(events)
    }

    /// Begins to read the events from the first on.
    ///
    /// # Errors
    /// What the server says; [`Error::Integrity`] when its newest checkpoint does not continue the one seen before.
    pub async fn reader(&self) -> Result<EventReader> {
        let files = self.files();
        let newest = files.newest().await?;
        Ok(EventReader { files, walk: Walk::default(), newest })
    }

    /// What a verifier has to trust, as a c2sp.org/tlog-policy text: the log's keys, the witnesses, the quorum. Made from
    /// what was pinned at the first contact, not from what the server says now.
    ///
    /// # Errors
    /// What the server says at the first contact.
    pub async fn policy(&self) -> Result<String> {
        let trust = self.client.trust().await?;
        let policy = trust.policy(self.log()).ok_or(Error::BadAnswer { rpc: rpc::SERVER_INFO.path })?;
        Ok(String::from_utf8_lossy(&policy.encode()).into_owned())
    }

    /// The keys that sign the log, as c2sp.org/signed-note writes them.
    ///
    /// # Errors
    /// As [`Audit::policy`].
    pub async fn verifier_keys(&self) -> Result<Vec<String>> {
        let trust = self.client.trust().await?;
        let origin = trust.origin(self.log());
        let key = |key: &[u8; 32]| VerifierKey::new(&origin, KeyType::Ed25519, *key).map(|key| key.encode());
        let keys = trust.keys().iter().map(key).collect::<Result<_, _>>();
        keys.map_err(|_| Error::BadAnswer { rpc: rpc::SERVER_INFO.path })
    }

    /// Makes a token that reads this log at `/log/` for a while: whole seconds, at most [`TOKEN_TTL_MAX`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for another time, and for the log of an account; what the server says.
    pub async fn create_token(&self, ttl: Duration) -> Result<LogToken> {
        let LogId::Project(project) = self.log else {
            return Err(Error::invalid("log token", "the log of an account is for the account alone"));
        };
        if ttl.as_secs() == 0 || ttl > TOKEN_TTL_MAX {
            let why = format!("a token lives from 1 to {} seconds", TOKEN_TTL_MAX.as_secs());
            return Err(Error::invalid("life of the token", why));
        }
        let request = pb::CreateLogTokenRequest {
            project_id: project.to_string(),
            ttl_seconds: u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX),
            request_id: times::request_id(),
        };
        let answer: pb::CreateLogTokenResponse = self.client.call(&rpc::CREATE_LOG_TOKEN, &request).await?;
        let is_path = answer.path.starts_with('/') && answer.path.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_path || answer.token.is_empty() || !answer.token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::BadAnswer { rpc: rpc::CREATE_LOG_TOKEN.path });
        }
        Ok(LogToken {
            url: format!("{}{}", self.client.endpoint(), answer.path),
            token: Zeroizing::new(answer.token),
            expires_at: times::required(answer.expires_at, &rpc::CREATE_LOG_TOKEN)?,
        })
    }

    /// Watches the log: every step reads what is new, checks it, and says what should not be there.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.files())
    }
}

impl EventReader {
    /// How many events there are to read, all in all.
    pub fn len(&self) -> u64 {
        self.newest.as_ref().map_or(0, |newest| newest.checkpoint.size)
    }

    /// Whether there is nothing to read at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next events, at most 16,384; None after the last. They are checked before they are given out.
    ///
    /// # Errors
    /// [`Error::Integrity`] for entries that do not lead to the signed root, that are none of this log's, or that contradict
    /// a version which this machine has seen.
    // Named as what it does; it cannot be an iterator.
    #[allow(clippy::should_implement_trait)]
    pub async fn next(&mut self) -> Result<Option<Vec<AuditEvent>>> {
        let Some(newest) = &self.newest else { return Ok(None) };
        let first = self.walk.size();
        let entries = self.walk.step(&self.files, &newest.checkpoint, STEP_MAX).await?;
        if entries.is_empty() {
            return Ok(None);
        }
        fresh::note(&self.files, &entries).await?;
        let read = |(index, entry): (u64, &Vec<u8>)| {
            AuditEvent::read(self.files.log(), index, entry).map_err(|fault| self.files.fault(fault))
        };
        (first..).zip(&entries).map(read).collect::<Result<_>>().map(Some)
    }
}

impl Client {
    /// What happened in a project that is known by its id only: one that was deleted, for its last owner.
    pub fn audit_of(&self, project: ProjectId) -> Audit {
        Audit::new(self.clone(), project)
    }

    /// What happened to the own account: logins, renewals, changes of password, recoveries.
    ///
    /// # Errors
    /// [`Error::NotLoggedIn`], [`Error::OtherEndpoint`], [`Error::Local`].
    pub async fn audit_account(&self) -> Result<Audit> {
        let account = self.session_in_use().await?.account();
        Ok(Audit { client: self.clone(), log: LogId::Account(account) })
    }
}

#[cfg(test)]
mod account_tests;
#[cfg(test)]
mod tests;
