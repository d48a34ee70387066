//! Bytes by digest. At most 64 KiB go into the database with the group commit, since a thousand small files cost a
//! thousand fsyncs, and their put is answered once it is queued; more go into a file of their own, written aside, synced and renamed, so that a name never shows half
//! a blob. A blob's time, for the sweep, is when it was last stored.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::UNIX_EPOCH,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rusqlite::{Connection, params};
use veilcloud_domain::{
    clock::Clock,
    storage::{
        model::{DIRECT_BLOB_MAX, Digest, PIECE_LEN},
        port::{BlobStore, BlobStream},
    },
    store::StoreError,
};

use super::{
    files::{self, TMP, blocking},
    promises::Promises,
    spare::Spare,
};
use crate::db::{Db, Maybe, Tx, fault::Outcome, ordered};

/// Longest blob that lives in the database, in bytes.
pub(crate) const SMALL_BLOB_MAX: usize = 65_536;

/// Where bytes live.
pub(crate) struct BlobFolder {
    /// Folder of the larger blobs.
    pub root: PathBuf,
    /// Tells when a blob was stored.
    pub clock: Arc<dyn Clock>,
    /// What the sweep must not remove.
    pub spare: Spare,
    /// Small blobs whose put was answered before its commit.
    pub promises: Arc<Promises>,
    /// Numbers the files that are not blobs yet.
    pub aside: AtomicU64,
}

/// The blob store.
pub(crate) struct EmbeddedBlobs {
    pub db: Db,
    pub folder: Arc<BlobFolder>,
}

#[async_trait]
impl BlobStore for EmbeddedBlobs {
    async fn put(&self, digest: Digest, bytes: Bytes) -> Result<(), StoreError> {
        let now_ms = self.folder.clock.now_ms();
        if bytes.len() <= SMALL_BLOB_MAX {
            self.folder.spare.storing(digest);
            return self.put_small(digest, bytes, now_ms).await;
        }
        let folder = self.folder.clone();
        blocking(move || {
            let name = folder.aside.fetch_add(1, Ordering::Relaxed).to_string();
            let aside = folder.root.join(TMP).join(name);
            files::write_aside(&aside, &bytes, now_ms)?;
            folder.spare.storing(digest);
            files::publish(&aside, &folder.root, digest)
        })
        .await
    }

    async fn read(&self, digest: Digest) -> Result<Option<Bytes>, StoreError> {
        self.settled(self.folder.promises.is_open(digest)).await?;
        if let Some(bytes) = self.db.read(move |conn| small(conn, digest)).await? {
            return Ok(Some(bytes));
        }
        let folder = self.folder.clone();
        blocking(move || {
            let Some(file) = files::maybe(File::open(files::path_of(&folder.root, digest)))? else {
                return Ok(None);
            };
            let len = file.metadata()?.len();
            if len > DIRECT_BLOB_MAX {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    "the blob is too long to read at once",
                ));
            }
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            file.read_exact_at(&mut bytes, 0)?;
            Ok(Some(bytes.into()))
        })
        .await
    }

    async fn open(&self, digest: Digest, offset: u64, len: u64) -> Result<Option<BlobStream>, StoreError> {
        self.settled(self.folder.promises.is_open(digest)).await?;
        if let Some(bytes) = self.db.read(move |conn| small(conn, digest)).await? {
            let end = offset.checked_add(len).filter(|end| *end <= bytes.len() as u64).ok_or_else(short)?;
            let range = usize::try_from(offset).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
            return Ok(Some(stream::once(async move { Ok(bytes.slice(range)) }).boxed()));
        }
        let folder = self.folder.clone();
        let file = blocking(move || files::maybe(File::open(files::path_of(&folder.root, digest)))).await?;
        Ok(file.map(|file| pieces(Arc::new(file), offset, len)))
    }

    async fn remove(&self, digest: Digest) -> Result<(), StoreError> {
        let folder = self.folder.clone();
        self.db
            .write(move |tx| {
                // In the writer, so that a blob stored later is a later job.
                if folder.spare.removing(digest).is_some() {
                    tx.conn
                        .prepare_cached("DELETE FROM small_blobs WHERE digest = ?1")?
                        .execute([digest.0])?;
                }
                Ok(())
            })
            .await?;
        let folder = self.folder.clone();
        blocking(move || match folder.spare.removing(digest) {
            Some(_held) => files::remove(&files::path_of(&folder.root, digest)),
            None => Ok(()),
        })
        .await
    }

    async fn list(
        &self,
        after: Option<Digest>,
        limit: usize,
        before_ms: u64,
    ) -> Result<Vec<Digest>, StoreError> {
        // Bytes that were stored again are young, from the put's answer on.
        self.settled(self.folder.promises.any_open()).await?;
        let mut found = self.db.read(move |conn| list_small(conn, after, limit, before_ms)).await?;
        let folder = self.folder.clone();
        found.extend(blocking(move || list_files(&folder.root, after, limit, before_ms)).await?);
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        self.folder.spare.listed(&found);
        Ok(found)
    }
}

impl EmbeddedBlobs {
    /// Queued is enough: the commit of a version that names the bytes is a later job, and fails when this one does.
    async fn put_small(&self, digest: Digest, bytes: Bytes, now_ms: u64) -> Result<(), StoreError> {
        let insert = move |tx: &Tx<'_>| insert(tx.conn, digest, &bytes, now_ms);
        match self.folder.promises.make(digest) {
            Some(promise) => self.db.writer.cast(insert, move |committed| promise.settle(committed)).await,
            None => {
                self.db.write(insert).await?;
                self.folder.promises.kept(digest);
                Ok(())
            }
        }
    }

    /// If a put that matters is `open`, waits until it and every earlier one is committed, so that readers see it.
    async fn settled(&self, open: bool) -> Result<(), StoreError> {
        if open { self.db.write(|_| Ok(())).await } else { Ok(()) }
    }
}

fn short() -> StoreError {
    files::store_error(&io::ErrorKind::UnexpectedEof.into())
}

/// A file's bytes, one piece in memory at a time.
fn pieces(file: Arc<File>, offset: u64, len: u64) -> BlobStream {
    stream::try_unfold((offset, len), move |(offset, left)| {
        let file = file.clone();
        async move {
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_LEN);
            if len == 0 {
                return Ok(None);
            }
            let piece = blocking(move || {
                let mut piece = vec![0; len];
                file.read_exact_at(&mut piece, offset)?;
                Ok(Bytes::from(piece))
            });
            Ok(Some((piece.await?, (offset + len as u64, left - len as u64))))
        }
    })
    .boxed()
}

fn insert(conn: &Connection, digest: Digest, bytes: &[u8], now_ms: u64) -> Outcome<()> {
    conn.prepare_cached(
        "INSERT INTO small_blobs (digest, bytes, stored_at_ms) VALUES (?1, ?2, ?3)
         ON CONFLICT (digest) DO UPDATE SET bytes = excluded.bytes, stored_at_ms = excluded.stored_at_ms",
    )?
    .execute(params![digest.0, bytes, ordered(now_ms)])?;
    Ok(())
}

/// True when the bytes are in the database, as the connection's transaction sees it.
pub(crate) fn is_small(conn: &Connection, digest: Digest) -> Outcome<bool> {
    Ok(conn.prepare_cached("SELECT 1 FROM small_blobs WHERE digest = ?1")?.exists([digest.0])?)
}

fn small(conn: &Connection, digest: Digest) -> Outcome<Option<Bytes>> {
    let mut statement = conn.prepare_cached("SELECT bytes FROM small_blobs WHERE digest = ?1")?;
    Ok(statement.query_row([digest.0], |r| r.get::<_, Vec<u8>>(0)).maybe()?.map(Bytes::from))
}

fn list_small(
    conn: &Connection,
    after: Option<Digest>,
    limit: usize,
    before_ms: u64,
) -> Outcome<Vec<Digest>> {
    let mut statement = conn.prepare_cached(
        "SELECT digest FROM small_blobs WHERE digest > ?1 AND stored_at_ms < ?2 ORDER BY digest LIMIT ?3",
    )?;
    // Every digest is greater than the empty one.
    let after = after.map_or(Vec::new(), |digest| digest.0.to_vec());
    let rows = statement
        .query_map(params![after, ordered(before_ms), ordered(limit as u64)], |r| r.get(0).map(Digest))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Folder by folder, in order, until there are enough.
fn list_files(root: &Path, after: Option<Digest>, limit: usize, before_ms: u64) -> io::Result<Vec<Digest>> {
    let mut found = Vec::new();
    for prefix in after.map_or(0, |digest| digest.0[0])..=u8::MAX {
        if found.len() >= limit {
            break;
        }
        let Some(entries) = files::maybe(fs::read_dir(root.join(format!("{prefix:02x}"))))? else { continue };
        let mut here = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Some(digest) = files::digest_of(&entry.file_name()) else { continue };
            if after.is_some_and(|after| digest <= after) {
                continue;
            }
            // Removed meanwhile: nothing to list.
            let Some(meta) = files::maybe(entry.metadata())? else { continue };
            let stored = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            if stored.as_millis() < u128::from(before_ms) {
                here.push(digest);
            }
        }
        here.sort_unstable();
        found.extend(here);
    }
    found.truncate(limit);
    Ok(found)
}
