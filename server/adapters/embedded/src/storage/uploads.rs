//! Upload sessions: one row each, with one bit for each chunk that arrived. A row reserves its length in the owner's
//! quota until it is forgotten.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use veilcloud_domain::{
    storage::{
        model::{Digest, Etag, Precondition, Upload},
        port::{Started, Uploads},
    },
    store::StoreError,
};
use veilcore::id::{AccountId, EnvironmentId, ProjectId, UploadId};

use super::usage;
use crate::{
    db::{
        Db, Maybe,
        fault::{Fault, Outcome},
        int, ordered, u64_at,
    },
    projects::grants,
};

/// Most chunks of one upload: a blob of 1 TiB, whose bits take 128 KiB.
pub(crate) const CHUNKS_MAX: u32 = 1 << 20;

/// Upload sessions in the database.
pub(crate) struct SqliteUploads {
    pub db: Db,
}

#[async_trait]
impl Uploads for SqliteUploads {
    async fn start(&self, upload: Upload, limit: u32) -> Result<Started, StoreError> {
        self.db.write(move |tx| start(tx.conn, &upload, limit)).await
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        self.db
            .read(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT id, account, project, environment, match_version, match_digest, len, digest, seal,
                            expires_at_ms, received
                     FROM uploads WHERE id = ?1",
                )?;
                Ok(statement.query_row([id.as_bytes()], upload).maybe()?)
            })
            .await
    }

    async fn received(&self, id: UploadId, index: u32) -> Result<u32, StoreError> {
        self.db
            .write(move |tx| {
                let Some(mut bits) = bits(tx.conn, id)? else {
                    return Err(Fault::Unavailable("the upload is gone"));
                };
                if index >= CHUNKS_MAX {
                    return Err(Fault::Damaged(format!("an upload has no chunk {index}")));
                }
                set(&mut bits, index);
                write_bits(tx.conn, id, &bits)?;
                Ok(bits.iter().map(|byte| byte.count_ones()).sum())
            })
            .await
    }

    async fn reset(&self, id: UploadId) -> Result<(), StoreError> {
        self.db
            .write(move |tx| {
                tx.conn
                    .prepare_cached("UPDATE uploads SET received = x'', promoted = 0 WHERE id = ?1")?
                    .execute([id.as_bytes()])?;
                Ok(())
            })
            .await
    }

    async fn forget(&self, id: UploadId) -> Result<(), StoreError> {
        self.db
            .write(move |tx| {
                let gone = tx
                    .conn
                    .prepare_cached("DELETE FROM uploads WHERE id = ?1 RETURNING environment, len")?
                    .query_row([id.as_bytes()], |r| Ok((EnvironmentId::from_bytes(r.get(0)?), u64_at(r, 1)?)))
                    .maybe()?;
                if let Some((environment, len)) = gone
                    && let Some(owner) = usage::owner_of(tx.conn, environment)?
                {
                    usage::subtract(tx.conn, owner, len)?;
                }
                Ok(())
            })
            .await
    }

    async fn known(&self, ids: &[UploadId]) -> Result<Vec<UploadId>, StoreError> {
        let ids = ids.to_vec();
        self.db
            .read(move |conn| {
                let mut statement = conn.prepare_cached("SELECT 1 FROM uploads WHERE id = ?1")?;
                let mut known = Vec::new();
                for id in ids {
                    if statement.exists([id.as_bytes()])? {
                        known.push(id);
                    }
                }
                Ok(known)
            })
            .await
    }

    async fn expired(&self, now_ms: u64, limit: usize) -> Result<Vec<UploadId>, StoreError> {
        self.db
            .read(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT id FROM uploads WHERE expires_at_ms < ?1 ORDER BY expires_at_ms LIMIT ?2",
                )?;
                let rows = statement.query_map(params![ordered(now_ms), ordered(limit as u64)], |r| {
                    r.get(0).map(UploadId::from_bytes)
                })?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }
}

fn start(conn: &Connection, upload: &Upload, limit: u32) -> Outcome<Started> {
    if !grants::may_write(conn, upload.project, upload.account)? {
        return Ok(Started::Denied);
    }
    let Some(owner) = usage::owner_of(conn, upload.environment)? else {
        return Err(Fault::Unavailable("the environment is gone"));
    };
    let account = upload.account.as_bytes();
    let count: u32 = conn
        .prepare_cached("SELECT COUNT(*) FROM uploads WHERE account = ?1")?
        .query_row([account], |r| r.get(0))?;
    if count >= limit {
        return Ok(Started::Limit);
    }
    let Some(usage) = usage::of(conn, owner)? else { return Err(Fault::Unavailable("the owner is gone")) };
    if !usage.has_room(upload.len, 0) {
        return Ok(Started::Quota { quota_bytes: usage.quota_bytes, used_bytes: usage.used_bytes });
    }
    let (match_version, match_digest) = match upload.precondition {
        Precondition::First => (0, [0; 15]),
        Precondition::Match(etag) => (etag.version, etag.digest),
    };
    conn.prepare_cached(
        "INSERT INTO uploads (id, account, project, environment, match_version, match_digest, len, digest, seal,
                              expires_at_ms, received)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        upload.id.as_bytes(),
        account,
        upload.project.as_bytes(),
        upload.environment.as_bytes(),
        int(match_version),
        match_digest,
        int(upload.len),
        upload.digest.0,
        upload.seal,
        ordered(upload.expires_at_ms),
        received_bits(upload),
    ])?;
    usage::add(conn, owner, upload.len)?;
    Ok(Started::Open)
}

fn received_bits(upload: &Upload) -> Vec<u8> {
    let mut bits = Vec::new();
    upload.received.iter().filter(|index| **index < CHUNKS_MAX).for_each(|index| set(&mut bits, *index));
    bits
}

/// Sets a chunk's bit; the bits grow as far as chunks arrived.
fn set(bits: &mut Vec<u8>, index: u32) {
    let byte = index as usize / 8;
    if bits.len() <= byte {
        bits.resize(byte + 1, 0);
    }
    bits[byte] |= 1 << (index % 8);
}

fn bits(conn: &Connection, id: UploadId) -> Outcome<Option<Vec<u8>>> {
    let mut statement = conn.prepare_cached("SELECT received FROM uploads WHERE id = ?1")?;
    Ok(statement.query_row([id.as_bytes()], |r| r.get(0)).maybe()?)
}

fn write_bits(conn: &Connection, id: UploadId, bits: &[u8]) -> Outcome<()> {
    conn.prepare_cached("UPDATE uploads SET received = ?2 WHERE id = ?1")?
        .execute(params![id.as_bytes(), bits])?;
    Ok(())
}

fn upload(row: &Row<'_>) -> rusqlite::Result<Upload> {
    let precondition = match u64_at(row, 4)? {
        0 => Precondition::First,
        version => Precondition::Match(Etag { version, digest: row.get(5)? }),
    };
    let bits: Vec<u8> = row.get(10)?;
    let is_set = |index: &u32| bits[*index as usize / 8] & (1 << (index % 8)) != 0;
    let count = u32::try_from(bits.len() * 8).unwrap_or(u32::MAX);
    Ok(Upload {
        id: UploadId::from_bytes(row.get(0)?),
        account: AccountId::from_bytes(row.get(1)?),
        project: ProjectId::from_bytes(row.get(2)?),
        environment: EnvironmentId::from_bytes(row.get(3)?),
        precondition,
        len: u64_at(row, 6)?,
        digest: Digest(row.get(7)?),
        seal: row.get(8)?,
        expires_at_ms: u64_at(row, 9)?,
        received: (0..count).filter(is_set).collect(),
    })
}
