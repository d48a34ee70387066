//! Reads the text of a policy, line by line.

use thiserror::Error;

use super::word::is_allowed;
use super::{LineError, Policy, Word};
use crate::checkpoint::{CheckpointError, parse_decimal};
use crate::key::VerifierKey;
use crate::note::NoteError;

/// Longest policy text, in bytes.
pub const POLICY_LEN_MAX: usize = 262_144;

/// Why a policy text is none, or why a policy does not accept a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Longer than [`POLICY_LEN_MAX`].
    #[error("policy of {len} bytes is above the limit of {POLICY_LEN_MAX}")]
    TooLong {
        /// Its length, in bytes.
        len: usize,
    },
    /// A line of the text.
    #[error("line {line}: {error}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        error: LineError,
    },
    /// No quorum line.
    #[error("policy sets no quorum")]
    NoQuorum,
    /// The note is no checkpoint that a log of the policy signed, or a known signature is bad.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The cosignatures of known witnesses do not make a quorum.
    #[error("{cosigned} known witnesses cosigned, which is no quorum")]
    Quorum {
        /// How many known witnesses cosigned.
        cosigned: usize,
    },
}

impl Policy {
    /// Reads a policy text. Octets above 0x7f are opaque; nothing is normalised.
    ///
    /// # Errors
    /// [`PolicyError::TooLong`], [`PolicyError::NoQuorum`], or [`PolicyError::Line`] with the first line that is wrong.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, PolicyError> {
        let text = text.as_ref();
        if text.len() > POLICY_LEN_MAX {
            return Err(PolicyError::TooLong { len: text.len() });
        }
        let (mut policy, mut has_quorum) = (Self::new(), false);
        for (before, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let read = read_line(&mut policy, &mut has_quorum, line);
            read.map_err(|error| PolicyError::Line { line: before + 1, error })?;
        }
        if has_quorum { Ok(policy) } else { Err(PolicyError::NoQuorum) }
    }
}

fn read_line(policy: &mut Policy, has_quorum: &mut bool, line: &[u8]) -> Result<(), LineError> {
    let line = line.strip_suffix(b"\n").ok_or(LineError::Unterminated)?;
    if !line.iter().all(|byte| is_allowed(*byte)) {
        return Err(LineError::Octet);
    }
    let items = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|item| !item.is_empty());
    let words: Vec<Word> = items.map(|item| Word::known(item.to_vec())).collect();
    let Some((keyword, items)) = words.split_first() else { return Ok(()) };
    match (keyword.as_bytes(), items) {
        ([b'#', ..], _) => Ok(()),
        (b"log", [key]) => policy.add_log(read_key(key)?, None),
        (b"log", [key, url]) => policy.add_log(read_key(key)?, Some(url.clone())),
        (b"witness", [name, key]) => policy.add_witness(name.clone(), read_key(key)?, None),
        (b"witness", [name, key, url]) => policy.add_witness(name.clone(), read_key(key)?, Some(url.clone())),
        (b"group", [name, threshold, members @ ..]) if !members.is_empty() => {
            policy.add_group(name.clone(), read_threshold(threshold, members.len())?, members)
        }
        (b"quorum", [_]) if *has_quorum => Err(LineError::QuorumTwice),
        (b"quorum", [name]) => {
            *has_quorum = true;
            policy.set_quorum(name)
        }
        (b"log" | b"witness" | b"group" | b"quorum", _) => Err(LineError::Items),
        _ => Err(LineError::Keyword),
    }
}

fn read_key(word: &Word) -> Result<VerifierKey, LineError> {
    let text = word.as_str().ok_or(LineError::Key(NoteError::KeyFormat))?;
    text.parse().map_err(LineError::Key)
}

fn read_threshold(word: &Word, members: usize) -> Result<usize, LineError> {
    match word.as_str() {
        Some("all") => Ok(members),
        Some("any") => Ok(1),
        Some(number) => {
            let number = parse_decimal(number).and_then(|number| usize::try_from(number).ok());
            number.ok_or(LineError::Threshold)
        }
        None => Err(LineError::Threshold),
    }
}
