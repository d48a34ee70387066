//! Checkpoints: what reads has the same text again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veilchain::checkpoint::Checkpoint;
use veilchain::range::TREE_SIZE_MAX;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(checkpoint) = Checkpoint::parse(text) else { return };
    assert_eq!(checkpoint.text(), text);
    assert!(checkpoint.size <= TREE_SIZE_MAX && !checkpoint.origin.is_empty());
});
