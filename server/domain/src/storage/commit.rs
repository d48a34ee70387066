//! Making an upload the next version: all chunks there, their bytes hash to the announced digest, the seal still fits.
//! Sent again, it gives the same answer as long as that version is the current one.

use futures_util::StreamExt;
use veilcore::id::UploadId;
use veilsign::capability::Actions;
use veilvault::lint::HEADER_LEN_MAX;

use super::{
    Storage,
    check::{Announced, check_header},
    error::StorageError,
    model::{Precondition, Upload, Version},
    service::{headed, refused},
    uploads::Step,
};
use crate::{
    audit::model::Kind,
    name::Name,
    projects::{ProjectAccess, model::Environment},
    store::StoreError,
};

impl Storage {
    /// Commits the upload, or changes nothing.
    pub async fn commit_upload(
        &self,
        access: &ProjectAccess,
        name: &Name,
        id: UploadId,
    ) -> Result<(Environment, Version), StorageError> {
        let _alone = self.upload_lock(id).write().await;
        let (environment, upload) = match self.own_upload(access, name, id).await {
            Ok(found) => found,
            Err(StorageError::UploadNotFound) => return self.answer_again(access, name, id).await,
            Err(error) => return Err(error),
        };
        // The version was committed, and then the session could not be forgotten.
        if let Some(version) = committed_before(&environment, &upload) {
            self.close(&upload, &version).await;
            return Ok((environment, version));
        }
        check_complete(&upload)?;
        let announced = Announced { len: upload.len, digest: upload.digest, seal: &upload.seal };
        let version = self.next_version(access, &environment, upload.precondition, &announced).await?;

        let _unswept = self.digest_lock(upload.digest).read().await;
        self.promote(&upload).await?;
        self.check_stored_header(&version).await?;
        let line = self.line(access, Kind::BlobPut, &version);
        match self.shelf.commit(version.clone(), upload.precondition, line).await? {
            Ok(index) => {
                let version = Version { log_index: Some(index), ..version };
                self.close(&upload, &version).await;
                Ok((headed(environment, &version), version))
            }
            Err(refusal) => Err(refused(refusal, name).told_to(access)),
        }
    }

    async fn promote(&self, upload: &Upload) -> Result<(), StorageError> {
        if self.recent.get(upload.id) == Some(Step::Promoted(upload.digest)) {
            return Ok(());
        }
        if self.staging.promote(upload.id, upload.len, upload.digest).await? {
            self.recent.note(upload.id, Step::Promoted(upload.digest));
            return Ok(());
        }
        // Which chunk is wrong nobody knows: all of them have to come again.
        self.uploads.reset(upload.id).await?;
        self.staging.discard(upload.id).await?;
        Err(StorageError::DigestMismatch)
    }

    // The first chunk was looked at when it arrived; this looks at what is stored, whatever order it arrived in.
    async fn check_stored_header(&self, version: &Version) -> Result<(), StorageError> {
        let len = version.len.min(HEADER_LEN_MAX as u64);
        let lost = || {
            let cause = format!("blob {} is missing after it was stored", version.digest);
            StoreError::Damaged { store: "blobs", cause }
        };
        let mut stream = self.blobs.open(version.digest, 0, len).await?.ok_or_else(lost)?;
        let mut first_bytes = Vec::new();
        while let Some(piece) = stream.next().await {
            first_bytes.extend_from_slice(&piece?);
        }
        check_header(&first_bytes)
    }

    /// Forgets the session of a committed version. A failure costs room until the session expires, not the version.
    async fn close(&self, upload: &Upload, version: &Version) {
        let (account, environment) = (upload.account, upload.environment);
        self.recent.note(upload.id, Step::Committed { account, environment, etag: version.etag() });
        let forgotten = match self.staging.discard(upload.id).await {
            Ok(()) => self.uploads.forget(upload.id).await,
            Err(error) => Err(error),
        };
        if let Err(error) = forgotten {
            tracing::warn!(upload = %upload.id, %error, "a committed upload stays until it expires");
        }
    }

    async fn answer_again(
        &self,
        access: &ProjectAccess,
        name: &Name,
        id: UploadId,
    ) -> Result<(Environment, Version), StorageError> {
        let environment = self.projects.environment_for(access, Actions::PROJECT_WRITE, name).await?;
        let committed = |head: &Version| {
            let (account, etag) = (access.actor(), head.etag());
            self.recent.get(id) == Some(Step::Committed { account, environment: environment.id, etag })
        };
        match environment.head.clone().filter(committed) {
            Some(version) => Ok((environment, version)),
            None => Err(StorageError::UploadNotFound),
        }
    }
}

/// The head, if it is exactly the version that this upload makes.
fn committed_before(environment: &Environment, upload: &Upload) -> Option<Version> {
    let number = match upload.precondition {
        Precondition::First => 1,
        Precondition::Match(etag) => etag.version.checked_add(1)?,
    };
    let head = environment.head.as_ref()?;
    let same = head.number == number && head.digest == upload.digest && head.seal == upload.seal;
    same.then(|| head.clone())
}

fn check_complete(upload: &Upload) -> Result<(), StorageError> {
    let count = upload.chunk_count();
    let arrived = u32::try_from(upload.received.len()).unwrap_or(u32::MAX);
    if arrived >= count {
        return Ok(());
    }
    // Ascending, so the first place where index and chunk differ is the first gap.
    let gap = (0u32..).zip(&upload.received).find(|(place, index)| place != *index);
    let first_missing = gap.map_or(arrived, |(place, _)| place);
    Err(StorageError::UploadIncomplete { missing_count: count - arrived, first_missing })
}
