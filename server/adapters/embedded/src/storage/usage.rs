//! Rows of `usage`: what an account's projects hold, changed in the same transaction as what they hold, so that a quota
//! is one row to read whatever the account stores.

use rusqlite::{Connection, params};
use veilcore::id::{AccountId, EnvironmentId, ProjectId};

use crate::db::{Maybe, fault::Outcome, int, u64_at};

/// An owner's quota and use.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub quota_bytes: u64,
    pub used_bytes: u64,
}

impl Usage {
    /// True when `len` more bytes fit, `reserved` of the used ones being theirs already.
    pub fn has_room(&self, len: u64, reserved: u64) -> bool {
        self.used_bytes.saturating_sub(reserved).saturating_add(len) <= self.quota_bytes
    }
}

/// Opens the row of a new account.
pub(crate) fn open(conn: &Connection, account: AccountId) -> Outcome<()> {
    conn.prepare_cached("INSERT INTO usage (account, bytes) VALUES (?1, 0)")?
        .execute([account.as_bytes()])?;
    Ok(())
}

/// Quota and use of an account.
pub(crate) fn of(conn: &Connection, account: AccountId) -> Outcome<Option<Usage>> {
    let mut statement = conn.prepare_cached(
        "SELECT a.quota_bytes, u.bytes FROM accounts a JOIN usage u ON u.account = a.id WHERE a.id = ?1",
    )?;
    let row = |r: &rusqlite::Row<'_>| Ok(Usage { quota_bytes: u64_at(r, 0)?, used_bytes: u64_at(r, 1)? });
    Ok(statement.query_row([account.as_bytes()], row).maybe()?)
}

/// Adds bytes.
pub(crate) fn add(conn: &Connection, account: AccountId, bytes: u64) -> Outcome<()> {
    conn.prepare_cached("UPDATE usage SET bytes = bytes + ?2 WHERE account = ?1")?
        .execute(params![account.as_bytes(), int(bytes)])?;
    Ok(())
}

/// Takes bytes away.
pub(crate) fn subtract(conn: &Connection, account: AccountId, bytes: u64) -> Outcome<()> {
    conn.prepare_cached("UPDATE usage SET bytes = bytes - ?2 WHERE account = ?1")?
        .execute(params![account.as_bytes(), int(bytes)])?;
    Ok(())
}

/// The owner of an environment's project.
pub(crate) fn owner_of(conn: &Connection, environment: EnvironmentId) -> Outcome<Option<AccountId>> {
    let mut statement = conn.prepare_cached(
        "SELECT p.owner FROM environments e JOIN projects p ON p.id = e.project WHERE e.id = ?1",
    )?;
    Ok(statement.query_row([environment.as_bytes()], |r| r.get(0).map(AccountId::from_bytes)).maybe()?)
}

/// Gives back what an environment holds, before it is deleted.
pub(crate) fn release_environment(conn: &Connection, id: EnvironmentId) -> Outcome<()> {
    let Some(owner) = owner_of(conn, id)? else { return Ok(()) };
    let bytes = conn
        .prepare_cached(
            "SELECT (SELECT COALESCE(SUM(len), 0) FROM versions WHERE environment = ?1 AND deleted = 0)
                  + (SELECT COALESCE(SUM(len), 0) FROM uploads WHERE environment = ?1)",
        )?
        .query_row([id.as_bytes()], |r| u64_at(r, 0))?;
    subtract(conn, owner, bytes)
}

/// Gives back what a project holds, before it is deleted.
pub(crate) fn release_project(conn: &Connection, id: ProjectId) -> Outcome<()> {
    let mut statement = conn.prepare_cached("SELECT id FROM environments WHERE project = ?1")?;
    let rows = statement.query_map([id.as_bytes()], |r| r.get(0).map(EnvironmentId::from_bytes))?;
    for environment in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        release_environment(conn, environment)?;
    }
    Ok(())
}

/// Gives back what an account's unfinished uploads reserve, wherever they lead, and deletes them.
pub(crate) fn release_uploads_by(conn: &Connection, account: AccountId) -> Outcome<()> {
    let mut statement =
        conn.prepare_cached("DELETE FROM uploads WHERE account = ?1 RETURNING environment, len")?;
    let rows = statement
        .query_map([account.as_bytes()], |r| Ok((r.get(0).map(EnvironmentId::from_bytes)?, u64_at(r, 1)?)))?;
    for (environment, len) in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        if let Some(owner) = owner_of(conn, environment)? {
            subtract(conn, owner, len)?;
        }
    }
    Ok(())
}
