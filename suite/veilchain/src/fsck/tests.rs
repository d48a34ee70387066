//! The check of a whole log: a sound one passes, and every changed byte is found.

use proptest::prelude::*;

use super::*;
use crate::{
    bundle::push_entry,
    hash::{EMPTY_ROOT, leaf_hash, naive},
    tile::new_tiles,
};

fn entry(index: u64) -> Vec<u8> {
    index.to_be_bytes().repeat(1 + index as usize % 3)
}

fn bundles(size: u64) -> Vec<Vec<u8>> {
    let indices: Vec<u64> = (0..size).collect();
    let bundle = |indices: &[u64]| {
        let mut bundle = Vec::new();
        indices.iter().for_each(|index| push_entry(&mut bundle, &entry(*index)).unwrap());
        bundle
    };
    indices.chunks(256).map(bundle).collect()
}

fn root(size: u64) -> Hash {
    naive::root(&(0..size).map(|index| leaf_hash(&entry(index))).collect::<Vec<_>>())
}

fn run(size: u64, root: Hash, bundles: &[Vec<u8>]) -> Result<Vec<(Tile, Vec<Hash>)>, Finding> {
    let mut fsck = Fsck::new(size, root).unwrap();
    let mut tiles = Vec::new();
    for (index, bundle) in bundles.iter().enumerate() {
        tiles.extend(fsck.bundle(index as u64, bundle)?);
    }
    tiles.extend(fsck.finish()?);
    Ok(tiles)
}

#[test]
fn a_sound_log_gives_back_all_of_its_tiles() {
    for size in [0, 1, 255, 256, 257, 700, 65_536, 66_000] {
        let mut tiles = run(size, root(size), &bundles(size)).unwrap();
        tiles.sort_unstable();
        let found: Vec<Tile> = tiles.iter().map(|(tile, _)| *tile).collect();
        assert_eq!(found, new_tiles(0, size).collect::<Vec<_>>());
        for (tile, hashes) in &tiles {
            assert_eq!(hashes.len(), usize::from(tile.width));
            compare_tile(*tile, hashes.as_flattened(), hashes).unwrap();
            let leaves = 1 << (8 * u32::from(tile.level));
            let start = tile.start() * leaves;
            let first: Vec<Hash> = (start..start + leaves).map(|index| leaf_hash(&entry(index))).collect();
            assert_eq!(hashes[0], naive::root(&first));
        }
    }
}

#[test]
fn another_root_is_found_at_the_end() {
    let finding = run(300, root(299), &bundles(300)).unwrap_err();
    assert_eq!(finding, Finding { path: "checkpoint".to_owned(), offset: None, wrong: Wrong::Root });
    assert_eq!(finding.to_string(), "checkpoint: the entries lead to another root");
    assert!(run(0, root(1), &[]).is_err());
    assert!(run(0, EMPTY_ROOT, &[]).is_ok());
}

#[test]
fn a_changed_byte_is_found_in_the_tile_that_has_its_hash() {
    let mut changed = bundles(300);
    changed[1][2] ^= 1;
    let mut fsck = Fsck::new(300, root(300)).unwrap();
    let full = fsck.bundle(0, &changed[0]).unwrap();
    assert_eq!(full.len(), 1);
    assert!(fsck.bundle(1, &changed[1]).unwrap().is_empty());
    let (tile, rebuilt) = fsck.partial().swap_remove(0);
    let stored: Vec<u8> = (256..300).flat_map(|index| leaf_hash(&entry(index))).collect();
    let finding = compare_tile(tile, &stored, &rebuilt).unwrap_err();
    assert_eq!((finding.path.as_str(), &finding.wrong), ("tile/0/001.p/44", &Wrong::Hash));
    assert!(finding.offset.unwrap() < 32, "the first entry of the bundle was changed");
    assert_eq!(fsck.finish().unwrap_err().wrong, Wrong::Root);
}

#[test]
fn a_cut_or_longer_bundle_is_named_with_its_first_bad_byte() {
    let mut fsck = Fsck::new(2, root(2)).unwrap();
    let bytes = bundles(2).swap_remove(0);
    let cut = fsck.bundle(0, &bytes[..bytes.len() - 1]).unwrap_err();
    assert_eq!((cut.path.as_str(), cut.offset), ("tile/entries/000.p/2", Some(bytes.len() as u64 - 1)));
    assert_eq!(cut.to_string(), "tile/entries/000.p/2, byte 27: entry 1, from byte 10 on, is cut");
    let longer = fsck.bundle(0, &[bytes.as_slice(), &[0]].concat()).unwrap_err();
    let trailing = Wrong::Bundle(BundleError::Trailing { offset: bytes.len() });
    assert_eq!((longer.offset, longer.wrong), (Some(bytes.len() as u64), trailing));
    fsck.bundle(0, &bytes).unwrap();
    fsck.finish().unwrap();
}

#[test]
fn bundles_out_of_turn_beyond_the_end_or_missing_are_refused() {
    let all = bundles(600);
    let mut fsck = Fsck::new(600, root(600)).unwrap();
    assert_eq!(fsck.bundle(1, &all[1]).unwrap_err().wrong, Wrong::Order { expected: 0 });
    fsck.bundle(0, &all[0]).unwrap();
    assert_eq!(fsck.bundle(0, &all[0]).unwrap_err().wrong, Wrong::Order { expected: 1 });
    let missing = fsck.clone().finish().unwrap_err();
    assert_eq!(missing.path, "tile/entries/001");
    assert_eq!(missing.wrong, Wrong::Missing { found: 256, size: 600 });
    fsck.bundle(1, &all[1]).unwrap();
    assert_eq!(fsck.next(), Some(BundlePath { index: 2, width: 88 }));
    fsck.bundle(2, &all[2]).unwrap();
    assert_eq!(fsck.next(), None);
    assert_eq!(fsck.bundle(3, &all[2]).unwrap_err().wrong, Wrong::Beyond { size: 600 });
    fsck.finish().unwrap();
    assert!(Fsck::new(u64::MAX, [0; 32]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_changed_bit_of_any_bundle_passes(size in 1_u64..600, at: prop::sample::Index, bit in 0_u8..8) {
        let mut changed = bundles(size);
        let at = at.index(changed.iter().map(Vec::len).sum());
        let byte = changed.iter_mut().flatten().nth(at).unwrap();
        *byte ^= 1 << bit;
        prop_assert!(run(size, root(size), &changed).is_err());
    }

    #[test]
    fn the_first_differing_byte_of_a_tile_is_named(width in 1_u16..=256, at: prop::sample::Index, bit in 0_u8..8) {
        let hashes = naive::leaves(usize::from(width));
        let tile = Tile { level: 0, index: 7, width };
        let mut stored = hashes.as_flattened().to_vec();
        let cut = at.index(stored.len());
        let finding = compare_tile(tile, &stored[..cut], &hashes).unwrap_err();
        let length = Wrong::Length { expected: stored.len() as u64, found: cut as u64 };
        prop_assert_eq!((finding.offset, finding.wrong), (Some(cut as u64), length));
        stored[cut] ^= 1 << bit;
        let finding = compare_tile(tile, &stored, &hashes).unwrap_err();
        prop_assert_eq!((finding.offset, finding.wrong), (Some(cut as u64), Wrong::Hash));
    }
}
