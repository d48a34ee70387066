//! Plans: what is built from tiles is what the recursion gives.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    hash::naive,
    proof::{verify_consistency, verify_inclusion},
    range::{CompactRange, TREE_SIZE_MAX},
    tile::{level_len, new_tiles},
};

/// All tiles of a tree.
fn tiles(leaves: &[Hash]) -> BTreeMap<Tile, Vec<Hash>> {
    let mut range = CompactRange::new();
    let mut levels: Vec<Vec<Hash>> = vec![Vec::new(); 8];
    for leaf in leaves {
        range.push_with(*leaf, |level, _, hash| {
            if level % TILE_HEIGHT == 0 {
                levels[usize::from(level / TILE_HEIGHT)].push(*hash);
            }
        });
    }
    new_tiles(0, leaves.len() as u64)
        .map(|tile| {
            let start = tile.start() as usize;
            (tile, levels[usize::from(tile.level)][start..start + usize::from(tile.width)].to_vec())
        })
        .collect()
}

fn build(plan: &Plan, tiles: &BTreeMap<Tile, Vec<Hash>>) -> Vec<Hash> {
    for tile in plan.tiles() {
        assert!(tiles.contains_key(&tile), "{} is no tile of this tree", tile.path());
    }
    plan.build(|tile| tiles.get(&tile).map(Vec::as_slice)).unwrap()
}

#[test]
fn every_small_proof_is_the_one_of_the_recursion() {
    let leaves = naive::leaves(70);
    for size in 0..=leaves.len() {
        let (leaves, n) = (&leaves[..size], size as u64);
        let tiles = tiles(leaves);
        for at in 0..size {
            let path = build(&Plan::inclusion(at as u64, n).unwrap(), &tiles);
            assert_eq!(path, naive::path(at, leaves));
        }
        for old in 0..=size {
            let path = build(&Plan::consistency(old as u64, n).unwrap(), &tiles);
            assert_eq!(path, naive::proof(old, leaves));
        }
    }
}

#[test]
fn proofs_over_several_levels_of_tiles_hold() {
    let all = naive::leaves(66_049);
    for size in [255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 66_049] {
        let (leaves, n) = (&all[..size], size as u64);
        let tiles = tiles(leaves);
        let root = naive::root(leaves);
        for at in [0, 1, 127, 128, 254, 255, 256, 300, size / 2, size - 2, size - 1] {
            let Some(leaf) = leaves.get(at) else { continue };
            let path = build(&Plan::inclusion(at as u64, n).unwrap(), &tiles);
            verify_inclusion(at as u64, n, leaf, &path, &root).unwrap();
        }
        for old in [1, 2, 128, 255, 256, 257, 512, size / 2, size - 1, size] {
            let Some(before) = leaves.get(..old) else { continue };
            let path = build(&Plan::consistency(old as u64, n).unwrap(), &tiles);
            verify_consistency(old as u64, &naive::root(before), n, &root, &path).unwrap();
        }
    }
}

#[test]
fn the_edge_is_the_one_of_the_compact_range() {
    let leaves = naive::leaves(70_000);
    for size in [0, 1, 2, 3, 255, 256, 257, 1023, 65_535, 65_536, 65_537, 70_000] {
        let mut range = CompactRange::new();
        leaves[..size].iter().for_each(|leaf| range.push(*leaf));
        let edge = build(&Plan::edge(size as u64).unwrap(), &tiles(&leaves[..size]));
        assert_eq!(edge, range.edge());
    }
}

#[test]
fn a_missing_a_short_and_a_long_tile_are_refused() {
    let leaves = naive::leaves(1000);
    let tiles = tiles(&leaves);
    for plan in [Plan::inclusion(3, 1000), Plan::consistency(300, 1000), Plan::edge(1000)] {
        let plan = plan.unwrap();
        for bad in plan.tiles() {
            let missing = plan.build(|tile| tiles.get(&tile).filter(|_| tile != bad).map(Vec::as_slice));
            assert_eq!(missing, Err(ProofError::MissingTile { tile: bad }));
            let mut short = tiles.clone();
            short.get_mut(&bad).unwrap().pop();
            let short = plan.build(|tile| short.get(&tile).map(Vec::as_slice));
            let found = usize::from(bad.width) - 1;
            assert_eq!(short, Err(ProofError::TileWidth { tile: bad, found }));
            let mut long = tiles.clone();
            long.get_mut(&bad).unwrap().push([0; 32]);
            let long = plan.build(|tile| long.get(&tile).map(Vec::as_slice));
            let found = usize::from(bad.width) + 1;
            assert_eq!(long, Err(ProofError::TileWidth { tile: bad, found }));
        }
    }
}

#[test]
fn plans_outside_a_tree_are_refused() {
    let size = TREE_SIZE_MAX + 1;
    assert_eq!(Plan::inclusion(0, size), Err(TreeError::TooLarge { size }));
    assert_eq!(Plan::consistency(0, size), Err(TreeError::TooLarge { size }));
    assert_eq!(Plan::edge(size), Err(TreeError::TooLarge { size }));
    assert_eq!(Plan::inclusion(5, 5), Err(TreeError::IndexOutside { index: 5, size: 5 }));
    assert_eq!(Plan::inclusion(0, 0), Err(TreeError::IndexOutside { index: 0, size: 0 }));
    assert_eq!(Plan::consistency(6, 5), Err(TreeError::Shrunk { old: 6, new: 5 }));
}

proptest! {
    #[test]
    fn plans_of_large_trees_ask_for_few_tiles_of_that_tree(
        size in 1..=TREE_SIZE_MAX, shift in 0_u32..62, other: u64,
    ) {
        let size = (size >> shift).max(1);
        let plans = [Plan::inclusion(other % size, size), Plan::consistency(other % (size + 1), size), Plan::edge(size)];
        for plan in plans {
            let tiles = plan.unwrap().tiles();
            // On each of at most eight levels: the way down, and the right edge.
            prop_assert!(tiles.len() <= 16, "{} tiles", tiles.len());
            for tile in tiles {
                prop_assert_eq!(Tile::of_size(tile.level, tile.index, size), Some(tile));
                prop_assert!(tile.start() + u64::from(tile.width) <= level_len(tile.level, size));
            }
        }
    }
}
