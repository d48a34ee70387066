//! Keyrings: one row per environment and epoch, written once.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use veilcloud_domain::{
    audit::model::Line,
    projects::{model::Keyring, port::Keyrings},
    store::StoreError,
};
use veilcore::id::EnvironmentId;

use super::{catalog::ProjectCaches, environments};
use crate::db::{Db, Maybe, fault::Outcome};

/// Keyrings in the database.
pub(crate) struct SqliteKeyrings {
    pub db: Db,
    pub caches: Arc<ProjectCaches>,
}

/// Inserts a keyring.
pub(crate) fn insert(conn: &Connection, environment: EnvironmentId, keyring: &Keyring) -> Outcome<()> {
    conn.prepare_cached("INSERT INTO keyrings (environment, epoch, file, seal) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![environment.as_bytes(), keyring.epoch, keyring.file, keyring.seal])?;
    Ok(())
}

#[async_trait]
impl Keyrings for SqliteKeyrings {
    async fn keyring(&self, environment: EnvironmentId, epoch: u32) -> Result<Option<Keyring>, StoreError> {
        self.db
            .read(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT epoch, file, seal FROM keyrings WHERE environment = ?1 AND epoch = ?2",
                )?;
                let row = |r: &Row<'_>| Ok(Keyring { epoch: r.get(0)?, file: r.get(1)?, seal: r.get(2)? });
                Ok(statement.query_row(params![environment.as_bytes(), epoch], row).maybe()?)
            })
            .await
    }

    async fn rotate(
        &self,
        environment: EnvironmentId,
        keyring: Keyring,
        line: Line,
    ) -> Result<Option<Result<(), u32>>, StoreError> {
        let caches = self.caches.clone();
        self.db
            .write(move |tx| {
                let Some(place) = environments::place(tx.conn, environment)? else { return Ok(None) };
                let current: u32 = tx
                    .conn
                    .prepare_cached("SELECT epoch FROM environments WHERE id = ?1")?
                    .query_row([environment.as_bytes()], |r| r.get(0))?;
                if current.checked_add(1) != Some(keyring.epoch) {
                    return Ok(Some(Err(current)));
                }
                insert(tx.conn, environment, &keyring)?;
                tx.conn
                    .prepare_cached("UPDATE environments SET epoch = ?2 WHERE id = ?1")?
                    .execute(params![environment.as_bytes(), keyring.epoch])?;
                tx.log(&line)?;
                tx.after(move || caches.environments.forget(&place));
                Ok(Some(Ok(())))
            })
            .await
    }
}
