//! Paths of tiles and bundles: what reads is the one path of its tile.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veilchain::tile::{BundlePath, TILE_WIDTH, Tile};

fuzz_target!(|bytes: &[u8]| {
    let Ok(path) = std::str::from_utf8(bytes) else { return };
    let tile = Tile::parse(path);
    let bundle = BundlePath::parse(path);
    assert!(tile.is_err() || bundle.is_err(), "one path, one kind of file");
    if let Ok(tile) = tile {
        assert_eq!(tile.path(), path);
        assert!((1..=TILE_WIDTH).contains(&tile.width));
    }
    if let Ok(bundle) = bundle {
        assert_eq!(bundle.path(), path);
        assert!((1..=TILE_WIDTH).contains(&bundle.width));
    }
});
