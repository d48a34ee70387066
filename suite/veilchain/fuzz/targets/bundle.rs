//! Entry bundles: what reads as a number of entries encodes to the same bytes, and as no other number of entries. The
//! first byte of the input is that number.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veilchain::bundle::{entries, leaf_hashes, push_entry};
use veilchain::hash::leaf_hash;
use veilchain::tile::parse_hashes;

fuzz_target!(|bytes: &[u8]| {
    let Some((width, bundle)) = bytes.split_first() else { return };
    let width = u16::from(*width) + 1;
    if let Ok(hashes) = parse_hashes(bundle, width) {
        assert_eq!(hashes.concat(), bundle);
    }
    let Ok(read) = entries(bundle, width) else { return };
    assert_eq!(read.len(), usize::from(width));
    let mut written = Vec::new();
    for entry in &read {
        push_entry(&mut written, entry).expect("an entry that was in a bundle");
    }
    assert_eq!(written, bundle);
    let hashes = leaf_hashes(bundle, width).expect("the same bundle");
    assert!(hashes.iter().zip(&read).all(|(hash, entry)| *hash == leaf_hash(entry)));
    assert!(entries(bundle, width - 1).is_err() && entries(bundle, width + 1).is_err());
});
