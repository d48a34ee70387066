//! What a client remembers of one log, and how it may move on (docs/spec/chain.md): forward, along a proof.
//!
//! What must never happen: a head that moves back, or to a tree that does not contain the one seen before. Both are
//! evidence against the log, so each has its own error and the caller keeps the old head.

use thiserror::Error;

use crate::checkpoint::Checkpoint;
use crate::hash::{EMPTY_ROOT, Hash};
use crate::proof::verify_consistency;

/// Why a head does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The log shows a smaller tree than it showed before.
    #[error("log showed {seen} entries before and now shows {shown}")]
    RolledBack {
        /// Size of the head.
        seen: u64,
        /// Size of the checkpoint.
        shown: u64,
    },
    /// The tree shown is not proved to contain the tree seen: another history, or no proof of the same one.
    #[error("tree of {shown} entries is not proved to extend the tree of {seen} seen before")]
    Forked {
        /// Size of the head.
        seen: u64,
        /// Size of the checkpoint.
        shown: u64,
    },
}

/// Size and root of the largest tree seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub size: u64,
    /// Root of that tree.
    pub root: Hash,
}

impl Head {
    /// Nothing seen yet: every tree extends it.
    pub const EMPTY: Self = Self { size: 0, root: EMPTY_ROOT };

    /// The head after `to`, a checkpoint of the same log that was opened with the log's key. `consistency` is the proof
    /// from this size to that one, empty if either they are equal or this is the empty head.
    ///
    /// # Errors
    /// [`HeadError::RolledBack`] for a smaller size, whatever the proof; [`HeadError::Forked`] if the proof does not hold.
    pub fn advance(&self, to: &Checkpoint, consistency: &[Hash]) -> Result<Self, HeadError> {
        if to.size < self.size {
            return Err(HeadError::RolledBack { seen: self.size, shown: to.size });
        }
        verify_consistency(self.size, &self.root, to.size, &to.root, consistency)
            .map_err(|_| HeadError::Forked { seen: self.size, shown: to.size })?;
        Ok(Self { size: to.size, root: to.root })
    }
}

#[cfg(test)]
mod tests;
