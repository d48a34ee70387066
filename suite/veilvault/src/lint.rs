//! The stanza lint (docs/spec/vault.md, section 9): reads the header of an age file and nothing else, without any
//! secret. The server runs it on what it is asked to store, the client before it hands a file to age. What must never
//! happen: work that grows faster than the bytes read, or a stanza being parsed after the limit is reached.
//!
//! It is as strict as the age specification (c2sp.org/age) and, for our own files, stricter: a passphrase stanza
//! would let whoever serves the file choose how long the reader computes.

mod error;
mod spelling;

use spelling::{is_base64, is_word};

pub use error::LintError;

/// Longest header, in bytes, from the first line to the end of the MAC line.
pub const HEADER_LEN_MAX: usize = 64 * 1024;
/// Most stanzas of a blob, and of any file without a policy of its own.
pub const STANZAS_MAX: usize = 64;
/// Most stanzas of a keyring.
pub const KEYRING_STANZAS_MAX: usize = 512;

/// Type of the stanza that a service token and its server open together. No arguments; its body is the encoded ciphertext
/// of docs/spec/key.md, section 6.
pub const TDH2_STANZA: &str = "veil-tdh2";

const VERSION_LINE: &[u8] = b"age-encryption.org/v1";
const STANZA_PREFIX: &[u8] = b"-> ";
const MAC_PREFIX: &[u8] = b"--- ";
/// Characters of 32 bytes in unpadded base64.
const BASE64_32: usize = 43;
/// Characters of a full body line.
const BODY_LINE: usize = 64;

/// What kind of file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    stanzas_max: usize,
    x25519_max: usize,
    /// Threshold stanzas, which no other kind than a token keyring knows.
    tdh2_max: usize,
    foreign: bool,
}

impl Policy {
    /// A blob: exactly one X25519 stanza, to the epoch key, and age's grease.
    pub const BLOB: Self = Self { stanzas_max: STANZAS_MAX, x25519_max: 1, tdh2_max: 0, foreign: false };
    /// A keyring: one X25519 stanza per member; other types are left to those who know them.
    pub const KEYRING: Self = Self {
        stanzas_max: KEYRING_STANZAS_MAX,
        x25519_max: KEYRING_STANZAS_MAX,
        tdh2_max: 0,
        foreign: true,
    };
    /// A token keyring: exactly one threshold stanza, and age's grease.
    pub const TOKEN_KEYRING: Self =
        Self { stanzas_max: STANZAS_MAX, x25519_max: 0, tdh2_max: 1, foreign: false };
    /// Any age file for X25519 keys, within the default limits.
    pub const ANY: Self =
        Self { stanzas_max: STANZAS_MAX, x25519_max: STANZAS_MAX, tdh2_max: 0, foreign: true };
}

/// What the header contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Length of the header in bytes; the payload's 16-byte nonce follows.
    pub header_len: usize,
    /// X25519 stanzas.
    pub x25519: usize,
    /// Threshold stanzas ([`TDH2_STANZA`]), where the kind of file has them.
    pub tdh2: usize,
    /// Stanzas whose type ends in `-grease`: random, meant to be ignored.
    pub grease: usize,
    /// Stanzas of any other type.
    pub other: usize,
}

/// Where a lint stands after a piece of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The header goes on.
    NeedMore,
    /// The header is complete; the rest of the input was not looked at.
    Done(Header),
}

/// Reads the header at the start of `bytes`.
///
/// # Errors
/// [`LintError`]; [`LintError::NeedMore`] if `bytes` end before the header does.
pub fn lint(bytes: &[u8], policy: Policy) -> Result<Header, LintError> {
    match Lint::new(policy).feed(bytes)? {
        Progress::Done(header) => Ok(header),
        Progress::NeedMore => Err(LintError::NeedMore),
    }
}

/// The lint as a machine that is fed piece by piece and keeps at most one line.
pub struct Lint {
    policy: Policy,
    next: Next,
    line: Vec<u8>,
    header: Header,
    refused: Option<LintError>,
}

/// What the next line has to be.
#[derive(Clone, Copy)]
enum Next {
    Version,
    StanzaOrMac,
    Body { x25519: bool, lines: usize },
    Nothing,
}

impl Lint {
    /// A lint that has seen nothing yet.
    pub fn new(policy: Policy) -> Self {
        let header = Header { header_len: 0, x25519: 0, tdh2: 0, grease: 0, other: 0 };
        Self { policy, next: Next::Version, line: Vec::new(), header, refused: None }
    }

    /// Reads the next piece. After [`Progress::Done`] more input changes nothing.
    ///
    /// # Errors
    /// [`LintError`], as soon as the bytes read so far show it, and again for whatever follows; never
    /// [`LintError::NeedMore`].
    pub fn feed(&mut self, piece: &[u8]) -> Result<Progress, LintError> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        self.read(piece).inspect_err(|refused| self.refused = Some(*refused))
    }

    fn read(&mut self, mut piece: &[u8]) -> Result<Progress, LintError> {
        while !matches!(self.next, Next::Nothing) {
            let room = HEADER_LEN_MAX - self.header.header_len;
            let end = piece.iter().take(room).position(|byte| *byte == b'\n');
            let take = end.unwrap_or(piece.len().min(room));
            self.line.extend_from_slice(&piece[..take]);
            self.header.header_len += take;
            if end.is_none() {
                let whole = self.header.header_len == HEADER_LEN_MAX;
                return if whole { Err(LintError::HeaderTooLong) } else { self.pause() };
            }
            piece = &piece[take + 1..];
            self.header.header_len += 1;
            let line = std::mem::take(&mut self.line);
            self.next = self.line(&line)?;
        }
        Ok(Progress::Done(self.header))
    }

    /// Stanzas so far, the one being read included.
    fn stanzas(&self) -> usize {
        self.header.x25519 + self.header.tdh2 + self.header.grease + self.header.other
    }

    /// The piece is used up. A file of another format is told by its first bytes, not after 64 KiB of it.
    fn pause(&self) -> Result<Progress, LintError> {
        if matches!(self.next, Next::Version) && !VERSION_LINE.starts_with(&self.line) {
            return Err(LintError::Version);
        }
        Ok(Progress::NeedMore)
    }

    fn line(&mut self, line: &[u8]) -> Result<Next, LintError> {
        match self.next {
            Next::Version if line == VERSION_LINE => Ok(Next::StanzaOrMac),
            Next::Version => Err(LintError::Version),
            Next::StanzaOrMac => match line.strip_prefix(STANZA_PREFIX) {
                Some(words) => self.stanza(words),
                None => self.mac(line),
            },
            Next::Body { x25519, lines } => self.body(line, x25519, lines),
            Next::Nothing => Ok(Next::Nothing),
        }
    }

    fn stanza(&mut self, words: &[u8]) -> Result<Next, LintError> {
        let index = self.stanzas() + 1;
        if index > self.policy.stanzas_max {
            return Err(LintError::TooManyStanzas { limit: self.policy.stanzas_max });
        }
        let malformed = LintError::Stanza { index };
        let mut words = words.split(|byte| *byte == b' ');
        let kind = words.next().filter(|word| is_word(word)).ok_or(malformed)?;
        let mut args = 0;
        let mut first = &b""[..];
        for word in words {
            if !is_word(word) {
                return Err(malformed);
            }
            if args == 0 {
                first = word;
            }
            args += 1;
        }
        let x25519 = kind == b"X25519";
        if x25519 {
            self.header.x25519 += 1;
            if self.header.x25519 > self.policy.x25519_max {
                return Err(LintError::TooManyX25519 { limit: self.policy.x25519_max });
            }
            if args != 1 || first.len() != BASE64_32 || !is_base64(first) {
                return Err(malformed);
            }
        } else if kind == b"scrypt" {
            return Err(LintError::Scrypt { index });
        } else if kind == TDH2_STANZA.as_bytes() && self.policy.tdh2_max > 0 {
            self.header.tdh2 += 1;
            if self.header.tdh2 > self.policy.tdh2_max {
                return Err(LintError::TooManyTdh2 { limit: self.policy.tdh2_max });
            }
            if args != 0 {
                return Err(malformed);
            }
        } else if kind.ends_with(b"-grease") {
            self.header.grease += 1;
        } else if self.policy.foreign {
            self.header.other += 1;
        } else {
            return Err(LintError::Foreign { index });
        }
        Ok(Next::Body { x25519, lines: 0 })
    }

    fn body(&mut self, line: &[u8], x25519: bool, lines: usize) -> Result<Next, LintError> {
        let malformed = LintError::Stanza { index: self.stanzas() };
        if line.len() > BODY_LINE || !is_base64(line) {
            return Err(malformed);
        }
        // An X25519 body is 32 bytes: one line of 43 characters.
        if x25519 && (lines > 0 || line.len() != BASE64_32) {
            return Err(malformed);
        }
        // A full line is never the last one; an empty or short line always is.
        if line.len() == BODY_LINE {
            Ok(Next::Body { x25519, lines: lines + 1 })
        } else {
            Ok(Next::StanzaOrMac)
        }
    }

    fn mac(&self, line: &[u8]) -> Result<Next, LintError> {
        let Some(mac) = line.strip_prefix(MAC_PREFIX) else {
            // Neither a stanza nor the MAC: blame what is being read, or the place where the MAC should be.
            return Err(if line.starts_with(b"---") || self.stanzas() == 0 {
                LintError::Mac
            } else {
                LintError::Stanza { index: self.stanzas() + 1 }
            });
        };
        if mac.len() != BASE64_32 || !is_base64(mac) || self.stanzas() == 0 {
            return Err(LintError::Mac);
        }
        if self.policy.tdh2_max > 0 && self.header.tdh2 == 0 {
            return Err(LintError::NoTdh2);
        }
        if self.policy.x25519_max > 0 && self.header.x25519 == 0 {
            return Err(LintError::NoX25519);
        }
        Ok(Next::Nothing)
    }
}

#[cfg(test)]
mod tests;
