//! Rows of `versions`.

use rusqlite::{Connection, Row, params};
use veilcloud_domain::{
    page::{Page, PageArgs},
    storage::model::{Digest, Version},
};
use veilcore::id::{AccountId, EnvironmentId};

use crate::db::{Maybe, fault::Outcome, int, ordered, u64_at};

/// The columns that [`version`] reads, of a table named `v`, first in their statement.
pub(crate) const COLUMNS: &str =
    "v.environment, v.number, v.digest, v.len, v.seal, v.epoch, v.author, v.created_at_ms, v.deleted,
    v.log_index";
/// How many they are.
pub(crate) const COLUMN_COUNT: usize = 10;
/// Which of them is the number; null when a join found no version.
pub(crate) const NUMBER: usize = 1;

/// A version from a row that begins with [`COLUMNS`].
pub(crate) fn version(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version {
        environment: EnvironmentId::from_bytes(row.get(0)?),
        number: u64_at(row, NUMBER)?,
        digest: Digest(row.get(2)?),
        len: u64_at(row, 3)?,
        seal: row.get(4)?,
        epoch: row.get(5)?,
        author: AccountId::from_bytes(row.get(6)?),
        created_at_ms: u64_at(row, 7)?,
        deleted: row.get(8)?,
        log_index: row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned),
    })
}

/// Inserts a version whose audit line is this leaf of its project's log.
pub(crate) fn insert(conn: &Connection, version: &Version, log_index: u64) -> Outcome<()> {
    conn.prepare_cached(
        "INSERT INTO versions (environment, number, digest, len, seal, epoch, author, created_at_ms, deleted, log_index)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        version.environment.as_bytes(),
        int(version.number),
        version.digest.0,
        int(version.len),
        version.seal,
        version.epoch,
        version.author.as_bytes(),
        int(version.created_at_ms),
        version.deleted,
        int(log_index),
    ])?;
    Ok(())
}

/// The current version.
pub(crate) fn head(conn: &Connection, environment: EnvironmentId) -> Outcome<Option<Version>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM environments e JOIN versions v ON v.environment = e.id AND v.number = e.head
         WHERE e.id = ?1"
    ))?;
    Ok(statement.query_row([environment.as_bytes()], version).maybe()?)
}

/// A version by number.
pub(crate) fn by_number(
    conn: &Connection,
    environment: EnvironmentId,
    number: u64,
) -> Outcome<Option<Version>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM versions v WHERE v.environment = ?1 AND v.number = ?2"
    ))?;
    Ok(statement.query_row(params![environment.as_bytes(), int(number)], version).maybe()?)
}

/// Versions, newest first.
pub(crate) fn page(
    conn: &Connection,
    environment: EnvironmentId,
    page: &PageArgs<u64>,
) -> Outcome<Page<Version, u64>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM versions v WHERE v.environment = ?1 AND v.number < ?2
         ORDER BY v.number DESC LIMIT ?3"
    ))?;
    let before = ordered(page.after.unwrap_or(u64::MAX));
    let rows = statement
        .query_map(params![environment.as_bytes(), before, ordered(page.size as u64 + 1)], version)?;
    let items = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Page::cut(items, page.size, |version: &Version| version.number))
}

/// Marks every undeleted version deleted; gives the bytes that they held.
pub(crate) fn delete_all(conn: &Connection, environment: EnvironmentId) -> Outcome<u64> {
    let mut statement = conn.prepare_cached(
        "UPDATE versions SET deleted = 1 WHERE environment = ?1 AND deleted = 0 RETURNING len",
    )?;
    let rows = statement.query_map([environment.as_bytes()], |r| u64_at(r, 0))?;
    let lens = rows.collect::<rusqlite::Result<Vec<u64>>>()?;
    Ok(lens.iter().sum())
}
