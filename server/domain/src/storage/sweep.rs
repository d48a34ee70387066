//! Forgetting what nobody names: uploads whose time is over, bytes of uploads that went with their environment or
//! account, and blobs of no version and no upload. Called by a worker on a timer.
//!
//! What must never happen: bytes that go while a version names them. A blob is stored before its version is committed,
//! so a young one is left alone, and one that is being written to is skipped. Bytes of an upload are staged after its
//! session was opened, so those without one are nobody's.

use std::sync::{Mutex, PoisonError};

use super::{Storage, error::StorageError, model::Digest};

/// How old a blob that nobody names must be before it goes, in milliseconds.
pub const ORPHAN_GRACE_MS: u64 = 3_600_000;

/// Most pages of blobs that one call looks at.
pub(super) const PAGES_MAX: usize = 64;

/// What a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Upload sessions.
    pub uploads: u64,
    /// Uploads whose session was gone already: only their bytes were left.
    pub staged: u64,
    /// Blobs.
    pub blobs: u64,
    /// The sweep stopped because of its limit: the next call has more to look at now.
    pub more: bool,
}

impl Storage {
    /// Removes up to `limit` expired uploads, and bytes of `limit` uploads, and `limit` blobs that nobody names; the next
    /// call goes on with those after them.
    pub async fn sweep(&self, limit: usize) -> Result<Swept, StorageError> {
        let (uploads, more_uploads) = self.sweep_uploads(limit).await?;
        let (staged, more_staged) = self.sweep_staged(limit).await?;
        let (blobs, more_blobs) = self.sweep_blobs(limit).await?;
        Ok(Swept { uploads, staged, blobs, more: more_uploads || more_staged || more_blobs })
    }

    async fn sweep_uploads(&self, limit: usize) -> Result<(u64, bool), StorageError> {
        let expired = self.uploads.expired(self.clock.now_ms(), limit).await?;
        let more = expired.len() >= limit;
        let mut swept = 0;
        for id in expired {
            let _alone = self.upload_lock(id).write().await;
            self.staging.discard(id).await?;
            self.uploads.forget(id).await?;
            swept += 1;
        }
        Ok((swept, more))
    }

    /// Looks at one page of uploads that have bytes.
    async fn sweep_staged(&self, limit: usize) -> Result<(u64, bool), StorageError> {
        let page = self.staging.list(get(&self.staged_after), limit).await?;
        let known = self.uploads.known(&page).await?;
        let mut swept = 0;
        for id in page.iter().copied().filter(|id| !known.contains(id)) {
            let _alone = self.upload_lock(id).write().await;
            self.staging.discard(id).await?;
            swept += 1;
        }
        // A short page was the last: the next sweep begins anew.
        let next = if page.len() < limit { None } else { page.last().copied() };
        set(&self.staged_after, next);
        Ok((swept, next.is_some()))
    }

    /// Goes on through the blobs until a page held an orphan or the last page was seen, or as many pages as one call
    /// looks at.
    async fn sweep_blobs(&self, limit: usize) -> Result<(u64, bool), StorageError> {
        let before_ms = self.clock.now_ms().saturating_sub(ORPHAN_GRACE_MS);
        for _ in 0..PAGES_MAX {
            let page = self.blobs.list(get(&self.sweep_after), limit, before_ms).await?;
            let swept = self.sweep_page(&page, before_ms).await?;
            let next = if page.len() < limit { None } else { page.last().copied() };
            set(&self.sweep_after, next);
            if swept > 0 || next.is_none() {
                return Ok((swept, next.is_some()));
            }
        }
        Ok((0, true))
    }

    async fn sweep_page(&self, page: &[Digest], before_ms: u64) -> Result<u64, StorageError> {
        let referenced = self.shelf.referenced(page).await?;
        let mut swept = 0;
        for digest in page.iter().copied().filter(|d| !referenced.contains(d)) {
            swept += u64::from(self.remove_orphan(digest, before_ms).await?);
        }
        Ok(swept)
    }

    /// Removes the blob if it still is an orphan and old once nobody can be writing it.
    async fn remove_orphan(&self, digest: Digest, before_ms: u64) -> Result<bool, StorageError> {
        let Ok(_alone) = self.digest_lock(digest).try_write() else { return Ok(false) };
        if !self.shelf.referenced(&[digest]).await?.is_empty() {
            return Ok(false);
        }
        // Stored again meanwhile, by a write that another process is still to commit.
        if !self.blobs.list(predecessor(digest), 1, before_ms).await?.contains(&digest) {
            return Ok(false);
        }
        self.blobs.remove(digest).await?;
        Ok(true)
    }
}

// A cursor is one value: a panic while it was held left a whole one.
fn get<T: Copy>(cursor: &Mutex<Option<T>>) -> Option<T> {
    *cursor.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set<T>(cursor: &Mutex<Option<T>>, next: Option<T>) {
    *cursor.lock().unwrap_or_else(PoisonError::into_inner) = next;
}

/// The digest right before this one; `None` before the first.
fn predecessor(digest: Digest) -> Option<Digest> {
    let mut bytes = digest.0;
    for byte in bytes.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            return Some(Digest(bytes));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_lies_between_a_digest_and_its_predecessor() {
        let mut one = [0; 32];
        one[31] = 1;
        assert_eq!(predecessor(Digest(one)), Some(Digest([0; 32])));
        assert_eq!(predecessor(Digest([0; 32])), None);
        let mut round = [0; 32];
        round[30] = 1;
        let mut before = [0; 32];
        before[31] = 255;
        assert_eq!(predecessor(Digest(round)), Some(Digest(before)));
    }
}
