//! Rows of `api_keys`, with what the gate asks on every request in memory. One process owns the file, so what is in memory
//! is never older than an answered change.

use std::{str::FromStr, sync::Arc};

use async_trait::async_trait;
use rusqlite::{Connection, Row, params, types::Type};
use veilcloud_domain::{
    audit::model::Line,
    auth::api_keys::{
        model::{ApiKey, KeyStanding, NextSecret, Overlap, Scope, Verifier},
        port::{ApiKeyStore, Created},
    },
    page::{Page, PageArgs},
    store::StoreError,
};
use veilcore::id::{AccountId, ApiKeyId, ProjectId};
use veilsign::capability::Actions;

use super::{accounts, directory::Standings};
use crate::db::{Db, Maybe, fault::Outcome, int, ordered, text_at, u64_at};

const COLUMNS: &str = "id, account, name, actions, project, environments, networks, public_key, generation, verifier,
    before_verifier, before_expires_at_ms, before_until_ms, created_at_ms, expires_at_ms, revoked_at_ms, last_used_at_ms";

/// API keys in the database.
pub(crate) struct SqliteApiKeys {
    pub db: Db,
    pub standings: Arc<Standings>,
}

#[async_trait]
impl ApiKeyStore for SqliteApiKeys {
    async fn create_key(
        &self,
        key: ApiKey,
        limit: u32,
        over: u32,
        line: Line,
    ) -> Result<Created, StoreError> {
        let standings = self.standings.clone();
        self.db
            .write(move |tx| {
                if accounts::standing(tx.conn, key.account)?.is_none() {
                    return Ok(Created::Gone);
                }
                if by_id(tx.conn, key.id)?.is_some() {
                    return Ok(Created::Taken);
                }
                let live: u32 = tx
                    .conn
                    .prepare_cached(
                        "SELECT COUNT(*) FROM api_keys
                         WHERE account = ?1 AND revoked_at_ms IS NULL AND expires_at_ms > ?2",
                    )?
                    .query_row(params![key.account.as_bytes(), ordered(key.created_at_ms)], |r| r.get(0))?;
                if live >= limit {
                    return Ok(Created::Limit);
                }
                let gone = purge(tx.conn, &key, over)?;
                insert(tx.conn, &key)?;
                tx.log(&line)?;
                tx.after(move || gone.iter().for_each(|id| standings.keys.forget(id)));
                Ok(Created::Done)
            })
            .await
    }

    async fn key_standing(&self, id: ApiKeyId) -> Result<Option<KeyStanding>, StoreError> {
        let read = self.db.read(move |conn| Ok(by_id(conn, id)?.map(Arc::new)));
        let Some(key) = self.standings.keys.get(&id, read).await? else { return Ok(None) };
        let account = key.account;
        let read = self.db.read(move |conn| accounts::standing(conn, account));
        let standing = self.standings.accounts.get(&account, read).await?;
        Ok(standing.map(|standing| KeyStanding { key: (*key).clone(), tier: standing.tier }))
    }

    async fn key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        self.db.read(move |conn| by_id(conn, id)).await
    }

    async fn keys(
        &self,
        account: AccountId,
        page: PageArgs<ApiKeyId>,
    ) -> Result<Page<ApiKey, ApiKeyId>, StoreError> {
        self.db
            .read(move |conn| {
                let after = page.after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
                let limit = i64::try_from(page.size).unwrap_or(i64::MAX).saturating_add(1);
                let mut statement = conn.prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM api_keys WHERE account = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
                ))?;
                let rows = statement.query_map(params![account.as_bytes(), after, limit], row)?;
                Ok(Page::cut(rows.collect::<rusqlite::Result<_>>()?, page.size, |key: &ApiKey| key.id))
            })
            .await
    }

    async fn rotate_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        next: NextSecret,
        line: Line,
    ) -> Result<bool, StoreError> {
        let standings = self.standings.clone();
        self.db
            .write(move |tx| {
                let overlap = next.overlap;
                let rows = tx
                    .conn
                    .prepare_cached(
                        "UPDATE api_keys SET generation = generation + 1, verifier = ?4, public_key = ?5,
                             before_verifier = ?6, before_expires_at_ms = ?7, before_until_ms = ?8, expires_at_ms = ?9
                         WHERE id = ?1 AND account = ?2 AND generation = ?3 AND revoked_at_ms IS NULL",
                    )?
                    .execute(params![
                        id.as_bytes(),
                        account.as_bytes(),
                        next.generation,
                        next.verifier.0,
                        next.public_key,
                        overlap.map(|o| o.verifier.0),
                        overlap.map(|o| ordered(o.expires_at_ms)),
                        overlap.map(|o| ordered(o.until_ms)),
                        ordered(next.expires_at_ms),
                    ])?;
                if rows == 1 {
                    tx.log(&line)?;
                    tx.after(move || standings.keys.forget(&id));
                }
                Ok(rows == 1)
            })
            .await
    }

    async fn revoke_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        at_ms: u64,
        line: Line,
    ) -> Result<bool, StoreError> {
        let standings = self.standings.clone();
        self.db
            .write(move |tx| {
                let rows = tx
                    .conn
                    .prepare_cached(
                        "UPDATE api_keys SET revoked_at_ms = ?3
                         WHERE id = ?1 AND account = ?2 AND revoked_at_ms IS NULL",
                    )?
                    .execute(params![id.as_bytes(), account.as_bytes(), int(at_ms)])?;
                if rows == 1 {
                    tx.log(&line)?;
                    tx.after(move || standings.keys.forget(&id));
                }
                Ok(rows == 1)
            })
            .await
    }

    async fn note_used(&self, used: Vec<(ApiKeyId, u64)>) -> Result<(), StoreError> {
        self.db
            .write(move |tx| {
                // What the gate asks does not depend on it, so nothing in memory is forgotten.
                let mut statement = tx.conn.prepare_cached(
                    "UPDATE api_keys SET last_used_at_ms = MAX(?2, COALESCE(last_used_at_ms, 0)) WHERE id = ?1",
                )?;
                for (id, at_ms) in &used {
                    statement.execute(params![id.as_bytes(), ordered(*at_ms)])?;
                }
                Ok(())
            })
            .await
    }
}

/// Forgets the account's oldest keys that are over, but `keep`; gives them.
fn purge(conn: &Connection, created: &ApiKey, keep: u32) -> Outcome<Vec<ApiKeyId>> {
    let mut statement = conn.prepare_cached(
        "DELETE FROM api_keys WHERE id IN (
             SELECT id FROM api_keys WHERE account = ?1 AND (revoked_at_ms IS NOT NULL OR expires_at_ms <= ?2)
             ORDER BY created_at_ms DESC, id DESC LIMIT -1 OFFSET ?3)
         RETURNING id",
    )?;
    let values = params![created.account.as_bytes(), ordered(created.created_at_ms), keep];
    let rows = statement.query_map(values, |r| r.get(0).map(ApiKeyId::from_bytes))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn insert(conn: &Connection, key: &ApiKey) -> Outcome<()> {
    conn.prepare_cached(&format!(
        "INSERT INTO api_keys ({COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL, NULL, NULL, ?11, ?12, NULL, NULL)"
    ))?
    .execute(params![
        key.id.as_bytes(),
        key.account.as_bytes(),
        key.name.as_str(),
        int(key.scope.actions.bits()),
        key.scope.project.map(|id| *id.as_bytes()),
        joined(&key.scope.environments),
        joined(&key.scope.networks),
        key.public_key,
        key.generation,
        key.verifier.0,
        ordered(key.created_at_ms),
        ordered(key.expires_at_ms),
    ])?;
    Ok(())
}

fn by_id(conn: &Connection, id: ApiKeyId) -> Outcome<Option<ApiKey>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM api_keys WHERE id = ?1"))?;
    Ok(statement.query_row([id.as_bytes()], row).maybe()?)
}

fn row(r: &Row<'_>) -> rusqlite::Result<ApiKey> {
    let actions = Actions::from_bits(u64_at(r, 3)?).ok_or_else(|| damaged(3, "an unknown action"))?;
    let overlap = match r.get::<_, Option<[u8; 32]>>(10)? {
        Some(verifier) => Some(Overlap {
            verifier: Verifier(verifier),
            expires_at_ms: u64_at(r, 11)?,
            until_ms: u64_at(r, 12)?,
        }),
        None => None,
    };
    Ok(ApiKey {
        id: ApiKeyId::from_bytes(r.get(0)?),
        account: AccountId::from_bytes(r.get(1)?),
        name: text_at(r, 2)?,
        scope: Scope {
            actions,
            project: r.get::<_, Option<[u8; 16]>>(4)?.map(ProjectId::from_bytes),
            environments: split(r, 5)?,
            networks: split(r, 6)?,
        },
        public_key: r.get(7)?,
        generation: r.get(8)?,
        verifier: Verifier(r.get(9)?),
        overlap,
        created_at_ms: u64_at(r, 13)?,
        expires_at_ms: u64_at(r, 14)?,
        revoked_at_ms: r.get::<_, Option<i64>>(15)?.map(i64::cast_unsigned),
        last_used_at_ms: r.get::<_, Option<i64>>(16)?.map(i64::cast_unsigned),
    })
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn split<T: FromStr>(r: &Row<'_>, column: usize) -> rusqlite::Result<Vec<T>> {
    let text: String = r.get(column)?;
    let items = text.split(' ').filter(|item| !item.is_empty());
    items.map(|item| item.parse().map_err(|_| damaged(column, "a text of another kind"))).collect()
}

fn damaged(column: usize, what: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.to_owned().into())
}
