//! Checkpoints (c2sp.org/tlog-checkpoint; docs/spec/chain.md): a log's name, its size and its root, as the text of a
//! signed note.
//!
//! What must never happen: two texts for one checkpoint, or a checkpoint of one log that passes for another's.

use data_encoding::BASE64;
use thiserror::Error;

use crate::hash::Hash;
use crate::key::{SigningKey, VerifierKey};
use crate::note::{NOTE_LEN_MAX, Note, NoteError, Verified, decode_base64};
use crate::range::TREE_SIZE_MAX;

/// Longest origin, in bytes: what the one-byte length of a log origin in c2sp.org/tlog-cosignature can carry.
pub const ORIGIN_LEN_MAX: usize = 255;

/// Why a checkpoint was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The note around it, or a signature.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not three lines or more, each ended by a newline.
    #[error("checkpoint does not have three lines")]
    Lines,
    /// The origin is empty, longer than [`ORIGIN_LEN_MAX`], or holds a control character.
    #[error("origin of the checkpoint is not valid")]
    Origin,
    /// The size is not a plain decimal number, or above [`TREE_SIZE_MAX`].
    #[error("size of the checkpoint is not valid")]
    Size,
    /// The root is not 32 bytes in canonical base64.
    #[error("root of the checkpoint is not valid")]
    Root,
    /// An extension line is empty or holds a control character, or there is one where none may be.
    #[error("extension line of the checkpoint is not valid")]
    Extension,
    /// No key of a log of this origin is known.
    #[error("origin of the checkpoint is not a known log")]
    UnknownOrigin,
    /// No known key of the log signed it.
    #[error("checkpoint is not signed by its log")]
    NotSignedByLog,
}

/// What a log signs. The fields of a parsed one are canonical; [`Checkpoint::text`] writes the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log: one line, 1 to 255 bytes. Our logs use a schema-less URL that is also the name of their keys.
    pub origin: String,
    /// Number of entries, at most [`TREE_SIZE_MAX`].
    pub size: u64,
    /// Root of the tree of that size.
    pub root: Hash,
    /// Lines after the root, opaque and not empty. Our logs have none, for nobody can audit them.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extension lines.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`], [`CheckpointError::Size`].
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        let checkpoint = Self { origin: origin.to_owned(), size, root, extensions: Vec::new() };
        checkpoint.check()?;
        Ok(checkpoint)
    }

    /// The note text: origin, size in decimal, root in base64, extensions; a newline after each.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root));
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Reads a note text. Strict: what is read has the same text again. Nothing of it is authentic yet: use [`open`].
    ///
    /// # Errors
    /// Too few lines, a size with leading zeros or above [`TREE_SIZE_MAX`], a root that is not 32 bytes of canonical
    /// base64, an empty line, a control character.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        if text.len() > NOTE_LEN_MAX {
            return Err(NoteError::TooLong { len: text.len() }.into());
        }
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Lines);
        };
        let checkpoint = Self {
            origin: origin.to_owned(),
            size: parse_decimal(size).ok_or(CheckpointError::Size)?,
            root: parse_hash(root).ok_or(CheckpointError::Root)?,
            extensions: lines.map(str::to_owned).collect(),
        };
        checkpoint.check()?;
        Ok(checkpoint)
    }

    fn check(&self) -> Result<(), CheckpointError> {
        let is_line = |line: &str| !line.is_empty() && !line.bytes().any(|byte| byte < b' ');
        if !is_line(&self.origin) || self.origin.len() > ORIGIN_LEN_MAX {
            return Err(CheckpointError::Origin);
        }
        if self.size > TREE_SIZE_MAX {
            return Err(CheckpointError::Size);
        }
        if self.extensions.iter().all(|line| is_line(line)) {
            Ok(())
        } else {
            Err(CheckpointError::Extension)
        }
    }
}

/// Signs a checkpoint with the log's keys, in order. Cosignatures come later, by [`Note::add`].
///
/// # Errors
/// A checkpoint that is not valid, a key that is not of the log (its name is not the origin), or a key of another type
/// than Ed25519.
pub fn sign(checkpoint: &Checkpoint, keys: &[&SigningKey]) -> Result<Note, CheckpointError> {
    checkpoint.check()?;
    let mut note = Note::new(checkpoint.text())?;
    for key in keys {
        if key.verifier().name() != checkpoint.origin {
            return Err(CheckpointError::UnknownOrigin);
        }
        note.add(key.sign_note(note.text())?)?;
    }
    Ok(note)
}

/// Reads a checkpoint of one of our logs and verifies its signature: the origin is the name of one of the `log` keys, a
/// key of that name signed it, no known key's signature is bad, and there are no extension lines. Gives the note, too,
/// so that cosignatures can be read from it or added.
///
/// # Errors
/// The condition that does not hold.
pub fn open(bytes: &[u8], log: &[VerifierKey]) -> Result<(Checkpoint, Note), CheckpointError> {
    let note = Note::parse(bytes)?;
    let (checkpoint, _) = verify(&note, log, log.len())?;
    if !checkpoint.extensions.is_empty() {
        return Err(CheckpointError::Extension);
    }
    Ok((checkpoint, note))
}

/// As [`open`], for logs that may write extension lines: the checkpoint of a note and who signed it. The first `logs` of
/// the keys are keys of logs, the others are keys of witnesses, whose names are nobody's origin. Every signature of any
/// of them must hold.
pub(crate) fn verify(
    note: &Note,
    keys: &[VerifierKey],
    logs: usize,
) -> Result<(Checkpoint, Vec<Verified>), CheckpointError> {
    let checkpoint = Checkpoint::parse(note.text())?;
    let is_of_log = |(index, key): (usize, &VerifierKey)| index < logs && key.name() == checkpoint.origin;
    if !keys.iter().enumerate().any(is_of_log) {
        return Err(CheckpointError::UnknownOrigin);
    }
    let verified = match note.verify(keys) {
        Err(NoteError::Unverified) => return Err(CheckpointError::NotSignedByLog),
        other => other?,
    };
    if !verified.iter().any(|signature| is_of_log((signature.key, &keys[signature.key]))) {
        return Err(CheckpointError::NotSignedByLog);
    }
    Ok((checkpoint, verified))
}

/// A plain decimal number: digits only, no leading zero unless it is `0`, at most 2^64 - 1.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// 32 bytes in canonical base64 with padding.
pub(crate) fn parse_hash(text: &str) -> Option<Hash> {
    // The length first: a long line must not be decoded only to be thrown away.
    if text.len() != 44 {
        return None;
    }
    decode_base64(text)?.try_into().ok()
}

#[cfg(test)]
mod tests;
