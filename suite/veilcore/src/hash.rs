//! Framed hashing (docs/spec/core.md, section 3): `Hb(tag; items)` is SHA-256 over the tag and each labelled
//! item, every one with its length in front, and `Hs` a scalar from the SHA-512 of the same bytes. What must never
//! happen: two lists of items that hash the same bytes.

use sha2::{Digest, Sha256, Sha512};

use crate::tag::Tag;

/// Length of every digest here, in bytes.
pub const DIGEST_LEN: usize = 32;
/// Length of [`hs_wide`], in bytes.
pub const WIDE_LEN: usize = 64;

/// `Hb(tag; items)`: SHA-256 over u16 len ‖ tag, then for each item u16 len ‖ label ‖ u32 len ‖ bytes,
/// big-endian.
pub fn hb(tag: Tag, items: &[(&str, &[u8])]) -> [u8; DIGEST_LEN] {
    let mut framed = Framed::new(tag);
    for (label, bytes) in items {
        framed.item(label, bytes);
    }
    framed.finish()
}

/// What `Hs(tag; items)` reduces: SHA-512 over the frame, 64 bytes. The scalar is these bytes read little-endian,
/// modulo the order of the group; reducing twice the order's length leaves no bias. The reduction is the caller's,
/// because this crate knows no group.
///
/// Items may be secret: none of them is copied.
pub fn hs_wide(tag: Tag, items: &[(&str, &[u8])]) -> [u8; WIDE_LEN] {
    let mut state = Sha512::new();
    absorb_frame(tag, items, |bytes| state.update(bytes));
    state.finalize().into()
}

/// The bytes [`hb`] hashes, not hashed: the `info` of every HKDF in the suite.
pub fn frame(tag: Tag, items: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    absorb_frame(tag, items, |bytes| out.extend_from_slice(bytes));
    out
}

fn absorb_frame(tag: Tag, items: &[(&str, &[u8])], mut absorb: impl FnMut(&[u8])) {
    absorb(&len_u16(tag.as_bytes()));
    absorb(tag.as_bytes());
    for (label, bytes) in items {
        absorb(&len_u16(label.as_bytes()));
        absorb(label.as_bytes());
        absorb(&len_u32(bytes));
        absorb(bytes);
    }
}

/// Plain SHA-256: names of ciphertexts and chunks, where other tools must find the same value.
pub fn sha256(bytes: &[u8]) -> [u8; DIGEST_LEN] {
    Sha256::digest(bytes).into()
}

/// [`hb`], one item at a time.
#[derive(Clone)]
pub struct Framed {
    state: Sha256,
}

impl Framed {
    /// Starts with the tag.
    pub fn new(tag: Tag) -> Self {
        let mut state = Sha256::new();
        state.update(len_u16(tag.as_bytes()));
        state.update(tag.as_bytes());
        Self { state }
    }

    /// Adds one labelled item.
    pub fn item(&mut self, label: &str, bytes: &[u8]) -> &mut Self {
        self.state.update(len_u16(label.as_bytes()));
        self.state.update(label.as_bytes());
        self.state.update(len_u32(bytes));
        self.state.update(bytes);
        self
    }

    /// The digest of everything so far.
    pub fn finish(&self) -> [u8; DIGEST_LEN] {
        self.state.clone().finalize().into()
    }
}

fn len_u16(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).expect("tags and labels are short literals").to_be_bytes()
}

fn len_u32(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("an item is bounded by its format, far below 4 GiB").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tag;

    #[test]
    fn moving_a_byte_between_items_changes_the_hash() {
        let one = hb(tag::SEAL, &[("a", b"xy"), ("b", b"z")]);
        assert_ne!(one, hb(tag::SEAL, &[("a", b"x"), ("b", b"yz")]));
        assert_ne!(one, hb(tag::SEAL, &[("a", b"xy"), ("b", b"z"), ("c", b"")]));
        assert_ne!(one, hb(tag::SEAL, &[("b", b"z"), ("a", b"xy")]));
        assert_ne!(one, hb(tag::SEAL, &[("ax", b"y"), ("b", b"z")]));
        assert_ne!(one, hb(tag::KEYRING, &[("a", b"xy"), ("b", b"z")]));
    }

    proptest! {
        #[test]
        fn the_hashes_are_sha2_of_the_frame(a: Vec<u8>, b: Vec<u8>) {
            let items: [(&str, &[u8]); 2] = [("first", &a), ("second", &b)];
            prop_assert_eq!(hb(tag::POP, &items), sha256(&frame(tag::POP, &items)));
            let wide: [u8; WIDE_LEN] = Sha512::digest(frame(tag::POP, &items)).into();
            prop_assert_eq!(hs_wide(tag::POP, &items), wide);
        }
    }
}
