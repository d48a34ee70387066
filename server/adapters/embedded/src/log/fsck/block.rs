//! One block: what its bytes are, what they must be, and where they differ first.

use veilchain::{
    hash::{Hash, leaf_hash},
    range::CompactRange,
    tile::TILE_HEIGHT,
};
use veilcloud_domain::store::StoreError;

use super::Problem;
use crate::log::{
    batch::LEVELS,
    format::{BLOCK_HEADER_LEN, CRC_LEN, HASH_LEN, Part},
    segments::{Placed, Segments},
};

/// Bytes that must be elsewhere in the block than what is there.
pub(super) struct Wrong {
    /// First byte that differs, behind the block's first byte.
    pub at: u64,
    pub problem: Problem,
    /// Where to write what to mend it; `None` when nobody knows what must be there.
    pub mend: Option<(u64, Vec<u8>)>,
}

/// What a block is found to be.
pub(super) struct Inspected {
    pub wrong: Vec<Wrong>,
    /// Its leaf hashes, when entries or hashes say them.
    pub leaves: Option<Vec<Hash>>,
}

/// Reads a block and compares all that can be compared without the blocks before it.
pub(super) fn inspect(segments: &Segments, placed: &Placed) -> Result<(Vec<u8>, Inspected), StoreError> {
    let block = &placed.block;
    let mut bytes = vec![0; usize::try_from(block.len()).unwrap_or(usize::MAX)];
    segments.read(placed.segment, placed.offset, &mut bytes)?;
    let mut wrong = Vec::new();
    let header = block.encode();
    if let Some(at) = differ(&bytes[..BLOCK_HEADER_LEN], &header) {
        let problem = Problem::BlockHeader { leaf: block.first };
        wrong.push(Wrong { at: at as u64, problem, mend: Some((0, header.to_vec())) });
    }
    let (entries, entries_crc, entries_at) = cut(placed, &bytes, Part::Entries);
    let (stored, stored_crc, stored_at) = cut(placed, &bytes, Part::Leaves);
    let entries_crc_right = block.crc(Part::Entries, entries);
    let stored_fit = stored_crc == block.crc(Part::Leaves, stored);
    let stored: Vec<Hash> = stored.as_chunks::<HASH_LEN>().0.to_vec();
    let (hashes, whole) = walk(entries, block.count);
    let other = hashes.iter().zip(&stored).position(|((hash, _), stored)| hash != stored);
    let leaves = if whole && (entries_crc == entries_crc_right || other.is_none()) {
        let leaves: Vec<Hash> = hashes.into_iter().map(|(hash, _)| hash).collect();
        let crc_at = entries_at + entries.len() as u64;
        // All entries have their hashes and the checksum does not fit: then it is the checksum that is altered.
        wrong.extend(differ(entries_crc, &entries_crc_right).map(|at| Wrong {
            at: crc_at + at as u64,
            problem: Problem::EntryChecksum { leaf: block.first },
            mend: Some((crc_at, entries_crc_right.to_vec())),
        }));
        wrong.extend(hashes_wrong(placed, &bytes, Part::Leaves, &leaves));
        Some(leaves)
    } else {
        // The first entry that does not have its hash, or else the one that does not end.
        let bad = other.unwrap_or(hashes.len().min(usize::from(block.count) - 1));
        let ends = bad.checked_sub(1).and_then(|before| hashes.get(before)).map_or(0, |(_, end)| *end);
        let problem = Problem::Entry { leaf: block.first + bad as u64 };
        wrong.push(Wrong { at: entries_at + ends as u64, problem, mend: None });
        stored_fit.then_some(stored)
    };
    if leaves.is_none() {
        let problem = Problem::Hash { level: 0, leaf: block.first };
        wrong.push(Wrong { at: stored_at, problem, mend: None });
    }
    Ok((bytes, Inspected { wrong, leaves }))
}

/// Adds a block's leaves to the tree and compares the hashes above; gives what is wrong with them. `seen` is shown the
/// tree after each leaf.
pub(super) fn climb(
    placed: &Placed,
    bytes: &[u8],
    leaves: &[Hash],
    range: &mut CompactRange,
    mut seen: impl FnMut(&CompactRange),
) -> Option<Wrong> {
    let mut upper = Vec::with_capacity(usize::from(LEVELS));
    for leaf in leaves {
        range.push_with(*leaf, |level, _, hash| {
            if level > 0 && level % TILE_HEIGHT == 0 {
                upper.push(*hash);
            }
        });
        seen(range);
    }
    hashes_wrong(placed, bytes, Part::Upper, &upper)
}

/// Whether the hashes above have their checksum, where nothing else is known of them.
pub(super) fn upper_fits(placed: &Placed, bytes: &[u8]) -> Option<Wrong> {
    let (stored, crc, at) = cut(placed, bytes, Part::Upper);
    if crc == placed.block.crc(Part::Upper, stored) {
        return None;
    }
    Some(Wrong { at, problem: Problem::Hash { level: 1, leaf: placed.block.first }, mend: None })
}

/// Hash and end of each entry, as far as they go, and whether they are all of these bytes and as many as there must be.
fn walk(bytes: &[u8], count: u16) -> (Vec<(Hash, usize)>, bool) {
    let mut found = Vec::with_capacity(usize::from(count));
    let mut rest = bytes;
    while found.len() < usize::from(count)
        && let Some((len, behind)) = rest.split_first_chunk()
        && let Some((entry, behind)) = behind.split_at_checked(usize::from(u16::from_be_bytes(*len)))
    {
        found.push((leaf_hash(entry), bytes.len() - behind.len()));
        rest = behind;
    }
    let whole = rest.is_empty() && found.len() == usize::from(count);
    (found, whole)
}

fn hashes_wrong(placed: &Placed, bytes: &[u8], part: Part, hashes: &[Hash]) -> Option<Wrong> {
    let mut expected = hashes.concat();
    expected.extend_from_slice(&placed.block.crc(part, &expected));
    let (start, len) = placed.block.part(part);
    let from = usize::try_from(start).unwrap_or(usize::MAX);
    let at = differ(&bytes[from..from + len + CRC_LEN], &expected)?;
    let level = u8::from(part == Part::Upper);
    let problem = Problem::Hash { level, leaf: placed.block.first };
    Some(Wrong { at: start + at as u64, problem, mend: Some((start, expected)) })
}

/// A part, its checksum, and where it begins in the block.
fn cut<'a>(placed: &Placed, bytes: &'a [u8], part: Part) -> (&'a [u8], &'a [u8], u64) {
    let (start, len) = placed.block.part(part);
    let from = usize::try_from(start).unwrap_or(usize::MAX);
    (&bytes[from..from + len], &bytes[from + len..from + len + CRC_LEN], start)
}

fn differ(found: &[u8], expected: &[u8]) -> Option<usize> {
    found.iter().zip(expected).position(|(found, expected)| found != expected)
}
