//! The right edge of a log in memory: all that is needed to append to it. Read back from the store it is checked against
//! the root that the log itself signed, in a time that does not depend on the log's size.

use std::collections::HashMap;

use bytes::Bytes;
use veilchain::{
    hash::{EMPTY_ROOT, Hash, leaf_hash},
    proof::Plan,
    range::{CompactRange, TREE_SIZE_MAX},
    tile::{TILE_WIDTH, Tile},
};

use super::{
    model::{Event, Trail},
    port::{Extension, LevelHashes, LogState, LogStore},
    reader::damaged,
    signer::{LogKeys, Signer},
};
use crate::store::StoreError;

/// Binary levels between two tile levels.
const TILE_HEIGHT: u8 = 8;
/// Highest tile level of a tree of the largest size.
const TILE_LEVEL_MAX: u8 = 7;

/// A size and the root over that many leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) size: u64,
    pub(super) root: Hash,
}

impl Mark {
    pub(super) const EMPTY: Self = Self { size: 0, root: EMPTY_ROOT };
}

/// The edge of a log.
pub(super) struct Tail {
    range: CompactRange,
    at: Mark,
    signer: Signer,
}

/// What a batch makes of a log.
pub(super) struct Growth {
    pub(super) extension: Extension,
    range: CompactRange,
    pub(super) to: Mark,
}

impl Tail {
    pub(super) fn at(&self) -> Mark {
        self.at
    }

    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Reads the edge of a log; gives besides when its last checkpoint was signed.
    pub(super) async fn load(
        store: &dyn LogStore,
        keys: &LogKeys,
        log: Trail,
    ) -> Result<(Self, u64), StoreError> {
        let signer = keys.signer(log);
        let Some(state) = store.state(log).await? else {
            return Ok((Self { range: CompactRange::new(), at: Mark::EMPTY, signer }, 0));
        };
        check_signed(&signer, log, &state)?;
        let (first, leaves) = last_leaves(store, log, state.size).await?;
        let range = match kept(&state) {
            Some(range) => {
                check_kept(store, log, &range, &leaves).await?;
                range
            }
            None => edge(store, log, &state).await?,
        };
        check_last_entries(store, log, first, &leaves).await?;
        Ok((Self { range, at: Mark { size: state.size, root: state.root }, signer }, state.signed_at_ms))
    }

    /// What these lines, which follow the last leaf, make of the log. `passes` is a head that this process once signed:
    /// if the log grows past it, it grows through it.
    pub(super) fn grow(
        &self,
        log: Trail,
        lines: &[Event],
        passes: Option<Mark>,
    ) -> Result<Growth, StoreError> {
        let mut range = self.range.clone();
        let mut entries = Vec::with_capacity(lines.len());
        let mut levels: Vec<LevelHashes> = Vec::new();
        for event in lines {
            if event.index != range.size() || event.line.trail != log || range.size() >= TREE_SIZE_MAX {
                return Err(damaged(log, &format!("line {} stands at {}", event.index, range.size())));
            }
            let entry = event.line.entry();
            range.push_with(leaf_hash(&entry), |level, index, hash| {
                if level % TILE_HEIGHT == 0 {
                    push(&mut levels, level / TILE_HEIGHT, index, *hash);
                }
            });
            entries.push(Bytes::from(entry));
            if passes.is_some_and(|mark| mark.size == range.size() && mark.root != range.root()) {
                return Err(damaged(log, "its lines are not those that were signed before"));
            }
        }
        let to = Mark { size: range.size(), root: range.root() };
        let extension = Extension { log, old_size: self.at.size, old_root: self.at.root, entries, levels };
        Ok(Growth { extension, range, to })
    }

    /// The edge after that growth was committed.
    pub(super) fn grown(self, range: CompactRange, at: Mark) -> Self {
        Self { range, at, ..self }
    }
}

impl Growth {
    pub(super) fn into_parts(self) -> (Extension, CompactRange, Mark) {
        (self.extension, self.range, self.to)
    }
}

// A node of a lower level completes before its parent, so levels come in order.
fn push(levels: &mut Vec<LevelHashes>, level: u8, index: u64, hash: Hash) {
    match levels.iter_mut().find(|hashes| hashes.level == level) {
        Some(hashes) => hashes.hashes.push(hash),
        None => levels.push(LevelHashes { level, first: index, hashes: vec![hash] }),
    }
}

/// The lock row says what the log signed, or somebody else wrote it.
fn check_signed(signer: &Signer, log: Trail, state: &LogState) -> Result<(), StoreError> {
    let signed = signer.open(&state.checkpoint);
    let signed = signed.map_err(|error| damaged(log, &format!("its checkpoint does not hold: {error}")))?;
    let same = signed.size == state.size && signed.root == state.root;
    if same { Ok(()) } else { Err(damaged(log, "its lock row is not what its checkpoint says")) }
}

/// At most eight partial tiles, whatever the size.
async fn edge(store: &dyn LogStore, log: Trail, state: &LogState) -> Result<CompactRange, StoreError> {
    let wrong = |cause: &dyn std::fmt::Display| damaged(log, &cause.to_string());
    let plan = Plan::edge(state.size).map_err(|error| wrong(&error))?;
    let mut tiles: HashMap<Tile, Vec<Hash>> = HashMap::new();
    for tile in plan.tiles() {
        tiles.insert(tile, store.hashes(log, tile.level, tile.start(), tile.width).await?);
    }
    let known = |tile: Tile| tiles.get(&tile).map(Vec::as_slice);
    let edge = plan.build(known).map_err(|error| wrong(&error))?;
    let range = CompactRange::from_edge(state.size, &edge).map_err(|error| wrong(&error))?;
    let same = range.root() == state.root;
    if same { Ok(range) } else { Err(damaged(log, "the hashes of its edge do not give its root")) }
}

/// The edge that was committed with the head, if it gives the head's root.
fn kept(state: &LogState) -> Option<CompactRange> {
    let range = CompactRange::from_edge(state.size, &state.edge).ok()?;
    (range.root() == state.root).then_some(range)
}

/// Holds an edge that is right against the newest hashes of the store, one or a tile of each level: a store that lost them
/// is noticed before it is built upon.
async fn check_kept(
    store: &dyn LogStore,
    log: Trail,
    range: &CompactRange,
    leaves: &[Hash],
) -> Result<(), StoreError> {
    let (size, edge) = (range.size(), range.edge());
    let mut same = leaves.len() == usize::from(TILE_WIDTH) || {
        let mut last = CompactRange::new();
        leaves.iter().for_each(|leaf| last.push(*leaf));
        edge.ends_with(last.edge())
    };
    for level in 1..=TILE_LEVEL_MAX {
        let bit = u32::from(level * TILE_HEIGHT);
        let len = size >> bit;
        // The last hash of a level is on the edge when it has no left sibling to go with.
        if len % 2 == 1 {
            let at = (len >> 1).count_ones() as usize;
            let found = store.hashes(log, level, len - 1, 1).await?;
            same &= edge.get(at..=at) == Some(&found);
        }
    }
    if same { Ok(()) } else { Err(damaged(log, "the hashes of its edge do not give its root")) }
}

/// First leaf of the last bundle, and the hashes of its leaves.
async fn last_leaves(store: &dyn LogStore, log: Trail, size: u64) -> Result<(u64, Vec<Hash>), StoreError> {
    let Some(last) = size.checked_sub(1) else { return Ok((0, Vec::new())) };
    let first = last - last % u64::from(TILE_WIDTH);
    let count = u16::try_from(size - first).unwrap_or(TILE_WIDTH);
    let leaves = store.hashes(log, 0, first, count).await?;
    let all = leaves.len() == usize::from(count);
    if all { Ok((first, leaves)) } else { Err(damaged(log, "hashes of its last leaves are missing")) }
}

/// The entries of the last bundle hash to its leaf hashes: a store that lost the newest writes is noticed before it is
/// built upon.
async fn check_last_entries(
    store: &dyn LogStore,
    log: Trail,
    first: u64,
    leaves: &[Hash],
) -> Result<(), StoreError> {
    if leaves.is_empty() {
        return Ok(());
    }
    let count = u16::try_from(leaves.len()).unwrap_or(TILE_WIDTH);
    let entries = store.entries(log, first, count).await?;
    let same = entries.len() == leaves.len()
        && entries.iter().zip(leaves).all(|(entry, hash)| leaf_hash(entry) == *hash);
    if same { Ok(()) } else { Err(damaged(log, "its last entries do not hash to its leaves")) }
}
