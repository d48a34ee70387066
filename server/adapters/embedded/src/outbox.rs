//! The outbox: audit lines in their trails. Written only inside the transaction of the change that they tell, so there
//! is no change without its line and no line without its change. A line takes at most 300 bytes of the file.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use veilcloud_domain::{
    audit::{
        model::{Event, Line, OutboxKey, Trail},
        port::Outbox,
    },
    page::{Page, PageArgs},
    store::StoreError,
};

use crate::db::{
    Db,
    fault::{Fault, Outcome},
    int, ordered, u64_at,
};

/// Adds a line at the end of its trail.
pub(crate) fn append(conn: &Connection, key: &OutboxKey, line: &Line) -> Outcome<()> {
    let trail = line.trail.to_bytes();
    let index: u64 = conn
        .prepare_cached("SELECT COALESCE(MAX(idx) + 1, 0) FROM outbox WHERE trail = ?1")?
        .query_row([trail], |r| u64_at(r, 0))?;
    let entry = line.entry();
    let mac = key.mac(line.trail, index, &entry);
    conn.prepare_cached("INSERT INTO outbox (trail, idx, entry, mac) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![trail, int(index), entry, mac])?;
    Ok(())
}

/// Reads the outbox.
pub(crate) struct SqliteOutbox {
    pub db: Db,
    pub key: OutboxKey,
}

#[async_trait]
impl Outbox for SqliteOutbox {
    async fn events(&self, trail: Trail, page: PageArgs<u64>) -> Result<Page<Event, u64>, StoreError> {
        let key = self.key.clone();
        self.db
            .read(move |conn| {
                let first = page.after.map_or(0, |after| after.saturating_add(1));
                let mut statement = conn.prepare_cached(
                    "SELECT idx, entry, mac FROM outbox WHERE trail = ?1 AND idx >= ?2 ORDER BY idx LIMIT ?3",
                )?;
                let rows = statement.query_map(
                    params![trail.to_bytes(), ordered(first), ordered(page.size as u64 + 1)],
                    |r| Ok((u64_at(r, 0)?, r.get::<_, Vec<u8>>(1)?, r.get::<_, Vec<u8>>(2)?)),
                )?;
                let mut events = Vec::new();
                for (row, expected) in rows.zip(first..) {
                    let (index, entry, mac) = row?;
                    events.push(check(&key, trail, expected, index, &entry, &mac)?);
                }
                Ok(Page::cut(events, page.size, |event| event.index))
            })
            .await
    }
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
