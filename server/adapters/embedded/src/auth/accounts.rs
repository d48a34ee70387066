//! Rows of `accounts`.

use rusqlite::{Connection, Row, params};
use veilcloud_domain::auth::model::{Account, Email, NewCredentials, Tier};
use veilcore::{hash::sha256, id::AccountId};

use crate::{
    db::{Maybe, fault::Outcome, int, text_at, u64_at},
    storage::usage,
};

const COLUMNS: &str =
    "id, email, display_name, tier, record, bundle, password_wrap, recovery_wrap, revocation_epoch,
    quota_bytes, created_at_ms, key_index";

/// What the gate asks about an account.
#[derive(Clone, Copy)]
pub(crate) struct AccountStanding {
    pub revocation_epoch: u32,
    pub tier: Tier,
}

/// Inserts an account and its usage row; false when its e-mail or id is taken.
pub(crate) fn insert(conn: &Connection, account: &Account) -> Outcome<bool> {
    let rows = conn
        .prepare_cached(&format!(
            "INSERT INTO accounts ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, NULL)
             ON CONFLICT DO NOTHING"
        ))?
        .execute(params![
            account.id.as_bytes(),
            account.email.as_str(),
            account.display_name,
            account.tier.as_str(),
            account.record,
            account.bundle,
            account.password_wrap,
            account.recovery_wrap,
            account.revocation_epoch,
            int(account.quota_bytes),
            int(account.created_at_ms),
        ])?;
    if rows == 1 {
        usage::open(conn, account.id)?;
    }
    Ok(rows == 1)
}

/// The account with an e-mail.
pub(crate) fn by_email(conn: &Connection, email: &Email) -> Outcome<Option<Account>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE email = ?1"))?;
    Ok(statement.query_row([email.as_str()], account).maybe()?)
}

/// The account with an id.
pub(crate) fn by_id(conn: &Connection, id: AccountId) -> Outcome<Option<Account>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE id = ?1"))?;
    Ok(statement.query_row([id.as_bytes()], account).maybe()?)
}

/// Revocation epoch and tier.
pub(crate) fn standing(conn: &Connection, id: AccountId) -> Outcome<Option<AccountStanding>> {
    let mut statement = conn.prepare_cached("SELECT revocation_epoch, tier FROM accounts WHERE id = ?1")?;
    let row = |r: &Row<'_>| Ok(AccountStanding { revocation_epoch: r.get(0)?, tier: text_at(r, 1)? });
    Ok(statement.query_row([id.as_bytes()], row).maybe()?)
}

/// True when there is such an account and its record has this SHA-256.
pub(crate) fn has_record(conn: &Connection, id: AccountId, record_hash: [u8; 32]) -> Outcome<bool> {
    let mut statement = conn.prepare_cached("SELECT record FROM accounts WHERE id = ?1")?;
    let record = statement.query_row([id.as_bytes()], |r| r.get::<_, Vec<u8>>(0)).maybe()?;
    Ok(record.is_some_and(|record| sha256(&record) == record_hash))
}

/// Changes the display name; false when there is no such account.
pub(crate) fn rename(conn: &Connection, id: AccountId, display_name: &str) -> Outcome<bool> {
    let mut statement = conn.prepare_cached("UPDATE accounts SET display_name = ?2 WHERE id = ?1")?;
    Ok(statement.execute(params![id.as_bytes(), display_name])? == 1)
}

/// Replaces record and wraps.
pub(crate) fn replace_credentials(conn: &Connection, id: AccountId, new: &NewCredentials) -> Outcome<()> {
    conn.prepare_cached("UPDATE accounts SET record = ?2, password_wrap = ?3 WHERE id = ?1")?
        .execute(params![id.as_bytes(), new.record, new.password_wrap])?;
    if let Some(recovery) = &new.recovery {
        conn.prepare_cached("UPDATE accounts SET bundle = ?2, recovery_wrap = ?3 WHERE id = ?1")?
            .execute(params![id.as_bytes(), recovery.bundle, recovery.wrap])?;
    }
    Ok(())
}

/// Notes the directory's newest leaf about an account's keys, when there is a new one.
pub(crate) fn set_key_index(conn: &Connection, id: AccountId, leaf: Option<u64>) -> Outcome<()> {
    if let Some(leaf) = leaf {
        conn.prepare_cached("UPDATE accounts SET key_index = ?2 WHERE id = ?1")?
            .execute(params![id.as_bytes(), int(leaf)])?;
    }
    Ok(())
}

/// Deletes an account. Sessions, projects and all in them, and its places in teams, go by foreign key; what the account reserved in projects of
/// others is given back first. Its audit lines stay.
pub(crate) fn delete(conn: &Connection, id: AccountId) -> Outcome<bool> {
    usage::release_uploads_by(conn, id)?;
    conn.prepare_cached("DELETE FROM replies WHERE account = ?1")?.execute([id.as_bytes()])?;
    Ok(conn.prepare_cached("DELETE FROM accounts WHERE id = ?1")?.execute([id.as_bytes()])? == 1)
}

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: AccountId::from_bytes(row.get(0)?),
        email: text_at::<Email>(row, 1)?,
        display_name: row.get(2)?,
        tier: text_at(row, 3)?,
        record: row.get(4)?,
        bundle: row.get(5)?,
        password_wrap: row.get(6)?,
        recovery_wrap: row.get(7)?,
        revocation_epoch: row.get(8)?,
        quota_bytes: u64_at(row, 9)?,
        created_at_ms: u64_at(row, 10)?,
        key_index: row.get::<_, Option<i64>>(11)?.map(i64::cast_unsigned),
    })
}
