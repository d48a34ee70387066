//! The items of a policy line, and what can be wrong with a line. Names and URLs are opaque octets (c2sp.org/tlog-policy):
//! two that look alike are two.

use std::fmt;

use thiserror::Error;

use crate::note::NoteError;

/// What is wrong with a line, or with what it would add to a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LineError {
    /// The last line has no newline.
    #[error("line does not end in a newline")]
    Unterminated,
    /// A control character other than tab and newline; a carriage return is one, DEL another.
    #[error("line holds a control character")]
    Octet,
    /// The first word is none of `log`, `witness`, `group`, `quorum`.
    #[error("line starts with an unknown word")]
    Keyword,
    /// Too few or too many words.
    #[error("line has too few or too many items")]
    Items,
    /// The word is no verifier key.
    #[error("key cannot be used: {0}")]
    Key(NoteError),
    /// A witness's key is not for cosignatures.
    #[error("key of a witness is not for cosignatures")]
    KeyType,
    /// Another log, or another witness, has this public key.
    #[error("public key is listed before")]
    DuplicateKey,
    /// Another witness or group has this name, or it is `none`.
    #[error("name is taken")]
    DuplicateName,
    /// A group or quorum names what no line before defines.
    #[error("name is not defined on a line before")]
    UnknownName,
    /// A member is in this or another group already.
    #[error("member is listed before")]
    MemberTwice,
    /// The threshold is not `all`, `any` or a number from 1 to that of the members.
    #[error("threshold does not fit the members")]
    Threshold,
    /// There is a quorum line before.
    #[error("quorum is set before")]
    QuorumTwice,
    /// More than a limit of this module.
    #[error("more than {limit} of a kind")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

/// One item of a line: a name or URL. Not empty; any octets but spaces and control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(Vec<u8>);

impl Word {
    /// Takes a word over.
    ///
    /// # Errors
    /// [`LineError::Items`] if it is empty or holds a space, [`LineError::Octet`] if it holds a control character.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, LineError> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\n')) {
            return Err(LineError::Items);
        }
        if bytes.iter().all(|byte| is_allowed(*byte)) { Ok(Self(bytes)) } else { Err(LineError::Octet) }
    }

    /// A word that is known to be one.
    pub(super) fn known(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The word as text, if it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    pub(super) fn is_none(&self) -> bool {
        self.0 == b"none"
    }
}

impl AsRef<[u8]> for Word {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Word {
    /// For people: what is not UTF-8 shows as a replacement character.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Octets a policy may hold, newline aside.
pub(super) fn is_allowed(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
