//! Every port over one state in memory behind one lock: each method is one transaction because nothing else runs
//! meanwhile. Written to be read against the ports, not to be fast.

mod api_keys;
mod audit;
mod auth;
mod capabilities;
mod grants;
mod limits;
mod logs;
mod picture;
mod projects;
mod storage;
mod teams;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use veilcore::id::{AccountId, ApiKeyId, AttemptId, EnvironmentId, ProjectId, SessionId, TeamId, UploadId};
use veilsign::nullifier::Nullifier;

use crate::{
    audit::model::{Line, Trail},
    auth::{
        api_keys::model::{ApiKey, TokenHalf},
        capabilities::model::Issued,
        model::{Account, Attempt, Session},
        port::{RequestKey, Window},
        sliding::Sliding,
    },
    clock::Clock,
    projects::model::{Environment, Keyring, Project},
    storage::model::{Digest, Upload, Version},
    store::StoreError,
    teams::model::{Seat, Team},
};

/// Most half-finished protocol runs that are kept.
pub const ATTEMPTS_MAX: usize = 10_000;

pub use logs::StoredLog;

/// A store in memory that implements every port. Clones share the state.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    faults: Arc<Mutex<VecDeque<(&'static str, StoreError)>>>,
    lost_answers: Arc<Mutex<VecDeque<&'static str>>>,
    calls: Arc<Mutex<Option<Vec<&'static str>>>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct State {
    accounts: BTreeMap<AccountId, Account>,
    sessions: BTreeMap<SessionId, SessionRow>,
    attempts: VecDeque<(AttemptId, Attempt, u64)>,
    api_keys: BTreeMap<ApiKeyId, ApiKey>,
    api_key_ids: HashSet<ApiKeyId>,
    halves: BTreeMap<(ApiKeyId, u32), TokenHalf>,
    projects: BTreeMap<ProjectId, Project>,
    last_owners: BTreeMap<ProjectId, AccountId>,
    environments: BTreeMap<EnvironmentId, Environment>,
    keyrings: BTreeMap<(EnvironmentId, u32), Keyring>,
    granted: grants::Granted,
    versions: BTreeMap<(EnvironmentId, u64), Version>,
    teams: BTreeMap<TeamId, Team>,
    seats: BTreeMap<(TeamId, AccountId), Seat>,
    uploads: BTreeMap<UploadId, Upload>,
    staged: BTreeMap<UploadId, Vec<u8>>,
    blobs: BTreeMap<Digest, Blob>,
    outbox: BTreeMap<Trail, BTreeMap<u64, Line>>,
    logs: logs::Logs,
    nullifiers: HashMap<Nullifier, u64>,
    windows: HashMap<(String, Window), Sliding>,
    replies: HashMap<RequestKey, limits::Reply>,
}

struct SessionRow {
    session: Session,
    live: bool,
    tokens: HashSet<[u8; 32]>,
    /// What is known of an issued capability.
    issued: Option<Issued>,
}

struct Blob {
    bytes: Bytes,
    stored_at_ms: u64,
}

impl MemoryStore {
    /// An empty store. The clock says when blobs are stored.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Arc::default(),
            faults: Arc::default(),
            lost_answers: Arc::default(),
            calls: Arc::default(),
            clock,
        }
    }

    /// Makes the next call of the port method with this name fail as unavailable, changing nothing. Calls add up.
    pub fn fail_next(&self, method: &'static str) {
        self.fault_next(
            method,
            StoreError::Unavailable { store: "memory", cause: "asked to fail".to_owned() },
        );
    }

    /// Makes the next call of the port method with this name fail because there is no room.
    pub fn fill_next(&self, method: &'static str) {
        self.fault_next(method, StoreError::Full { store: "memory" });
    }

    /// Makes the next call of the port method with this name do its work and then fail, as one whose answer is lost.
    /// Only for `commit_log`.
    pub fn lose_answer(&self, method: &'static str) {
        self.lost_answers.lock().unwrap_or_else(PoisonError::into_inner).push_back(method);
    }

    fn fault_next(&self, method: &'static str, error: StoreError) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push_back((method, error));
    }

    /// Digests of all stored blobs.
    pub fn blob_digests(&self) -> Vec<Digest> {
        self.lock().blobs.keys().copied().collect()
    }

    /// Removes a blob as a disk that loses data would.
    pub fn lose_blob(&self, digest: Digest) {
        self.lock().blobs.remove(&digest);
    }

    /// The state for one call of the port method with this name.
    fn begin(&self, method: &'static str) -> Result<MutexGuard<'_, State>, StoreError> {
        self.note(method);
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        match faults.iter().position(|(name, _)| *name == method).and_then(|at| faults.remove(at)) {
            Some((_, error)) => Err(error),
            None => Ok(self.lock()),
        }
    }

    /// Fails a call that did its work, if it was asked to.
    fn end(&self, method: &'static str) -> Result<(), StoreError> {
        let mut lost = self.lost_answers.lock().unwrap_or_else(PoisonError::into_inner);
        match lost.iter().position(|name| *name == method).and_then(|at| lost.remove(at)) {
            Some(_) => {
                Err(StoreError::Unavailable { store: "memory", cause: "the answer is lost".to_owned() })
            }
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes a line into the outbox and gives its index: after the last one there, or after the log's.
    fn log(&mut self, line: Line) -> u64 {
        let size = self.logs.size(line.trail);
        let lines = self.outbox.entry(line.trail).or_default();
        let index = lines.last_key_value().map_or(size, |(last, _)| last + 1);
        lines.insert(index, line);
        index
    }

    /// Writes the lines; gives the index of the directory's, if there is one.
    fn log_all(&mut self, lines: Vec<Line>) -> Option<u64> {
        let mut key_index = None;
        for line in lines {
            let in_directory = line.trail == Trail::Directory;
            let index = self.log(line);
            key_index = if in_directory { Some(index) } else { key_index };
        }
        key_index
    }

    fn head(&self, environment: EnvironmentId) -> Option<&Version> {
        self.versions
            .range((environment, 0)..=(environment, u64::MAX))
            .next_back()
            .map(|(_, version)| version)
    }

    fn owner_of(&self, environment: EnvironmentId) -> Option<AccountId> {
        let environment = self.environments.get(&environment)?;
        self.projects.get(&environment.project).map(|project| project.owner)
    }

    fn quota(&self, owner: AccountId) -> u64 {
        self.accounts.get(&owner).map_or(0, |account| account.quota_bytes)
    }

    /// Bytes of undeleted versions and of unfinished uploads in projects of this owner.
    fn used(&self, owner: AccountId) -> u64 {
        let owned = |environment| self.owner_of(environment) == Some(owner);
        let versions = self.versions.values().filter(|v| !v.deleted && owned(v.environment)).map(|v| v.len);
        let uploads = self.uploads.values().filter(|u| owned(u.environment)).map(|u| u.len);
        versions.chain(uploads).sum()
    }

    fn remove_environment(&mut self, id: EnvironmentId) -> bool {
        self.keyrings.retain(|(environment, _), _| *environment != id);
        self.forget_parts(id);
        self.versions.retain(|(environment, _), _| *environment != id);
        self.uploads.retain(|_, upload| upload.environment != id);
        self.environments.remove(&id).is_some()
    }

    fn remove_project(&mut self, id: ProjectId) -> bool {
        let inside = self.environments.values().filter(|e| e.project == id).map(|e| e.id);
        for environment in inside.collect::<Vec<_>>() {
            self.remove_environment(environment);
        }
        self.forget_grants(id);
        let removed = self.projects.remove(&id);
        self.last_owners.extend(removed.as_ref().map(|project| (id, project.owner)));
        removed.is_some()
    }
}
