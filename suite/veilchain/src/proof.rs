//! Inclusion and consistency proofs (RFC 9162, section 2.1; docs/spec/chain.md): verified by their path, built from
//! tiles. The verifier trusts nothing but the root it was given. What must never happen: a path of another length than
//! the one RFC 9162 gives it that is accepted, or a proof that holds for two places.

use crate::{
    hash::{EMPTY_ROOT, Hash, node_hash},
    range::{TreeError, check_index, check_size},
    tile::Tile,
};

mod plan;

pub use plan::Plan;

/// Why a proof does not hold or cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Its sizes or its index describe no tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A path that is too short or too long.
    #[error("the path of this proof has {expected} hashes, not {found}")]
    PathLength {
        /// Hashes that RFC 9162 gives it.
        expected: usize,
        /// Hashes it has.
        found: usize,
    },
    /// The path does not lead to the root, or the old root.
    #[error("the path does not lead to the root")]
    Root,
    /// A tile that the plan needs is not there.
    #[error("tile {} is missing", .tile.path())]
    MissingTile {
        /// The tile as the plan asks for it.
        tile: Tile,
    },
    /// A tile has another number of hashes than the plan asks for.
    #[error("tile {} has {found} hashes", .tile.path())]
    TileWidth {
        /// The tile as the plan asks for it.
        tile: Tile,
        /// Hashes that were given.
        found: usize,
    },
}

/// Verifies that `leaf` is the leaf hash at `index` in the tree of `size` leaves with this root (RFC 9162, section
/// 2.1.3.2).
///
/// # Errors
/// A size above the limit, an index outside the tree, a path of another length, another root.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if root_from_inclusion(index, size, leaf, path)? == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// The root that a path leads to from `leaf`, the leaf hash at `index` in a tree of `size` leaves. It proves nothing
/// until the caller compares it with a root it trusts.
///
/// # Errors
/// A size above the limit, an index outside the tree, a path of another length.
pub fn root_from_inclusion(index: u64, size: u64, leaf: &Hash, path: &[Hash]) -> Result<Hash, ProofError> {
    check_index(index, size)?;
    check_len(path, steps(index, size, 0))?;
    let mut walk = Walk::new(index, size - 1);
    let mut root = *leaf;
    for hash in path {
        root = if walk.is_right()? { node_hash(hash, &root) } else { node_hash(&root, hash) };
        walk.up();
    }
    walk.finish()?;
    Ok(root)
}

/// Verifies that the tree of `new_size` leaves with `new_root` begins with the whole tree of `old_size` leaves with
/// `old_root` (RFC 9162, section 2.1.4.2). The empty tree, and a tree and itself, have an empty path.
///
/// # Errors
/// A size above the limit, an old size above the new one, a path of another length, other roots.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    path: &[Hash],
) -> Result<(), ProofError> {
    check_size(new_size)?;
    if old_size > new_size {
        return Err(TreeError::Shrunk { old: old_size, new: new_size }.into());
    }
    if old_size == 0 || old_size == new_size {
        check_len(path, 0)?;
        let old = if old_size == 0 { *old_root == EMPTY_ROOT } else { old_root == new_root };
        let new = new_size != 0 || *new_root == EMPTY_ROOT;
        return if old && new { Ok(()) } else { Err(ProofError::Root) };
    }
    // The path begins with the largest subtree that ends the old tree; where that is all of it, its root stands in.
    let shift = old_size.trailing_zeros();
    let whole = old_size.is_power_of_two();
    let rest = steps(old_size - 1, new_size, shift);
    check_len(path, rest + usize::from(!whole))?;
    let (first, path) = match path.split_first() {
        Some((first, rest)) if !whole => (first, rest),
        _ => (old_root, path),
    };
    let mut walk = Walk::new((old_size - 1) >> shift, (new_size - 1) >> shift);
    let (mut old, mut new) = (*first, *first);
    for hash in path {
        if walk.is_right()? {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
        } else {
            new = node_hash(&new, hash);
        }
        walk.up();
    }
    walk.finish()?;
    if old == *old_root && new == *new_root { Ok(()) } else { Err(ProofError::Root) }
}

/// How many siblings the way from the node that covers leaf `index` at this level to the root of `size` leaves has.
fn steps(index: u64, size: u64, level: u32) -> usize {
    let (node, last) = (index >> level, (size - 1) >> level);
    // Up to where the node and the last one meet, every level has a sibling; above, only what lies on the left.
    let inner = u64::BITS - (node ^ last).leading_zeros();
    let left = node.checked_shr(inner).unwrap_or(0).count_ones();
    (inner + left) as usize
}

fn check_len(path: &[Hash], expected: usize) -> Result<(), ProofError> {
    if path.len() == expected { Ok(()) } else { Err(ProofError::PathLength { expected, found: path.len() }) }
}

/// The two counters of RFC 9162: `fn` and `sn` there.
struct Walk {
    node: u64,
    last: u64,
}

impl Walk {
    fn new(node: u64, last: u64) -> Self {
        Self { node, last }
    }

    /// Whether the next sibling of the path is on the left. At the end of a level, levels without a sibling are left
    /// behind first.
    ///
    /// # Errors
    /// The way is at the root already.
    fn is_right(&mut self) -> Result<bool, ProofError> {
        if self.last == 0 {
            return Err(ProofError::Root);
        }
        if self.node & 1 == 0 && self.node != self.last {
            return Ok(false);
        }
        while self.node & 1 == 0 && self.node != 0 {
            self.up();
        }
        Ok(true)
    }

    fn up(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }

    /// Refuses a way that has not reached the root.
    fn finish(&self) -> Result<(), ProofError> {
        if self.last == 0 { Ok(()) } else { Err(ProofError::Root) }
    }
}

#[cfg(test)]
mod tests;
