//! Verification: everything that holds for the recursion holds here, and nothing beside it.

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::{
    hash::{leaf_hash, naive},
    range::TREE_SIZE_MAX,
};

const SIZES: usize = 257;

#[test]
fn every_leaf_of_every_small_tree_is_included() {
    let leaves = naive::leaves(SIZES);
    for size in 1..=SIZES {
        let root = naive::root(&leaves[..size]);
        for index in 0..size {
            let path = naive::path(index, &leaves[..size]);
            verify_inclusion(index as u64, size as u64, &leaves[index], &path, &root).unwrap();
        }
    }
}

#[test]
fn every_small_tree_is_consistent_with_every_earlier_one() {
    let leaves = naive::leaves(SIZES);
    let roots: Vec<Hash> = (0..=SIZES).map(|size| naive::root(&leaves[..size])).collect();
    for new in 0..=SIZES {
        for old in 0..=new {
            let path = naive::proof(old, &leaves[..new]);
            verify_consistency(old as u64, &roots[old], new as u64, &roots[new], &path).unwrap();
        }
    }
}

#[test]
fn the_proofs_of_certificate_transparency_hold() {
    let entries =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let leaves: Vec<Hash> =
        entries.iter().map(|entry| leaf_hash(&HEXLOWER.decode(entry.as_bytes()).unwrap())).collect();
    let hash = |hex: &str| -> Hash { HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap() };
    let consistency = [
        hash("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"),
        hash("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
        hash("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    ];
    verify_consistency(6, &naive::root(&leaves[..6]), 8, &naive::root(&leaves), &consistency).unwrap();
    let inclusion = [
        hash("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"),
        hash("5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"),
        hash("6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"),
    ];
    verify_inclusion(0, 8, &leaves[0], &inclusion, &naive::root(&leaves)).unwrap();
}

/// A path and everything next to it: cut, lengthened, reordered, a bit flipped.
fn neighbours(path: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for at in 0..=path.len() {
        let mut longer = path.to_vec();
        longer.insert(at, [0; 32]);
        all.push(longer);
        if at < path.len() {
            let mut shorter = path.to_vec();
            shorter.remove(at);
            all.push(shorter);
            for (byte, bit) in [(0, 1), (17, 16), (31, 128)] {
                let mut flipped = path.to_vec();
                flipped[at][byte] ^= bit;
                all.push(flipped);
            }
            let mut twice = path.to_vec();
            twice.insert(at, path[at]);
            all.push(twice);
            all.push(path[..at].to_vec());
        }
        if at + 1 < path.len() {
            let mut swapped = path.to_vec();
            swapped.swap(at, at + 1);
            all.push(swapped);
        }
    }
    all
}

/// Why a neighbour is refused: for its length before anything is hashed, otherwise for where it leads.
fn reason(path: &[Hash], near: &[Hash]) -> ProofError {
    if near.len() == path.len() {
        ProofError::Root
    } else {
        ProofError::PathLength { expected: path.len(), found: near.len() }
    }
}

#[test]
fn every_neighbour_of_an_inclusion_proof_is_refused() {
    let leaves = naive::leaves(36);
    for size in 1..=leaves.len() {
        let (leaves, other) = (&leaves[..size], [0x5a; 32]);
        let root = naive::root(leaves);
        for index in 0..size {
            let path = naive::path(index, leaves);
            let (at, n) = (index as u64, size as u64);
            for near in neighbours(&path) {
                let refused = verify_inclusion(at, n, &leaves[index], &near, &root);
                assert_eq!(refused, Err(reason(&path, &near)), "{at} of {n}");
            }
            for wrong in (0..n).filter(|wrong| *wrong != at) {
                assert!(verify_inclusion(wrong, n, &leaves[index], &path, &root).is_err(), "{at} of {n}");
            }
            for outside in [n, n + 1, n + at + 1, u64::MAX] {
                let refused = verify_inclusion(outside, n, &leaves[index], &path, &root);
                assert_eq!(refused, Err(TreeError::IndexOutside { index: outside, size: n }.into()));
            }
            assert_eq!(verify_inclusion(at, n, &leaves[index], &path, &other), Err(ProofError::Root));
            assert_eq!(verify_inclusion(at, n, &other, &path, &root), Err(ProofError::Root));
        }
    }
}

#[test]
fn a_size_that_is_wrong_is_refused_wherever_it_changes_the_way() {
    // A proof binds the size only as far as the way from leaf to root depends on it; for the last leaf it always does.
    let leaves = naive::leaves(130);
    for size in 1..=leaves.len() {
        let root = naive::root(&leaves[..size]);
        for index in 0..size {
            let path = naive::path(index, &leaves[..size]);
            for wrong in [size - 1, size + 1] {
                let accepted =
                    verify_inclusion(index as u64, wrong as u64, &leaves[index], &path, &root).is_ok();
                assert!(!accepted || steps(index as u64, wrong as u64, 0) == path.len());
                assert!(!accepted || index + 1 < size, "{index} of {wrong} instead of {size}");
            }
        }
    }
    let refused = verify_inclusion(0, TREE_SIZE_MAX + 1, &[0; 32], &[], &[0; 32]);
    assert_eq!(refused, Err(TreeError::TooLarge { size: TREE_SIZE_MAX + 1 }.into()));
    assert!(verify_inclusion(0, 0, &EMPTY_ROOT, &[], &EMPTY_ROOT).is_err());
}

#[test]
fn every_neighbour_of_a_consistency_proof_is_refused() {
    let leaves = naive::leaves(34);
    let roots: Vec<Hash> = (0..=leaves.len()).map(|size| naive::root(&leaves[..size])).collect();
    for new in 1..leaves.len() {
        for old in 0..=new {
            let path = naive::proof(old, &leaves[..new]);
            let (o, n) = (old as u64, new as u64);
            for near in neighbours(&path) {
                let refused = verify_consistency(o, &roots[old], n, &roots[new], &near);
                assert_eq!(refused, Err(reason(&path, &near)), "{o} to {n}");
            }
            for wrong in (0..=new).filter(|wrong| *wrong != old) {
                let root = &roots[wrong];
                assert!(verify_consistency(o, root, n, &roots[new], &path).is_err(), "{o} to {n}");
                assert!(verify_consistency(wrong as u64, &roots[old], n, &roots[new], &path).is_err());
            }
            if old > 0 {
                let other = [0x5a; 32];
                assert_eq!(verify_consistency(o, &roots[old], n, &other, &path), Err(ProofError::Root));
                assert_eq!(verify_consistency(o, &other, n, &roots[new], &path), Err(ProofError::Root));
                assert!(verify_consistency(o, &roots[old], n, &roots[new + 1], &path).is_err());
            }
            let back = verify_consistency(n + 1, &roots[new + 1], n, &roots[new], &path);
            assert_eq!(back, Err(TreeError::Shrunk { old: n + 1, new: n }.into()));
        }
    }
}

#[test]
fn the_empty_tree_is_consistent_with_all_and_only_with_its_own_root() {
    let root = leaf_hash(b"x");
    verify_consistency(0, &EMPTY_ROOT, 0, &EMPTY_ROOT, &[]).unwrap();
    verify_consistency(0, &EMPTY_ROOT, 1, &root, &[]).unwrap();
    assert_eq!(verify_consistency(0, &root, 1, &root, &[]), Err(ProofError::Root));
    assert_eq!(verify_consistency(0, &EMPTY_ROOT, 0, &root, &[]), Err(ProofError::Root));
    assert!(verify_consistency(0, &EMPTY_ROOT, 1, &root, &[root]).is_err());
    assert!(verify_consistency(1, &root, 1, &root, &[root]).is_err());
    let size = TREE_SIZE_MAX + 1;
    let refused = verify_consistency(1, &root, size, &root, &[]);
    assert_eq!(refused, Err(TreeError::TooLarge { size }.into()));
}

proptest! {
    #[test]
    fn no_size_index_or_path_makes_the_verifiers_panic(
        index: u64, size: u64, shift in 0_u32..64, path in prop::collection::vec(any::<Hash>(), 0..70), root: Hash,
    ) {
        let size = size >> shift;
        prop_assert!(verify_inclusion(index >> shift, size, &root, &path, &EMPTY_ROOT).is_err());
        let (old, new) = (size.min(index >> shift), size.max(index >> shift));
        if old > 0 && old < new {
            prop_assert!(verify_consistency(old, &root, new, &EMPTY_ROOT, &path).is_err());
        }
    }

    #[test]
    fn the_length_of_a_path_is_the_one_of_the_recursion(index in 0_u64..1 << 40, more in 1_u64..1 << 40) {
        let size = index + more;
        prop_assert_eq!(steps(index, size, 0), depth(index, size));
    }
}

/// Length of PATH(m, D[n]).
fn depth(index: u64, size: u64) -> usize {
    if size == 1 {
        return 0;
    }
    let half = size.next_power_of_two() / 2;
    1 + if index < half { depth(index, half) } else { depth(index - half, size - half) }
}
