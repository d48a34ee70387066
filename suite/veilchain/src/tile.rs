//! Tiles of height 8 (c2sp.org/tlog-tiles; docs/spec/chain.md): which there are in a tree, what they are called and how
//! long they are. What must never happen: two names for one tile, a name that leaves its folder, an empty tile.

use std::iter;

use crate::{hash::Hash, range::TREE_SIZE_MAX};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Levels of the tree that one tile spans.
pub const TILE_HEIGHT: u8 = 8;
/// The largest level a name may have.
pub const LEVEL_MAX: u8 = 63;
/// The largest index of a tile or bundle: the last one of a tree of [`TREE_SIZE_MAX`] leaves.
pub const INDEX_MAX: u64 = TREE_SIZE_MAX / 256 - 1;
/// The longest name, in bytes; longer ones are refused unread.
pub const PATH_LEN_MAX: usize = 64;

const BUNDLES: &str = "entries";

/// Why something is not a tile or the name of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// Not the one spelling of a tile's or a bundle's path.
    #[error("the path is not the canonical one of a tile or bundle")]
    Path,
    /// A level above [`LEVEL_MAX`].
    #[error("the level of a tile is at most {LEVEL_MAX}")]
    Level,
    /// An index above [`INDEX_MAX`].
    #[error("the index of a tile is at most {INDEX_MAX}")]
    Index,
    /// A width outside 1 to 256.
    #[error("width {width} is outside 1 to 256")]
    Width {
        /// The width that was asked for.
        width: u16,
    },
    /// Not 32 bytes for each hash.
    #[error("a tile of this width has {expected} bytes, not {found}")]
    Length {
        /// Bytes of a tile of this width.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
}

/// A sequence of consecutive hashes of one tile level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Tile level: 0 holds leaf hashes, each further one the roots of the full tiles below.
    pub level: u8,
    /// Position among the tiles of its level, from 0.
    pub index: u64,
    /// How many hashes it has: 1 to 256, 256 being a full tile.
    pub width: u16,
}

impl Tile {
    /// Its path below a log's prefix: `tile/0/x001/067`, or `tile/0/x001/067.p/5` for a partial one.
    pub fn path(&self) -> String {
        format!("tile/{}/{}", self.level, name(self.index, self.width))
    }

    /// Reads a path; only the spelling that [`Tile::path`] writes is one.
    ///
    /// # Errors
    /// Anything else, a level above [`LEVEL_MAX`], an index above [`INDEX_MAX`].
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let (level, name) = split(path)?;
        let level = u8::try_from(decimal(level)?).map_err(|_| TileError::Level)?;
        if level > LEVEL_MAX {
            return Err(TileError::Level);
        }
        let (index, width) = parse_name(name)?;
        let tile = Self { level, index, width };
        // Writing it again and comparing refuses every other spelling at once: leading zeros, x in the wrong place.
        if tile.path() == path { Ok(tile) } else { Err(TileError::Path) }
    }

    /// The widest tile at this place in a tree of `size` leaves; none where the tree has no hash there.
    pub fn of_size(level: u8, index: u64, size: u64) -> Option<Self> {
        width_in(index, level_len(level, size)).map(|width| Self { level, index, width })
    }

    /// Index of its first hash among the hashes of its level.
    pub fn start(&self) -> u64 {
        self.index.saturating_mul(u64::from(TILE_WIDTH))
    }
}

/// The name of an entry bundle: the entries whose leaf hashes are in the tile of level 0 with the same index and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundlePath {
    /// Position among the bundles, from 0.
    pub index: u64,
    /// How many entries it has: 1 to 256, 256 being a full bundle.
    pub width: u16,
}

impl BundlePath {
    /// Its path below a log's prefix: `tile/entries/x001/067`, or `tile/entries/x001/067.p/5` for a partial one.
    pub fn path(&self) -> String {
        format!("tile/{BUNDLES}/{}", name(self.index, self.width))
    }

    /// Reads a path; only the spelling that [`BundlePath::path`] writes is one.
    ///
    /// # Errors
    /// Anything else, an index above [`INDEX_MAX`].
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let (kind, name) = split(path)?;
        if kind != BUNDLES {
            return Err(TileError::Path);
        }
        let (index, width) = parse_name(name)?;
        let bundle = Self { index, width };
        if bundle.path() == path { Ok(bundle) } else { Err(TileError::Path) }
    }

    /// The widest bundle at this index in a tree of `size` leaves; none where the tree has no entry there.
    pub fn of_size(index: u64, size: u64) -> Option<Self> {
        width_in(index, size).map(|width| Self { index, width })
    }

    /// Index in the log of its first entry.
    pub fn start(&self) -> u64 {
        self.index.saturating_mul(u64::from(TILE_WIDTH))
    }
}

/// How many hashes a tree of `size` leaves has at this tile level.
pub fn level_len(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0)
}

/// How many tile levels of a tree of `size` leaves have a tile.
pub fn levels(size: u64) -> u8 {
    size.checked_ilog2().map_or(0, |log| (log / u32::from(TILE_HEIGHT)) as u8 + 1)
}

/// The tiles that appear or grow when a tree grows from `old_size` to `new_size` leaves, each at its new width: what a log
/// has to publish, level by level. None when the tree does not grow.
pub fn new_tiles(old_size: u64, new_size: u64) -> impl Iterator<Item = Tile> {
    (0..levels(new_size)).flat_map(move |level| {
        let (old, new) = (level_len(level, old_size), level_len(level, new_size));
        let first = old / u64::from(TILE_WIDTH);
        let end = if old < new { new.div_ceil(u64::from(TILE_WIDTH)) } else { first };
        (first..end).filter_map(move |index| Tile::of_size(level, index, new_size))
    })
}

/// The hashes of a tile of `width` hashes: exactly 32 bytes for each.
///
/// # Errors
/// A width outside 1 to 256, too few or too many bytes.
pub fn parse_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    check_width(width)?;
    let expected = usize::from(width) * size_of::<Hash>();
    if bytes.len() != expected {
        return Err(TileError::Length { expected, found: bytes.len() });
    }
    let (hashes, _) = bytes.as_chunks();
    Ok(hashes.to_vec())
}

/// Refuses a width that no tile and no bundle has.
fn check_width(width: u16) -> Result<(), TileError> {
    if (1..=TILE_WIDTH).contains(&width) { Ok(()) } else { Err(TileError::Width { width }) }
}

/// Width of the tile at `index` of a sequence of `len` hashes.
fn width_in(index: u64, len: u64) -> Option<u16> {
    let start = index.checked_mul(u64::from(TILE_WIDTH))?;
    let left = len.checked_sub(start)?.min(u64::from(TILE_WIDTH));
    u16::try_from(left).ok().filter(|width| *width > 0)
}

/// `x001/x234/067` and, for a partial one, `.p/5`.
fn name(index: u64, width: u16) -> String {
    let mut name = format!("{:03}", index % 1000);
    for group in iter::successors(Some(index / 1000), |rest| Some(rest / 1000)).take_while(|rest| *rest > 0) {
        name = format!("x{:03}/{name}", group % 1000);
    }
    if width < TILE_WIDTH { format!("{name}.p/{width}") } else { name }
}

/// The part between `tile/` and the next slash, and the rest.
fn split(path: &str) -> Result<(&str, &str), TileError> {
    if path.len() > PATH_LEN_MAX {
        return Err(TileError::Path);
    }
    path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(TileError::Path)
}

/// Reads what [`name`] writes, and some spellings more: the caller compares.
fn parse_name(name: &str) -> Result<(u64, u16), TileError> {
    let (groups, width) = match name.split_once(".p/") {
        Some((groups, width)) => (groups, u16::try_from(decimal(width)?).map_err(|_| TileError::Path)?),
        None => (name, TILE_WIDTH),
    };
    check_width(width)?;
    let mut index = 0_u64;
    for group in groups.split('/') {
        let group = decimal(group.strip_prefix('x').unwrap_or(group))?;
        index = index.checked_mul(1000).and_then(|index| index.checked_add(group)).ok_or(TileError::Index)?;
    }
    if index > INDEX_MAX { Err(TileError::Index) } else { Ok((index, width)) }
}

/// A number of digits only: `u64::from_str` would also take a plus sign.
fn decimal(digits: &str) -> Result<u64, TileError> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TileError::Path);
    }
    digits.parse().map_err(|_| TileError::Path)
}

#[cfg(test)]
mod tests;
