//! Text or binary (docs/spec/vault.md, section 5). A text blob keeps its context in its first line, so that it still
//! reads as a dotenv file when somebody opens it with `age` alone; a binary blob has no room for such a line.

use thiserror::Error;

/// Longest text blob: 512 KiB of content.
pub const TEXT_LEN_MAX: u64 = 512 * 1024;

/// The content announced as text is not valid UTF-8, or contains a NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the content is not text")]
pub struct NotText;

/// What a blob holds. The byte in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// UTF-8 without NUL, at most [`TEXT_LEN_MAX`].
    Text = 1,
    /// Everything else.
    Binary = 2,
}

impl Kind {
    /// The one kind that `content` has.
    pub fn of(content: &[u8]) -> Self {
        let mut check = TextCheck::default();
        let text =
            content.len() as u64 <= TEXT_LEN_MAX && check.feed(content).and_then(|()| check.finish()).is_ok();
        if text { Kind::Text } else { Kind::Binary }
    }

    /// The kind a format byte names.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Kind::Text, Kind::Binary].into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The byte that pads content of this kind.
    pub const fn padding(self) -> u8 {
        match self {
            Kind::Text => b'\n',
            Kind::Binary => 0,
        }
    }
}

/// Judges text piece by piece: a character may lie across two pieces.
#[derive(Default)]
pub(crate) struct TextCheck {
    /// The beginning of a character whose end has not come yet.
    carry: [u8; 4],
    carried: usize,
}

impl TextCheck {
    pub(crate) fn feed(&mut self, mut piece: &[u8]) -> Result<(), NotText> {
        if piece.contains(&0) {
            return Err(NotText);
        }
        while self.carried > 0 {
            let Some((next, rest)) = piece.split_first() else { return Ok(()) };
            self.carry[self.carried] = *next;
            self.carried += 1;
            piece = rest;
            match std::str::from_utf8(&self.carry[..self.carried]) {
                Ok(_) => self.carried = 0,
                Err(e) if e.error_len().is_some() => return Err(NotText),
                Err(_) => {}
            }
        }
        if let Err(e) = std::str::from_utf8(piece) {
            if e.error_len().is_some() {
                return Err(NotText);
            }
            let tail = &piece[e.valid_up_to()..];
            self.carry[..tail.len()].copy_from_slice(tail);
            self.carried = tail.len();
        }
        Ok(())
    }

    /// Whether the text ended between two characters.
    pub(crate) fn finish(&self) -> Result<(), NotText> {
        if self.carried == 0 { Ok(()) } else { Err(NotText) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dotenv_files_are_text_and_images_are_not() {
        assert_eq!(Kind::of(b""), Kind::Text);
        assert_eq!(Kind::of("KEY=\u{1f511} gr\u{fc}n\r\n".as_bytes()), Kind::Text);
        assert_eq!(Kind::of(b"KEY=a\0b"), Kind::Binary);
        assert_eq!(Kind::of(b"\x89PNG\r\n"), Kind::Binary);
        assert_eq!(Kind::of("gr\u{fc}n".as_bytes().split_at(3).0), Kind::Binary);
        assert_eq!(Kind::of(&vec![b'a'; TEXT_LEN_MAX as usize]), Kind::Text);
        assert_eq!(Kind::of(&vec![b'a'; TEXT_LEN_MAX as usize + 1]), Kind::Binary);
    }

    #[test]
    fn kinds_read_back_from_their_byte() {
        assert_eq!(Kind::from_byte(1), Some(Kind::Text));
        assert_eq!(Kind::from_byte(2), Some(Kind::Binary));
        assert_eq!(Kind::from_byte(0), None);
        assert_eq!(Kind::from_byte(3), None);
    }

    proptest! {
        #[test]
        fn pieces_are_judged_like_the_whole(bytes in prop_oneof![
            any::<String>().prop_map(String::into_bytes), any::<Vec<u8>>(),
        ], step in 1usize..7) {
            let mut check = TextCheck::default();
            let fed = bytes.chunks(step).try_for_each(|piece| check.feed(piece));
            let whole = std::str::from_utf8(&bytes).is_ok() && !bytes.contains(&0);
            prop_assert_eq!(fed.and_then(|()| check.finish()).is_ok(), whole);
        }
    }
}
