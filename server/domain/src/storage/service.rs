//! The service of versions, bytes and uploads. One verb, one file beside this one, or a pair of them.
//!
//! What must never happen: a version that overwrites one its author did not see, a version whose seal or bytes were
//! not checked, bytes that go while a version names them.

use std::sync::{Arc, Mutex};

use tokio::sync::RwLock;
use veilcore::id::{AccountId, UploadId};

use super::{
    error::StorageError,
    model::{BLOB_MAX_DEFAULT, Digest, Version},
    port::{BlobStore, Refusal, Shelf, Staging, Uploads},
    stripes::Stripes,
    uploads::Recent,
};
use crate::{
    audit::{
        Reads,
        model::{Kind, Line, Trail},
    },
    clock::{Clock, Entropy},
    name::Name,
    projects::{ProjectAccess, Projects, error::ProjectsError, model::Environment},
};

/// What the operator decides about storage.
#[derive(Debug, Clone, Copy)]
pub struct StorageSettings {
    /// Greatest ciphertext of one blob in bytes.
    pub blob_max_bytes: u64,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self { blob_max_bytes: BLOB_MAX_DEFAULT }
    }
}

/// Versions, bytes and uploads.
pub struct Storage {
    pub(super) shelf: Arc<dyn Shelf>,
    pub(super) blobs: Arc<dyn BlobStore>,
    pub(super) staging: Arc<dyn Staging>,
    pub(super) uploads: Arc<dyn Uploads>,
    pub(super) projects: Arc<Projects>,
    pub(super) reads: Reads,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) settings: StorageSettings,
    /// Held for reading from before a blob is stored until a version names it, for writing while it is swept.
    digests: Stripes,
    /// Held for reading while a chunk is written, for writing while its upload is committed.
    upload_locks: Stripes,
    /// How far uploads of this process got; see [`Recent`].
    pub(super) recent: Recent,
    /// Where the next sweep of blobs begins.
    pub(super) sweep_after: Mutex<Option<Digest>>,
    /// Where the next sweep of staged bytes begins.
    pub(super) staged_after: Mutex<Option<UploadId>>,
}

impl Storage {
    /// The service on its ports.
    #[expect(clippy::too_many_arguments, reason = "one argument per port")]
    pub fn new(
        shelf: Arc<dyn Shelf>,
        blobs: Arc<dyn BlobStore>,
        staging: Arc<dyn Staging>,
        uploads: Arc<dyn Uploads>,
        projects: Arc<Projects>,
        reads: Reads,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: StorageSettings,
    ) -> Self {
        Self {
            shelf,
            blobs,
            staging,
            uploads,
            projects,
            reads,
            clock,
            entropy,
            settings,
            digests: Stripes::default(),
            upload_locks: Stripes::default(),
            recent: Recent::default(),
            sweep_after: Mutex::new(None),
            staged_after: Mutex::new(None),
        }
    }

    /// Bytes that the account's versions and unfinished uploads take.
    pub async fn used_bytes(&self, account: AccountId) -> Result<u64, StorageError> {
        Ok(self.shelf.used_bytes(account).await?)
    }

    pub(super) fn digest_lock(&self, digest: Digest) -> &RwLock<()> {
        self.digests.of(digest.0[31])
    }

    pub(super) fn upload_lock(&self, id: UploadId) -> &RwLock<()> {
        self.upload_locks.of(id.as_bytes()[15])
    }

    /// A line about a version of an environment.
    pub(super) fn line(&self, access: &ProjectAccess, kind: Kind, version: &Version) -> Line {
        Line {
            trail: Trail::Project(access.project()),
            kind,
            actor: access.actor(),
            at_ms: self.clock.now_ms(),
            environment: Some(version.environment),
            version: version.number,
            digest: Some(version.digest.0),
            key: access.api_key(),
            by_number: false,
        }
    }
}

/// A store's refusal in the caller's words.
pub(super) fn refused(refusal: Refusal, name: &Name) -> StorageError {
    match refusal {
        Refusal::Precondition(current) => StorageError::EtagMismatch { current: current.map(|v| v.etag()) },
        Refusal::Epoch(current) => StorageError::EpochStale { current },
        Refusal::RotationDue(current) => StorageError::RotationDue { current },
        Refusal::Quota { quota_bytes, used_bytes } => StorageError::Quota { quota_bytes, used_bytes },
        Refusal::Denied => ProjectsError::Denied.into(),
        Refusal::Gone => ProjectsError::EnvironmentNotFound { name: name.to_string() }.into(),
    }
}

/// The environment as it is after this version was committed.
pub(super) fn headed(environment: Environment, version: &Version) -> Environment {
    Environment { head: Some(version.clone()), ..environment }
}
