//! Rows of `logs`, `log_blocks` and `log_sequencer`. These are trusted: what they say of a log decides what it is.

use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};
use veilchain::hash::{EMPTY_ROOT, Hash};
use veilcloud_domain::audit::{
    model::{TRAIL_LEN, Trail},
    port::{LogState, SignedHead},
};

use super::{
    format::{Block, HASH_LEN},
    segments::{Placed, Position},
};
use crate::db::{
    fault::{Fault, Outcome},
    int, ordered, u64_at,
};

const BLOCK_COLUMNS: &str = "trail, first, count, segment, offset, entries_len";

/// The trail of a column; anything else is damage.
pub(crate) fn trail_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Trail> {
    let bytes: [u8; TRAIL_LEN] = row.get(column)?;
    Trail::from_bytes(&bytes).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, "no trail has these bytes".into())
    })
}

/// The hashes of a column, one behind the other; anything else is damage.
fn hashes_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Hash>> {
    let bytes: Vec<u8> = row.get(column)?;
    let (hashes, rest) = bytes.as_chunks::<HASH_LEN>();
    if rest.is_empty() {
        return Ok(hashes.to_vec());
    }
    let what = "no hashes have this length";
    Err(rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, what.into()))
}

/// Bytes of the trail after which a page begins; no trail is less than or equal to the empty bytes.
pub(crate) fn after_bytes(after: Option<Trail>) -> Vec<u8> {
    after.map_or(Vec::new(), |trail| trail.to_bytes().to_vec())
}

/// Newest epoch, and the end of what is committed.
pub(crate) fn sequencer(conn: &Connection) -> Outcome<(u64, Position)> {
    let row = |r: &Row<'_>| {
        let position = Position { segment: u64_at(r, 1)?, offset: u64_at(r, 2)?, frame: u64_at(r, 3)? };
        Ok((u64_at(r, 0)?, position))
    };
    let mut statement = conn.prepare_cached("SELECT epoch, segment, offset, frame FROM log_sequencer")?;
    Ok(statement.query_row([], row)?)
}

/// Raises the epoch and gives it.
pub(crate) fn raise_epoch(conn: &Connection) -> Outcome<u64> {
    let mut statement = conn.prepare_cached("UPDATE log_sequencer SET epoch = epoch + 1 RETURNING epoch")?;
    Ok(statement.query_row([], |r| u64_at(r, 0))?)
}

/// Moves the end of what is committed.
pub(crate) fn set_position(conn: &Connection, position: Position) -> Outcome<()> {
    conn.prepare_cached("UPDATE log_sequencer SET segment = ?1, offset = ?2, frame = ?3")?
        .execute(params![int(position.segment), int(position.offset), int(position.frame)])?;
    Ok(())
}

/// The lock row of a log.
pub(crate) fn state(conn: &Connection, log: Trail) -> Outcome<Option<LogState>> {
    let mut statement = conn.prepare_cached(
        "SELECT size, root, checkpoint, published, signed_at_ms, edge FROM logs WHERE trail = ?1",
    )?;
    let row = |r: &Row<'_>| {
        Ok(LogState {
            size: u64_at(r, 0)?,
            root: r.get(1)?,
            checkpoint: r.get::<_, Vec<u8>>(2)?.into(),
            published: r.get::<_, Option<Vec<u8>>>(3)?.map(Into::into),
            signed_at_ms: u64_at(r, 4)?,
            edge: hashes_at(r, 5)?,
        })
    };
    Ok(statement.query_row([log.to_bytes()], row).optional()?)
}

/// Size and root of a log; those of the empty tree when there is no row.
pub(crate) fn size_and_root(conn: &Connection, log: Trail) -> Outcome<(u64, Hash)> {
    let mut statement = conn.prepare_cached("SELECT size, root FROM logs WHERE trail = ?1")?;
    let row = |r: &Row<'_>| Ok((u64_at(r, 0)?, r.get(1)?));
    Ok(statement.query_row([log.to_bytes()], row).optional()?.unwrap_or((0, EMPTY_ROOT)))
}

/// Writes a lock row.
pub(crate) fn put_head(conn: &Connection, head: &SignedHead) -> Outcome<()> {
    let (published, published_size) =
        if head.publish { (Some(&head.checkpoint[..]), head.size) } else { (None, 0) };
    conn.prepare_cached(
        "INSERT INTO logs (trail, size, root, checkpoint, signed_at_ms, published, published_size, edge)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (trail) DO UPDATE SET size = ?2, root = ?3, checkpoint = ?4, signed_at_ms = ?5, edge = ?8,
             published = COALESCE(?6, published), published_size = MAX(?7, published_size)",
    )?
    .execute(params![
        head.log.to_bytes(),
        int(head.size),
        head.root,
        &head.checkpoint[..],
        int(head.signed_at_ms),
        published,
        int(published_size),
        head.edge.as_flattened(),
    ])?;
    Ok(())
}

/// Shows a checkpoint unless a larger one is shown; false when the log is smaller than that.
pub(crate) fn publish(conn: &Connection, log: Trail, size: u64, checkpoint: &[u8]) -> Outcome<bool> {
    if size_and_root(conn, log)?.0 < size || size == 0 {
        return Ok(false);
    }
    conn.prepare_cached(
        "UPDATE logs SET published = ?3, published_size = ?2 WHERE trail = ?1 AND published_size <= ?2",
    )?
    .execute(params![log.to_bytes(), int(size), checkpoint])?;
    Ok(true)
}

/// Logs in ascending order.
pub(crate) fn logs(conn: &Connection, after: Option<Trail>, limit: usize) -> Outcome<Vec<Trail>> {
    let mut statement =
        conn.prepare_cached("SELECT trail FROM logs WHERE trail > ?1 ORDER BY trail LIMIT ?2")?;
    let rows = statement.query_map(params![after_bytes(after), ordered(limit as u64)], |r| trail_at(r, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes where a block is.
pub(crate) fn insert_block(conn: &Connection, placed: &Placed) -> Outcome<()> {
    let block = &placed.block;
    conn.prepare_cached(&format!(
        "INSERT INTO log_blocks ({BLOCK_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    ))?
    .execute(params![
        block.trail.to_bytes(),
        int(block.first),
        block.count,
        int(placed.segment),
        int(placed.offset),
        block.entries_len,
    ])?;
    Ok(())
}

/// At most `limit` blocks of a log that begin at `first` or later, ascending.
pub(crate) fn blocks_from(conn: &Connection, log: Trail, first: u64, limit: usize) -> Outcome<Vec<Placed>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {BLOCK_COLUMNS} FROM log_blocks WHERE trail = ?1 AND first >= ?2 ORDER BY first LIMIT ?3"
    ))?;
    let rows = statement.query_map(params![log.to_bytes(), ordered(first), ordered(limit as u64)], placed)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The block that has a leaf.
pub(crate) fn block_of(conn: &Connection, log: Trail, leaf: u64) -> Outcome<Placed> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {BLOCK_COLUMNS} FROM log_blocks WHERE trail = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1"
    ))?;
    let found = statement.query_row(params![log.to_bytes(), ordered(leaf)], placed).optional()?;
    found.filter(|placed| leaf < placed.block.end()).ok_or_else(|| lacks(log, leaf))
}

/// The blocks that have the leaves `first .. end`, without a gap.
pub(crate) fn blocks_over(conn: &Connection, log: Trail, first: u64, end: u64) -> Outcome<Vec<Placed>> {
    let mut blocks = vec![block_of(conn, log, first)?];
    let mut next = blocks[0].block.end();
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {BLOCK_COLUMNS} FROM log_blocks WHERE trail = ?1 AND first >= ?2 AND first < ?3 ORDER BY first"
    ))?;
    let rows = statement.query_map(params![log.to_bytes(), ordered(next), ordered(end)], placed)?;
    for row in rows {
        let placed = row?;
        if placed.block.first != next {
            return Err(lacks(log, next));
        }
        next = placed.block.end();
        blocks.push(placed);
    }
    if next < end { Err(lacks(log, next)) } else { Ok(blocks) }
}

/// How many blocks there are.
pub(crate) fn block_count(conn: &Connection) -> Outcome<u64> {
    Ok(conn.query_row("SELECT COUNT(*) FROM log_blocks", [], |r| u64_at(r, 0))?)
}

fn lacks(log: Trail, leaf: u64) -> Fault {
    Fault::Damaged(format!("no block has leaf {leaf} of {log}"))
}

fn placed(row: &Row<'_>) -> rusqlite::Result<Placed> {
    let block = Block {
        trail: trail_at(row, 0)?,
        first: u64_at(row, 1)?,
        count: row.get(2)?,
        entries_len: row.get(5)?,
    };
    if !block.is_sound() {
        let what = format!("{} has no block at leaf {}", block.trail, block.first);
        return Err(rusqlite::Error::FromSqlConversionFailure(1, Type::Integer, what.into()));
    }
    Ok(Placed { block, segment: u64_at(row, 3)?, offset: u64_at(row, 4)? })
}
