//! Blobs (docs/spec/vault.md, section 10): content goes in, an age file and a seal come out, and back. Writing and
//! reading stream with one chunk of 64 KiB in memory; [`seal_bytes`] and [`open_bytes`] are the short way for what
//! fits in memory. What must never happen: content of a ciphertext that the author did not seal being taken for the
//! author's.
//!
//! Randomness: age draws file keys, ephemeral keys, nonces and grease from the operating system by itself. That is
//! the one exception to the rule that a random source is passed in.

mod read;
mod write;

use std::io;

use thiserror::Error;
use veilcore::id::{EnvironmentId, ProjectId};

use crate::agefile::FileError;
use crate::header::{HEADER_LINE_LEN, HeaderError};
use crate::kind::{Kind, NotText, TEXT_LEN_MAX};
use crate::lint::LintError;
use crate::pad::{CONTENT_LEN_MAX, TooLong, padded_len};
use crate::seal::SealError;

pub use read::{OpenReader, Opened, open, open_bytes, open_with_digester};
pub use write::{SealWriter, Sealed, SealedBytes, seal_bytes};

/// What a new version is sealed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Project of the environment.
    pub project: ProjectId,
    /// Environment the version belongs to.
    pub environment: EnvironmentId,
    /// Number of the new version: one more than the head's, from 1.
    pub version: u64,
    /// Digest of the version before; None for version 1 and only for it.
    pub parent: Option<[u8; 32]>,
    /// Epoch of the key that is used.
    pub epoch: u32,
    /// The author's clock, milliseconds since 1970.
    pub created_at_ms: u64,
}

/// Why content was not sealed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SealingError {
    /// Version 0, version 1 with a parent, or a later version without one.
    #[error("version {version} {}", if *.has_parent { "cannot have a parent" } else { "needs a parent" })]
    Parent {
        /// The version asked for.
        version: u64,
        /// Whether a parent was given.
        has_parent: bool,
    },
    /// Over the limit of the kind.
    #[error("content of {len} bytes is over the limit of {limit}")]
    TooLong {
        /// Length announced, in bytes.
        len: u64,
        /// Limit, in bytes.
        limit: u64,
    },
    /// Announced as text and is not.
    #[error(transparent)]
    NotText(#[from] NotText),
    /// More content than announced.
    #[error("more content than the {announced} bytes announced")]
    More {
        /// Length announced, in bytes.
        announced: u64,
    },
    /// Less content than announced.
    #[error("{missing} bytes of the content announced are missing")]
    Less {
        /// How many, in bytes.
        missing: u64,
    },
    /// The ciphertext could not be written.
    #[error("the ciphertext could not be written")]
    Io(io::Error),
}

/// Why a blob was not opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The seal, or the ciphertext measured by it, is not the one expected.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The header of the age file is not acceptable.
    #[error(transparent)]
    Lint(LintError),
    /// Encrypted to another key than this epoch's.
    #[error("the blob is not encrypted to the key of its epoch")]
    WrongKey,
    /// The age file was changed after it was made: header, or any chunk of the payload.
    #[error("the ciphertext was changed")]
    Changed,
    /// The first line of a text blob does not say what the seal says.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The padding is not the one the format prescribes.
    #[error("the padding is not the one its length demands")]
    Padding,
    /// Sealed as text and is not.
    #[error(transparent)]
    NotText(#[from] NotText),
    /// [`OpenReader::finish`] before the content was read to its end.
    #[error("{left} bytes of the content have not been read")]
    Unfinished {
        /// How many, in bytes.
        left: u64,
    },
    /// The source could not be read; says nothing about the blob.
    #[error("the ciphertext could not be read")]
    Io(io::Error),
}

impl From<FileError> for OpenError {
    fn from(e: FileError) -> Self {
        match e {
            FileError::Lint(e) => Self::Lint(e),
            FileError::NotForThisKey => Self::WrongKey,
            FileError::Io(e) => Self::Io(e),
            FileError::TooLong { limit } => {
                SealError::Length { expected: limit, found: limit.saturating_add(1) }.into()
            }
            FileError::HeaderChanged | FileError::PayloadChanged => Self::Changed,
        }
    }
}

impl From<io::Error> for OpenError {
    /// Finds the reason inside the error that [`OpenReader`]'s `Read` gave.
    fn from(e: io::Error) -> Self {
        e.downcast::<OpenError>().unwrap_or_else(Self::Io)
    }
}

/// Bytes of the plaintext before the content.
fn header_len(kind: Kind) -> u64 {
    match kind {
        Kind::Text => HEADER_LINE_LEN as u64,
        Kind::Binary => 0,
    }
}

/// Length of the whole plaintext, header and padding included.
fn plaintext_len(kind: Kind, content_len: u64) -> Result<u64, TooLong> {
    padded_len(content_len.checked_add(header_len(kind)).ok_or(TooLong { len: content_len })?)
}

/// Longest content of a kind.
fn content_len_max(kind: Kind) -> u64 {
    match kind {
        Kind::Text => TEXT_LEN_MAX,
        Kind::Binary => CONTENT_LEN_MAX,
    }
}

#[cfg(test)]
mod tests;
