//! Locks for things that have a random id, in a fixed number: neighbours share one, which costs waiting, never wrong
//! results.

use tokio::sync::RwLock;

/// Number of locks.
const STRIPES: usize = 64;

pub(super) struct Stripes([RwLock<()>; STRIPES]);

impl Default for Stripes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| RwLock::new(())))
    }
}

impl Stripes {
    /// The lock of an id that ends in this byte.
    pub(super) fn of(&self, last_byte: u8) -> &RwLock<()> {
        &self.0[usize::from(last_byte) % STRIPES]
    }
}
