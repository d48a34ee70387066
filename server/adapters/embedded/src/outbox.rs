//! The outbox: audit lines that no log has taken yet. Written only inside the transaction of the change that they tell,
//! so there is no change without its line and no line without its change; removed only in the transaction in which their
//! log takes them. What must never happen: two lines with one index in a trail, or a gap between the log and its lines.
//!
//! A row holds one line, or up to [`PACK_MAX`] that were recorded together, with one MAC. A row whose first lines the log
//! has stays until the log has all of them. A line takes at most 300 bytes of the file.

pub(crate) mod pack;
mod recent;
mod record;

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use veilcloud_domain::{
    audit::{
        model::{Event, Line, OutboxKey, Trail},
        port::{Outbox, RECORD_MAX},
    },
    store::StoreError,
};

use self::{pack::PACK_MAX, recent::Recent, record::Recorder};
use crate::{
    db::{
        Db, Maybe,
        fault::{Fault, Outcome},
        int, ordered, u64_at,
    },
    log::rows::trail_at,
};

/// What belongs to the outbox beside its rows.
pub(crate) struct Outgoing {
    /// Key of the MACs.
    pub key: OutboxKey,
    /// Committed lines in memory.
    pub recent: Recent,
}

impl Outgoing {
    /// Nothing in memory yet.
    pub fn new(key: OutboxKey) -> Self {
        Self { key, recent: Recent::default() }
    }
}

/// The index of a trail's next line: behind the last line that waits, or, when none does, behind the log.
pub(crate) fn next_index(conn: &Connection, trail: Trail) -> Outcome<u64> {
    let mut statement = conn.prepare_cached(
        "SELECT COALESCE((SELECT idx + count FROM outbox WHERE trail = ?1 ORDER BY idx DESC LIMIT 1),
                         (SELECT size FROM logs WHERE trail = ?1), 0)",
    )?;
    Ok(statement.query_row([trail.to_bytes()], |r| u64_at(r, 0))?)
}

/// Adds a line at the end of its trail and gives its index. It becomes the line's leaf.
pub(crate) fn append(conn: &Connection, key: &OutboxKey, line: &Line) -> Outcome<u64> {
    let index = next_index(conn, line.trail)?;
    let entry = line.entry();
    let mac = key.mac(line.trail, index, &entry);
    insert(conn, line.trail, index, 1, &entry, &mac)?;
    Ok(index)
}

/// Writes a row.
fn insert(
    conn: &Connection,
    trail: Trail,
    index: u64,
    count: usize,
    entry: &[u8],
    mac: &[u8; 32],
) -> Outcome<()> {
    conn.prepare_cached("INSERT INTO outbox (trail, idx, count, entry, mac) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![trail.to_bytes(), int(index), ordered(count as u64), entry, mac])?;
    Ok(())
}

/// Removes the rows whose lines the log has now.
pub(crate) fn taken(conn: &Connection, trail: Trail, size: u64) -> Outcome<()> {
    conn.prepare_cached("DELETE FROM outbox WHERE trail = ?1 AND idx < ?2 AND idx + count <= ?2")?
        .execute(params![trail.to_bytes(), ordered(size)])?;
    Ok(())
}

/// The outbox.
pub(crate) struct SqliteOutbox {
    db: Db,
    outgoing: Arc<Outgoing>,
    recorder: Recorder,
}

impl SqliteOutbox {
    /// The outbox over the writer's rows.
    pub fn new(db: Db, outgoing: Arc<Outgoing>) -> Self {
        Self { recorder: Recorder::new(db.writer.clone()), db, outgoing }
    }
}

#[async_trait]
impl Outbox for SqliteOutbox {
    async fn record(&self, line: Line) -> Result<u64, StoreError> {
        let indexes = self.recorder.record(vec![line]).await?;
        indexes.first().copied().ok_or_else(|| Fault::Damaged("a line got no index".to_owned()).into())
    }

    async fn record_all(&self, lines: Vec<Line>) -> Result<Vec<u64>, StoreError> {
        match lines.len() {
            0 => Ok(Vec::new()),
            1..=RECORD_MAX => self.recorder.record(lines).await,
            _ => Err(Fault::Unavailable("more lines at once than are taken").into()),
        }
    }

    async fn pending(&self, trail: Trail, first: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        if let Some(events) = self.outgoing.recent.from(trail, first, limit) {
            return Ok(events);
        }
        let outgoing = self.outgoing.clone();
        self.db.read(move |conn| pending(conn, &outgoing.key, trail, first, limit)).await
    }

    async fn waiting(&self, after: Option<Trail>, limit: usize) -> Result<Vec<Trail>, StoreError> {
        self.db.read(move |conn| waiting(conn, after, limit)).await
    }
}

/// Lines from `first` on, each row with its MAC checked. The first row may begin before.
fn pending(
    conn: &Connection,
    key: &OutboxKey,
    trail: Trail,
    first: u64,
    limit: usize,
) -> Outcome<Vec<Event>> {
    let mut statement = conn.prepare_cached(
        "SELECT idx, count, entry, mac FROM outbox WHERE trail = ?1 AND idx > ?2 AND idx + count > ?3
         ORDER BY idx LIMIT ?4",
    )?;
    // No row reaches further than its lines.
    let reach = ordered(first).saturating_sub_unsigned(PACK_MAX as u64);
    let mut rows =
        statement.query(params![trail.to_bytes(), reach, ordered(first), ordered(limit as u64)])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()?
        && events.len() < limit
    {
        let expected = first.saturating_add(events.len() as u64);
        let (index, count) = (u64_at(row, 0)?, row.get(1)?);
        let (entry, mac): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
        // Only the first row may begin before what is asked for, and only with lines that the log has.
        if index > expected || (index < expected && !events.is_empty()) {
            return Err(Fault::Damaged(format!("an audit trail lacks line {expected}")));
        }
        if !key.verify(trail, index, &entry, &mac) {
            return Err(Fault::Damaged(format!("line {index} of an audit trail does not carry its MAC")));
        }
        let lines = (index..).zip(pack::lines(trail, index, count, &entry)?);
        let wanted = lines.skip_while(|(index, _)| *index < expected).take(limit - events.len());
        events.extend(wanted.map(|(index, line)| Event { index, line }));
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

#[cfg(test)]
mod tests;
