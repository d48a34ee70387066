//! The common ground of the suite: the one byte encoding, the one registry of domain tags, framed hashing,
//! secrets that wipe themselves, and the ids every other crate speaks in (docs/spec/core.md).
//!
//! Client, server and verifier all stand on this crate, so two of them can never disagree about what a
//! signature covers. It does no I/O, knows no clock and draws no randomness. What must never happen here: two
//! different values sharing one encoding, or one value having two.
//!
//! ```
//! use veilcore::{canon::Writer, hash::hb, tag};
//!
//! let body = Writer::new().u8(1).bytes(b"hello").finish();
//! assert_eq!(body, [1, 0, 0, 0, 5, b'h', b'e', b'l', b'l', b'o']);
//! let digest = hb(tag::SEAL, &[("body", &body)]);
//! assert_ne!(digest, hb(tag::KEYRING, &[("body", &body)]));
//! ```
#![forbid(unsafe_code)]

pub mod canon;
pub mod hash;
pub mod id;
pub mod secret;
pub mod tag;

#[cfg(test)]
mod vectors;
