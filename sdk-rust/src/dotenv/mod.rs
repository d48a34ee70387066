//! Text environments on the client's side: dotenv, JSON and YAML in, the same three out, and what changed
//! between two of them. Pure: no files, no network, no process environment.
//!
//! Values are taken literally. `$NAME` and `${NAME}` are ordinary characters, never replaced, because a vault
//! that rewrites a secret on its way out is worse than one that refuses it.
//!
//! The parser is our own: `dotenvy` 0.15 substitutes variables while it parses and cannot be told not to,
//! and `dotenv-parser` 0.1 answers with a sorted map (order, duplicates and positions are lost).
//!
//! # Grammar
//! - Lines end in LF or CRLF; blank lines and lines whose first mark is `#` are skipped; a leading byte order
//!   mark is skipped.
//! - `[export ]KEY = value`, blanks around `=` allowed. A key is `[A-Za-z_][A-Za-z0-9_.-]*`, at most 256 bytes.
//! - Unquoted: to the end of the line, outer blanks removed. `#` opens a comment only after a blank, so
//!   `COLOR=#ff0000` keeps its value. A backslash is a backslash.
//! - `'single'`: everything up to the next single quote, over lines, with no escapes.
//! - `"double"`: up to the next unescaped double quote, over lines. Escapes: `\n \r \t \\ \" \' \$` and the
//!   escaped backtick; a backslash before anything else stays.
//! - CRLF inside quotes reads as LF; a carriage return on purpose is `\r` in double quotes.
//! - After a closing quote only blanks and a comment may follow.
//! - A key given twice: the last one counts ([`Variables`]); [`parse`] keeps both.
//!
//! What must never happen: a value in an error message (a broken line is named by its number alone).

mod diff;
mod json;
mod parse;
#[cfg(test)]
mod tests;
mod variables;
mod write;
mod yaml;

pub use diff::{Change, Diff, MASK, mask};
pub use json::{from_json, to_json};
pub use parse::{Entry, parse, parse_bytes};
pub use variables::Variables;
pub use write::write;
pub use yaml::{from_yaml, to_yaml};

/// Most assignments in one text.
pub const KEYS_MAX: usize = 10_000;

/// Longest text read, in bytes: the limit of a text environment.
pub const TEXT_LEN_MAX: usize = 512 * 1024;

/// Longest key, in bytes.
pub const KEY_LEN_MAX: usize = 256;

/// Why a text could not be read. Lines count from 1. No variant carries a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is longer than [`TEXT_LEN_MAX`].
    #[error("the text has {len} bytes, at most {TEXT_LEN_MAX} are allowed")]
    TextTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// More than [`KEYS_MAX`] assignments.
    #[error("line {line}: more than {KEYS_MAX} keys")]
    TooManyKeys {
        /// Line of the first one too many.
        line: usize,
    },
    /// The bytes are not UTF-8.
    #[error("line {line}: not valid utf-8")]
    NotUtf8 {
        /// Line of the first bad byte.
        line: usize,
    },
    /// A NUL byte, which no process environment can hold.
    #[error("line {line}: contains a NUL byte")]
    Nul {
        /// Its line.
        line: usize,
    },
    /// Neither a comment nor an assignment.
    #[error("line {line}: no `=` after the key")]
    MissingEquals {
        /// Its line.
        line: usize,
    },
    /// The key is empty, too long, or has a character a key cannot have.
    #[error("line {line}: the key is not of the form [A-Za-z_][A-Za-z0-9_.-]*, at most {KEY_LEN_MAX} bytes")]
    BadKey {
        /// Its line.
        line: usize,
    },
    /// A quote that is never closed.
    #[error("line {line}: the {quote} opened here is never closed")]
    UnclosedQuote {
        /// Line of the opening quote.
        line: usize,
        /// The quote.
        quote: char,
    },
    /// Something other than a comment behind a closing quote.
    #[error("line {line}: text after the closing quote")]
    TextAfterQuote {
        /// Line of the closing quote.
        line: usize,
    },
    /// The same key twice in a JSON or YAML mapping, where the order of two values means nothing.
    #[error("line {line}: the key {key} is given twice")]
    DuplicateKey {
        /// Line of the second; 0 where the format does not say.
        line: usize,
        /// The key.
        key: String,
    },
    /// A list or mapping where a plain value is needed.
    #[error("line {line}: the value of {key} is a list or a mapping; only plain values can be imported")]
    Nested {
        /// Its line; 0 where the format does not say.
        line: usize,
        /// Its key.
        key: String,
    },
    /// Not JSON, or JSON that is not one object.
    #[error("line {line}, column {column}: not a json object of plain values")]
    Json {
        /// Line of the fault.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// Not YAML, or YAML that is not one flat mapping.
    #[error("line {line}: not a yaml mapping of plain values: {fault}")]
    Yaml {
        /// Line of the fault.
        line: usize,
        /// The rule that was broken, in our own words.
        fault: &'static str,
    },
}

/// Whether `key` can be a key of an environment.
pub(crate) fn is_key(key: &str) -> bool {
    let mut bytes = key.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first
        && key.len() <= KEY_LEN_MAX
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}
