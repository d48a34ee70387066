//! The hashes of an RFC 6962 tree (docs/spec/chain.md): SHA-256 with one prefix byte that keeps leaves and inner nodes
//! apart. What must never happen: an inner node that passes for a leaf, or a leaf for an inner node.

use sha2::{Digest, Sha256};

/// A leaf hash, a node hash or a root: 32 bytes of SHA-256.
pub type Hash = [u8; 32];

/// The root of the empty tree: SHA-256 of nothing (RFC 9162, section 2.1.1).
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// The hash of one entry: SHA-256(0x00 || entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([LEAF]).chain_update(entry).finalize().into()
}

/// The hash of an inner node: SHA-256(0x01 || left || right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    // One call with all 65 bytes lets the first block go to the compression function without the state's buffer.
    let mut bytes = [NODE; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// Folds perfect subtrees, largest first, into the hash of the range they cover; none are the empty tree.
pub(crate) fn fold(subtrees: &[Hash]) -> Hash {
    let Some((last, larger)) = subtrees.split_last() else {
        return EMPTY_ROOT;
    };
    larger.iter().rfold(*last, |right, left| node_hash(left, &right))
}

#[cfg(test)]
pub(crate) mod naive;

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(EMPTY_ROOT, <Hash>::from(Sha256::digest([])));
        assert_eq!(fold(&[]), EMPTY_ROOT);
    }

    #[test]
    fn leaves_and_nodes_are_hashed_as_certificate_transparency_hashes_them() {
        let empty = leaf_hash(&[]);
        assert_eq!(
            HEXLOWER.encode(&empty),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(
            HEXLOWER.encode(&node_hash(&empty, &leaf_hash(&[0]))),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
        );
    }

    #[test]
    fn an_entry_that_looks_like_a_node_has_another_hash() {
        let (left, right) = ([7; 32], [9; 32]);
        let mut entry = [7; 64];
        entry[32..].copy_from_slice(&right);
        assert_ne!(leaf_hash(&entry), node_hash(&left, &right));
        assert_ne!(node_hash(&left, &right), node_hash(&right, &left));
    }
}
