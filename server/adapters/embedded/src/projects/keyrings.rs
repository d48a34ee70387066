//! Keyrings: one row per environment and epoch, written once, and the parts that were added for single principals.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use veilcloud_domain::{
    audit::model::Line,
    projects::{
        access::{KeyringPart, KeyringRefusal},
        model::Keyring,
        port::Keyrings,
    },
    store::StoreError,
};
use veilcore::id::EnvironmentId;
use veilvault::access::Principal;

use super::{catalog::ProjectCaches, environments, grants};
use crate::db::{Db, Maybe, Tx, fault::Outcome, int, u64_at};

/// Keyrings in the database.
pub(crate) struct SqliteKeyrings {
    pub db: Db,
    pub caches: Arc<ProjectCaches>,
}

/// Inserts a keyring.
pub(crate) fn insert(conn: &Connection, environment: EnvironmentId, keyring: &Keyring) -> Outcome<()> {
    conn.prepare_cached(
        "INSERT INTO keyrings (environment, epoch, file, seal, access_list) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        environment.as_bytes(),
        keyring.epoch,
        keyring.file,
        keyring.seal,
        int(keyring.access_list)
    ])?;
    Ok(())
}

#[async_trait]
impl Keyrings for SqliteKeyrings {
    async fn keyring(&self, environment: EnvironmentId, epoch: u32) -> Result<Option<Keyring>, StoreError> {
        self.db
            .read(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT epoch, file, seal, access_list FROM keyrings
                     WHERE environment = ?1 AND epoch = ?2",
                )?;
                Ok(statement.query_row(params![environment.as_bytes(), epoch], keyring).maybe()?)
            })
            .await
    }

    async fn rotate(
        &self,
        environment: EnvironmentId,
        keyring: Keyring,
        line: Line,
    ) -> Result<Result<(), KeyringRefusal>, StoreError> {
        let caches = self.caches.clone();
        self.db.write(move |tx| rotate(tx, &caches, environment, &keyring, &line)).await
    }

    async fn part(
        &self,
        environment: EnvironmentId,
        epoch: u32,
        principal: Principal,
        key: Option<[u8; 32]>,
    ) -> Result<Option<Keyring>, StoreError> {
        self.db
            .read(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT epoch, file, seal, access_list FROM keyring_parts
                     WHERE environment = ?1 AND epoch = ?2 AND principal = ?3
                         AND (?4 IS NULL OR principal_key = ?4)",
                )?;
                let place = params![environment.as_bytes(), epoch, principal_bytes(principal), key];
                Ok(statement.query_row(place, keyring).maybe()?)
            })
            .await
    }

    async fn add_part(
        &self,
        part: KeyringPart,
        line: Line,
    ) -> Result<Result<(), KeyringRefusal>, StoreError> {
        self.db.write(move |tx| add_part(tx, &part, &line)).await
    }
}

fn rotate(
    tx: &Tx<'_>,
    caches: &Arc<ProjectCaches>,
    environment: EnvironmentId,
    keyring: &Keyring,
    line: &Line,
) -> Outcome<Result<(), KeyringRefusal>> {
    if !grants::stands(tx.conn, line)? {
        return Ok(Err(KeyringRefusal::Denied));
    }
    let Some(place) = environments::place(tx.conn, environment)? else {
        return Ok(Err(KeyringRefusal::Gone));
    };
    let current: u32 = tx
        .conn
        .prepare_cached("SELECT epoch FROM environments WHERE id = ?1")?
        .query_row([environment.as_bytes()], |r| r.get(0))?;
    if current.checked_add(1) != Some(keyring.epoch) {
        return Ok(Err(KeyringRefusal::Epoch(current)));
    }
    if let Some(other) = other_list(tx.conn, environment, keyring)? {
        return Ok(Err(other));
    }
    insert(tx.conn, environment, keyring)?;
    tx.conn
        .prepare_cached("UPDATE environments SET epoch = ?2, access_list = ?3 WHERE id = ?1")?
        .execute(params![environment.as_bytes(), keyring.epoch, int(keyring.access_list)])?;
    tx.log(line)?;
    let caches = caches.clone();
    tx.after(move || caches.environments.forget(&place));
    Ok(Ok(()))
}

fn add_part(tx: &Tx<'_>, part: &KeyringPart, line: &Line) -> Outcome<Result<(), KeyringRefusal>> {
    if !grants::stands(tx.conn, line)? {
        return Ok(Err(KeyringRefusal::Denied));
    }
    let (environment, keyring) = (part.environment, &part.keyring);
    let there = tx
        .conn
        .prepare_cached("SELECT 1 FROM keyrings WHERE environment = ?1 AND epoch = ?2")?
        .exists(params![environment.as_bytes(), keyring.epoch])?;
    if !there {
        return Ok(Err(KeyringRefusal::Gone));
    }
    if let Some(other) = other_list(tx.conn, environment, keyring)? {
        return Ok(Err(other));
    }
    let principal = principal_bytes(part.principal);
    let taken = tx
        .conn
        .prepare_cached(
            "SELECT 1 FROM keyring_parts
             WHERE environment = ?1 AND epoch = ?2 AND principal = ?3 AND principal_key = ?4",
        )?
        .exists(params![environment.as_bytes(), keyring.epoch, principal, part.key])?;
    if taken && !part.replaces {
        return Ok(Err(KeyringRefusal::Exists));
    }
    tx.conn
        .prepare_cached(
            "DELETE FROM keyring_parts
             WHERE environment = ?1 AND epoch = ?2 AND principal = ?3 AND principal_key IS NOT ?4",
        )?
        .execute(params![environment.as_bytes(), keyring.epoch, principal, part.beside])?;
    tx.conn
        .prepare_cached(
            "INSERT OR REPLACE INTO keyring_parts
                 (environment, epoch, principal, principal_key, file, seal, access_list)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            environment.as_bytes(),
            keyring.epoch,
            principal,
            part.key,
            keyring.file,
            keyring.seal,
            int(keyring.access_list)
        ])?;
    tx.log(line)?;
    Ok(Ok(()))
}

/// The newest list of the environment's project, when the keyring is made for another one.
fn other_list(
    conn: &Connection,
    environment: EnvironmentId,
    keyring: &Keyring,
) -> Outcome<Option<KeyringRefusal>> {
    let Some((project, _)) = environments::place(conn, environment)? else {
        return Ok(Some(KeyringRefusal::Gone));
    };
    Ok(match grants::newest(conn, project)? {
        None => Some(KeyringRefusal::Gone),
        Some(newest) => (newest != keyring.access_list).then_some(KeyringRefusal::List(newest)),
    })
}

fn keyring(row: &Row<'_>) -> rusqlite::Result<Keyring> {
    Ok(Keyring { epoch: row.get(0)?, file: row.get(1)?, seal: row.get(2)?, access_list: u64_at(row, 3)? })
}

/// 17 bytes: 1 for an account, 2 for an API key, then the id.
fn principal_bytes(principal: Principal) -> [u8; 17] {
    let (kind, id) = match &principal {
        Principal::Account(id) => (1, id.as_bytes()),
        Principal::ApiKey(id) => (2, id.as_bytes()),
    };
    let mut bytes = [kind; 17];
    bytes[1..].copy_from_slice(id);
    bytes
}
