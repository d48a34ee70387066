//! The outbox: audit lines that no log has taken yet. Written only inside the transaction of the change that they tell,
//! so there is no change without its line and no line without its change; removed only in the transaction in which their
//! log takes them. What must never happen: two lines with one index in a trail, or a gap between the log and its lines.
//! A line takes at most 300 bytes of the file.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use veilcloud_domain::{
    audit::{
        model::{Event, Line, OutboxKey, Trail},
        port::Outbox,
    },
    store::StoreError,
};

use crate::{
    db::{
        Db, Maybe,
        fault::{Fault, Outcome},
        int, ordered, u64_at,
    },
    log::rows::trail_at,
};

/// Adds a line at the end of its trail and gives its index: behind the last line that waits, or, when none does, behind
/// the log. It becomes the line's leaf.
pub(crate) fn append(conn: &Connection, key: &OutboxKey, line: &Line) -> Outcome<u64> {
    let trail = line.trail.to_bytes();
    let index: u64 = conn
        .prepare_cached(
            "SELECT COALESCE((SELECT MAX(idx) + 1 FROM outbox WHERE trail = ?1),
                             (SELECT size FROM logs WHERE trail = ?1), 0)",
        )?
        .query_row([trail], |r| u64_at(r, 0))?;
    let entry = line.entry();
    let mac = key.mac(line.trail, index, &entry);
    conn.prepare_cached("INSERT INTO outbox (trail, idx, entry, mac) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![trail, int(index), entry, mac])?;
    Ok(index)
}

/// Removes the lines that the log has now.
pub(crate) fn taken(conn: &Connection, trail: Trail, size: u64) -> Outcome<()> {
    conn.prepare_cached("DELETE FROM outbox WHERE trail = ?1 AND idx < ?2")?
        .execute(params![trail.to_bytes(), ordered(size)])?;
    Ok(())
}

/// The outbox.
pub(crate) struct SqliteOutbox {
    pub db: Db,
    pub key: OutboxKey,
}

#[async_trait]
impl Outbox for SqliteOutbox {
    async fn record(&self, line: Line) -> Result<u64, StoreError> {
        self.db.write(move |tx| tx.log(&line)).await
    }

    async fn pending(&self, trail: Trail, first: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let key = self.key.clone();
        self.db.read(move |conn| pending(conn, &key, trail, first, limit)).await
    }

    async fn waiting(&self, after: Option<Trail>, limit: usize) -> Result<Vec<Trail>, StoreError> {
        self.db.read(move |conn| waiting(conn, after, limit)).await
    }
}

fn pending(
    conn: &Connection,
    key: &OutboxKey,
    trail: Trail,
    first: u64,
    limit: usize,
) -> Outcome<Vec<Event>> {
    let mut statement = conn.prepare_cached(
        "SELECT idx, entry, mac FROM outbox WHERE trail = ?1 AND idx >= ?2 ORDER BY idx LIMIT ?3",
    )?;
    let mut rows = statement.query(params![trail.to_bytes(), ordered(first), ordered(limit as u64)])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let expected = first.saturating_add(events.len() as u64);
        let (entry, mac): (Vec<u8>, Vec<u8>) = (row.get(1)?, row.get(2)?);
        events.push(check(key, trail, expected, u64_at(row, 0)?, &entry, &mac)?);
    }
    Ok(events)
}

/// One step through the index for each trail, however many lines each has.
fn waiting(conn: &Connection, after: Option<Trail>, limit: usize) -> Outcome<Vec<Trail>> {
    let mut statement =
        conn.prepare_cached("SELECT trail FROM outbox WHERE trail > ?1 ORDER BY trail LIMIT 1")?;
    let mut found = Vec::new();
    // No trail is less than or equal to the empty bytes.
    let mut last = after.map_or(Vec::new(), |trail| trail.to_bytes().to_vec());
    while found.len() < limit {
        let Some(trail) = statement.query_row([&last], |row| trail_at(row, 0)).maybe()? else { break };
        last = trail.to_bytes().to_vec();
        found.push(trail);
    }
    Ok(found)
}

/// A row that was edited, moved, or stands after a gap is damage: nothing of it is shown.
fn check(
    key: &OutboxKey,
    trail: Trail,
    expected: u64,
    index: u64,
    entry: &[u8],
    mac: &[u8],
) -> Outcome<Event> {
    if index != expected {
        return Err(Fault::Damaged(format!("an audit trail lacks line {expected}")));
    }
    if !key.verify(trail, index, entry, mac) {
        return Err(Fault::Damaged(format!("line {index} of an audit trail does not carry its MAC")));
    }
    let line = Line::parse(trail, entry)
        .map_err(|error| Fault::Damaged(format!("line {index} of an audit trail: {error}")))?;
    Ok(Event { index, line })
}
