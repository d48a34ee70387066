//! The witness protocol (c2sp.org/tlog-witness; docs/spec/chain.md): what a log sends to `add-checkpoint`, how a witness
//! judges it, and what it answers. Both sides, without the network.
//!
//! What must never happen: a judgement of `Ok` for a tree that does not extend the known one. The caller must compare and
//! store atomically, and store before it cosigns; otherwise two requests at once roll the record back.

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::checkpoint::{self, Checkpoint, CheckpointError, parse_decimal};
use crate::hash::{EMPTY_ROOT, Hash};
use crate::key::VerifierKey;
use crate::note::{self, NOTE_LEN_MAX, Note, NoteError, NoteSignature};
use crate::proof::verify_consistency;
use crate::proof_file::{parse_path, read_checkpoint, split_head};
use crate::range::TREE_SIZE_MAX;

/// Longest request body, in bytes: the largest note, and room for the lines before it.
pub const BODY_LEN_MAX: usize = NOTE_LEN_MAX + 4_096;
/// Content type of the answer to [`Refusal::Conflict`].
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// Why a body of the protocol cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// Longer than [`BODY_LEN_MAX`].
    #[error("body of {len} bytes is above the limit of {BODY_LEN_MAX}")]
    TooLong {
        /// Its length, in bytes.
        len: usize,
    },
    /// No `old` line, or its number is not a plain decimal up to [`TREE_SIZE_MAX`].
    #[error("old size line is not valid")]
    OldSize,
    /// A line of the proof is not a hash of 32 bytes in canonical base64, or there are more than [`crate::proof_file::PATH_LEN_MAX`].
    #[error("hash {number} of the proof is not valid")]
    Path {
        /// Which, from 1.
        number: usize,
    },
    /// No empty line and so no checkpoint, or the lines before it are not UTF-8.
    #[error("body holds no checkpoint")]
    NoCheckpoint,
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The answer is not one signature line or more.
    #[error(transparent)]
    Signatures(#[from] NoteError),
    /// The answer is not a size and a newline.
    #[error("size is not valid")]
    Size,
}

/// Why a witness does not cosign, with the HTTP status that says so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// 400: the request cannot be read.
    #[error(transparent)]
    Malformed(#[from] WitnessError),
    /// 404: no key of a log of this origin is known.
    #[error("origin is not a known log")]
    UnknownOrigin,
    /// 403: no known key of the log signed, or a known key's signature does not verify.
    #[error("checkpoint is not signed by its log")]
    Untrusted,
    /// 400: the old size is above the size of the checkpoint.
    #[error("old size {old} is above the size {size} of the checkpoint")]
    OldTooLarge {
        /// The old size.
        old: u64,
        /// The size of the checkpoint.
        size: u64,
    },
    /// 409: the old size is not that of the latest checkpoint cosigned; the body is [`encode_size`] of it.
    #[error("latest checkpoint cosigned has size {size}")]
    Conflict {
        /// Size of the latest checkpoint cosigned, 0 if there is none.
        size: u64,
    },
    /// 422: the checkpoint is not proved to extend the known one. May be evidence of misbehaviour: worth a record.
    #[error("checkpoint is not proved to extend the latest one")]
    Inconsistent,
}

impl Refusal {
    /// The HTTP status of c2sp.org/tlog-witness.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::OldTooLarge { .. } => 400,
            Self::Untrusted => 403,
            Self::UnknownOrigin => 404,
            Self::Conflict { .. } => 409,
            Self::Inconsistent => 422,
        }
    }
}

/// The body of `add-checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the latest checkpoint that the witness cosigned, as the client knows it.
    pub old_size: u64,
    /// Consistency proof from there to the checkpoint; at most 63 hashes.
    pub path: Vec<Hash>,
    /// The note of the checkpoint, verbatim.
    pub checkpoint: Vec<u8>,
}

impl AddCheckpoint {
    /// The bytes of the body. What [`AddCheckpoint::parse`] has read gives the same bytes again.
    pub fn encode(&self) -> Vec<u8> {
        let mut head = format!("old {}\n", self.old_size);
        for hash in &self.path {
            head.push_str(&BASE64.encode(hash));
            head.push('\n');
        }
        head.push('\n');
        let mut body = head.into_bytes();
        body.extend_from_slice(&self.checkpoint);
        body
    }

    /// Reads a body. Strict: canonical numbers and base64, no other lines, a well-formed note with a checkpoint as its
    /// text. Nothing is verified yet.
    ///
    /// # Errors
    /// The first thing that is wrong; the answer is 400.
    pub fn parse(body: &[u8]) -> Result<Self, WitnessError> {
        if body.len() > BODY_LEN_MAX {
            return Err(WitnessError::TooLong { len: body.len() });
        }
        let (head, checkpoint) = split_head(body).ok_or(WitnessError::NoCheckpoint)?;
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(parse_size);
        let old_size = old_size.ok_or(WitnessError::OldSize)?;
        let path = parse_path(lines).map_err(|number| WitnessError::Path { number })?;
        read_checkpoint(checkpoint)?;
        Ok(Self { old_size, path, checkpoint: checkpoint.to_vec() })
    }

    /// Judges the request as c2sp.org/tlog-witness says, in its order. `known` is the latest checkpoint cosigned for this
    /// origin, `keys` are the keys of the logs the witness serves; the name of a log's key is its origin.
    ///
    /// `Ok` is leave to store the checkpoint as the latest, if `known` still is the record, and then to cosign its text.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with.
    pub fn judge(&self, known: Option<(u64, Hash)>, keys: &[VerifierKey]) -> Result<Checkpoint, Refusal> {
        let malformed = |error: CheckpointError| Refusal::Malformed(error.into());
        let note = Note::parse(&self.checkpoint).map_err(|error| malformed(error.into()))?;
        let checkpoint = match checkpoint::verify(&note, keys, keys.len()) {
            Ok((checkpoint, _)) => checkpoint,
            Err(CheckpointError::UnknownOrigin) => return Err(Refusal::UnknownOrigin),
            // The note is well formed, so what verification of it refuses is a signature.
            Err(CheckpointError::NotSignedByLog | CheckpointError::Note(_)) => {
                return Err(Refusal::Untrusted);
            }
            Err(other) => return Err(malformed(other)),
        };
        if self.old_size > checkpoint.size {
            return Err(Refusal::OldTooLarge { old: self.old_size, size: checkpoint.size });
        }
        let (known_size, known_root) = known.unwrap_or((0, EMPTY_ROOT));
        if self.old_size != known_size {
            return Err(Refusal::Conflict { size: known_size });
        }
        // Also holds where nothing was known: a tree of size zero has one root only.
        if checkpoint.size == 0 && checkpoint.root != EMPTY_ROOT {
            return Err(Refusal::Inconsistent);
        }
        verify_consistency(known_size, &known_root, checkpoint.size, &checkpoint.root, &self.path)
            .map_err(|_| Refusal::Inconsistent)?;
        Ok(checkpoint)
    }
}

/// The answer of a witness that cosigned: one signature line or more. Valid lines only; whether they verify is for
/// [`Note::add`] and [`Note::verify`] with the witness's key.
///
/// # Errors
/// Anything but signature lines, or more than [`note::SIGNATURES_MAX`].
pub fn parse_cosignatures(body: &[u8]) -> Result<Vec<NoteSignature>, WitnessError> {
    Ok(note::parse_lines(note::check_bytes(body)?)?)
}

/// The body of that answer.
pub fn encode_cosignatures(signatures: &[NoteSignature]) -> String {
    note::encode_lines(signatures)
}

/// The body of the answer to [`Refusal::Conflict`].
pub fn encode_size(size: u64) -> String {
    format!("{size}\n")
}

/// Reads it.
///
/// # Errors
/// Anything but a plain decimal up to [`TREE_SIZE_MAX`] and a newline.
pub fn parse_size_body(body: &[u8]) -> Result<u64, WitnessError> {
    let line = body.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
    line.and_then(parse_size).ok_or(WitnessError::Size)
}

/// Where a witness serves the latest checkpoint of a log, below its monitoring prefix: `<hex SHA-256(origin)>/checkpoint`.
pub fn checkpoint_path(origin: &str) -> String {
    format!("{}/checkpoint", HEXLOWER.encode(&Sha256::digest(origin.as_bytes())))
}

fn parse_size(text: &str) -> Option<u64> {
    parse_decimal(text).filter(|size| *size <= TREE_SIZE_MAX)
}

#[cfg(test)]
mod tests;
