//! The audit area's readers: events, proofs, files, keys, tokens. Each says who may.

use std::sync::Arc;

use veilcore::id::AccountId;
use veilsign::capability::{Actions, Resource};

use super::{
    error::AuditError,
    file::LogFile,
    log::Log,
    model::{Event, Trail},
    reader::{LogReader, Proof, Published},
    readers::{Reader, Readers},
    signer::LogKeys,
    token::{LogTokenKey, TTL_S_DEFAULT, TTL_S_MAX},
};
use crate::{
    auth::{Caller, port::Directory},
    clock::Clock,
    page::{Page, PageArgs},
    projects::{ProjectAccess, error::ProjectsError},
};

/// What a caller is told of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDescription {
    /// The log's name.
    pub origin: String,
    /// Its verifier keys as text, newest first.
    pub keys: Vec<String>,
    /// The policy text: log keys, witnesses, quorum.
    pub policy: String,
    /// What is shown now.
    pub published: Option<Published>,
}

/// Whose right it is to read a log: a project's, or the account's own.
pub trait MayRead: Send + Sync {
    /// The log, if the right reaches it.
    fn log(&self) -> Result<Trail, AuditError>;
    /// Who it is, to be asked again later.
    fn reader(&self) -> Reader;
}

impl MayRead for ProjectAccess {
    fn log(&self) -> Result<Trail, AuditError> {
        self.check_whole(Actions::AUDIT_READ)?;
        Ok(Trail::Project(self.project()))
    }

    fn reader(&self) -> Reader {
        self.caller().reader()
    }
}

/// The account's own log, and no other account's: there is no way to name one.
impl MayRead for Caller {
    fn log(&self) -> Result<Trail, AuditError> {
        match self.allows(Actions::AUDIT_READ, &Resource::account()) {
            true => Ok(Trail::Account(self.account)),
            false => Err(ProjectsError::Denied.into()),
        }
    }

    fn reader(&self) -> Reader {
        Reader { account: self.account, credential: self.credential() }
    }
}

/// The logs' readers.
pub struct Audit {
    reader: Arc<LogReader>,
    log: Arc<Log>,
    directory: Arc<dyn Directory>,
    keys: Arc<LogKeys>,
    tokens: LogTokenKey,
    readers: Readers,
    clock: Arc<dyn Clock>,
    /// Witness, group and quorum lines of the policy.
    witness_policy: String,
}

impl Audit {
    /// The service on its ports. `witness_policy` holds the lines of a tlog-policy after its log lines.
    #[expect(clippy::too_many_arguments, reason = "one argument for each thing it stands on")]
    pub fn new(
        reader: Arc<LogReader>,
        log: Arc<Log>,
        directory: Arc<dyn Directory>,
        keys: Arc<LogKeys>,
        tokens: LogTokenKey,
        readers: Readers,
        clock: Arc<dyn Clock>,
        witness_policy: String,
    ) -> Self {
        Self { reader, log, directory, keys, tokens, readers, clock, witness_policy }
    }

    /// A log's events, oldest first; the page key is the index of the last one given.
    pub async fn events(
        &self,
        reader: &dyn MayRead,
        page: PageArgs<u64>,
    ) -> Result<Page<Event, u64>, AuditError> {
        Ok(self.reader.events(reader.log()?, page).await?)
    }

    /// Whether somebody who was let into a log earlier still may read it: asked again before each further part of an
    /// answer that takes long.
    pub async fn check_still(&self, reader: &dyn MayRead) -> Result<(), AuditError> {
        match self.readers.may(reader.log()?, reader.reader()).await? {
            true => Ok(()),
            false => Err(ProjectsError::Denied.into()),
        }
    }

    /// Proves one event of a log, and that the tree of `seen` leaves is the beginning.
    pub async fn proof(&self, reader: &dyn MayRead, index: u64, seen: u64) -> Result<Proof, AuditError> {
        self.reader.prove(reader.log()?, index, seen).await
    }

    /// Proves the event of a version that the caller was just shown, or has just written: the right to the version is the
    /// right to its event.
    pub async fn prove_version(
        &self,
        access: &ProjectAccess,
        index: u64,
        seen: u64,
    ) -> Result<Proof, AuditError> {
        self.prove_given(Trail::Project(access.project()), index, seen).await
    }

    /// Proves a leaf whose index a store gave out. Its line is committed, and may still be on its way into the log.
    async fn prove_given(&self, log: Trail, index: u64, seen: u64) -> Result<Proof, AuditError> {
        match self.reader.prove(log, index, seen).await {
            Err(AuditError::Index { .. }) => {
                self.log.settle(log).await?;
                self.reader.prove(log, index, seen).await
            }
            proven => proven,
        }
    }

    /// What a log is called, who signs it, what it shows now.
    pub async fn describe(&self, reader: &dyn MayRead) -> Result<LogDescription, AuditError> {
        let log = reader.log()?;
        let keys: Vec<String> = self.keys.verifiers(log).iter().map(|key| key.encode()).collect();
        let logs = keys.iter().map(|key| format!("log {key}\n")).collect::<String>();
        Ok(LogDescription {
            origin: self.keys.origin(log),
            policy: format!("{logs}{}", self.witness_policy),
            keys,
            published: self.reader.published(log).await?,
        })
    }

    /// A file of a log.
    pub async fn log_file(&self, reader: &dyn MayRead, path: &str) -> Result<LogFile, AuditError> {
        self.reader.file(reader.log()?, path).await
    }

    /// A file of the directory log. It is public: random ids and commitments.
    pub async fn directory_file(&self, path: &str) -> Result<LogFile, AuditError> {
        self.reader.file(Trail::Directory, path).await
    }

    /// An account's bundle and the proof of the directory's newest leaf about it.
    pub async fn account_key(&self, id: AccountId, seen: u64) -> Result<(Vec<u8>, Proof), AuditError> {
        let account = self.directory.account(id).await?.ok_or(AuditError::KeyUnknown)?;
        let index = account.key_index.ok_or(AuditError::KeyUnknown)?;
        let proof = self.prove_given(Trail::Directory, index, seen).await?;
        Ok((account.bundle, proof))
    }

    /// A bearer token for the project's log, its path and its end. 0 seconds mean an hour. It ends earlier with the right
    /// of its maker, and with the credential that it was made with.
    pub fn token(&self, access: &ProjectAccess, ttl_s: u32) -> Result<(String, String, u64), AuditError> {
        let log = access.log()?;
        let ttl_s = if ttl_s == 0 { TTL_S_DEFAULT } else { ttl_s.min(TTL_S_MAX) };
        let expires_at_ms = self.clock.now_ms().saturating_add(u64::from(ttl_s) * 1000);
        let expires_at_ms = access.caller().ends_at_ms().map_or(expires_at_ms, |end| end.min(expires_at_ms));
        let path = format!("/log/{}/", self.keys.origin(log));
        Ok((self.tokens.issue(log, access.reader(), expires_at_ms), path, expires_at_ms))
    }

    /// The log and the file that a path below `/log/` names, for whoever shows a token of that log; the directory needs
    /// none. The token is judged before anything is looked up, so that a log that is not there is refused like one that
    /// is; then its maker is, as if they asked now.
    pub async fn admit<'a>(
        &self,
        path: &'a str,
        token: Option<&str>,
    ) -> Result<(Trail, &'a str), AuditError> {
        let (log, file) = self.locate(path).ok_or(AuditError::File)?;
        if log == Trail::Directory {
            return Ok((log, file));
        }
        let maker = token.and_then(|token| self.tokens.open(token, log, self.clock.now_ms()));
        let maker = maker.ok_or(AuditError::Token)?;
        if self.readers.may(log, maker).await? { Ok((log, file)) } else { Err(AuditError::Token) }
    }

    /// A file of a log that the caller was admitted to.
    pub async fn file(&self, log: Trail, path: &str) -> Result<LogFile, AuditError> {
        self.reader.file(log, path).await
    }

    /// Name that begins every origin, public keys newest first, and the policy's witness lines.
    pub fn trust(&self) -> (&str, Vec<[u8; 32]>, &str) {
        let keys = self.keys.verifiers(Trail::Directory);
        (self.keys.name(), keys.iter().map(|key| *key.public_key()).collect(), &self.witness_policy)
    }

    /// The log and the file of a path below `/log/`.
    fn locate<'a>(&self, path: &'a str) -> Option<(Trail, &'a str)> {
        let rest = path.strip_prefix(self.keys.name())?.strip_prefix('/')?;
        let at = rest.find("/checkpoint").or_else(|| rest.find("/tile/"))?;
        let (log, file) = rest.split_at(at);
        Some((log.parse().ok()?, &file[1..]))
    }
}
