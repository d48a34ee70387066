//! Who computes the SHA-256 of a ciphertext while it streams. This crate starts no thread; a native client that has a
//! core to spare hands in a digester of its own, since hashing costs about as much as decrypting.

use sha2::{Digest, Sha256};

/// SHA-256 of a stream. An implementation that computes anything else makes seals nobody accepts and accepts none.
pub trait Digester: Send {
    /// Takes the next bytes, usually a chunk of 64 KiB.
    fn update(&mut self, bytes: &[u8]);
    /// The digest of all bytes. Called once, last.
    fn finish(&mut self) -> [u8; 32];
}

/// Computes in place, on the caller's thread: what is used when nothing is handed in.
#[derive(Clone, Default)]
pub struct Inline(Sha256);

impl Digester for Inline {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&mut self) -> [u8; 32] {
        self.0.finalize_reset().into()
    }
}
