//! Every port over one state in memory behind one lock: each method is one transaction because nothing else runs
//! meanwhile. Written to be read against the ports, not to be fast.

mod audit;
mod auth;
mod limits;
mod projects;
mod storage;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use veilcore::id::{AccountId, AttemptId, EnvironmentId, ProjectId, SessionId, UploadId};
use veilsign::nullifier::Nullifier;

use crate::{
    audit::model::{Line, Trail},
    auth::{
        model::{Account, Attempt, Session},
        port::{RequestKey, Window},
    },
    clock::Clock,
    projects::model::{Environment, Keyring, Project},
    storage::model::{Digest, Upload, Version},
    store::StoreError,
};

/// Most half-finished protocol runs that are kept.
pub const ATTEMPTS_MAX: usize = 10_000;

/// A store in memory that implements every port. Clones share the state.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    faults: Arc<Mutex<VecDeque<(&'static str, StoreError)>>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct State {
    accounts: BTreeMap<AccountId, Account>,
    sessions: BTreeMap<SessionId, SessionRow>,
    attempts: VecDeque<(AttemptId, Attempt, u64)>,
    projects: BTreeMap<ProjectId, Project>,
    environments: BTreeMap<EnvironmentId, Environment>,
    keyrings: BTreeMap<(EnvironmentId, u32), Keyring>,
    versions: BTreeMap<(EnvironmentId, u64), Version>,
    uploads: BTreeMap<UploadId, Upload>,
    staged: BTreeMap<UploadId, Vec<u8>>,
    blobs: BTreeMap<Digest, Blob>,
    trails: BTreeMap<Trail, Vec<Line>>,
    nullifiers: HashMap<Nullifier, u64>,
    windows: HashMap<(String, Window), limits::Used>,
    replies: HashMap<RequestKey, limits::Reply>,
}

struct SessionRow {
    session: Session,
    live: bool,
    tokens: HashSet<[u8; 32]>,
}

struct Blob {
    bytes: Bytes,
    stored_at_ms: u64,
}

impl MemoryStore {
    /// An empty store. The clock says when blobs are stored.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::default(), faults: Arc::default(), clock }
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
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        match faults.iter().position(|(name, _)| *name == method).and_then(|at| faults.remove(at)) {
            Some((_, error)) => Err(error),
            None => Ok(self.lock()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn log(&mut self, line: Line) {
        self.trails.entry(line.trail).or_default().push(line);
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
        self.versions.retain(|(environment, _), _| *environment != id);
        self.uploads.retain(|_, upload| upload.environment != id);
        self.environments.remove(&id).is_some()
    }

    fn remove_project(&mut self, id: ProjectId) -> bool {
        let inside = self.environments.values().filter(|e| e.project == id).map(|e| e.id);
        for environment in inside.collect::<Vec<_>>() {
            self.remove_environment(environment);
        }
        self.projects.remove(&id).is_some()
    }
}
