//! Rows of `sessions` and `refresh_tokens`. A session that ended stays on record until well after its expiry, so that a
//! refresh token that comes again is recognised.

use rusqlite::{Connection, Row, params};
use veilcloud_domain::{
    audit::model::{Kind, Line, Trail},
    auth::model::{Ending, Rotation, Session},
};
use veilcore::id::{AccountId, SessionId};

use crate::db::{Maybe, Tx, fault::Outcome, int, u64_at};

/// How long an expired session stays on record: longer than any capability it was given.
const KEEP_EXPIRED_MS: u64 = 3_600_000;

/// What the gate asks about a session.
#[derive(Clone, Copy)]
pub(crate) struct SessionStanding {
    pub account: AccountId,
    pub live: bool,
    pub logged_in_at_ms: u64,
}

/// Forgets the account's sessions that are long expired when this one is opened; gives them.
pub(crate) fn purge(conn: &Connection, opened: &Session) -> Outcome<Vec<SessionId>> {
    let before = opened.logged_in_at_ms.saturating_sub(KEEP_EXPIRED_MS);
    ids(
        conn,
        "DELETE FROM sessions WHERE account = ?1 AND expires_at_ms BETWEEN 0 AND ?2 RETURNING id",
        params![opened.account.as_bytes(), int(before)],
    )
}

/// Ends the account's oldest live sessions but `keep`; gives them. Issued capabilities are counted apart.
pub(crate) fn end_oldest(conn: &Connection, account: AccountId, keep: u32) -> Outcome<Vec<SessionId>> {
    ids(
        conn,
        "UPDATE sessions SET live = 0 WHERE id IN (
             SELECT id FROM sessions WHERE account = ?1 AND live = 1
                 AND NOT EXISTS (SELECT 1 FROM capabilities WHERE capabilities.id = sessions.id)
             ORDER BY logged_in_at_ms DESC, id DESC LIMIT -1 OFFSET ?2)
         RETURNING id",
        params![account.as_bytes(), keep],
    )
}

/// False when the session that `ending` spares is not a live one of this account.
pub(crate) fn spares_live(conn: &Connection, account: AccountId, ending: Ending) -> Outcome<bool> {
    let Ending::AllBut(id) = ending else { return Ok(true) };
    Ok(standing(conn, id)?.is_some_and(|its| its.live && its.account == account))
}

/// Opens a session.
pub(crate) fn open(conn: &Connection, session: &Session) -> Outcome<()> {
    conn.prepare_cached(
        "INSERT INTO sessions (id, account, holder_pk, refresh_hash, logged_in_at_ms, expires_at_ms, live)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)",
    )?
    .execute(params![
        session.id.as_bytes(),
        session.account.as_bytes(),
        session.holder_pk,
        session.refresh_hash,
        int(session.logged_in_at_ms),
        int(session.expires_at_ms),
    ])?;
    add_token(conn, session.refresh_hash, session.id)
}

/// Trades a refresh token. The line's kind and time are the caller's; whose trail it belongs to is known only here.
pub(crate) fn rotate(
    tx: &Tx<'_>,
    old: [u8; 32],
    new: [u8; 32],
    now_ms: u64,
    line: Line,
) -> Outcome<Rotation> {
    let Some((mut session, live)) = by_token(tx.conn, old)? else { return Ok(Rotation::Unknown) };
    if !live || session.expires_at_ms <= now_ms {
        return Ok(Rotation::Unknown);
    }
    let line = Line { trail: Trail::Account(session.account), actor: session.account, ..line };
    if session.refresh_hash == new && old != new {
        return Ok(Rotation::Rotated(session));
    }
    if session.refresh_hash != old {
        tx.conn
            .prepare_cached("UPDATE sessions SET live = 0 WHERE id = ?1")?
            .execute([session.id.as_bytes()])?;
        tx.log(&Line { kind: Kind::SessionReuse, ..line })?;
        return Ok(Rotation::Reused { session: session.id, account: session.account });
    }
    if by_token(tx.conn, new)?.is_some() {
        return Ok(Rotation::Unknown);
    }
    tx.conn
        .prepare_cached("UPDATE sessions SET refresh_hash = ?2 WHERE id = ?1")?
        .execute(params![session.id.as_bytes(), new])?;
    add_token(tx.conn, new, session.id)?;
    tx.log(&line)?;
    session.refresh_hash = new;
    Ok(Rotation::Rotated(session))
}

/// The holder key of the session that has or had a token.
pub(crate) fn holder_of(conn: &Connection, hash: [u8; 32]) -> Outcome<Option<[u8; 32]>> {
    let mut statement = conn.prepare_cached(
        "SELECT s.holder_pk FROM refresh_tokens t JOIN sessions s ON s.id = t.session WHERE t.hash = ?1",
    )?;
    Ok(statement.query_row([hash], |r| r.get(0)).maybe()?)
}

/// How a session stands.
pub(crate) fn standing(conn: &Connection, id: SessionId) -> Outcome<Option<SessionStanding>> {
    let mut statement =
        conn.prepare_cached("SELECT account, live, logged_in_at_ms FROM sessions WHERE id = ?1")?;
    let row = |r: &Row<'_>| {
        Ok(SessionStanding {
            account: AccountId::from_bytes(r.get(0)?),
            live: r.get(1)?,
            logged_in_at_ms: u64_at(r, 2)?,
        })
    };
    Ok(statement.query_row([id.as_bytes()], row).maybe()?)
}

/// Ends sessions; gives the ones that were live.
pub(crate) fn end(conn: &Connection, account: AccountId, ending: Ending) -> Outcome<Vec<SessionId>> {
    let account = account.as_bytes();
    match ending {
        Ending::One(id) => ids(
            conn,
            "UPDATE sessions SET live = 0 WHERE id = ?1 AND account = ?2 AND live = 1 RETURNING id",
            params![id.as_bytes(), account],
        ),
        Ending::AllBut(id) => ids(
            conn,
            "UPDATE sessions SET live = 0 WHERE account = ?1 AND id <> ?2 AND live = 1 RETURNING id",
            params![account, id.as_bytes()],
        ),
        Ending::All => {
            conn.prepare_cached("UPDATE accounts SET revocation_epoch = revocation_epoch + 1 WHERE id = ?1")?
                .execute([account])?;
            ids(
                conn,
                "UPDATE sessions SET live = 0 WHERE account = ?1 AND live = 1 RETURNING id",
                params![account],
            )
        }
    }
}

/// All sessions of an account.
pub(crate) fn of(conn: &Connection, account: AccountId) -> Outcome<Vec<SessionId>> {
    ids(conn, "SELECT id FROM sessions WHERE account = ?1", params![account.as_bytes()])
}

fn ids(conn: &Connection, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Outcome<Vec<SessionId>> {
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(values, |r| r.get(0).map(SessionId::from_bytes))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn add_token(conn: &Connection, hash: [u8; 32], session: SessionId) -> Outcome<()> {
    conn.prepare_cached("INSERT INTO refresh_tokens (hash, session) VALUES (?1, ?2)")?
        .execute(params![hash, session.as_bytes()])?;
    Ok(())
}

fn by_token(conn: &Connection, hash: [u8; 32]) -> Outcome<Option<(Session, bool)>> {
    let mut statement = conn.prepare_cached(
        "SELECT s.id, s.account, s.holder_pk, s.refresh_hash, s.logged_in_at_ms, s.expires_at_ms, s.live
         FROM refresh_tokens t JOIN sessions s ON s.id = t.session WHERE t.hash = ?1",
    )?;
    let row = |r: &Row<'_>| {
        let session = Session {
            id: SessionId::from_bytes(r.get(0)?),
            account: AccountId::from_bytes(r.get(1)?),
            holder_pk: r.get(2)?,
            refresh_hash: r.get(3)?,
            logged_in_at_ms: u64_at(r, 4)?,
            expires_at_ms: u64_at(r, 5)?,
        };
        Ok((session, r.get(6)?))
    };
    Ok(statement.query_row([hash], row).maybe()?)
}
