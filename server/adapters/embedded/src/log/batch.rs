//! From a batch to a frame: checked, cut into blocks, encoded. What must never happen: a block whose hashes are not the
//! ones of its leaves' places.

use std::collections::HashSet;

use bytes::Bytes;
use veilchain::{bundle::push_entry, hash::Hash, range::TREE_SIZE_MAX, tile::level_len};
use veilcloud_domain::{
    audit::{
        model::Trail,
        port::{Extension, LevelHashes},
    },
    store::StoreError,
};

use super::{
    damaged,
    format::{BLOCK_LEAVES_MAX, Block, FRAME_HEADER_LEN, Frame, Part, upper_at},
};

/// Tile levels that a tree can have.
pub(crate) const LEVELS: u8 = 8;
/// Most extensions of one batch, and so logs that one frame adds to.
pub(crate) const LOGS_MAX: usize = 65_536;

/// What a batch says about one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub log: Trail,
    pub old_size: u64,
    pub old_root: Hash,
    pub new_size: u64,
}

/// A batch as it goes into a segment.
pub(crate) struct Plan {
    /// The frame; its header is written last, when its number is known.
    bytes: Vec<u8>,
    /// Blocks, and where each begins behind the frame's first byte.
    pub blocks: Vec<(Block, u64)>,
    /// What is claimed, in the order of the batch.
    pub claims: Vec<Claim>,
}

impl Plan {
    /// Checks and encodes a batch.
    pub fn new(batch: &[Extension]) -> Result<Self, StoreError> {
        if batch.is_empty() || batch.len() > LOGS_MAX {
            return Err(damaged(format!("a batch has 1 to {LOGS_MAX} logs, not {}", batch.len())));
        }
        let entries = batch.iter().flat_map(|extension| &extension.entries);
        let room = entries.map(|entry| entry.len() + 80).sum::<usize>() + FRAME_HEADER_LEN;
        let mut plan = Self {
            bytes: Vec::with_capacity(room),
            blocks: Vec::new(),
            claims: Vec::with_capacity(batch.len()),
        };
        plan.bytes.resize(FRAME_HEADER_LEN, 0);
        let mut seen = HashSet::with_capacity(batch.len());
        for extension in batch {
            let malformed = |what: &str| damaged(format!("a batch for {}: {what}", extension.log));
            if !seen.insert(extension.log) {
                return Err(malformed("the log is in it twice"));
            }
            plan.add(extension).map_err(malformed)?;
        }
        Ok(plan)
    }

    /// The frame's bytes under its number.
    pub fn into_frame(mut self, number: u64) -> (Vec<u8>, Vec<(Block, u64)>, Vec<Claim>) {
        let blocks = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        let header = Frame { number, blocks, len: self.bytes.len() as u64 };
        self.bytes[..FRAME_HEADER_LEN].copy_from_slice(&header.encode());
        (self.bytes, self.blocks, self.claims)
    }

    fn add(&mut self, extension: &Extension) -> Result<(), &'static str> {
        let new_size = (extension.entries.len() as u64)
            .checked_add(extension.old_size)
            .filter(|size| *size > extension.old_size && *size <= TREE_SIZE_MAX)
            .ok_or("it adds nothing, or too much")?;
        let levels = Levels::new(extension, new_size)?;
        let mut first = extension.old_size;
        while first < new_size {
            let end = (first / BLOCK_LEAVES_MAX + 1).saturating_mul(BLOCK_LEAVES_MAX).min(new_size);
            let from = index(first - extension.old_size);
            self.add_block(
                extension.log,
                first,
                &extension.entries[from..from + index(end - first)],
                &levels,
            )?;
            first = end;
        }
        self.claims.push(Claim {
            log: extension.log,
            old_size: extension.old_size,
            old_root: extension.old_root,
            new_size,
        });
        Ok(())
    }

    fn add_block(
        &mut self,
        trail: Trail,
        first: u64,
        entries: &[Bytes],
        levels: &Levels<'_>,
    ) -> Result<(), &'static str> {
        let len: usize = entries.iter().map(|entry| entry.len() + 2).sum();
        let block = Block {
            trail,
            first,
            count: u16::try_from(entries.len()).map_err(|_| "a block is too long")?,
            entries_len: u32::try_from(len).map_err(|_| "an entry is too long")?,
        };
        self.blocks.push((block, self.bytes.len() as u64));
        self.bytes.extend_from_slice(&block.encode());
        let start = self.bytes.len();
        for entry in entries {
            push_entry(&mut self.bytes, entry).map_err(|_| "an entry is too long")?;
        }
        self.seal(&block, Part::Entries, start);
        let start = self.bytes.len();
        for hash in levels.at(0, first, entries.len())? {
            self.bytes.extend_from_slice(hash);
        }
        self.seal(&block, Part::Leaves, start);
        let start = self.bytes.len();
        for level in 1..=block.upper() {
            let level = u8::try_from(level).map_err(|_| "a level is too high")?;
            let hash = levels.at(level, level_len(level, block.end()) - 1, 1)?;
            self.bytes.extend_from_slice(&hash[0]);
        }
        self.seal(&block, Part::Upper, start);
        Ok(())
    }

    fn seal(&mut self, block: &Block, part: Part, start: usize) {
        let crc = block.crc(part, &self.bytes[start..]);
        self.bytes.extend_from_slice(&crc);
    }
}

/// The new hashes of an extension: exactly those that its sizes ask for.
struct Levels<'a>([Option<&'a LevelHashes>; LEVELS as usize]);

impl<'a> Levels<'a> {
    fn new(extension: &'a Extension, new_size: u64) -> Result<Self, &'static str> {
        let mut levels = [None; LEVELS as usize];
        for given in &extension.levels {
            let slot = levels.get_mut(usize::from(given.level)).ok_or("a level is too high")?;
            if slot.replace(given).is_some() {
                return Err("a level is in it twice");
            }
        }
        for (level, given) in (0..).zip(levels) {
            let first = level_len(level, extension.old_size);
            let count = level_len(level, new_size) - first;
            let fits = given.map_or(count == 0, |given| {
                given.hashes.len() as u64 == count && (count == 0 || given.first == first)
            });
            if !fits {
                return Err("a level does not have the hashes of the new leaves");
            }
        }
        debug_assert!(upper_at(new_size) < LEVELS as usize);
        Ok(Self(levels))
    }

    fn at(&self, level: u8, first: u64, count: usize) -> Result<&'a [Hash], &'static str> {
        let missing = "a level lacks a hash";
        let level = self.0.get(usize::from(level)).copied().flatten().ok_or(missing)?;
        let from = index(first.checked_sub(level.first).ok_or(missing)?);
        level.hashes.get(from..from.saturating_add(count)).ok_or(missing)
    }
}

/// A distance inside a batch, which is in memory.
fn index(distance: u64) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}
