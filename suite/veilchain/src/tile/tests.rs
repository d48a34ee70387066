//! Names of tiles, and which tiles there are.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn tile(level: u8, index: u64, width: u16) -> Tile {
    Tile { level, index, width }
}

#[test]
fn paths_are_those_of_the_specification() {
    for (found, path) in [
        (tile(0, 0, 256), "tile/0/000"),
        (tile(0, 999, 256), "tile/0/999"),
        (tile(1, 1000, 256), "tile/1/x001/000"),
        (tile(0, 1_234_067, 256), "tile/0/x001/x234/067"),
        (tile(0, 1_067, 5), "tile/0/x001/067.p/5"),
        (tile(63, 12, 255), "tile/63/012.p/255"),
        (tile(7, INDEX_MAX, 1), "tile/7/x018/x014/x398/x509/x481/983.p/1"),
    ] {
        assert_eq!(found.path(), path);
        assert_eq!(Tile::parse(path), Ok(found));
    }
    let bundle = BundlePath { index: 1_234_067, width: 17 };
    assert_eq!(bundle.path(), "tile/entries/x001/x234/067.p/17");
    assert_eq!(BundlePath::parse("tile/entries/x001/x234/067.p/17"), Ok(bundle));
}

#[test]
fn every_other_spelling_is_refused() {
    let names = [
        "",
        "1",
        "01",
        "0001",
        "x000/001",
        "x000/x001/067",
        "x001",
        "x001/",
        "001/067",
        "x001/x067",
        "x1/067",
        "x0001/067",
        "x001/67",
        "x001/0067",
        "X001/067",
        "x001/067/",
        "/067",
        "x001//067",
        "067.p",
        "067.p/",
        "067.p/0",
        "067.p/05",
        "067.p/256",
        "067.p/257",
        "067.p/65541",
        "067.p/+5",
        "067.p/-1",
        "067.p/5/",
        "067.p/5.p/5",
        "067.P/5",
        "067p/5",
        "067/5",
        "..",
        "../067",
        "x../067",
        "x001/../067",
        "%30%36%37",
        "+67",
        "-67",
        " 067",
        "067 ",
        "067\n",
        "06a",
        "\u{660}\u{660}\u{661}",
        "067?x",
        "x001\\067",
        "067\0",
    ];
    for name in names {
        for path in [format!("tile/0/{name}"), format!("tile/63/{name}.p/5")] {
            assert!(Tile::parse(&path).is_err(), "{path:?}");
        }
        let path = format!("tile/entries/{name}");
        assert!(BundlePath::parse(&path).is_err(), "{path:?}");
    }
    for path in [
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/067",
        "Tile/0/067",
        "tile//067",
        "tile/00/067",
        "tile/01/067",
        "tile/+1/067",
        "tile/64/067",
        "tile/255/067",
        "tile/256/067",
        "tile/-1/067",
        "tile/entries/067",
        "tile/8/0/067",
        "tiles/0/067",
        "tile/0/067/tile/0/067",
        "./tile/0/067",
        "tile/./067",
        "tile/0/./067",
    ] {
        assert!(Tile::parse(path).is_err(), "{path:?}");
    }
    for path in ["tile/0/067", "tile/Entries/067", "tile/entries", "tile/data/067", "tile/entries//067"] {
        assert!(BundlePath::parse(path).is_err(), "{path:?}");
    }
}

#[test]
fn levels_and_indices_beyond_the_limit_are_refused() {
    assert_eq!(Tile::parse("tile/64/000"), Err(TileError::Level));
    let beyond = tile(0, INDEX_MAX + 1, 256).path();
    assert_eq!(Tile::parse(&beyond), Err(TileError::Index));
    assert_eq!(Tile::parse("tile/0/x018/x446/x744/x073/x709/x551/616"), Err(TileError::Index));
    assert_eq!(Tile::parse(&format!("tile/0/{}000", "x999/".repeat(9))), Err(TileError::Index));
    assert_eq!(Tile::parse(&format!("tile/0/{}000", "x000/".repeat(90))), Err(TileError::Path));
}

#[test]
fn the_tree_of_the_specification_has_the_tiles_it_lists() {
    let tiles: Vec<Tile> = new_tiles(0, 70_000).collect();
    assert_eq!(tiles.iter().filter(|tile| tile.level == 0 && tile.width == 256).count(), 273);
    let rest: Vec<&Tile> = tiles.iter().filter(|tile| tile.level > 0 || tile.width < 256).collect();
    assert_eq!(rest, [&tile(0, 273, 112), &tile(1, 0, 256), &tile(1, 1, 17), &tile(2, 0, 1)]);
    assert_eq!(new_tiles(0, 256).collect::<Vec<_>>(), [tile(0, 0, 256), tile(1, 0, 1)]);
}

#[test]
fn a_place_without_a_hash_has_no_tile() {
    assert_eq!(Tile::of_size(0, 0, 0), None);
    assert_eq!(Tile::of_size(1, 0, 255), None);
    assert_eq!(Tile::of_size(1, 0, 256), Some(tile(1, 0, 1)));
    assert_eq!(Tile::of_size(0, 1, 256), None);
    assert_eq!(Tile::of_size(0, 1, 257), Some(tile(0, 1, 1)));
    assert_eq!(Tile::of_size(0, u64::MAX, u64::MAX), None);
    assert_eq!(Tile::of_size(255, 0, u64::MAX), None);
    assert_eq!(BundlePath::of_size(1, 256), None);
    assert_eq!(BundlePath::of_size(1, 300), Some(BundlePath { index: 1, width: 44 }));
    assert_eq!((levels(0), levels(1), levels(255), levels(256), levels(TREE_SIZE_MAX)), (0, 1, 1, 2, 8));
}

#[test]
fn hashes_have_exactly_their_width() {
    let bytes = [3; 256 * 32 + 1];
    assert_eq!(parse_hashes(&bytes[..64], 2).unwrap(), [[3; 32]; 2]);
    assert_eq!(parse_hashes(&bytes[..8192], 256).unwrap().len(), 256);
    for (len, width) in [(63, 2), (65, 2), (96, 2), (32, 2), (0, 1), (8191, 256), (8193, 256)] {
        let refused = TileError::Length { expected: usize::from(width) * 32, found: len };
        assert_eq!(parse_hashes(&bytes[..len], width), Err(refused));
    }
    assert_eq!(parse_hashes(&[], 0), Err(TileError::Width { width: 0 }));
    assert_eq!(parse_hashes(&[0; 257 * 32], 257), Err(TileError::Width { width: 257 }));
}

proptest! {
    #[test]
    fn a_path_comes_back(level in 0..=LEVEL_MAX, index in 0..=INDEX_MAX, shift in 0_u32..54, width in 1_u16..=256) {
        let index = index >> shift;
        let tile = tile(level, index, width);
        prop_assert_eq!(Tile::parse(&tile.path()), Ok(tile));
        prop_assert!(tile.path().len() <= PATH_LEN_MAX);
        let bundle = BundlePath { index, width };
        prop_assert_eq!(BundlePath::parse(&bundle.path()), Ok(bundle));
        prop_assert!(Tile::parse(&bundle.path()).is_err());
    }

    #[test]
    fn what_parses_is_canonical(path in "tile/([0-9]{1,2}|entries)/(x?[0-9]{1,4}/){0,3}x?[0-9]{1,4}(\\.p/[0-9]{1,3})?") {
        if let Ok(tile) = Tile::parse(&path) {
            prop_assert_eq!(tile.path(), path.clone());
        }
        if let Ok(bundle) = BundlePath::parse(&path) {
            prop_assert_eq!(bundle.path(), path);
        }
    }

    #[test]
    fn anything_is_read_without_panic(path: String) {
        prop_assert!(Tile::parse(&path).is_err());
        let _ = Tile::parse(&format!("tile/0/{path}"));
    }

    #[test]
    fn new_tiles_are_those_that_one_tree_has_and_the_other_has_not(old in 0_u64..200_000, more in 0_u64..3000) {
        let all = |size: u64| -> BTreeSet<Tile> {
            (0..levels(size))
                .flat_map(|level| (0..).map_while(move |index| Tile::of_size(level, index, size)))
                .collect()
        };
        let new = old + more;
        let found: Vec<Tile> = new_tiles(old, new).collect();
        let expected: Vec<Tile> = all(new).difference(&all(old)).copied().collect();
        prop_assert_eq!(found, expected);
    }
}
