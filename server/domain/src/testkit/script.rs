//! Time and randomness that a test decides.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};

use crate::clock::{Clock, Entropy};

/// A clock that moves when it is told to.
#[derive(Debug)]
pub struct ScriptedClock(AtomicU64);

impl ScriptedClock {
    /// A clock that stands at this time, in milliseconds since 1970.
    pub fn at(now_ms: u64) -> Self {
        Self(AtomicU64::new(now_ms))
    }

    /// Moves the clock ahead.
    pub fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the clock, back too.
    pub fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }
}

impl Default for ScriptedClock {
    /// 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::at(1_767_225_600_000)
    }
}

impl Clock for ScriptedClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Bytes that follow from a seed: the same test, the same bytes. Of no use for keys that protect anything.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    block: Mutex<u64>,
}

impl SeededEntropy {
    /// A source with this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, block: Mutex::new(0) }
    }
}

impl Default for SeededEntropy {
    fn default() -> Self {
        Self::new(1)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in out.chunks_mut(32) {
            let hash = Sha256::new().chain_update(self.seed.to_be_bytes()).chain_update(block.to_be_bytes());
            piece.copy_from_slice(&hash.finalize()[..piece.len()]);
            *block += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_no_byte_twice() {
        let (mut one, mut two, mut next, mut other) = ([0; 40], [0; 40], [0; 40], [0; 40]);
        let source = SeededEntropy::new(7);
        source.fill(&mut one);
        source.fill(&mut next);
        SeededEntropy::new(7).fill(&mut two);
        SeededEntropy::new(8).fill(&mut other);
        assert_eq!(one, two);
        assert_ne!(one, next);
        assert_ne!(one, other);
    }
}
