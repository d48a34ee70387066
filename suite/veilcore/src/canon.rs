//! Canonical encoding (docs/spec/core.md, section 1): what is signed or hashed is written with [`Writer`] and
//! read with [`Reader`]. Integers are big-endian and fixed in size, variable bytes carry a u32 length, no
//! field is optional. What must never happen: a decoder accepting bytes that an encoder would not have
//! produced.

use thiserror::Error;

/// Why bytes were refused. Says where the shape broke, never what the bytes were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ended inside a field.
    #[error("input ends early: {needed} bytes needed, {left} left")]
    Truncated {
        /// Bytes the field still wanted.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// A length prefix is over the limit its field allows.
    #[error("field of {len} bytes is over its limit of {max}")]
    TooLong {
        /// Length that was announced.
        len: usize,
        /// Limit of the field.
        max: usize,
    },
    /// Bytes follow the last field.
    #[error("{left} bytes follow the last field")]
    Trailing {
        /// How many bytes follow.
        left: usize,
    },
    /// The version byte is one this build does not read.
    #[error("version {found} is not known here")]
    Version {
        /// The version found.
        found: u8,
    },
    /// A field has the right shape and a value that is not allowed.
    #[error("field {field} has a value that is not allowed")]
    Value {
        /// Name of the field in the spec.
        field: &'static str,
    },
}

/// Writes canonical bytes; methods chain.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.fixed(&[value])
    }

    /// Appends 2 bytes, big-endian.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Appends 4 bytes, big-endian.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Appends 8 bytes, big-endian.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Appends bytes whose length the format fixes: no prefix.
    pub fn fixed(&mut self, value: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(value);
        self
    }

    /// Appends a u32 length and the bytes.
    ///
    /// # Panics
    /// If `value` is longer than 4 GiB - 1, which every field limit of the suite excludes.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.u32(u32::try_from(value.len()).expect("field limits are far below 4 GiB")).fixed(value)
    }

    /// Hands over what was written and leaves the writer empty.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

/// Reads canonical bytes front to back. Every method either consumes its field or refuses and consumes
/// nothing.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// Reads one byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    /// Reads 2 bytes, big-endian.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads 4 bytes, big-endian.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads 8 bytes, big-endian.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads `N` bytes whose length the format fixes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self
            .left
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated { needed: N, left: self.left.len() })?;
        self.left = rest;
        Ok(*head)
    }

    /// Reads a u32 length and that many bytes. The limit `max` is judged before the length is believed.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], DecodeError> {
        let mut ahead = self.clone();
        let len = usize::try_from(ahead.u32()?).unwrap_or(usize::MAX);
        if len > max {
            return Err(DecodeError::TooLong { len, max });
        }
        let (head, rest) = ahead
            .left
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated { needed: len, left: ahead.left.len() })?;
        self.left = rest;
        Ok(head)
    }

    /// Ends the reading; refuses bytes that nobody asked for.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.left.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing { left }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_come_back_in_the_order_they_were_written() {
        let bytes =
            Writer::with_capacity(32).u8(7).u16(0x0102).u32(3).u64(4).fixed(b"xy").bytes(b"abc").finish();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(7));
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.u32(), Ok(3));
        assert_eq!(reader.u64(), Ok(4));
        assert_eq!(reader.array::<2>(), Ok(*b"xy"));
        assert_eq!(reader.bytes(3), Ok(&b"abc"[..]));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn bytes_nobody_asked_for_are_refused() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.finish(), Err(DecodeError::Trailing { left: 2 }));
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_it_is_believed() {
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xff, 1]);
        assert_eq!(reader.bytes(16), Err(DecodeError::TooLong { len: 0xffff_ffff, max: 16 }));
        assert_eq!(reader.u8(), Ok(0xff), "a refused field is not consumed");
    }

    #[test]
    fn an_input_that_ends_inside_a_field_is_refused() {
        assert_eq!(Reader::new(&[0]).u16(), Err(DecodeError::Truncated { needed: 2, left: 1 }));
        let short = Writer::new().u32(4).fixed(b"abc").finish();
        assert_eq!(Reader::new(&short).bytes(9), Err(DecodeError::Truncated { needed: 4, left: 3 }));
    }

    proptest! {
        #[test]
        fn any_fields_survive_the_round_trip(a: u8, b: u16, c: u32, d: u64, e: [u8; 16], f: Vec<u8>) {
            let bytes = Writer::new().u8(a).u16(b).u32(c).u64(d).fixed(&e).bytes(&f).finish();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.u8(), Ok(a));
            prop_assert_eq!(reader.u16(), Ok(b));
            prop_assert_eq!(reader.u32(), Ok(c));
            prop_assert_eq!(reader.u64(), Ok(d));
            prop_assert_eq!(reader.array(), Ok(e));
            prop_assert_eq!(reader.bytes(f.len()), Ok(&f[..]));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn no_input_makes_the_reader_panic(bytes: Vec<u8>, max: usize) {
            let mut reader = Reader::new(&bytes);
            while let Ok(field) = reader.bytes(max) {
                prop_assert!(field.len() <= max);
            }
            while reader.u8().is_ok() {}
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }
}
