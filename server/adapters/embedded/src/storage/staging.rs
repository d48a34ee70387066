//! Bytes of unfinished uploads: one file each, written by position in any order. A power cut may cost chunks that were
//! not synced; the digest over the whole finds that, and the upload starts over. What must never happen: a write that
//! lands after the hashing and so changes a blob. So writes share a lock that the promotion takes alone.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use veilcloud_domain::{storage::model::Digest, storage::port::Staging, store::StoreError};
use veilcore::id::UploadId;

use super::{
    blobs::BlobFolder,
    files::{self, blocking},
};

/// Bytes hashed at a time.
const HASH_LEN: usize = 1 << 20;
/// What the files of uploads are called after their id.
pub(crate) const PART: &str = "part";

/// Locks of the uploads in use; one that nobody holds is dropped.
#[derive(Default)]
struct Locks(Mutex<HashMap<UploadId, Arc<RwLock<()>>>>);

impl Locks {
    fn of(&self, id: UploadId) -> Arc<RwLock<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone()
    }

    fn done(&self, id: UploadId, lock: Arc<RwLock<()>>) {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(lock);
        if locks.get(&id).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&id);
        }
    }
}

struct Inner {
    uploads: PathBuf,
    blobs: Arc<BlobFolder>,
    locks: Locks,
}

/// The staging area.
pub(crate) struct FileStaging(Arc<Inner>);

impl FileStaging {
    /// Staging in `uploads`, promoting into `blobs`, both on one disk.
    pub fn new(uploads: PathBuf, blobs: Arc<BlobFolder>) -> Self {
        Self(Arc::new(Inner { uploads, blobs, locks: Locks::default() }))
    }

    async fn with_lock<T, F>(&self, id: UploadId, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Inner, &RwLock<()>) -> io::Result<T> + Send + 'static,
    {
        let inner = self.0.clone();
        blocking(move || {
            let lock = inner.locks.of(id);
            let outcome = work(&inner, &lock);
            inner.locks.done(id, lock);
            outcome
        })
        .await
    }
}

#[async_trait]
impl Staging for FileStaging {
    async fn write(&self, upload: UploadId, offset: u64, bytes: Bytes) -> Result<(), StoreError> {
        self.with_lock(upload, move |inner, lock| {
            let _shared = lock.read().unwrap_or_else(PoisonError::into_inner);
            let mut options = OpenOptions::new();
            options.create(true).write(true).truncate(false);
            files::open_private(&inner.part(upload), &mut options)?.write_all_at(&bytes, offset)
        })
        .await
    }

    async fn promote(&self, upload: UploadId, len: u64, digest: Digest) -> Result<bool, StoreError> {
        self.with_lock(upload, move |inner, lock| {
            let _alone = lock.write().unwrap_or_else(PoisonError::into_inner);
            inner.promote(upload, len, digest)
        })
        .await
    }

    async fn discard(&self, upload: UploadId) -> Result<(), StoreError> {
        self.with_lock(upload, move |inner, lock| {
            let _alone = lock.write().unwrap_or_else(PoisonError::into_inner);
            files::remove(&inner.part(upload))
        })
        .await
    }
}

impl Inner {
    fn part(&self, upload: UploadId) -> PathBuf {
        self.uploads.join(format!("{upload}.{PART}"))
    }

    fn promote(&self, upload: UploadId, len: u64, digest: Digest) -> io::Result<bool> {
        let now_ms = self.blobs.clock.now_ms();
        let path = self.part(upload);
        let Some(file) = files::maybe(OpenOptions::new().read(true).write(true).open(&path))? else {
            // A crash between the promotion and the commit: the bytes are a blob already.
            return self.is_promoted(len, digest, now_ms);
        };
        if file.metadata()?.len() < len || hash(&file, len)? != digest {
            return Ok(false);
        }
        file.set_len(len)?;
        files::seal(&file, now_ms)?;
        self.blobs.spare.storing(digest);
        files::publish(&path, &self.blobs.root, digest)?;
        files::sync_folder(&self.uploads)?;
        self.blobs.promises.kept(digest);
        Ok(true)
    }

    fn is_promoted(&self, len: u64, digest: Digest, now_ms: u64) -> io::Result<bool> {
        self.blobs.spare.storing(digest);
        let path = files::path_of(&self.blobs.root, digest);
        let Some(file) = files::maybe(OpenOptions::new().write(true).open(path))? else { return Ok(false) };
        if file.metadata()?.len() != len {
            return Ok(false);
        }
        // Its grace before the sweep begins anew.
        files::seal(&file, now_ms)?;
        self.blobs.promises.kept(digest);
        Ok(true)
    }
}

fn hash(file: &File, len: u64) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut rest = file.take(len);
    let mut buffer = vec![0; HASH_LEN];
    loop {
        match rest.read(&mut buffer) {
            Ok(0) => return Ok(Digest(hash.finalize().into())),
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes upload files that `is_known` does not know: their session was forgotten just before a crash.
pub(crate) fn clear(uploads: &Path, is_known: impl Fn(UploadId) -> bool) -> io::Result<()> {
    for entry in std::fs::read_dir(uploads)? {
        let path = entry?.path();
        let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        let is_part = path.extension().is_some_and(|extension| extension == PART);
        if is_part && !id.is_some_and(&is_known) {
            files::remove(&path)?;
        }
    }
    Ok(())
}
