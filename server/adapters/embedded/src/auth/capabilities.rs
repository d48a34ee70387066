//! Rows of `capabilities`, each beside its row of `sessions`.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params, types::Type};
use veilcloud_domain::{
    audit::model::Line,
    auth::{
        capabilities::{
            model::{Issued, grants_from_text, grants_to_text},
            port::{CapabilityStore, Issuing},
        },
        model::Ending,
    },
    page::{Page, PageArgs},
    store::StoreError,
};
use veilcore::id::{AccountId, KeyId, SessionId};

use super::{directory::Standings, sessions};
use crate::db::{Db, fault::Outcome, int, ordered, text_at, u64_at};

/// A refresh hash that no token has: there is no row of `refresh_tokens` for it.
const NO_TOKEN: [u8; 32] = [0; 32];

/// Issued capabilities in the database.
pub(crate) struct SqliteCapabilities {
    pub db: Db,
    pub standings: Arc<Standings>,
}

#[async_trait]
impl CapabilityStore for SqliteCapabilities {
    async fn issue(
        &self,
        issued: Issued,
        by: SessionId,
        limit: u32,
        line: Line,
    ) -> Result<Issuing, StoreError> {
        let standings = self.standings.clone();
        self.db
            .write(move |tx| {
                let asks = sessions::standing(tx.conn, by)?;
                if !asks.is_some_and(|its| its.live && its.account == issued.account) {
                    return Ok(Issuing::Gone);
                }
                if live(tx.conn, &issued)? >= limit {
                    return Ok(Issuing::Limit);
                }
                insert(tx.conn, &issued)?;
                tx.log(&line)?;
                tx.after(move || standings.sessions.forget(&issued.id));
                Ok(Issuing::Done)
            })
            .await
    }

    async fn issued(
        &self,
        account: AccountId,
        page: PageArgs<SessionId>,
    ) -> Result<Page<Issued, SessionId>, StoreError> {
        self.db
            .read(move |conn| {
                let after = page.after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
                let limit = i64::try_from(page.size).unwrap_or(i64::MAX).saturating_add(1);
                let mut statement = conn.prepare_cached(
                    "SELECT c.id, c.account, c.name, s.holder_pk, c.grants, c.kid, c.issued_at_ms, s.expires_at_ms, s.live
                     FROM capabilities c JOIN sessions s ON s.id = c.id
                     WHERE c.account = ?1 AND c.id > ?2 ORDER BY c.id LIMIT ?3",
                )?;
                let rows = statement.query_map(params![account.as_bytes(), after, limit], row)?;
                Ok(Page::cut(rows.collect::<rusqlite::Result<_>>()?, page.size, |issued: &Issued| issued.id))
            })
            .await
    }

    async fn revoke(&self, account: AccountId, id: SessionId, line: Line) -> Result<bool, StoreError> {
        let standings = self.standings.clone();
        self.db
            .write(move |tx| {
                let is_one = tx
                    .conn
                    .prepare_cached("SELECT 1 FROM capabilities WHERE id = ?1 AND account = ?2")?
                    .exists(params![id.as_bytes(), account.as_bytes()])?;
                if !is_one {
                    return Ok(false);
                }
                let ended = sessions::end(tx.conn, account, Ending::One(id))?;
                if ended.is_empty() {
                    return Ok(false);
                }
                tx.log(&line)?;
                tx.after(move || standings.forget(account, &ended));
                Ok(true)
            })
            .await
    }
}

/// How many of the account's are live when this one is issued.
fn live(conn: &Connection, issued: &Issued) -> Outcome<u32> {
    let mut statement = conn.prepare_cached(
        "SELECT COUNT(*) FROM capabilities c JOIN sessions s ON s.id = c.id
         WHERE c.account = ?1 AND s.live = 1 AND s.expires_at_ms > ?2",
    )?;
    let values = params![issued.account.as_bytes(), ordered(issued.issued_at_ms)];
    Ok(statement.query_row(values, |r| r.get(0))?)
}

fn insert(conn: &Connection, issued: &Issued) -> Outcome<()> {
    conn.prepare_cached(
        "INSERT INTO sessions (id, account, holder_pk, refresh_hash, logged_in_at_ms, expires_at_ms, live)
         VALUES (?1, ?2, ?3, ?4, 0, ?5, 1)",
    )?
    .execute(params![
        issued.id.as_bytes(),
        issued.account.as_bytes(),
        issued.holder_pk,
        NO_TOKEN,
        ordered(issued.expires_at_ms),
    ])?;
    conn.prepare_cached(
        "INSERT INTO capabilities (id, account, name, grants, kid, issued_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        issued.id.as_bytes(),
        issued.account.as_bytes(),
        issued.name.as_str(),
        grants_to_text(&issued.grants),
        issued.kid.as_bytes(),
        int(issued.issued_at_ms),
    ])?;
    Ok(())
}

fn row(r: &Row<'_>) -> rusqlite::Result<Issued> {
    let grants: String = r.get(4)?;
    let damaged = || rusqlite::Error::FromSqlConversionFailure(4, Type::Text, "no list of grants".into());
    Ok(Issued {
        id: SessionId::from_bytes(r.get(0)?),
        account: AccountId::from_bytes(r.get(1)?),
        name: text_at(r, 2)?,
        holder_pk: r.get(3)?,
        grants: grants_from_text(&grants).ok_or_else(damaged)?,
        kid: KeyId::from_bytes(r.get(5)?),
        issued_at_ms: u64_at(r, 6)?,
        expires_at_ms: u64_at(r, 7)?,
        is_revoked: !r.get::<_, bool>(8)?,
    })
}
