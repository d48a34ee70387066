//! Rows of `api_keys`, with what the gate asks on every request in memory. One process owns the file, so what is in memory
//! is never older than an answered change.

use std::{str::FromStr, sync::Arc};

use async_trait::async_trait;
use rusqlite::{Connection, Row, params, types::Type};
use veilcloud_domain::{
    audit::model::{Kind, Line},
    auth::api_keys::{
        model::{ApiKey, KeyStanding, NextSecret, Overlap, Record, Scope, TokenHalf, Verifier, line_about},
        port::{ApiKeyStore, Created},
    },
    page::{Page, PageArgs},
    store::StoreError,
};
use veilcore::id::{AccountId, ApiKeyId, ProjectId};
use veilsign::capability::Actions;

use super::{accounts, directory::Standings, halves};
use crate::db::{Db, Maybe, Tx, fault::Outcome, int, ordered, text_at, u64_at};

/// A key, with the records of its generations that are good.
const SELECT: &str =
    "SELECT k.id, k.account, k.name, k.actions, k.project, k.environments, k.networks, h.record,
    k.generation, k.verifier, k.before_verifier, k.before_expires_at_ms, k.before_until_ms, k.created_at_ms,
    k.expires_at_ms, k.revoked_at_ms, k.last_used_at_ms, h.digest, b.digest FROM api_keys k
    LEFT JOIN token_halves h ON h.api_key = k.id AND h.generation = k.generation
    LEFT JOIN token_halves b ON b.api_key = k.id AND b.generation = k.generation - 1";

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
        half: Option<TokenHalf>,
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
                if was_given(tx.conn, key.id)? {
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
                let gone = purge(tx, &key, over)?;
                insert(tx.conn, &key)?;
                if let Some(half) = &half {
                    halves::insert(tx.conn, key.id, half)?;
                }
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
                    "{SELECT} WHERE k.account = ?1 AND k.id > ?2 ORDER BY k.id LIMIT ?3"
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
                        "UPDATE api_keys SET generation = generation + 1, verifier = ?4,
                             before_verifier = ?5, before_expires_at_ms = ?6, before_until_ms = ?7, expires_at_ms = ?8
                         WHERE id = ?1 AND account = ?2 AND generation = ?3 AND revoked_at_ms IS NULL",
                    )?
                    .execute(params![
                        id.as_bytes(),
                        account.as_bytes(),
                        next.generation,
                        next.verifier.0,
                        overlap.map(|o| o.verifier.0),
                        overlap.map(|o| ordered(o.expires_at_ms)),
                        overlap.map(|o| ordered(o.until_ms)),
                        ordered(next.expires_at_ms),
                    ])?;
                if rows == 1 {
                    let generation = next.generation.saturating_add(1);
                    if let Some(half) = &next.half {
                        halves::insert(tx.conn, id, half)?;
                    }
                    halves::destroy_others(tx, id, generation, overlap.is_some())?;
                    tx.log(&line)?;
                    tx.after(move || standings.keys.forget(&id));
                }
                Ok(rows == 1)
            })
            .await
    }

    async fn half(&self, id: ApiKeyId, generation: u32) -> Result<Option<TokenHalf>, StoreError> {
        self.db.read(move |conn| halves::find(conn, id, generation)).await
    }

    async fn records(
        &self,
        keys: Vec<(ApiKeyId, [u8; 32])>,
        now_ms: u64,
    ) -> Result<Vec<(ApiKeyId, Vec<u8>)>, StoreError> {
        self.db
            .read(move |conn| {
                let mut found = Vec::new();
                for (id, digest) in &keys {
                    if let Some(record) = halves::record(conn, *id, digest, now_ms)? {
                        found.push((*id, record));
                    }
                }
                Ok(found)
            })
            .await
    }

    async fn destroy_halves(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
        // Most sweeps find nothing, and a look does not trouble the writer.
        if !self.db.read(move |conn| halves::are_over(conn, now_ms)).await? {
            return Ok(0);
        }
        let standings = self.standings.clone();
        self.db
            .write(move |tx| {
                let count = halves::destroy_over(tx, now_ms, limit)?;
                tx.after(move || standings.keys.forget_all());
                Ok(count)
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
                    halves::destroy_all(tx, id)?;
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

/// Revokes every key of an account that is neither revoked nor expired, with a line each; gives them.
pub(super) fn revoke_all(tx: &Tx<'_>, account: AccountId, at_ms: u64) -> Outcome<Vec<ApiKeyId>> {
    let mut statement = tx.conn.prepare_cached(
        "UPDATE api_keys SET revoked_at_ms = ?2
         WHERE account = ?1 AND revoked_at_ms IS NULL AND expires_at_ms > ?2 RETURNING id, generation",
    )?;
    let row = |r: &Row<'_>| Ok((ApiKeyId::from_bytes(r.get(0)?), r.get(1)?));
    let revoked = statement.query_map(params![account.as_bytes(), ordered(at_ms)], row)?;
    let mut revoked = revoked.collect::<rusqlite::Result<Vec<(ApiKeyId, u32)>>>()?;
    revoked.sort_unstable();
    for (id, generation) in &revoked {
        tx.log(&line_about(Kind::ApiKeyRevoke, account, *id, *generation, at_ms))?;
    }
    if !revoked.is_empty() {
        halves::destroy_of(tx, account)?;
    }
    Ok(revoked.into_iter().map(|(id, _)| id).collect())
}

/// Forgets the account's oldest keys that are over, but `keep`; gives them.
fn purge(tx: &Tx<'_>, created: &ApiKey, keep: u32) -> Outcome<Vec<ApiKeyId>> {
    let mut statement = tx.conn.prepare_cached(
        "SELECT id FROM api_keys WHERE account = ?1 AND (revoked_at_ms IS NOT NULL OR expires_at_ms <= ?2)
         ORDER BY created_at_ms DESC, id DESC LIMIT -1 OFFSET ?3",
    )?;
    let values = params![created.account.as_bytes(), ordered(created.created_at_ms), keep];
    let rows = statement.query_map(values, |r| r.get(0).map(ApiKeyId::from_bytes))?;
    let gone: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    for id in &gone {
        halves::destroy_all(tx, *id)?;
        tx.conn.prepare_cached("DELETE FROM api_keys WHERE id = ?1")?.execute([id.as_bytes()])?;
    }
    Ok(gone)
}

/// Whether a key of this id is there, or ever was: whoever saw a key must not meet another under its id.
fn was_given(conn: &Connection, id: ApiKeyId) -> Outcome<bool> {
    Ok(conn.prepare_cached("SELECT 1 FROM api_key_ids WHERE id = ?1")?.exists([id.as_bytes()])?)
}

fn insert(conn: &Connection, key: &ApiKey) -> Outcome<()> {
    conn.prepare_cached("INSERT INTO api_key_ids (id) VALUES (?1)")?.execute([key.id.as_bytes()])?;
    conn.prepare_cached(
        "INSERT INTO api_keys (id, account, name, actions, project, environments, networks, generation, verifier,
             created_at_ms, expires_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        key.id.as_bytes(),
        key.account.as_bytes(),
        key.name.as_str(),
        int(key.scope.actions.bits()),
        key.scope.project.map(|id| *id.as_bytes()),
        joined(&key.scope.environments),
        joined(&key.scope.networks),
        key.generation,
        key.verifier.0,
        ordered(key.created_at_ms),
        ordered(key.expires_at_ms),
    ])?;
    Ok(())
}

/// A key.
pub(crate) fn by_id(conn: &Connection, id: ApiKeyId) -> Outcome<Option<ApiKey>> {
    let mut statement = conn.prepare_cached(&format!("{SELECT} WHERE k.id = ?1"))?;
    Ok(statement.query_row([id.as_bytes()], row).maybe()?)
}

fn row(r: &Row<'_>) -> rusqlite::Result<ApiKey> {
    let actions = Actions::from_bits(u64_at(r, 3)?).ok_or_else(|| damaged(3, "an unknown action"))?;
    let overlap = match r.get::<_, Option<[u8; 32]>>(10)? {
        Some(verifier) => Some(Overlap {
            verifier: Verifier(verifier),
            expires_at_ms: u64_at(r, 11)?,
            until_ms: u64_at(r, 12)?,
            record: r.get(18)?,
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
        record: match r.get::<_, Option<Vec<u8>>>(7)? {
            Some(bytes) => Some(Record { bytes, digest: r.get(17)? }),
            None => None,
        },
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
