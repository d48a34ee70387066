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
use rusqlite::params;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use veilcloud_domain::{storage::model::Digest, storage::port::Staging, store::StoreError};
use veilcore::id::UploadId;

use super::{
    blobs::BlobFolder,
    files::{self, blocking},
};
use crate::db::{Db, int};

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

/// What became of an upload's file.
enum Part {
    /// Its bytes are the blob now.
    Published,
    /// Its bytes hash to something else.
    Other,
    /// There is none.
    Absent,
}

/// The staging area.
pub(crate) struct FileStaging {
    inner: Arc<Inner>,
    db: Db,
}

impl FileStaging {
    /// Staging in `uploads`, promoting into `blobs`, both on one disk.
    pub fn new(uploads: PathBuf, blobs: Arc<BlobFolder>, db: Db) -> Self {
        Self { inner: Arc::new(Inner { uploads, blobs, locks: Locks::default() }), db }
    }

    async fn with_lock<T, F>(&self, id: UploadId, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Inner, &RwLock<()>) -> io::Result<T> + Send + 'static,
    {
        let inner = self.inner.clone();
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
        let (db, runtime) = (self.db.clone(), Handle::current());
        // On the row before the bytes move, so that no crash can leave them moved and the row silent.
        let note = move || {
            runtime.block_on(db.write(move |tx| {
                let sql = "UPDATE uploads SET promoted = 1 WHERE id = ?1 AND digest = ?2 AND len = ?3";
                tx.conn.prepare_cached(sql)?.execute(params![upload.as_bytes(), digest.0, int(len)])?;
                Ok(())
            }))
        };
        let part = self.with_lock(upload, move |inner, lock| {
            let _alone = lock.write().unwrap_or_else(PoisonError::into_inner);
            inner.promote(upload, len, digest, note)
        });
        match part.await?? {
            Part::Published => Ok(true),
            Part::Other => Ok(false),
            Part::Absent => self.is_promoted(upload, len, digest).await,
        }
    }

    async fn discard(&self, upload: UploadId) -> Result<(), StoreError> {
        self.with_lock(upload, move |inner, lock| {
            let _alone = lock.write().unwrap_or_else(PoisonError::into_inner);
            files::remove(&inner.part(upload))
        })
        .await
    }

    async fn list(&self, after: Option<UploadId>, limit: usize) -> Result<Vec<UploadId>, StoreError> {
        let inner = self.inner.clone();
        blocking(move || {
            let mut found = Vec::new();
            for entry in std::fs::read_dir(&inner.uploads)? {
                found.extend(id_of(&entry?.path()).filter(|id| after.is_none_or(|after| *id > after)));
            }
            found.sort_unstable();
            found.truncate(limit);
            Ok(found)
        })
        .await
    }
}

impl FileStaging {
    /// After a crash between the promotion and the commit: the bytes are a blob already.
    async fn is_promoted(&self, upload: UploadId, len: u64, digest: Digest) -> Result<bool, StoreError> {
        let noted = self.db.read(move |conn| {
            let sql = "SELECT 1 FROM uploads WHERE id = ?1 AND digest = ?2 AND len = ?3 AND promoted = 1";
            Ok(conn.prepare_cached(sql)?.exists(params![upload.as_bytes(), digest.0, int(len)])?)
        });
        if !noted.await? {
            return Ok(false);
        }
        let blobs = self.inner.blobs.clone();
        blocking(move || blobs.is_whole(len, digest)).await
    }
}

impl Inner {
    fn part(&self, upload: UploadId) -> PathBuf {
        self.uploads.join(format!("{upload}.{PART}"))
    }

    fn promote(
        &self,
        upload: UploadId,
        len: u64,
        digest: Digest,
        note: impl FnOnce() -> Result<(), StoreError>,
    ) -> io::Result<Result<Part, StoreError>> {
        let now_ms = self.blobs.clock.now_ms();
        let path = self.part(upload);
        let Some(file) = files::maybe(OpenOptions::new().read(true).write(true).open(&path))? else {
            return Ok(Ok(Part::Absent));
        };
        if file.metadata()?.len() < len || hash(&file, len)? != digest {
            return Ok(Ok(Part::Other));
        }
        if let Err(error) = note() {
            return Ok(Err(error));
        }
        file.set_len(len)?;
        files::seal(&file, now_ms)?;
        self.blobs.spare.storing(digest);
        files::publish(&path, &self.blobs.root, digest)?;
        files::sync_folder(&self.uploads)?;
        self.blobs.promises.kept(digest);
        Ok(Ok(Part::Published))
    }
}

impl BlobFolder {
    /// Whether the blob's file is there; if so, its grace before the sweep begins anew.
    fn is_whole(&self, len: u64, digest: Digest) -> io::Result<bool> {
        self.spare.storing(digest);
        let path = files::path_of(&self.root, digest);
        let Some(file) = files::maybe(OpenOptions::new().write(true).open(path))? else { return Ok(false) };
        if file.metadata()?.len() != len {
            return Ok(false);
        }
        files::seal(&file, self.clock.now_ms())?;
        self.promises.kept(digest);
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

/// The upload that a file's name says.
fn id_of(path: &Path) -> Option<UploadId> {
    let (stem, extension) = path.file_name()?.to_str()?.rsplit_once('.')?;
    stem.parse().ok().filter(|_| extension == PART)
}

/// Removes upload files that `is_known` does not know: their session was forgotten just before a crash.
pub(crate) fn clear(uploads: &Path, is_known: impl Fn(UploadId) -> bool) -> io::Result<()> {
    for entry in std::fs::read_dir(uploads)? {
        let path = entry?.path();
        let is_part = path.extension().is_some_and(|extension| extension == PART);
        if is_part && !id_of(&path).is_some_and(&is_known) {
            files::remove(&path)?;
        }
    }
    Ok(())
}
