use std::ops::Bound;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use veilcore::{
    hash::sha256,
    id::{AccountId, EnvironmentId, UploadId},
};
use veilsign::capability::Actions;

use super::{Blob, MemoryStore};
use crate::{
    audit::model::Line,
    page::{Page, PageArgs},
    projects::stands::may,
    storage::{
        model::{Digest, Etag, PIECE_LEN, Precondition, Upload, Version},
        port::{BlobStore, BlobStream, Refusal, Shelf, Staging, Started, Uploads},
    },
    store::StoreError,
};

#[async_trait]
impl Shelf for MemoryStore {
    async fn commit(
        &self,
        version: Version,
        precondition: Precondition,
        line: Line,
    ) -> Result<Result<u64, Refusal>, StoreError> {
        let mut state = self.begin("commit")?;
        if !state.stands(&line) {
            return Ok(Err(Refusal::Denied));
        }
        let id = version.environment;
        let (Some(environment), Some(owner)) = (state.environments.get(&id), state.owner_of(id)) else {
            return Ok(Err(Refusal::Gone));
        };
        let head = state.head(id);
        let expected = match precondition {
            Precondition::First => None,
            Precondition::Match(etag) => Some(etag),
        };
        let next = head.map_or(1, |v| v.number + 1);
        if head.map(Version::etag) != expected || version.number != next {
            return Ok(Err(Refusal::Precondition(head.cloned())));
        }
        if environment.epoch != version.epoch {
            return Ok(Err(Refusal::Epoch(environment.epoch)));
        }
        if state.rotation_due(environment) {
            return Ok(Err(Refusal::RotationDue(environment.epoch)));
        }
        let quota_bytes = state.quota(owner);
        let used_bytes = state.used(owner);
        // The upload that brought these bytes holds their room already.
        let same = |u: &&Upload| u.environment == id && u.digest == version.digest;
        let reserved = state.uploads.values().find(same).map_or(0, |u| u.len);
        if used_bytes.saturating_sub(reserved).saturating_add(version.len) > quota_bytes {
            return Ok(Err(Refusal::Quota { quota_bytes, used_bytes }));
        }
        let index = state.log(line);
        let version = Version { log_index: Some(index), ..version };
        state.versions.insert((id, version.number), version);
        Ok(Ok(index))
    }

    async fn version(
        &self,
        environment: EnvironmentId,
        number: Option<u64>,
    ) -> Result<Option<Version>, StoreError> {
        let state = self.begin("version")?;
        Ok(match number {
            None => state.head(environment).cloned(),
            Some(number) => state.versions.get(&(environment, number)).cloned(),
        })
    }

    async fn versions(
        &self,
        environment: EnvironmentId,
        page: PageArgs<u64>,
    ) -> Result<Page<Version, u64>, StoreError> {
        let state = self.begin("versions")?;
        let before = page.after.unwrap_or(u64::MAX);
        let older = state.versions.range((environment, 0)..(environment, before)).rev();
        let versions = older.map(|(_, v)| v.clone()).take(page.size + 1).collect();
        Ok(Page::cut(versions, page.size, |v| v.number))
    }

    async fn delete_content(
        &self,
        environment: EnvironmentId,
        etag: Etag,
        line: Line,
    ) -> Result<Result<u64, Refusal>, StoreError> {
        let mut state = self.begin("delete_content")?;
        if !state.stands(&line) {
            return Ok(Err(Refusal::Denied));
        }
        if !state.environments.contains_key(&environment) {
            return Ok(Err(Refusal::Gone));
        }
        let head = state.head(environment);
        if head.map(Version::etag) != Some(etag) {
            return Ok(Err(Refusal::Precondition(head.cloned())));
        }
        for (_, version) in state.versions.range_mut((environment, 0)..=(environment, u64::MAX)) {
            version.deleted = true;
        }
        Ok(Ok(state.log(line)))
    }

    async fn used_bytes(&self, owner: AccountId) -> Result<u64, StoreError> {
        Ok(self.begin("used_bytes")?.used(owner))
    }

    async fn referenced(&self, digests: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        let state = self.begin("referenced")?;
        let named = |digest: &Digest| {
            state.versions.values().any(|v| !v.deleted && v.digest == *digest)
                || state.uploads.values().any(|u| u.digest == *digest)
        };
        Ok(digests.iter().copied().filter(named).collect())
    }
}

#[async_trait]
impl BlobStore for MemoryStore {
    async fn put(&self, digest: Digest, bytes: Bytes) -> Result<(), StoreError> {
        let stored_at_ms = self.clock.now_ms();
        self.begin("put")?.blobs.insert(digest, Blob { bytes, stored_at_ms });
        Ok(())
    }

    async fn read(&self, digest: Digest) -> Result<Option<Bytes>, StoreError> {
        Ok(self.begin("read")?.blobs.get(&digest).map(|blob| blob.bytes.clone()))
    }

    async fn open(&self, digest: Digest, offset: u64, len: u64) -> Result<Option<BlobStream>, StoreError> {
        let state = self.begin("open")?;
        let Some(blob) = state.blobs.get(&digest) else { return Ok(None) };
        let total = blob.bytes.len() as u64;
        let start = usize::try_from(offset.min(total)).unwrap_or(usize::MAX);
        let end = usize::try_from(offset.saturating_add(len).min(total)).unwrap_or(usize::MAX);
        let range = blob.bytes.slice(start..end.max(start));
        let pieces = (0..range.len()).step_by(PIECE_LEN);
        let pieces: Vec<_> =
            pieces.map(|at| Ok(range.slice(at..(at + PIECE_LEN).min(range.len())))).collect();
        Ok(Some(stream::iter(pieces).boxed()))
    }

    async fn remove(&self, digest: Digest) -> Result<(), StoreError> {
        self.begin("remove")?.blobs.remove(&digest);
        Ok(())
    }

    async fn list(
        &self,
        after: Option<Digest>,
        limit: usize,
        before_ms: u64,
    ) -> Result<Vec<Digest>, StoreError> {
        let state = self.begin("list")?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let old = state.blobs.range((from, Bound::Unbounded)).filter(|(_, b)| b.stored_at_ms < before_ms);
        Ok(old.map(|(digest, _)| *digest).take(limit).collect())
    }
}

#[async_trait]
impl Staging for MemoryStore {
    async fn write(&self, upload: UploadId, offset: u64, bytes: Bytes) -> Result<(), StoreError> {
        let mut state = self.begin("write")?;
        let staged = state.staged.entry(upload).or_default();
        let start = usize::try_from(offset).map_err(|_| StoreError::Full { store: "memory" })?;
        let end = start.checked_add(bytes.len()).ok_or(StoreError::Full { store: "memory" })?;
        if staged.len() < end {
            staged.resize(end, 0);
        }
        staged[start..end].copy_from_slice(&bytes);
        Ok(())
    }

    async fn promote(&self, upload: UploadId, len: u64, digest: Digest) -> Result<bool, StoreError> {
        let stored_at_ms = self.clock.now_ms();
        let mut state = self.begin("promote")?;
        let whole = |staged: &&Vec<u8>| staged.len() as u64 == len && sha256(staged) == digest.0;
        if state.staged.get(&upload).filter(whole).is_none() {
            return Ok(false);
        }
        if let Some(staged) = state.staged.remove(&upload) {
            state.blobs.insert(digest, Blob { bytes: staged.into(), stored_at_ms });
        }
        Ok(true)
    }

    async fn discard(&self, upload: UploadId) -> Result<(), StoreError> {
        self.begin("discard")?.staged.remove(&upload);
        Ok(())
    }

    async fn list(&self, after: Option<UploadId>, limit: usize) -> Result<Vec<UploadId>, StoreError> {
        let state = self.begin("list_staged")?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(state.staged.range((from, Bound::Unbounded)).map(|(id, _)| *id).take(limit).collect())
    }
}

#[async_trait]
impl Uploads for MemoryStore {
    async fn start(&self, upload: Upload, limit: u32) -> Result<Started, StoreError> {
        let mut state = self.begin("start")?;
        let Ok(may) = may(upload.project, upload.account, Actions::PROJECT_WRITE, &mut &*state);
        if !may {
            return Ok(Started::Denied);
        }
        if state.uploads.values().filter(|u| u.account == upload.account).count() >= limit as usize {
            return Ok(Started::Limit);
        }
        let owner = state.owner_of(upload.environment);
        let quota_bytes = owner.map_or(0, |owner| state.quota(owner));
        let used_bytes = owner.map_or(0, |owner| state.used(owner));
        if used_bytes.saturating_add(upload.len) > quota_bytes {
            return Ok(Started::Quota { quota_bytes, used_bytes });
        }
        state.uploads.insert(upload.id, upload);
        Ok(Started::Open)
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        Ok(self.begin("upload")?.uploads.get(&id).cloned())
    }

    async fn received(&self, id: UploadId, index: u32) -> Result<u32, StoreError> {
        let mut state = self.begin("received")?;
        let Some(upload) = state.uploads.get_mut(&id) else { return Ok(0) };
        if let Err(place) = upload.received.binary_search(&index) {
            upload.received.insert(place, index);
        }
        Ok(u32::try_from(upload.received.len()).unwrap_or(u32::MAX))
    }

    async fn reset(&self, id: UploadId) -> Result<(), StoreError> {
        if let Some(upload) = self.begin("reset")?.uploads.get_mut(&id) {
            upload.received.clear();
        }
        Ok(())
    }

    async fn forget(&self, id: UploadId) -> Result<(), StoreError> {
        self.begin("forget")?.uploads.remove(&id);
        Ok(())
    }

    async fn known(&self, ids: &[UploadId]) -> Result<Vec<UploadId>, StoreError> {
        let state = self.begin("known")?;
        Ok(ids.iter().copied().filter(|id| state.uploads.contains_key(id)).collect())
    }

    async fn expired(&self, now_ms: u64, limit: usize) -> Result<Vec<UploadId>, StoreError> {
        let state = self.begin("expired")?;
        let over = state.uploads.values().filter(|u| u.expires_at_ms < now_ms);
        Ok(over.map(|u| u.id).take(limit).collect())
    }
}
