//! All ports of one store, as a test gets them.

use std::{any::Any, sync::Arc};

use super::MemoryStore;
use crate::{
    audit::port::{LogStore, Outbox},
    auth::{
        api_keys::port::ApiKeyStore,
        capabilities::port::CapabilityStore,
        port::{Attempts, Directory, Meter, Nullifiers, Replies},
    },
    clock::Clock,
    projects::port::{Catalog, Grants, Keyrings},
    storage::port::{BlobStore, Shelf, Staging, Uploads},
    teams::port::Roster,
};

/// Every port, over one store: a version that is committed shows in the catalog, the quota and the trail.
#[derive(Clone)]
pub struct Ports {
    /// People and their sessions.
    pub directory: Arc<dyn Directory>,
    /// API keys.
    pub api_keys: Arc<dyn ApiKeyStore>,
    /// Capabilities issued for other keys.
    pub capabilities: Arc<dyn CapabilityStore>,
    /// Half-finished protocol runs.
    pub attempts: Arc<dyn Attempts>,
    /// Rate limits.
    pub meter: Arc<dyn Meter>,
    /// Spent request proofs.
    pub nullifiers: Arc<dyn Nullifiers>,
    /// Answers to repeated requests.
    pub replies: Arc<dyn Replies>,
    /// Projects and environments.
    pub catalog: Arc<dyn Catalog>,
    /// Shares, access lists and rights.
    pub grants: Arc<dyn Grants>,
    /// Keyrings.
    pub keyrings: Arc<dyn Keyrings>,
    /// Teams.
    pub roster: Arc<dyn Roster>,
    /// Versions.
    pub shelf: Arc<dyn Shelf>,
    /// Bytes by digest.
    pub blobs: Arc<dyn BlobStore>,
    /// Bytes of uploads.
    pub staging: Arc<dyn Staging>,
    /// Upload sessions.
    pub uploads: Arc<dyn Uploads>,
    /// Lines that no log has yet.
    pub outbox: Arc<dyn Outbox>,
    /// The logs.
    pub logs: Arc<dyn LogStore>,
    /// What must live as long as the ports: a temporary folder, a handle.
    pub guard: Arc<dyn Any + Send + Sync>,
}

impl Ports {
    /// All ports over one store in memory.
    pub fn memory(clock: Arc<dyn Clock>) -> Self {
        Self::over(MemoryStore::new(clock))
    }

    /// All ports over this store.
    pub fn over(store: MemoryStore) -> Self {
        Self {
            directory: Arc::new(store.clone()),
            api_keys: Arc::new(store.clone()),
            capabilities: Arc::new(store.clone()),
            attempts: Arc::new(store.clone()),
            meter: Arc::new(store.clone()),
            nullifiers: Arc::new(store.clone()),
            replies: Arc::new(store.clone()),
            catalog: Arc::new(store.clone()),
            grants: Arc::new(store.clone()),
            keyrings: Arc::new(store.clone()),
            roster: Arc::new(store.clone()),
            shelf: Arc::new(store.clone()),
            blobs: Arc::new(store.clone()),
            staging: Arc::new(store.clone()),
            uploads: Arc::new(store.clone()),
            outbox: Arc::new(store.clone()),
            logs: Arc::new(store),
            guard: Arc::new(()),
        }
    }
}
