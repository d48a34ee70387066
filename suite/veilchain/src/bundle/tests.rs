//! Bundles, and what is not one.

use proptest::prelude::*;

use super::*;

fn bundle(entries: &[&[u8]]) -> Vec<u8> {
    let mut bundle = Vec::new();
    for entry in entries {
        push_entry(&mut bundle, entry).unwrap();
    }
    bundle
}

#[test]
fn an_entry_stands_behind_its_length() {
    assert_eq!(bundle(&[b"abc", b"", b"d"]), b"\x00\x03abc\x00\x00\x00\x01d");
    assert_eq!(entries(b"\x00\x03abc\x00\x00\x00\x01d", 3).unwrap(), [&b"abc"[..], b"", b"d"]);
    assert_eq!(leaf_hashes(b"\x00\x00", 1).unwrap(), [leaf_hash(b"")]);
}

#[test]
fn the_longest_entry_is_taken_and_one_byte_more_is_not() {
    let longest = vec![7; ENTRY_LEN_MAX];
    let bytes = bundle(&[&longest]);
    assert_eq!(bytes.len(), 2 + 65_535);
    assert_eq!(entries(&bytes, 1).unwrap(), [longest.as_slice()]);
    let mut out = vec![1];
    assert_eq!(push_entry(&mut out, &[0; 65_536]), Err(BundleError::TooLong { len: 65_536 }));
    assert_eq!(out, [1], "nothing of it was appended");
}

#[test]
fn other_numbers_of_entries_are_refused() {
    let bytes = bundle(&[b"abc", b"de"]);
    assert_eq!(entries(&bytes, 1), Err(BundleError::Trailing { offset: 5 }));
    assert_eq!(entries(&bytes, 3), Err(BundleError::Cut { entry: 2, offset: 9 }));
    assert_eq!(entries(&[], 1), Err(BundleError::Cut { entry: 0, offset: 0 }));
    for width in [0, 257, u16::MAX] {
        assert_eq!(entries(&bytes, width), Err(BundleError::Width { width }));
        assert_eq!(leaf_hashes(&bytes, width), Err(BundleError::Width { width }));
    }
}

#[test]
fn a_length_beyond_the_end_is_refused() {
    assert_eq!(entries(b"\x00\x01a\x00", 2), Err(BundleError::Cut { entry: 1, offset: 3 }));
    assert_eq!(entries(b"\x00\x01a\xff\xffabc", 2), Err(BundleError::Cut { entry: 1, offset: 3 }));
    assert_eq!(entries(b"\x00\x02a", 1), Err(BundleError::Cut { entry: 0, offset: 0 }));
}

proptest! {
    #[test]
    fn entries_come_back_and_every_cut_or_longer_bundle_is_refused(
        list in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..=256), extra: u8,
    ) {
        let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
        let width = list.len() as u16;
        let mut bytes = bundle(&list);
        prop_assert_eq!(entries(&bytes, width).unwrap(), list.clone());
        let hashes: Vec<Hash> = list.iter().map(|entry| leaf_hash(entry)).collect();
        prop_assert_eq!(leaf_hashes(&bytes, width).unwrap(), hashes);
        for len in 0..bytes.len() {
            let cut = matches!(entries(&bytes[..len], width), Err(BundleError::Cut { offset, .. }) if offset <= len);
            prop_assert!(cut);
        }
        bytes.push(extra);
        prop_assert_eq!(entries(&bytes, width), Err(BundleError::Trailing { offset: bytes.len() - 1 }));
    }

    #[test]
    fn what_parses_is_what_would_be_written(bytes in prop::collection::vec(0_u8..4, 0..60), width in 1_u16..6) {
        if let Ok(list) = entries(&bytes, width) {
            prop_assert_eq!(bundle(&list), bytes);
        }
    }
}
