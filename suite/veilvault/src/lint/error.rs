//! The verdicts of the lint.

use thiserror::Error;

use super::HEADER_LEN_MAX;

/// Why a header was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LintError {
    /// The bytes end inside the header. Not a verdict for a stream that still has more.
    #[error("the age header is not complete")]
    NeedMore,
    /// The first line is not that of age version 1.
    #[error("not an age version 1 file")]
    Version,
    /// More stanzas than allowed.
    #[error("more than {limit} age stanzas")]
    TooManyStanzas {
        /// The limit.
        limit: usize,
    },
    /// A longer header than allowed.
    #[error("age header of more than {HEADER_LEN_MAX} bytes")]
    HeaderTooLong,
    /// A passphrase stanza.
    #[error("age stanza {index} is a passphrase stanza")]
    Scrypt {
        /// Which stanza, from 1.
        index: usize,
    },
    /// No stanza that an X25519 key opens.
    #[error("no X25519 stanza")]
    NoX25519,
    /// More X25519 stanzas than this kind of file has.
    #[error("more than {limit} X25519 stanzas")]
    TooManyX25519 {
        /// The limit.
        limit: usize,
    },
    /// No threshold stanza in a token keyring.
    #[error("no threshold stanza")]
    NoTdh2,
    /// More threshold stanzas than a token keyring has.
    #[error("more than {limit} threshold stanzas")]
    TooManyTdh2 {
        /// The limit.
        limit: usize,
    },
    /// A stanza of a type this kind of file does not have.
    #[error("age stanza {index} is of a type that does not belong here")]
    Foreign {
        /// Which stanza, from 1.
        index: usize,
    },
    /// A stanza that is not spelled as the specification demands.
    #[error("age stanza {index} is malformed")]
    Stanza {
        /// Which stanza, from 1.
        index: usize,
    },
    /// The line of the header's MAC is malformed, or not preceded by any stanza.
    #[error("the MAC line of the age header is malformed")]
    Mac,
}
