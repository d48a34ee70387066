//! Bytes of a segment file, numbers big-endian. What must never happen: a block read under another log's name or at
//! another place than its own; so the checksum of each part begins with the block's identity.
//!
//! ```text
//! frame   "veillog1", number u64, blocks u32, length of the whole frame u64, CRC32C of these 28 bytes; then its blocks
//! block   trail 17 bytes, first leaf u64, leaves u16, length of the entries u32, CRC32C of these 31 bytes;
//!         entries (u16 length, bytes), CRC32C; leaf hashes, CRC32C; hashes of levels 1, 2 .. that complete, CRC32C
//! ```

use veilchain::{
    hash::Hash,
    range::TREE_SIZE_MAX,
    tile::{TILE_HEIGHT, TILE_WIDTH},
};
use veilcloud_domain::audit::model::{TRAIL_LEN, Trail};

/// First bytes of a frame.
const MAGIC: &[u8; 8] = b"veillog1";
/// Length of a frame's header.
pub(crate) const FRAME_HEADER_LEN: usize = 32;
/// Length of a block's header.
pub(crate) const BLOCK_HEADER_LEN: usize = 35;
/// Length of a checksum.
pub(crate) const CRC_LEN: usize = 4;
/// Length of a hash.
pub(crate) const HASH_LEN: usize = size_of::<Hash>();
/// Most leaves of a block: a tile's width.
pub(crate) const BLOCK_LEAVES_MAX: u64 = TILE_WIDTH as u64;

/// Header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Number, dense from 0 over all segments.
    pub number: u64,
    /// Blocks in it.
    pub blocks: u32,
    /// Length in bytes with this header.
    pub len: u64,
}

impl Frame {
    /// Its 32 bytes.
    pub fn encode(&self) -> [u8; FRAME_HEADER_LEN] {
        let mut out = [0; FRAME_HEADER_LEN];
        out[..8].copy_from_slice(MAGIC);
        out[8..16].copy_from_slice(&self.number.to_be_bytes());
        out[16..20].copy_from_slice(&self.blocks.to_be_bytes());
        out[20..28].copy_from_slice(&self.len.to_be_bytes());
        let crc = crc32c::crc32c(&out[..28]);
        out[28..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads it; `None` when the bytes are no frame's.
    pub fn decode(bytes: &[u8; FRAME_HEADER_LEN]) -> Option<Self> {
        let frame = Self {
            number: u64::from_be_bytes(bytes[8..16].try_into().ok()?),
            blocks: u32::from_be_bytes(bytes[16..20].try_into().ok()?),
            len: u64::from_be_bytes(bytes[20..28].try_into().ok()?),
        };
        (frame.encode() == *bytes && frame.len >= FRAME_HEADER_LEN as u64).then_some(frame)
    }
}

/// Which bytes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The entries, each behind its length: a piece of a bundle.
    Entries,
    /// The leaf hashes.
    Leaves,
    /// Hashes of the levels above that complete with the last leaf.
    Upper,
}

/// Identity and lengths of a block: what its header and its row say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// The log.
    pub trail: Trail,
    /// Its first leaf.
    pub first: u64,
    /// How many leaves: 1 to 256, not across a multiple of 256.
    pub count: u16,
    /// Length of the entries, in bytes.
    pub entries_len: u32,
}

impl Block {
    /// The leaf behind its last.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }

    /// How many hashes of higher levels complete in it.
    pub fn upper(&self) -> usize {
        upper_at(self.end())
    }

    /// Its header.
    pub fn encode(&self) -> [u8; BLOCK_HEADER_LEN] {
        let mut out = [0; BLOCK_HEADER_LEN];
        out[..17].copy_from_slice(&self.trail.to_bytes());
        out[17..25].copy_from_slice(&self.first.to_be_bytes());
        out[25..27].copy_from_slice(&self.count.to_be_bytes());
        out[27..31].copy_from_slice(&self.entries_len.to_be_bytes());
        let crc = crc32c::crc32c(&out[..31]);
        out[31..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads it; `None` when the bytes are no block's.
    pub fn decode(bytes: &[u8; BLOCK_HEADER_LEN]) -> Option<Self> {
        let trail: &[u8; TRAIL_LEN] = bytes.first_chunk()?;
        let block = Self {
            trail: Trail::from_bytes(trail)?,
            first: u64::from_be_bytes(bytes[17..25].try_into().ok()?),
            count: u16::from_be_bytes(bytes[25..27].try_into().ok()?),
            entries_len: u32::from_be_bytes(bytes[27..31].try_into().ok()?),
        };
        (block.encode() == *bytes && block.is_sound()).then_some(block)
    }

    /// Whether there can be such a block.
    pub fn is_sound(&self) -> bool {
        let count = u64::from(self.count);
        count > 0
            && self.first <= TREE_SIZE_MAX - count
            && self.first % BLOCK_LEAVES_MAX + count <= BLOCK_LEAVES_MAX
    }

    /// Where a part begins behind the block's first byte, and its length without the checksum.
    pub fn part(&self, part: Part) -> (u64, usize) {
        let (entries, leaves) = (self.entries_len as usize, usize::from(self.count) * HASH_LEN);
        let (at, len) = match part {
            Part::Entries => (BLOCK_HEADER_LEN, entries),
            Part::Leaves => (BLOCK_HEADER_LEN + entries + CRC_LEN, leaves),
            Part::Upper => (BLOCK_HEADER_LEN + entries + CRC_LEN + leaves + CRC_LEN, self.upper() * HASH_LEN),
        };
        (at as u64, len)
    }

    /// Length of the whole block in bytes.
    pub fn len(&self) -> u64 {
        let (at, len) = self.part(Part::Upper);
        at + (len + CRC_LEN) as u64
    }

    /// Checksum of a part's bytes, bound to the block and the part.
    pub fn crc(&self, part: Part, bytes: &[u8]) -> [u8; CRC_LEN] {
        let tag = match part {
            Part::Entries => 1,
            Part::Leaves => 2,
            Part::Upper => 3,
        };
        let seed = crc32c::crc32c_append(crc32c::crc32c(&self.encode()[..31]), &[tag]);
        crc32c::crc32c_append(seed, bytes).to_be_bytes()
    }
}

/// How many higher levels complete with leaf `end - 1`.
pub(crate) fn upper_at(end: u64) -> usize {
    if end == 0 { 0 } else { (end.trailing_zeros() / u32::from(TILE_HEIGHT)) as usize }
}

#[cfg(test)]
mod tests {
    use veilcore::id::ProjectId;

    use super::*;

    fn block(first: u64, count: u16, entries_len: u32) -> Block {
        Block { trail: Trail::Project(ProjectId::from_bytes([7; 16])), first, count, entries_len }
    }

    #[test]
    fn headers_come_back_and_no_bit_of_them_may_flip() {
        let frame = Frame { number: 77, blocks: 3, len: 4711 };
        assert_eq!(Frame::decode(&frame.encode()), Some(frame));
        for bit in 0..FRAME_HEADER_LEN * 8 {
            let mut bytes = frame.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Frame::decode(&bytes), None, "bit {bit}");
        }
        let block = block(256, 200, 12_345);
        assert_eq!(Block::decode(&block.encode()), Some(block));
        for bit in 0..BLOCK_HEADER_LEN * 8 {
            let mut bytes = block.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Block::decode(&bytes), None, "bit {bit}");
        }
    }

    #[test]
    fn a_block_stays_inside_its_tile() {
        assert!(block(0, 256, 0).is_sound() && block(255, 1, 0).is_sound() && block(256, 256, 0).is_sound());
        assert!(!block(0, 257, 0).is_sound() && !block(255, 2, 0).is_sound() && !block(1, 0, 0).is_sound());
        assert!(!block(u64::MAX, 1, 0).is_sound());
    }

    #[test]
    fn levels_complete_where_a_tile_is_full() {
        let ends = [(1, 0), (255, 0), (256, 1), (257, 0), (512, 1), (65_536, 2), (65_792, 1), (1 << 24, 3)];
        for (end, levels) in ends {
            assert_eq!(upper_at(end), levels, "{end}");
        }
    }

    #[test]
    fn parts_lie_one_behind_the_other() {
        let block = block(0, 256, 1000);
        assert_eq!(block.part(Part::Entries), (35, 1000));
        assert_eq!(block.part(Part::Leaves), (1039, 8192));
        assert_eq!(block.part(Part::Upper), (9235, 32));
        assert_eq!(block.len(), 9271);
    }

    #[test]
    fn a_checksum_fits_one_block_and_one_part_only() {
        let bytes = [5; 40];
        let crc = block(3, 1, 40).crc(Part::Entries, &bytes);
        assert_ne!(crc, block(4, 1, 40).crc(Part::Entries, &bytes));
        assert_ne!(crc, block(3, 1, 40).crc(Part::Leaves, &bytes));
    }
}
