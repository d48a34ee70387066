//! The recursions of RFC 6962, section 2.1, as they are printed there: what the tests compare with.

use std::{cell::RefCell, collections::HashMap};

use super::{EMPTY_ROOT, Hash, leaf_hash, node_hash};

thread_local! {
    /// Roots found before, by first leaf, last leaf and number of leaves: no test has two trees that share all three.
    static FOUND: RefCell<HashMap<(Hash, Hash, usize), Hash>> = RefCell::default();
}

/// `count` leaf hashes, each another.
pub(crate) fn leaves(count: usize) -> Vec<Hash> {
    (0..count as u64).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

/// The largest power of two below `len`, which is above 1.
fn half(len: usize) -> usize {
    len.next_power_of_two() / 2
}

/// MTH(D[n]), of leaf hashes.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        [first, .., last] => {
            let key = (*first, *last, leaves.len());
            if let Some(found) = FOUND.with_borrow(|found| found.get(&key).copied()) {
                return found;
            }
            let (left, right) = leaves.split_at(half(leaves.len()));
            let root = node_hash(&root(left), &root(right));
            FOUND.with_borrow_mut(|found| found.insert(key, root));
            root
        }
    }
}

/// PATH(m, D[n]).
pub(crate) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let half = half(leaves.len());
    let (left, right) = leaves.split_at(half);
    let (mut path, sibling) =
        if index < half { (path(index, left), right) } else { (path(index - half, right), left) };
    path.push(root(sibling));
    path
}

/// PROOF(m, D[n]), empty for the empty tree and for the tree itself.
pub(crate) fn proof(old: usize, leaves: &[Hash]) -> Vec<Hash> {
    if old == 0 { Vec::new() } else { subproof(old, leaves, true) }
}

fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let half = half(leaves.len());
    let (left, right) = leaves.split_at(half);
    let (mut path, sibling) = if old <= half {
        (subproof(old, left, whole), right)
    } else {
        (subproof(old - half, right, false), left)
    };
    path.push(root(sibling));
    path
}
