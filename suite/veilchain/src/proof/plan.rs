//! Which tiles a proof is made of, and how. The plan knows sizes and places only; that the tiles are the right ones shows
//! when the proof is verified.

use super::ProofError;
use crate::{
    hash::{Hash, fold, node_hash},
    range::{TreeError, check_index, check_size},
    tile::{TILE_HEIGHT, TILE_WIDTH, Tile},
};

/// A perfect subtree: the leaves from `index << level` to `(index + 1) << level`, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    level: u8,
    index: u64,
}

impl Node {
    /// The tile of a tree of `size` leaves that has it or, when it lies between two tile levels, what it is made of.
    fn tile(self, size: u64) -> Tile {
        let first = self.index << (self.level % TILE_HEIGHT);
        Tile::of_size(self.level / TILE_HEIGHT, first / u64::from(TILE_WIDTH), size)
            .expect("the nodes of a plan lie inside its tree")
    }

    /// Its hash, from the hashes of that tile.
    fn hash(self, tile: &[Hash]) -> Hash {
        let level = self.level % TILE_HEIGHT;
        let first = (self.index << level) as usize % usize::from(TILE_WIDTH);
        let len = 1 << level;
        let mut hashes = [[0; 32]; TILE_WIDTH as usize / 2];
        hashes[..len].copy_from_slice(&tile[first..first + len]);
        for half in (0..level).rev() {
            for at in 0..1 << half {
                hashes[at] = node_hash(&hashes[2 * at], &hashes[2 * at + 1]);
            }
        }
        hashes[0]
    }
}

/// Which tiles a proof needs, and how it is built from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    size: u64,
    /// For each hash of the result the perfect subtrees that fold into it, largest first: several only at the right edge.
    hashes: Vec<Vec<Node>>,
}

impl Plan {
    /// The path of the inclusion proof of the leaf at `index` in a tree of `size` leaves (RFC 9162, section 2.1.3.1).
    ///
    /// # Errors
    /// A size above the limit, an index outside the tree.
    pub fn inclusion(index: u64, size: u64) -> Result<Self, TreeError> {
        check_index(index, size)?;
        let mut ranges = Vec::new();
        let (mut start, mut end) = (0, size);
        while end - start > 1 {
            let middle = start + half(end - start);
            if index < middle {
                ranges.push((middle, end));
                end = middle;
            } else {
                ranges.push((start, middle));
                start = middle;
            }
        }
        Ok(Self::from_root(size, ranges))
    }

    /// The path of the consistency proof between two sizes of a tree (RFC 9162, section 2.1.4.1); empty when they are
    /// equal or the old one is 0. Its tiles are those of the tree of `new_size`.
    ///
    /// # Errors
    /// A size above the limit, an old size above the new one.
    pub fn consistency(old_size: u64, new_size: u64) -> Result<Self, TreeError> {
        check_size(new_size)?;
        if old_size > new_size {
            return Err(TreeError::Shrunk { old: old_size, new: new_size });
        }
        let mut ranges = Vec::new();
        let (mut start, mut end) = (0, new_size);
        if old_size > 0 {
            while end != old_size {
                let middle = start + half(end - start);
                if old_size <= middle {
                    ranges.push((middle, end));
                    end = middle;
                } else {
                    ranges.push((start, middle));
                    start = middle;
                }
            }
            // A subtree that begins at 0 and ends where the old tree does is the old tree: the verifier has its root.
            if start > 0 {
                ranges.push((start, end));
            }
        }
        Ok(Self::from_root(new_size, ranges))
    }

    /// The edge of a tree of `size` leaves, as [`CompactRange::edge`](crate::range::CompactRange::edge) has it.
    ///
    /// # Errors
    /// A size above the limit.
    pub fn edge(size: u64) -> Result<Self, TreeError> {
        check_size(size)?;
        Ok(Self { size, hashes: subtrees(0, size).map(|node| vec![node]).collect() })
    }

    /// The tiles it needs, each once and at its greatest width in the tree, in order.
    pub fn tiles(&self) -> Vec<Tile> {
        let mut tiles: Vec<Tile> = self.hashes.iter().flatten().map(|node| node.tile(self.size)).collect();
        tiles.sort_unstable();
        tiles.dedup();
        tiles
    }

    /// Builds the hashes from the tiles that `tiles` knows. It does not look for lies in them: verify what comes out
    /// against a root.
    ///
    /// # Errors
    /// A tile that is missing, or that has another number of hashes than its width says.
    pub fn build<'a>(&self, tiles: impl Fn(Tile) -> Option<&'a [Hash]>) -> Result<Vec<Hash>, ProofError> {
        let node_hash = |node: &Node| {
            let tile = node.tile(self.size);
            let hashes = tiles(tile).ok_or(ProofError::MissingTile { tile })?;
            if hashes.len() != usize::from(tile.width) {
                return Err(ProofError::TileWidth { tile, found: hashes.len() });
            }
            Ok(node.hash(hashes))
        };
        self.hashes
            .iter()
            .map(|nodes| Ok(fold(&nodes.iter().map(node_hash).collect::<Result<Vec<_>, ProofError>>()?)))
            .collect()
    }

    /// Ranges as they are met on the way down from the root; a path lists them on the way up.
    fn from_root(size: u64, ranges: Vec<(u64, u64)>) -> Self {
        let hashes = ranges.into_iter().rev().map(|(start, end)| subtrees(start, end).collect()).collect();
        Self { size, hashes }
    }
}

/// The size of the left subtree of a tree of `len` leaves, above 1: the largest power of two below it.
fn half(len: u64) -> u64 {
    1 << (len - 1).ilog2()
}

/// The perfect subtrees that cover the leaves from `start` to `end`, exclusive, largest first. `start` is where a subtree
/// of an RFC 6962 tree begins, so that each is aligned to its own size.
fn subtrees(start: u64, end: u64) -> impl Iterator<Item = Node> {
    let mut at = start;
    std::iter::from_fn(move || {
        let level = (end - at).checked_ilog2()? as u8;
        let node = Node { level, index: at >> level };
        at += 1 << level;
        Some(node)
    })
}

#[cfg(test)]
mod tests;
