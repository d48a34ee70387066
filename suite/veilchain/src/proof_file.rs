//! Proof files, `.tlog-proof` (c2sp.org/tlog-proof; docs/spec/chain.md): an entry's index, its inclusion proof and a
//! checkpoint, enough to check without asking anyone that the entry was logged and that witnesses saw the tree.
//!
//! What must never happen: a file that verifies for another entry or place than it was made for, or the `extra` line
//! taken for something that is proved.

use data_encoding::BASE64;
use thiserror::Error;

use crate::checkpoint::{Checkpoint, CheckpointError, parse_decimal, parse_hash};
use crate::hash::Hash;
use crate::note::{NOTE_LEN_MAX, Note, decode_base64};
use crate::policy::{Policy, PolicyError};
use crate::proof::{ProofError, verify_inclusion};

/// The first line.
pub const VERSION_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Most hashes of a proof: one for each level below the root of the largest tree.
pub const PATH_LEN_MAX: usize = 63;
/// Longest extra data, in bytes.
pub const EXTRA_LEN_MAX: usize = 65_535;
/// Longest proof file, in bytes: the largest note, and room for the lines before it.
pub const PROOF_FILE_LEN_MAX: usize = NOTE_LEN_MAX + 100_000;

/// Why a proof file was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofFileError {
    /// Longer than [`PROOF_FILE_LEN_MAX`].
    #[error("proof file of {len} bytes is above the limit of {PROOF_FILE_LEN_MAX}")]
    TooLong {
        /// Its length, in bytes.
        len: usize,
    },
    /// The first line is not [`VERSION_LINE`].
    #[error("file is not a version 1 proof")]
    Version,
    /// The extra data is empty, too long, or not canonical base64.
    #[error("extra line of the proof is not valid")]
    Extra,
    /// No `index` line where one must be, or its number is not a plain decimal.
    #[error("index line of the proof is not valid")]
    Index,
    /// A line of the proof is not a hash of 32 bytes in canonical base64, or there are more than [`PATH_LEN_MAX`].
    #[error("hash {number} of the proof is not valid")]
    Path {
        /// Which, from 1.
        number: usize,
    },
    /// No empty line and so no checkpoint, or the lines before it are not UTF-8.
    #[error("proof file holds no checkpoint")]
    NoCheckpoint,
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The tree of the checkpoint has no entry of this index.
    #[error("index {index} is outside a tree of {size} entries")]
    IndexOutside {
        /// The index of the file.
        index: u64,
        /// The size of the checkpoint.
        size: u64,
    },
    /// The policy does not accept the checkpoint.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The entry is not at this index in the tree of the checkpoint.
    #[error(transparent)]
    Inclusion(#[from] ProofError),
}

/// The content of a proof file. Nothing of it is proved before [`ProofFile::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// Data of the application, at most [`EXTRA_LEN_MAX`] bytes. Never authenticated. Empty data is written as none.
    pub extra: Option<Vec<u8>>,
    /// Where the entry is in the log, from 0.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling up; at most [`PATH_LEN_MAX`] hashes.
    pub path: Vec<Hash>,
    /// The note of the checkpoint, verbatim.
    pub checkpoint: Vec<u8>,
}

impl ProofFile {
    /// The bytes of the file. What [`ProofFile::parse`] has read gives the same bytes again.
    pub fn encode(&self) -> Vec<u8> {
        let mut head = format!("{VERSION_LINE}\n");
        if let Some(extra) = self.extra.as_ref().filter(|extra| !extra.is_empty()) {
            head.push_str(&format!("extra {}\n", BASE64.encode(extra)));
        }
        head.push_str(&format!("index {}\n", self.index));
        for hash in &self.path {
            head.push_str(&BASE64.encode(hash));
            head.push('\n');
        }
        head.push('\n');
        let mut file = head.into_bytes();
        file.extend_from_slice(&self.checkpoint);
        file
    }

    /// Reads a proof file. Strict: canonical numbers and base64, no other lines; the checkpoint must be a well-formed
    /// note with a checkpoint as its text, of a tree that has the index.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        if bytes.len() > PROOF_FILE_LEN_MAX {
            return Err(ProofFileError::TooLong { len: bytes.len() });
        }
        let (head, checkpoint) = split_head(bytes).ok_or(ProofFileError::NoCheckpoint)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(VERSION_LINE) {
            return Err(ProofFileError::Version);
        }
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            Some(line) => Some(parse_extra(&line["extra ".len()..]).ok_or(ProofFileError::Extra)?),
            None => None,
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(parse_decimal);
        let index = index.ok_or(ProofFileError::Index)?;
        let path = parse_path(lines).map_err(|number| ProofFileError::Path { number })?;
        let size = read_checkpoint(checkpoint)?.size;
        if index >= size {
            return Err(ProofFileError::IndexOutside { index, size });
        }
        Ok(Self { extra, index, path, checkpoint: checkpoint.to_vec() })
    }

    /// Verifies that the entry with this leaf hash is in a log of the policy, at [`ProofFile::index`], in a tree that a
    /// quorum of the policy's witnesses saw. Gives the checkpoint of that tree.
    ///
    /// # Errors
    /// [`ProofFileError::Policy`], [`ProofFileError::Inclusion`].
    pub fn verify(&self, leaf: &Hash, policy: &Policy) -> Result<Checkpoint, ProofFileError> {
        let checkpoint = policy.check(&self.checkpoint)?.checkpoint;
        verify_inclusion(self.index, checkpoint.size, leaf, &self.path, &checkpoint.root)?;
        Ok(checkpoint)
    }
}

/// Cuts at the first empty line: the lines before, without their last newline, and all that follows.
pub(crate) fn split_head(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 2..]))
}

/// Hashes, one a line, at most [`PATH_LEN_MAX`]. The error is the number of the first bad line, from 1.
pub(crate) fn parse_path<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash>, usize> {
    let mut path = Vec::new();
    for (before, line) in lines.enumerate() {
        let hash = if before < PATH_LEN_MAX { parse_hash(line) } else { None };
        path.push(hash.ok_or(before + 1)?);
    }
    Ok(path)
}

/// A note's checkpoint, unverified.
pub(crate) fn read_checkpoint(note: &[u8]) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::parse(Note::parse(note)?.text())
}

fn parse_extra(encoded: &str) -> Option<Vec<u8>> {
    let extra = decode_base64(encoded)?;
    (1..=EXTRA_LEN_MAX).contains(&extra.len()).then_some(extra)
}

#[cfg(test)]
mod tests;
