//! Heads that move, and heads that must not.

use super::*;
use crate::hash::{leaf_hash, node_hash};

fn checkpoint(size: u64, root: Hash) -> Checkpoint {
    Checkpoint::new("log.example/1", size, root).unwrap()
}

/// Roots of the first three trees over three leaves, and the leaves.
fn trees() -> ([Hash; 3], [Hash; 3]) {
    let leaves = [b"a", b"b", b"c"].map(|entry| leaf_hash(entry));
    let two = node_hash(&leaves[0], &leaves[1]);
    ([leaves[0], two, node_hash(&two, &leaves[2])], leaves)
}

#[test]
fn a_head_moves_forward_along_a_proof() {
    let (roots, leaves) = trees();
    let first = Head::EMPTY.advance(&checkpoint(1, roots[0]), &[]).unwrap();
    assert_eq!(first, Head { size: 1, root: roots[0] });
    let second = first.advance(&checkpoint(2, roots[1]), &[leaves[1]]).unwrap();
    let third = second.advance(&checkpoint(3, roots[2]), &[leaves[2]]).unwrap();
    assert_eq!(third, Head { size: 3, root: roots[2] });
    assert_eq!(third.advance(&checkpoint(3, roots[2]), &[]), Ok(third));
    assert_eq!(Head::EMPTY.advance(&checkpoint(0, EMPTY_ROOT), &[]), Ok(Head::EMPTY));
}

#[test]
fn a_smaller_tree_is_a_rollback_whatever_comes_with_it() {
    let (roots, leaves) = trees();
    let head = Head { size: 3, root: roots[2] };
    for (size, root) in [(2, roots[1]), (1, roots[0]), (0, EMPTY_ROOT)] {
        let refused = head.advance(&checkpoint(size, root), &[leaves[2]]);
        assert_eq!(refused, Err(HeadError::RolledBack { seen: 3, shown: size }));
    }
}

#[test]
fn another_history_is_a_fork() {
    let (roots, leaves) = trees();
    let head = Head { size: 2, root: roots[1] };
    let fork = Err(HeadError::Forked { seen: 2, shown: 2 });
    assert_eq!(head.advance(&checkpoint(2, roots[2]), &[]), fork);
    let other = Err(HeadError::Forked { seen: 2, shown: 3 });
    assert_eq!(head.advance(&checkpoint(3, roots[1]), &[leaves[2]]), other);
    assert_eq!(head.advance(&checkpoint(3, roots[2]), &[leaves[1]]), other);
    assert_eq!(head.advance(&checkpoint(3, roots[2]), &[]), other);
    assert_eq!(head.advance(&checkpoint(3, roots[2]), &[leaves[2], leaves[2]]), other);
    let from_nothing = Head::EMPTY.advance(&checkpoint(3, roots[2]), &[leaves[2]]);
    assert_eq!(from_nothing, Err(HeadError::Forked { seen: 0, shown: 3 }));
    let empty = Head::EMPTY.advance(&checkpoint(0, roots[0]), &[]);
    assert_eq!(empty, Err(HeadError::Forked { seen: 0, shown: 0 }));
}
