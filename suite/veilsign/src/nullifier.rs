//! Nullifiers (docs/spec/sign.md, section 6): 32 bytes that are the same whenever one secret is shown twice,
//! and say nothing else. They are never truncated: two requests sharing one would lose one of them.

use veilcore::hash::hb;
use veilcore::tag;

/// Length of a proof's nonce, in bytes.
pub const NONCE_LEN: usize = 16;
/// How long a verifier remembers the nullifier of a proof, in milliseconds: both sides of the time window and
/// 30 s for clocks that move meanwhile.
pub const REMEMBER_MS: u64 = 150_000;

/// What a verifier remembers of an accepted proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nullifier([u8; 32]);

impl Nullifier {
    /// The nullifier of a proof: one per capability and nonce, whatever the request says.
    pub fn for_proof(cap_hash: &[u8; 32], nonce: &[u8; NONCE_LEN]) -> Self {
        Self(hb(tag::POP_NULL, &[("cap_hash", cap_hash), ("nonce", nonce)]))
    }

    /// From stored bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capability_and_nonce_both_count() {
        let one = Nullifier::for_proof(&[1; 32], &[2; 16]);
        assert_eq!(one, Nullifier::for_proof(&[1; 32], &[2; 16]));
        assert_ne!(one, Nullifier::for_proof(&[3; 32], &[2; 16]));
        assert_ne!(one, Nullifier::for_proof(&[1; 32], &[4; 16]));
    }
}
