//! Entry bundles (c2sp.org/tlog-tiles; docs/spec/chain.md): up to 256 entries, each behind its length. What must never
//! happen: a byte of a bundle that belongs to no entry.

use crate::{
    hash::{Hash, leaf_hash},
    tile::TILE_WIDTH,
};

/// The longest entry, in bytes: its length has 16 bits.
pub const ENTRY_LEN_MAX: usize = 65_535;
/// The longest bundle, in bytes.
pub const BUNDLE_LEN_MAX: usize = TILE_WIDTH as usize * (LENGTH_LEN + ENTRY_LEN_MAX);

const LENGTH_LEN: usize = 2;

/// Why something is not an entry or a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// An entry above [`ENTRY_LEN_MAX`].
    #[error("an entry of {len} bytes is longer than {ENTRY_LEN_MAX}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A width outside 1 to 256.
    #[error("width {width} is outside 1 to 256")]
    Width {
        /// The width that was asked for.
        width: u16,
    },
    /// The bundle ends before the entry does.
    #[error("entry {entry}, from byte {offset} on, is cut")]
    Cut {
        /// Position of the entry in the bundle, from 0.
        entry: u16,
        /// Where its length begins, in bytes.
        offset: usize,
    },
    /// There are bytes after the last entry.
    #[error("there are bytes after the last entry, from byte {offset} on")]
    Trailing {
        /// Where the last entry ends, in bytes.
        offset: usize,
    },
}

/// Appends one entry, which may be empty: its length as two bytes, big-endian, then its bytes.
///
/// # Errors
/// An entry above [`ENTRY_LEN_MAX`]; nothing is appended then.
pub fn push_entry(out: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let len = u16::try_from(entry.len()).map_err(|_| BundleError::TooLong { len: entry.len() })?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle of `width` entries.
///
/// # Errors
/// A width outside 1 to 256, fewer or more bytes than that many entries have.
pub fn entries(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::with_capacity(usize::from(width.min(TILE_WIDTH)));
    walk(bundle, width, |entry| entries.push(entry))?;
    Ok(entries)
}

/// The leaf hashes of a bundle of `width` entries: the tile of level 0 with the same index and width.
///
/// # Errors
/// As [`entries`].
pub fn leaf_hashes(bundle: &[u8], width: u16) -> Result<Vec<Hash>, BundleError> {
    let mut hashes = Vec::with_capacity(usize::from(width.min(TILE_WIDTH)));
    walk(bundle, width, |entry| hashes.push(leaf_hash(entry)))?;
    Ok(hashes)
}

fn walk<'a>(bundle: &'a [u8], width: u16, mut entry: impl FnMut(&'a [u8])) -> Result<(), BundleError> {
    if !(1..=TILE_WIDTH).contains(&width) {
        return Err(BundleError::Width { width });
    }
    let mut rest = bundle;
    for number in 0..width {
        let cut = BundleError::Cut { entry: number, offset: bundle.len() - rest.len() };
        let (len, after) = rest.split_first_chunk::<LENGTH_LEN>().ok_or(cut)?;
        let (bytes, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or(cut)?;
        entry(bytes);
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(BundleError::Trailing { offset: bundle.len() - rest.len() }) }
}

#[cfg(test)]
mod tests;
