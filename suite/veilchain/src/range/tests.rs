//! The compact range against the recursion of RFC 6962, and against the vectors of Certificate Transparency.

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::hash::{EMPTY_ROOT, leaf_hash, naive};

/// The entries and roots that every implementation of Certificate Transparency is tested with.
const ENTRIES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn the_roots_are_those_of_certificate_transparency() {
    let mut range = CompactRange::new();
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(range.size(), size as u64);
        assert_eq!(HEXLOWER.encode(&range.root()), *root, "size {size}");
        if let Some(entry) = ENTRIES.get(size) {
            range.push(leaf_hash(&HEXLOWER.decode(entry.as_bytes()).unwrap()));
        }
    }
}

#[test]
fn every_small_root_is_the_one_of_the_recursion() {
    let leaves = naive::leaves(1025);
    let mut range = CompactRange::new();
    for size in 0..=leaves.len() {
        if size <= 260 || size.is_power_of_two() || (size + 1).is_power_of_two() || size == 1025 {
            assert_eq!(range.root(), naive::root(&leaves[..size]), "size {size}");
        }
        assert_eq!(range.edge().len(), size.count_ones() as usize);
        if let Some(leaf) = leaves.get(size) {
            range.push(*leaf);
        }
    }
}

#[test]
fn every_completed_node_is_shown_once_and_in_order() {
    let leaves = naive::leaves(300);
    let mut range = CompactRange::new();
    let mut count = 0;
    for leaf in &leaves {
        let mut before = None;
        range.push_with(*leaf, |level, index, hash| {
            let (start, end) = ((index << level) as usize, ((index + 1) << level) as usize);
            assert_eq!(*hash, naive::root(&leaves[start..end]));
            assert_eq!(level, before.map_or(0, |before: u8| before + 1));
            before = Some(level);
            count += 1;
        });
    }
    // n leaves complete 2n - popcount(n) nodes.
    assert_eq!(count, 2 * 300 - 300_u32.count_ones());
}

#[test]
fn an_edge_of_another_length_or_size_is_refused() {
    let hashes = [[1; 32]; 64];
    for size in [0, 1, 2, 3, 255, 256, TREE_SIZE_MAX - 1, TREE_SIZE_MAX] {
        let right = size.count_ones() as usize;
        assert!(CompactRange::from_edge(size, &hashes[..right]).is_ok());
        let longer = CompactRange::from_edge(size, &hashes[..=right]);
        assert_eq!(longer, Err(TreeError::EdgeLength { expected: right, found: right + 1 }));
        if right > 0 {
            assert!(CompactRange::from_edge(size, &hashes[..right - 1]).is_err());
        }
    }
    let size = TREE_SIZE_MAX + 1;
    assert_eq!(CompactRange::from_edge(size, &hashes[..2]), Err(TreeError::TooLarge { size }));
    assert_eq!(CompactRange::from_edge(u64::MAX, &hashes), Err(TreeError::TooLarge { size: u64::MAX }));
}

#[test]
fn the_empty_range_has_the_empty_root() {
    assert_eq!(CompactRange::new().root(), EMPTY_ROOT);
    assert_eq!(CompactRange::from_edge(0, &[]).unwrap(), CompactRange::default());
}

proptest! {
    #[test]
    fn a_range_goes_on_from_its_edge(before in 0_usize..600, after in 0_usize..60) {
        let leaves = naive::leaves(before + after);
        let mut range = CompactRange::new();
        leaves[..before].iter().for_each(|leaf| range.push(*leaf));
        let mut again = CompactRange::from_edge(range.size(), range.edge()).unwrap();
        prop_assert_eq!(&again, &range);
        leaves[before..].iter().for_each(|leaf| again.push(*leaf));
        prop_assert_eq!(again.root(), naive::root(&leaves));
    }
}
