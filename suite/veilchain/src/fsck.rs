//! Checks a whole log (docs/spec/chain.md): rebuilds every tile and the root from the entry bundles, in order, with at most
//! one tile of each level in memory. For exported folders and for the server's own store alike. What must never
//! happen: a log that passes though one of its bytes is another than its root says.

use crate::{
    bundle::{self, BundleError},
    hash::Hash,
    range::{CompactRange, TreeError, check_size},
    tile::{BundlePath, TILE_HEIGHT, TILE_WIDTH, Tile, levels},
};

/// Where the checkpoint is, below a log's prefix: what a finding about the root names.
pub const CHECKPOINT_PATH: &str = "checkpoint";

/// The first thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}{}: {wrong}", .offset.map(|offset| format!(", byte {offset}")).unwrap_or_default())]
pub struct Finding {
    /// The file, below the log's prefix.
    pub path: String,
    /// Its first bad byte, from 0, where one can be named.
    pub offset: Option<u64>,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What can be wrong with a file of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// A bundle out of turn.
    #[error("bundle {expected} is next")]
    Order {
        /// Index of the bundle that is next.
        expected: u64,
    },
    /// A bundle after the last one.
    #[error("the tree of {size} leaves ends before")]
    Beyond {
        /// Leaves of the tree.
        size: u64,
    },
    /// A bundle that is not made of the entries it should have.
    #[error(transparent)]
    Bundle(BundleError),
    /// The log ends before its checkpoint says: the file is the first bundle that was not fed.
    #[error("missing: {found} of {size} entries are there")]
    Missing {
        /// Entries that were fed.
        found: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// A tile has other bytes than the entries give it.
    #[error("differs from what the entries give")]
    Hash,
    /// A tile is too short or too long.
    #[error("has {found} bytes instead of {expected}")]
    Length {
        /// Bytes that the entries give it.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// The entries lead to another root than the checkpoint's.
    #[error("the entries lead to another root")]
    Root,
}

impl Finding {
    fn new(path: String, offset: Option<usize>, wrong: Wrong) -> Self {
        Self { path, offset: offset.map(|offset| offset as u64), wrong }
    }
}

/// The rebuilding of one log. Memory: at most 256 hashes for each of the tile levels, 64 KiB in all, besides one bundle.
#[derive(Debug, Clone)]
pub struct Fsck {
    size: u64,
    root: Hash,
    range: CompactRange,
    /// The hashes of the last tile of each level, while it is not full.
    open: Vec<Vec<Hash>>,
}

impl Fsck {
    /// Begins to check a log against the size and root of its checkpoint, which the caller has verified.
    ///
    /// # Errors
    /// A size above the limit.
    pub fn new(size: u64, root: Hash) -> Result<Self, TreeError> {
        check_size(size)?;
        let open = vec![Vec::new(); usize::from(levels(size))];
        Ok(Self { size, root, range: CompactRange::new(), open })
    }

    /// The bundle to feed next, at the width it must have; none when all are fed.
    pub fn next(&self) -> Option<BundlePath> {
        BundlePath::of_size(self.range.size() / u64::from(TILE_WIDTH), self.size)
            .filter(|_| self.range.size() < self.size)
    }

    /// Takes the bytes of the bundle at `index`, which must be the next one, and gives the tiles that are full with it, the
    /// lowest level first.
    ///
    /// # Errors
    /// A bundle out of turn or after the end, other than the number of entries the size asks for, bytes that are no
    /// entries. Nothing was taken then.
    pub fn bundle(&mut self, index: u64, bytes: &[u8]) -> Result<Vec<(Tile, Vec<Hash>)>, Finding> {
        let Some(next) = self.next().filter(|next| next.index == index) else {
            let wrong = match self.next() {
                Some(next) => Wrong::Order { expected: next.index },
                None => Wrong::Beyond { size: self.size },
            };
            return Err(Finding::new(BundlePath { index, width: TILE_WIDTH }.path(), None, wrong));
        };
        let leaves = bundle::leaf_hashes(bytes, next.width).map_err(|wrong| {
            let offset = match wrong {
                // What is missing begins where the bytes end.
                BundleError::Cut { .. } => Some(bytes.len()),
                BundleError::Trailing { offset } => Some(offset),
                _ => None,
            };
            Finding::new(next.path(), offset, Wrong::Bundle(wrong))
        })?;
        let mut full = Vec::new();
        for leaf in leaves {
            self.push(leaf, &mut full);
        }
        Ok(full)
    }

    /// The partial tiles at the right edge as they are now, the lowest level first.
    pub fn partial(&self) -> Vec<(Tile, Vec<Hash>)> {
        let tiles = (0..levels(self.range.size())).zip(&self.open).filter(|(_, hashes)| !hashes.is_empty());
        tiles
            .filter_map(|(level, hashes)| {
                let index = crate::tile::level_len(level, self.range.size()) / u64::from(TILE_WIDTH);
                Tile::of_size(level, index, self.range.size()).map(|tile| (tile, hashes.clone()))
            })
            .collect()
    }

    /// Ends the check: every entry was fed and they lead to the root. Gives the partial tiles, the lowest level first.
    ///
    /// # Errors
    /// A bundle that was not fed, another root. To know which byte leads astray, compare the tiles.
    pub fn finish(self) -> Result<Vec<(Tile, Vec<Hash>)>, Finding> {
        if let Some(next) = self.next() {
            let wrong = Wrong::Missing { found: self.range.size(), size: self.size };
            return Err(Finding::new(next.path(), None, wrong));
        }
        if self.range.root() != self.root {
            return Err(Finding::new(CHECKPOINT_PATH.to_owned(), None, Wrong::Root));
        }
        Ok(self.partial())
    }

    fn push(&mut self, leaf: Hash, full: &mut Vec<(Tile, Vec<Hash>)>) {
        let open = &mut self.open;
        self.range.push_with(leaf, |level, index, hash| {
            if level % TILE_HEIGHT != 0 {
                return;
            }
            let level = level / TILE_HEIGHT;
            let hashes = &mut open[usize::from(level)];
            hashes.push(*hash);
            if hashes.len() == usize::from(TILE_WIDTH) {
                let tile = Tile { level, index: index / u64::from(TILE_WIDTH), width: TILE_WIDTH };
                full.push((tile, std::mem::take(hashes)));
            }
        });
    }
}

/// Compares a tile as it is stored with its hashes as they were rebuilt.
///
/// # Errors
/// Its first differing byte or, where all of the shorter one agrees, its length.
pub fn compare_tile(tile: Tile, stored: &[u8], rebuilt: &[Hash]) -> Result<(), Finding> {
    let rebuilt = rebuilt.as_flattened();
    let offset = stored.iter().zip(rebuilt).position(|(stored, rebuilt)| stored != rebuilt);
    if offset.is_some() {
        return Err(Finding::new(tile.path(), offset, Wrong::Hash));
    }
    if stored.len() != rebuilt.len() {
        let wrong = Wrong::Length { expected: rebuilt.len() as u64, found: stored.len() as u64 };
        return Err(Finding::new(tile.path(), Some(stored.len().min(rebuilt.len())), wrong));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
