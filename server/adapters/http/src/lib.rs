//! The adapters that speak HTTP to others: so far [`HttpCosigner`], the way to a witness (c2sp.org/tlog-witness). What
//! must never happen: an answer that is longer than its limit held in memory, a redirect followed, or a wait without end.
//!
//! # Trust
//!
//! Whoever answers at a witness's URL, or sits on the way there, is believed nothing: a cosignature counts only if it
//! verifies under the witness's key, which the publisher checks. TLS keeps others from seeing which logs grow when, and
//! from keeping a log unpublished by wrong answers; it is not what makes a cosignature true. They see checkpoints and
//! consistency proofs, which are origins, sizes and hashes, and the server's address. They can refuse, be silent, or claim
//! to have seen a larger tree; each of these delays publication and does nothing else.

mod cosigner;
mod tls;

pub use self::{
    cosigner::{ANSWER_LEN_MAX, ANSWER_TIMEOUT, CONNECT_TIMEOUT, HttpCosigner, Options, SetupError},
    tls::TlsError,
};
