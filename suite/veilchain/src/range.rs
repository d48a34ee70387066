//! The streaming compact range (docs/spec/chain.md): the right edge of a growing tree, enough to append to it and to
//! know its root. What must never happen: an edge whose number of hashes does not fit its size.

use crate::hash::{Hash, fold, node_hash};

/// The largest tree, in leaves; larger sizes are refused by every parser and verifier.
pub const TREE_SIZE_MAX: u64 = 1 << 62;

/// Why a size, an index or an edge does not describe a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// More leaves than [`TREE_SIZE_MAX`].
    #[error("tree size {size} is above the limit")]
    TooLarge {
        /// The size that was claimed.
        size: u64,
    },
    /// A leaf that a tree of this size does not have.
    #[error("index {index} is outside a tree of size {size}")]
    IndexOutside {
        /// Index of the leaf, from 0.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("old size {old} is above new size {new}")]
    Shrunk {
        /// Size of the older tree.
        old: u64,
        /// Size of the newer tree.
        new: u64,
    },
    /// An edge has one hash for each one-bit of its size.
    #[error("a tree of this size has {expected} hashes on its edge, not {found}")]
    EdgeLength {
        /// How many its size asks for.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

/// Refuses a size above the limit.
pub(crate) fn check_size(size: u64) -> Result<(), TreeError> {
    if size > TREE_SIZE_MAX { Err(TreeError::TooLarge { size }) } else { Ok(()) }
}

/// Refuses a size above the limit and a leaf that the tree does not have.
pub(crate) fn check_index(index: u64, size: u64) -> Result<(), TreeError> {
    check_size(size)?;
    if index < size { Ok(()) } else { Err(TreeError::IndexOutside { index, size }) }
}

/// The perfect subtrees that cover a tree from its first leaf on: at most 62 hashes. Appending costs one node hash on
/// average and, but for the few times that the edge grows, no allocation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompactRange {
    size: u64,
    edge: Vec<Hash>,
}

impl CompactRange {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree of `size` leaves by the hashes of its perfect subtrees, largest first: one for each one-bit of `size`.
    ///
    /// # Errors
    /// A size above [`TREE_SIZE_MAX`], or another number of hashes.
    pub fn from_edge(size: u64, edge: &[Hash]) -> Result<Self, TreeError> {
        check_size(size)?;
        let expected = size.count_ones() as usize;
        if edge.len() != expected {
            return Err(TreeError::EdgeLength { expected, found: edge.len() });
        }
        Ok(Self { size, edge: edge.to_vec() })
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the perfect subtrees, largest first.
    pub fn edge(&self) -> &[Hash] {
        &self.edge
    }

    /// Appends one leaf, given as its leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _, _| ());
    }

    /// Appends one leaf and shows every node that it completes as (level, index, hash): the leaf itself first, at level
    /// 0, then its parents. The node at (level, index) covers the leaves from `index << level` to
    /// `(index + 1) << level`, exclusive.
    pub fn push_with(&mut self, leaf: Hash, mut node: impl FnMut(u8, u64, &Hash)) {
        let (mut level, mut index, mut hash) = (0, self.size, leaf);
        node(level, index, &hash);
        // A one-bit of the size is a subtree of the edge that waits for its right sibling.
        while index & 1 == 1 {
            let left = self.edge.pop().expect("the edge has a hash for each one-bit of the size");
            hash = node_hash(&left, &hash);
            level += 1;
            index >>= 1;
            node(level, index, &hash);
        }
        self.edge.push(hash);
        self.size += 1;
    }

    /// The root of the tree (RFC 9162, section 2.1.1).
    pub fn root(&self) -> Hash {
        fold(&self.edge)
    }
}

#[cfg(test)]
mod tests;
