//! Entries and hashes, put together from blocks. Every byte given out had its checksum compared; whether the log signed
//! it is for the reader to check against a root.

use bytes::Bytes;
use rusqlite::Connection;
use veilchain::{
    bundle,
    hash::Hash,
    tile::{TILE_HEIGHT, TILE_WIDTH, level_len, parse_hashes},
};
use veilcloud_domain::{audit::model::Trail, store::StoreError};

use super::{
    batch::LEVELS,
    damaged,
    format::{HASH_LEN, Part},
    rows,
    segments::{Placed, Segments},
};
use crate::db::fault::{Fault, Outcome};

/// What is asked for: some of a level, or of the entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub log: Trail,
    /// Level of hashes; entries lie like level 0.
    pub level: u8,
    pub first: u64,
    pub count: u16,
}

impl Range {
    fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }

    /// Refuses what the log does not have.
    fn check(&self, size: u64) -> Outcome<()> {
        if self.count <= TILE_WIDTH && self.level < LEVELS && self.end() <= level_len(self.level, size) {
            return Ok(());
        }
        Err(Fault::Damaged(format!(
            "{} of size {size} has no {} hashes or entries at level {} from {} on",
            self.log, self.count, self.level, self.first
        )))
    }
}

/// The blocks that have what is asked for.
pub(crate) fn blocks(conn: &Connection, range: Range) -> Outcome<Vec<Placed>> {
    range.check(rows::size_and_root(conn, range.log)?.0)?;
    if range.count == 0 {
        return Ok(Vec::new());
    }
    if range.level == 0 {
        return rows::blocks_over(conn, range.log, range.first, range.end());
    }
    let shift = u32::from(range.level) * u32::from(TILE_HEIGHT);
    (range.first..range.end())
        .map(|index| {
            // A hash is in the block whose last leaf completes it.
            let end = (index + 1) << shift;
            let placed = rows::block_of(conn, range.log, end - 1)?;
            if placed.block.end() == end {
                return Ok(placed);
            }
            Err(Fault::Damaged(format!("a block of {} goes beyond leaf {end}", range.log)))
        })
        .collect()
}

/// Entries from their blocks. Blocks.
pub(crate) fn entries(
    segments: &Segments,
    range: Range,
    blocks: &[Placed],
) -> Result<Vec<Bytes>, StoreError> {
    let mut found = Vec::with_capacity(usize::from(range.count));
    for placed in blocks {
        let bytes = Bytes::from(segments.part(placed, Part::Entries)?);
        let all = bundle::entries(&bytes, placed.block.count).map_err(|error| {
            let (at, _) = placed.block.part(Part::Entries);
            damaged(format!(
                "the entries in {} from byte {} on: {error}",
                segments.path(placed.segment).display(),
                placed.offset.saturating_add(at)
            ))
        })?;
        found.extend(all[within(&range, placed)].iter().map(|entry| bytes.slice_ref(entry)));
    }
    Ok(found)
}

/// Hashes from their blocks. Blocks.
pub(crate) fn hashes(segments: &Segments, range: Range, blocks: &[Placed]) -> Result<Vec<Hash>, StoreError> {
    let mut found = Vec::with_capacity(usize::from(range.count));
    for placed in blocks {
        if range.level == 0 {
            let bytes = segments.part(placed, Part::Leaves)?;
            let all = parse_hashes(&bytes, placed.block.count).map_err(|error| damaged(error.to_string()))?;
            found.extend_from_slice(&all[within(&range, placed)]);
        } else {
            let bytes = segments.part(placed, Part::Upper)?;
            let hash = bytes.chunks_exact(HASH_LEN).nth(usize::from(range.level - 1));
            let hash = hash.and_then(|hash| Hash::try_from(hash).ok());
            found.push(hash.ok_or_else(|| damaged(format!("a block of {} lacks a level", range.log)))?);
        }
    }
    Ok(found)
}

/// Which leaves of a block are asked for.
fn within(range: &Range, placed: &Placed) -> std::ops::Range<usize> {
    let block = &placed.block;
    let at = |leaf: u64| usize::try_from(leaf.saturating_sub(block.first)).unwrap_or(usize::MAX);
    at(range.first)..at(range.end().min(block.end()))
}
