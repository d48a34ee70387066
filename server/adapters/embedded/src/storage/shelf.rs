//! The shelf: versions, their conditions and their place in the quota. A commit reads a handful of rows and writes four,
//! whatever the environment's history.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::params;
use veilcloud_domain::{
    audit::model::Line,
    page::{Page, PageArgs},
    storage::{
        model::{Digest, Etag, Precondition, Version},
        port::{Refusal, Shelf},
    },
    store::StoreError,
};
use veilcore::id::{AccountId, EnvironmentId};

use super::{blobs, promises::Promises, rows, usage};
use crate::{
    db::{
        Db, Tx,
        fault::{Fault, Outcome},
        int,
    },
    projects::{catalog::ProjectCaches, environments, grants},
};

/// Versions in the database.
pub(crate) struct SqliteShelf {
    pub db: Db,
    pub caches: Arc<ProjectCaches>,
    pub promises: Arc<Promises>,
}

#[async_trait]
impl Shelf for SqliteShelf {
    async fn commit(
        &self,
        version: Version,
        precondition: Precondition,
        line: Line,
    ) -> Result<Result<u64, Refusal>, StoreError> {
        let (caches, promises) = (self.caches.clone(), self.promises.clone());
        self.db
            .write(move |tx| {
                keep_promise(tx, &promises, version.digest)?;
                commit(tx, &caches, &version, precondition, &line)
            })
            .await
    }

    async fn version(
        &self,
        environment: EnvironmentId,
        number: Option<u64>,
    ) -> Result<Option<Version>, StoreError> {
        self.db
            .read(move |conn| match number {
                None => rows::head(conn, environment),
                Some(number) => rows::by_number(conn, environment, number),
            })
            .await
    }

    async fn versions(
        &self,
        environment: EnvironmentId,
        page: PageArgs<u64>,
    ) -> Result<Page<Version, u64>, StoreError> {
        self.db.read(move |conn| rows::page(conn, environment, &page)).await
    }

    async fn delete_content(
        &self,
        environment: EnvironmentId,
        etag: Etag,
        line: Line,
    ) -> Result<Result<u64, Refusal>, StoreError> {
        let caches = self.caches.clone();
        self.db
            .write(move |tx| {
                if !grants::stands(tx.conn, &line)? {
                    return Ok(Err(Refusal::Denied));
                }
                let Some(place) = environments::place(tx.conn, environment)? else {
                    return Ok(Err(Refusal::Gone));
                };
                let head = rows::head(tx.conn, environment)?;
                if head.as_ref().map(Version::etag) != Some(etag) {
                    return Ok(Err(Refusal::Precondition(head)));
                }
                let freed = rows::delete_all(tx.conn, environment)?;
                if let Some(owner) = usage::owner_of(tx.conn, environment)? {
                    usage::subtract(tx.conn, owner, freed)?;
                }
                let leaf = tx.log(&line)?;
                tx.after(move || caches.environments.forget(&place));
                Ok(Ok(leaf))
            })
            .await
    }

    async fn used_bytes(&self, owner: AccountId) -> Result<u64, StoreError> {
        self.db.read(move |conn| Ok(usage::of(conn, owner)?.map_or(0, |usage| usage.used_bytes))).await
    }

    async fn referenced(&self, digests: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        let digests = digests.to_vec();
        self.db
            .read(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM versions WHERE digest = ?1 AND deleted = 0)
                         OR EXISTS (SELECT 1 FROM uploads WHERE digest = ?1)",
                )?;
                let mut named = Vec::new();
                for digest in digests {
                    if statement.query_row([digest.0], |r| r.get(0))? {
                        named.push(digest);
                    }
                }
                Ok(named)
            })
            .await
    }
}

/// Fails when the bytes were taken on and could not be stored: no version may name them then.
fn keep_promise(tx: &Tx<'_>, promises: &Promises, digest: Digest) -> Outcome<()> {
    if promises.is_broken(digest)
        && !blobs::is_small(tx.conn, digest)?
        && let Some(error) = promises.take_broken(digest)
    {
        return Err(Fault::Earlier(error));
    }
    Ok(())
}

fn commit(
    tx: &Tx<'_>,
    caches: &Arc<ProjectCaches>,
    version: &Version,
    precondition: Precondition,
    line: &Line,
) -> Outcome<Result<u64, Refusal>> {
    if !grants::stands(tx.conn, line)? {
        return Ok(Err(Refusal::Denied));
    }
    let id = version.environment;
    let Some(place) = environments::place(tx.conn, id)? else { return Ok(Err(Refusal::Gone)) };
    let Some(owner) = usage::owner_of(tx.conn, id)? else { return Ok(Err(Refusal::Gone)) };
    let Some(usage) = usage::of(tx.conn, owner)? else { return Ok(Err(Refusal::Gone)) };
    let head = rows::head(tx.conn, id)?;
    let holds = match precondition {
        Precondition::First => head.is_none(),
        Precondition::Match(etag) => head.as_ref().map(Version::etag) == Some(etag),
    };
    let next = head.as_ref().map_or(1, |head| head.number + 1);
    if !holds || version.number != next {
        return Ok(Err(Refusal::Precondition(head)));
    }
    let (epoch, rotation_due): (u32, bool) = tx
        .conn
        .prepare_cached(
            "SELECT e.epoch, e.access_list < p.access_floor FROM environments e
             JOIN projects p ON p.id = e.project WHERE e.id = ?1",
        )?
        .query_row([id.as_bytes()], |r| Ok((r.get(0)?, r.get(1)?)))?;
    if version.epoch != epoch {
        return Ok(Err(Refusal::Epoch(epoch)));
    }
    if rotation_due {
        return Ok(Err(Refusal::RotationDue(epoch)));
    }
    if !usage.has_room(version.len, reserved(tx, version)?) {
        return Ok(Err(Refusal::Quota { quota_bytes: usage.quota_bytes, used_bytes: usage.used_bytes }));
    }
    let leaf = tx.log(line)?;
    rows::insert(tx.conn, version, leaf)?;
    tx.conn
        .prepare_cached("UPDATE environments SET head = ?2 WHERE id = ?1")?
        .execute(params![id.as_bytes(), int(version.number)])?;
    if !version.deleted {
        usage::add(tx.conn, owner, version.len)?;
    }
    let caches = caches.clone();
    tx.after(move || caches.environments.forget(&place));
    Ok(Ok(leaf))
}

/// Bytes that the upload of just this version reserves: they are not counted twice against the quota, else the last
/// upload that fits could never be committed.
fn reserved(tx: &Tx<'_>, version: &Version) -> Outcome<u64> {
    let any = tx
        .conn
        .prepare_cached("SELECT 1 FROM uploads WHERE environment = ?1 AND digest = ?2 AND len = ?3")?
        .exists(params![version.environment.as_bytes(), version.digest.0, int(version.len)])?;
    Ok(if any { version.len } else { 0 })
}
