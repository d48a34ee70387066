//! Our tree against two others: `tlog_tiles`, after Go's tlog, and `ct-merkle`. Small trees as they are, large ones as trees
//! whose leaves are all equal but for a few, so that a subtree without one of those has a hash that only depends on its
//! level.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, which the lint does not see")]

use std::{cell::RefCell, collections::BTreeMap};

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash, mem_backed_tree::MemoryBackedTree};
use proptest::prelude::*;
use sha2_next::Sha256;
use tlog_tiles::{tile as tlog_tile, tlog};
use veilchain::{
    hash::{Hash, leaf_hash, node_hash},
    proof::{Plan, ProofError, verify_consistency, verify_inclusion},
    range::CompactRange,
    tile::{BundlePath, INDEX_MAX, Tile, new_tiles},
};

const SMALL: u64 = 1025;

fn entry(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

fn theirs(hashes: &[Hash]) -> Vec<tlog::Hash> {
    hashes.iter().map(|hash| tlog::Hash(*hash)).collect()
}

fn ours(hashes: Vec<tlog::Hash>) -> Vec<Hash> {
    hashes.into_iter().map(|hash| hash.0).collect()
}

fn ct_root(root: Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new(root.into(), size)
}

fn ct_inclusion(path: &[Hash]) -> InclusionProof<Sha256> {
    InclusionProof::try_from_bytes(path.as_flattened().to_vec()).unwrap()
}

fn ct_consistency(path: &[Hash]) -> ConsistencyProof<Sha256> {
    ConsistencyProof::try_from_bytes(path.as_flattened().to_vec()).unwrap()
}

/// Builds what a plan says from tiles that hold nothing but what `node` says.
fn build(plan: &Plan, node: impl Fn(u8, u64) -> Hash) -> Result<Vec<Hash>, ProofError> {
    let hashes =
        |tile: Tile| (tile.start()..tile.start() + u64::from(tile.width)).map(move |n| (8 * tile.level, n));
    let tiles: BTreeMap<Tile, Vec<Hash>> = plan
        .tiles()
        .into_iter()
        .map(|tile| (tile, hashes(tile).map(|(level, index)| node(level, index)).collect()))
        .collect();
    plan.build(|tile| tiles.get(&tile).map(Vec::as_slice))
}

/// The nodes of a growing tree, in the order in which Go's tlog stores them.
#[derive(Default)]
struct Stored(Vec<tlog::Hash>);

impl tlog::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
    }
}

impl Stored {
    fn push(&mut self, index: u64) {
        let hashes = tlog::stored_hashes(index, &entry(index), &*self).unwrap();
        self.0.extend(hashes);
    }

    fn node(&self, level: u8, index: u64) -> Hash {
        self.0[tlog::stored_hash_index(level, index) as usize].0
    }
}

/// Sizes or indices below `end`: the ends, the middle, both sides of a tile's end and one that moves about.
fn selected(end: u64) -> Vec<u64> {
    let mut all = vec![0, 255, 256, end / 2, end - 1, end * 331 % 1021];
    all.retain(|at| *at < end);
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn roots_and_nodes_are_the_same_at_every_small_size() {
    let (mut stored, mut range) = (Stored::default(), CompactRange::new());
    let mut ct = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    for size in 0..=SMALL {
        assert_eq!(range.root(), tlog::tree_hash(size, &stored).unwrap().0, "size {size}");
        assert_eq!(range.root().as_slice(), ct.root().as_bytes().as_slice(), "size {size}");
        stored.push(size);
        ct.push(entry(size));
        let mut nodes = Vec::new();
        range.push_with(leaf_hash(&entry(size)), |level, index, hash| {
            assert_eq!(*hash, stored.node(level, index));
            nodes.push(*hash);
        });
        assert_eq!(theirs(&nodes), stored.0[stored.0.len() - nodes.len()..]);
    }
}

#[test]
fn inclusion_proofs_are_the_same_at_every_small_size() {
    let mut stored = Stored::default();
    let mut ct = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    for size in 1..=SMALL {
        stored.push(size - 1);
        ct.push(entry(size - 1));
        let root = tlog::tree_hash(size, &stored).unwrap();
        let indices = if size <= 40 || size == SMALL { (0..size).collect() } else { selected(size) };
        for index in indices {
            let leaf = leaf_hash(&entry(index));
            let expected = ours(tlog::prove_record(size, index, &stored).unwrap());
            let ct_path = ct.prove_inclusion(index as usize);
            assert_eq!(ct_path.as_bytes(), expected.as_flattened(), "{index} of {size}");
            let path =
                build(&Plan::inclusion(index, size).unwrap(), |level, n| stored.node(level, n)).unwrap();
            assert_eq!(path, expected, "{index} of {size}");
            verify_inclusion(index, size, &leaf, &path, &root.0).unwrap();
        }
        let edge = build(&Plan::edge(size).unwrap(), |level, n| stored.node(level, n)).unwrap();
        assert_eq!(CompactRange::from_edge(size, &edge).unwrap().root(), root.0);
    }
}

#[test]
fn consistency_proofs_are_the_same_at_every_small_size() {
    let mut stored = Stored::default();
    let mut ct = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    let mut roots = vec![CompactRange::new().root()];
    for new in 1..=SMALL {
        stored.push(new - 1);
        ct.push(entry(new - 1));
        roots.push(tlog::tree_hash(new, &stored).unwrap().0);
        // All pairs of the smallest sizes and of one that spans five tiles; of the others those where something changes.
        let olds = if new <= 64 || new == SMALL { (0..=new).collect() } else { selected(new + 1) };
        for old in olds.into_iter().filter(|old| *old > 0) {
            let expected = ours(tlog::prove_tree(new, old, &stored).unwrap());
            if old < new {
                let ct_path = ct.prove_consistency((new - old) as usize);
                assert_eq!(ct_path.as_bytes(), expected.as_flattened(), "{old} to {new}");
            }
            let path =
                build(&Plan::consistency(old, new).unwrap(), |level, n| stored.node(level, n)).unwrap();
            assert_eq!(path, expected, "{old} to {new}");
            verify_consistency(old, &roots[old as usize], new, &roots[new as usize], &path).unwrap();
        }
    }
}

#[test]
fn all_pairs_of_small_sizes_are_consistent_by_the_proofs_of_the_others() {
    let mut stored = Stored::default();
    let mut roots = vec![CompactRange::new().root()];
    for new in 1..=SMALL {
        stored.push(new - 1);
        roots.push(tlog::tree_hash(new, &stored).unwrap().0);
        // Every old size is met, a seventeenth of them at each new size, and others each time.
        for old in (1..=new).filter(|old| (old + new) % 17 == 0) {
            let path = ours(tlog::prove_tree(new, old, &stored).unwrap());
            verify_consistency(old, &roots[old as usize], new, &roots[new as usize], &path).unwrap();
        }
    }
}

/// A tree of any size whose leaves are equal, but for those that are marked.
struct Synthetic {
    marked: Vec<u64>,
    plain: Vec<Hash>,
    found: RefCell<BTreeMap<(u8, u64), Hash>>,
}

impl Synthetic {
    fn new(marked: &[u64]) -> Self {
        let mut plain = vec![leaf_hash(b"plain")];
        for level in 0..62 {
            plain.push(node_hash(&plain[level], &plain[level]));
        }
        Self { marked: marked.to_vec(), plain, found: RefCell::default() }
    }

    fn entry(&self, index: u64) -> [u8; 8] {
        if self.marked.contains(&index) { entry(index) } else { *b"the same" }
    }

    fn node(&self, level: u8, index: u64) -> Hash {
        if !self.marked.iter().any(|marked| marked >> level == index) {
            return self.plain[usize::from(level)];
        }
        if level == 0 {
            return leaf_hash(&self.entry(index));
        }
        if let Some(found) = self.found.borrow().get(&(level, index)) {
            return *found;
        }
        let hash = node_hash(&self.node(level - 1, 2 * index), &self.node(level - 1, 2 * index + 1));
        self.found.borrow_mut().insert((level, index), hash);
        hash
    }

    /// Its root, by a compact range that is given the edge bit by bit.
    fn root(&self, size: u64) -> Hash {
        let levels = (0..62_u8).rev().filter(|level| size >> level & 1 == 1);
        let edge: Vec<Hash> = levels.map(|level| self.node(level, (size >> level) - 1)).collect();
        CompactRange::from_edge(size, &edge).unwrap().root()
    }
}

impl tlog::HashReader for Synthetic {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        let place = |index: &u64| tlog::split_stored_hash_index(*index);
        Ok(indexes.iter().map(place).map(|(level, index)| tlog::Hash(self.node(level, index))).collect())
    }
}

prop_compose! {
    /// Two numbers below 2^33, as often small as large.
    fn place()(size in 1_u64..=1 << 33, shift in 0_u32..33, other: u64) -> (u64, u64) {
        let size = (size >> shift).max(1);
        (other % size, size)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn proofs_of_large_trees_are_the_same((index, size) in place(), mark: u64) {
        let tree = Synthetic::new(&[index, mark % size, size - 1]);
        let (entry, root) = (tree.entry(index), tree.root(size));
        prop_assert_eq!(root, tlog::tree_hash(size, &tree).unwrap().0);

        let path = build(&Plan::inclusion(index, size).unwrap(), |level, n| tree.node(level, n)).unwrap();
        prop_assert_eq!(&path, &ours(tlog::prove_record(size, index, &tree).unwrap()));
        verify_inclusion(index, size, &leaf_hash(&entry), &path, &root).unwrap();
        ct_root(root, size).verify_inclusion(&entry, index, &ct_inclusion(&path)).unwrap();

        let edge = build(&Plan::edge(size).unwrap(), |level, n| tree.node(level, n)).unwrap();
        prop_assert_eq!(CompactRange::from_edge(size, &edge).unwrap().root(), root);

        let old = index + 1;
        let old_root = tree.root(old);
        let path = build(&Plan::consistency(old, size).unwrap(), |level, n| tree.node(level, n)).unwrap();
        prop_assert_eq!(&path, &ours(tlog::prove_tree(size, old, &tree).unwrap()));
        verify_consistency(old, &old_root, size, &root, &path).unwrap();
        ct_root(root, size).verify_consistency(&ct_root(old_root, old), &ct_consistency(&path)).unwrap();
    }

    #[test]
    fn all_three_refuse_the_same(
        (index, size) in place(), kind in 0..8, at: prop::sample::Index, bit in 0_u8..8, other in 0_u64..1 << 34,
    ) {
        let tree = Synthetic::new(&[index]);
        let (entry, root, leaf) = (tree.entry(index), tree.root(size), leaf_hash(&tree.entry(index)));
        let mut path = ours(tlog::prove_record(size, index, &tree).unwrap());
        let (index, size) = altered(index, size, kind, other, &mut path, &at, bit);
        let accepted = verify_inclusion(index, size, &leaf, &path, &root).is_ok();
        if index < size {
            let tlog = tlog::check_record(&theirs(&path), size, tlog::Hash(root), index, tlog::Hash(leaf));
            prop_assert_eq!(accepted, tlog.is_ok());
        }
        let ct = ct_root(root, size).verify_inclusion(&entry, index, &ct_inclusion(&path));
        prop_assert_eq!(accepted, ct.is_ok());
    }

    #[test]
    fn all_three_refuse_the_same_histories(
        (old, size) in place(), kind in 0..8, at: prop::sample::Index, bit in 0_u8..8, other in 0_u64..1 << 34,
    ) {
        let old = old + 1;
        let tree = Synthetic::new(&[old - 1]);
        let (old_root, root) = (tree.root(old), tree.root(size));
        let mut path = ours(tlog::prove_tree(size, old, &tree).unwrap());
        let (old, size) = altered(old, size, kind, other, &mut path, &at, bit);
        let accepted = verify_consistency(old, &old_root, size, &root, &path).is_ok();
        // The others have no empty tree.
        if (1..=size).contains(&old) {
            let tlog = tlog::check_tree(&theirs(&path), size, tlog::Hash(root), old, tlog::Hash(old_root));
            prop_assert_eq!(accepted, tlog.is_ok());
            let ct = ct_root(root, size).verify_consistency(&ct_root(old_root, old), &ct_consistency(&path));
            prop_assert_eq!(accepted, ct.is_ok());
        } else {
            prop_assert!(!accepted);
        }
    }

    #[test]
    fn tiles_have_the_same_paths(level in 0_u8..64, index in 0..=INDEX_MAX, shift in 0_u32..54, width in 1_u16..=256) {
        let index = index >> shift;
        let tile = Tile { level, index, width };
        let theirs = tlog_tile::Tile::new(8, level, index, u32::from(width), false);
        prop_assert_eq!(tile.path().replacen("tile/", "tile/8/", 1), theirs.path());
        let bundle = BundlePath { index, width };
        let theirs = tlog_tile::Tile::new(8, 0, index, u32::from(width), true);
        prop_assert_eq!(bundle.path().replacen("tile/entries/", "tile/8/data/", 1), theirs.path());
    }

    #[test]
    fn the_same_paths_are_refused(path in "[0-9]{1,3}/(x?[0-9]{2,4}/){0,2}x?[0-9]{2,4}(\\.p/[0-9]{1,3})?") {
        let here = Tile::parse(&format!("tile/{path}"));
        // Theirs takes, and panics on, levels above 63 and the width 0.
        if path.split('/').next().is_some_and(|level| level.parse::<u8>().is_ok_and(|level| level < 64))
            && !path.ends_with(".p/0") && !path.ends_with(".p/00") && !path.ends_with(".p/000")
        {
            prop_assert_eq!(here.is_ok(), tlog_tile::Tile::from_path(&format!("tile/8/{path}")).is_ok());
        } else {
            prop_assert!(here.is_err());
        }
    }

    #[test]
    fn the_same_tiles_are_new(old in 0_u64..1 << 33, shift in 0_u32..33, more in 0_u64..5000) {
        let old = old >> shift;
        let theirs: Vec<_> = tlog_tile::Tile::new_tiles(8, old, old + more)
            .into_iter()
            .map(|tile| Tile { level: tile.level(), index: tile.level_index(), width: tile.width() as u16 })
            .collect();
        prop_assert_eq!(new_tiles(old, old + more).collect::<Vec<_>>(), theirs);
    }
}

/// What was asked and what was answered, with one thing altered; kind 0 alters nothing.
fn altered(
    first: u64,
    size: u64,
    kind: i32,
    other: u64,
    path: &mut Vec<Hash>,
    at: &prop::sample::Index,
    bit: u8,
) -> (u64, u64) {
    match kind {
        1 => return (other % size, size),
        2 => return (first, other),
        3 => return (first, size + 1),
        4 => return (first, size.saturating_sub(1)),
        5 => path.insert(at.index(path.len() + 1), [bit; 32]),
        6 if !path.is_empty() => drop(path.remove(at.index(path.len()))),
        7 if !path.is_empty() => at.get_mut(path)[usize::from(bit)] ^= 1 << bit,
        _ => {}
    }
    (first, size)
}
