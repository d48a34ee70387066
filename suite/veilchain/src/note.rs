//! Signed notes (c2sp.org/signed-note; docs/spec/chain.md): a text, an empty line, and one line per signature.
//!
//! What must never happen: a text that is believed before [`Note::verify`], two encodings of one note, or a note that
//! passes although a key we know refuses its own signature.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use thiserror::Error;

use crate::key::{VerifierKey, is_name_valid};

/// Longest note, in bytes, text and signatures together.
pub const NOTE_LEN_MAX: usize = 1_000_000;
/// Most signatures in one note. c2sp.org/signed-note asks for at least 16.
pub const SIGNATURES_MAX: usize = 100;

/// Why a note, a signature or a key was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Longer than [`NOTE_LEN_MAX`].
    #[error("note of {len} bytes is above the limit of {NOTE_LEN_MAX}")]
    TooLong {
        /// Its length, in bytes.
        len: usize,
    },
    /// Not UTF-8.
    #[error("note is not UTF-8 from byte {offset}")]
    Encoding {
        /// Where it stops to be.
        offset: usize,
    },
    /// An ASCII control character other than newline; a carriage return is one.
    #[error("note holds a control character at byte {offset}")]
    Control {
        /// Where.
        offset: usize,
    },
    /// The text or the note does not end in a newline.
    #[error("note does not end in a newline")]
    Unterminated,
    /// No empty line with a signature after it.
    #[error("note has no signatures")]
    NoSignatures,
    /// A line after the last empty line is no signature line.
    #[error("signature line {line} is malformed")]
    SignatureLine {
        /// Which, from 1.
        line: usize,
    },
    /// More than [`SIGNATURES_MAX`].
    #[error("note has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// The name is empty, too long, or holds a space, a `+` or a control character.
    #[error("name of the key is not valid")]
    KeyName,
    /// Not `<name>+<8 hex>+<base64>` with a key of the right length.
    #[error("key is malformed")]
    KeyFormat,
    /// The id does not belong to the name and the key.
    #[error("key id does not match the key")]
    KeyId,
    /// A signature type that is not ours.
    #[error("signature type {byte:#04x} is not supported")]
    KeyType {
        /// The type byte.
        byte: u8,
    },
    /// Not a point of the curve, not its canonical encoding, or of small order.
    #[error("public key is not usable")]
    PublicKey,
    /// The key signs something else: plain notes where a cosignature was asked for, or the reverse.
    #[error("key is of the wrong type for this signature")]
    WrongKind,
    /// The time of a cosignature is 0 or above 2^63 - 1.
    #[error("time of the cosignature is out of range")]
    Time,
    /// Two different known keys share a name and an id.
    #[error("two known keys are called {name}+{}", HEXLOWER.encode(key_id))]
    AmbiguousKey {
        /// Name of both.
        name: String,
        /// Id of both.
        key_id: [u8; 4],
    },
    /// The signature line of a known key does not verify.
    #[error("signature of {name}+{} does not verify", HEXLOWER.encode(key_id))]
    BadSignature {
        /// Name of the key.
        name: String,
        /// Its id.
        key_id: [u8; 4],
    },
    /// No known key signed.
    #[error("note is not signed by a known key")]
    Unverified,
}

/// One signature line. Says who claims to have signed; proves nothing before [`Note::verify`].
///
/// Its Display is the line without a newline: em dash, space, name, space, base64(key id || signature).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// Id of the key.
    pub key_id: [u8; 4],
    /// What follows the key id, as the key's type defines it; at least one byte.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    fn is_valid(&self) -> bool {
        is_name_valid(&self.name) && !self.signature.is_empty()
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(self.key_id.len() + self.signature.len());
        bytes.extend_from_slice(&self.key_id);
        bytes.extend_from_slice(&self.signature);
        write!(f, "\u{2014} {} {}", self.name, BASE64.encode(&bytes))
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    /// Reads one line without its newline; errors name line 1.
    fn from_str(line: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::SignatureLine { line: 1 };
        let parse = || {
            let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
            let bytes = decode_base64(encoded)?;
            let (key_id, signature) = bytes.split_first_chunk::<4>()?;
            let read = Self { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() };
            read.is_valid().then_some(read)
        };
        parse().ok_or(malformed)
    }
}

/// A signature that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Which of the keys given to [`Note::verify`] made it.
    pub key: usize,
    /// When it was made, in seconds since the Unix epoch, if it is a cosignature.
    pub time_s: Option<u64>,
}

/// A text and its signatures. Well formed; not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// A note without signatures yet. Its encoding is refused by every reader until one is added.
    ///
    /// # Errors
    /// A text that is too long, does not end in a newline, or holds a control character.
    pub fn new(text: impl Into<String>) -> Result<Self, NoteError> {
        let text = text.into();
        check_bytes(text.as_bytes())?;
        if !text.ends_with('\n') {
            return Err(NoteError::Unterminated);
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Reads a note. The text ends before the last empty line; all lines after it are signature lines. Strict: what is
    /// read encodes to the same bytes again.
    ///
    /// # Errors
    /// Whatever of c2sp.org/signed-note does not hold, or a limit of this module.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let note = check_bytes(bytes)?;
        let split = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        if lines.is_empty() {
            return Err(NoteError::NoSignatures);
        }
        Ok(Self { text: text.to_owned(), signatures: parse_lines(lines)? })
    }

    /// The bytes of the note.
    pub fn encode(&self) -> String {
        let mut note = self.text.clone();
        note.push('\n');
        note.push_str(&encode_lines(&self.signatures));
        note
    }

    /// The text with its final newline, without the empty line. Not to be believed before [`Note::verify`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in order, verified or not.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature at the end; an earlier one by the same key (name and id) goes.
    ///
    /// # Errors
    /// A name that is not valid or an empty signature, and the limits of this module.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if !signature.is_valid() {
            return Err(NoteError::SignatureLine { line: self.signatures.len() + 1 });
        }
        let mut kept: Vec<NoteSignature> = self.signatures.clone();
        kept.retain(|old| old.key_id != signature.key_id || old.name != signature.name);
        if kept.len() >= SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        kept.push(signature);
        let len = self.text.len() + 1 + encode_lines(&kept).len();
        if len > NOTE_LEN_MAX {
            return Err(NoteError::TooLong { len });
        }
        self.signatures = kept;
        Ok(())
    }

    /// Verifies the note against the keys the caller trusts: every signature that one of them claims must hold, and one
    /// at least must be there. Signatures of other keys are ignored, also those that share only a name or only an id
    /// with a known key.
    ///
    /// A key that signed more than once is listed once, with its first signature, as Go's `note` package does; unlike
    /// there, its other signatures must hold too, as c2sp.org/signed-note demands of every signature of a known key.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`], [`NoteError::AmbiguousKey`], [`NoteError::Unverified`].
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Vec<Verified>, NoteError> {
        let mut verified: Vec<Verified> = Vec::new();
        for signature in &self.signatures {
            let mut known = keys.iter().enumerate().filter(|(_, key)| key.signed(signature));
            let Some((index, key)) = known.next() else { continue };
            if known.any(|(_, other)| other != key) {
                let name = key.name().to_owned();
                return Err(NoteError::AmbiguousKey { name, key_id: key.key_id() });
            }
            let time_s = key.verify(&self.text, &signature.signature)?;
            if verified.iter().all(|earlier| earlier.key != index) {
                verified.push(Verified { key: index, time_s });
            }
        }
        if verified.is_empty() { Err(NoteError::Unverified) } else { Ok(verified) }
    }
}

/// Reads one or more signature lines, each with its newline. Errors name the line, from 1.
pub(crate) fn parse_lines(lines: &str) -> Result<Vec<NoteSignature>, NoteError> {
    let body = lines.strip_suffix('\n').ok_or(NoteError::Unterminated)?;
    let mut signatures = Vec::new();
    for (before, line) in body.split('\n').enumerate() {
        if before >= SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        let signature = line.parse().map_err(|_| NoteError::SignatureLine { line: before + 1 })?;
        signatures.push(signature);
    }
    Ok(signatures)
}

/// Signature lines, each with its newline.
pub(crate) fn encode_lines(signatures: &[NoteSignature]) -> String {
    signatures.iter().map(|signature| format!("{signature}\n")).collect()
}

/// The bytes of a canonical base64 text: padded, no other character, unused bits zero. The crate also reads several padded
/// texts in a row as one, which would give some bytes more than one text.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let padding = text.len() - text.find('=').unwrap_or(text.len());
    if padding > 2 { None } else { BASE64.decode(text.as_bytes()).ok() }
}

/// UTF-8 of a bearable length without control characters.
pub(crate) fn check_bytes(bytes: &[u8]) -> Result<&str, NoteError> {
    if bytes.len() > NOTE_LEN_MAX {
        return Err(NoteError::TooLong { len: bytes.len() });
    }
    // Bytes of a longer UTF-8 sequence are all above 0x7f, so a control character is found byte by byte.
    if let Some(offset) = bytes.iter().position(|byte| *byte < b' ' && *byte != b'\n') {
        return Err(NoteError::Control { offset });
    }
    std::str::from_utf8(bytes).map_err(|error| NoteError::Encoding { offset: error.valid_up_to() })
}

#[cfg(test)]
mod tests;
