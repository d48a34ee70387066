//! Uploads of versions that do not fit into one message: announce, send chunks in any order, commit. An upload belongs
//! to the account and environment that started it; for anybody else it is not there.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use veilcore::{
    hash::sha256,
    id::{AccountId, EnvironmentId, UploadId},
};
use veilsign::capability::Actions;

use super::{
    Storage,
    check::{Announced, check_header},
    error::StorageError,
    model::{CHUNK_LEN, Digest, Etag, Precondition, UPLOAD_TTL_MS, UPLOADS_MAX, Upload},
    port::Started,
};
use crate::{
    mint,
    name::Name,
    projects::{ProjectAccess, error::ProjectsError, model::Environment},
    store::StoreError,
};

/// Most uploads remembered in [`Recent`].
const RECENT_MAX: usize = 1024;

/// The announcement of a version.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// Length of the whole ciphertext in bytes.
    pub len: u64,
    /// SHA-256 of the whole ciphertext.
    pub digest: Digest,
    /// The author's seal.
    pub seal: Vec<u8>,
    /// What must be the current version.
    pub precondition: Precondition,
}

impl Storage {
    /// Opens a session for one version. What is wrong with the seal or the precondition is said now, before the bytes
    /// are on their way.
    pub async fn start_upload(
        &self,
        access: &ProjectAccess,
        name: &Name,
        new: NewUpload,
    ) -> Result<Upload, StorageError> {
        self.check_len(new.len, u64::MAX)?;
        let environment = self.projects.environment_for(access, Actions::PROJECT_WRITE, name).await?;
        let announced = Announced { len: new.len, digest: new.digest, seal: &new.seal };
        self.next_version(access, &environment, new.precondition, &announced).await?;
        let upload = Upload {
            id: UploadId::from_bytes(mint::ordered(&*self.clock, &*self.entropy)),
            account: access.actor(),
            project: access.project(),
            environment: environment.id,
            precondition: new.precondition,
            len: new.len,
            digest: new.digest,
            seal: new.seal,
            expires_at_ms: self.clock.now_ms().saturating_add(UPLOAD_TTL_MS),
            received: Vec::new(),
        };
        match self.uploads.start(upload.clone(), UPLOADS_MAX).await? {
            Started::Open => Ok(upload),
            Started::Denied => Err(ProjectsError::Denied.into()),
            Started::Limit => Err(StorageError::UploadLimit { limit: UPLOADS_MAX }),
            Started::Quota { quota_bytes, used_bytes } => {
                Err(StorageError::Quota { quota_bytes, used_bytes }.told_to(access))
            }
        }
    }

    /// Stores one chunk; gives the number of chunks that arrived so far. Sending a chunk again is harmless.
    pub async fn put_chunk(
        &self,
        access: &ProjectAccess,
        name: &Name,
        id: UploadId,
        index: u32,
        chunk: Bytes,
        digest: [u8; 32],
    ) -> Result<u32, StorageError> {
        let stored = self.store_chunk(access, name, id, (index, chunk, digest)).await;
        if matches!(&stored, Err(StorageError::Store(StoreError::Full { .. }))) {
            self.give_room_back(id).await;
        }
        stored
    }

    async fn store_chunk(
        &self,
        access: &ProjectAccess,
        name: &Name,
        id: UploadId,
        (index, chunk, digest): (u32, Bytes, [u8; 32]),
    ) -> Result<u32, StorageError> {
        let refused = |check: &str| StorageError::Chunk { check: check.to_owned() };
        let _no_commit = self.upload_lock(id).read().await;
        let (_, upload) = self.own_upload(access, name, id).await?;
        let len = upload.chunk_len(index).ok_or_else(|| refused("index"))?;
        if chunk.len() as u64 != len {
            return Err(refused("length"));
        }
        if sha256(&chunk) != digest {
            return Err(refused("digest"));
        }
        if index == 0 {
            check_header(&chunk)?;
        }
        self.recent.forget(id);
        self.staging.write(id, u64::from(index) * CHUNK_LEN, chunk).await?;
        Ok(self.uploads.received(id, index).await?)
    }

    // What is staged of an upload that does not fit would keep the disk full for everybody until it expires. The
    // session stays: its chunks may come again when there is room.
    async fn give_room_back(&self, id: UploadId) {
        let _alone = self.upload_lock(id).write().await;
        let given_back = match self.staging.discard(id).await {
            Ok(()) => self.uploads.reset(id).await,
            Err(error) => Err(error),
        };
        if let Err(error) = given_back {
            tracing::warn!(upload = %id, %error, "an upload that filled the store stays until it expires");
        }
    }

    /// The session with the chunks that arrived.
    pub async fn upload(
        &self,
        access: &ProjectAccess,
        name: &Name,
        id: UploadId,
    ) -> Result<Upload, StorageError> {
        Ok(self.own_upload(access, name, id).await?.1)
    }

    /// Forgets the session and its chunks.
    pub async fn abort_upload(
        &self,
        access: &ProjectAccess,
        name: &Name,
        id: UploadId,
    ) -> Result<(), StorageError> {
        let _alone = self.upload_lock(id).write().await;
        self.own_upload(access, name, id).await?;
        self.recent.forget(id);
        // The row first: a session must not claim chunks whose bytes are gone. Bytes that stay are swept.
        self.uploads.forget(id).await?;
        Ok(self.staging.discard(id).await?)
    }

    /// The session, if it is the actor's, in this environment, and not over.
    pub(super) async fn own_upload(
        &self,
        access: &ProjectAccess,
        name: &Name,
        id: UploadId,
    ) -> Result<(Environment, Upload), StorageError> {
        let environment = self.projects.environment_for(access, Actions::PROJECT_WRITE, name).await?;
        let found = self.uploads.upload(id).await?.filter(|upload| {
            upload.account == access.actor()
                && upload.environment == environment.id
                && self.clock.now_ms() < upload.expires_at_ms
        });
        Ok((environment, found.ok_or(StorageError::UploadNotFound)?))
    }
}

/// How far an upload got in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Its bytes are in the blob store; the version is not committed yet.
    Promoted(Digest),
    /// Its version is committed and its session forgotten.
    Committed { account: AccountId, environment: EnvironmentId, etag: Etag },
}

/// The newest steps of uploads, so that a commit that failed half-way or whose answer was lost can be sent again. A
/// help for the client, not a source of truth: after a restart chunks are sent again, and no version is lost.
#[derive(Default)]
pub(super) struct Recent(Mutex<VecDeque<(UploadId, Step)>>);

impl Recent {
    pub(super) fn note(&self, id: UploadId, step: Step) {
        let mut steps = self.lock();
        steps.retain(|(other, _)| *other != id);
        if steps.len() >= RECENT_MAX {
            steps.pop_front();
        }
        steps.push_back((id, step));
    }

    pub(super) fn get(&self, id: UploadId) -> Option<Step> {
        self.lock().iter().find(|(other, _)| *other == id).map(|(_, step)| *step)
    }

    pub(super) fn forget(&self, id: UploadId) {
        self.lock().retain(|(other, _)| *other != id);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(UploadId, Step)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
