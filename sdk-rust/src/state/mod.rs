//! Where a client keeps what must outlive it: the session, and what it has seen of each environment (pins). The
//! store is trusted to keep a secret; whoever reads the session can act as the account until it ends.

#[cfg(feature = "native")]
mod file;
mod memory;

use std::io;
use std::path::PathBuf;

use zeroize::Zeroizing;

#[cfg(feature = "native")]
pub use file::FileState;
#[cfg(feature = "native")]
pub(crate) use file::make_private;
pub use memory::MemoryState;

/// Longest session text a store has to take, in bytes.
pub const SESSION_LEN_MAX: usize = 64 * 1024;
/// Longest pins text a store has to take, in bytes.
pub const PINS_LEN_MAX: usize = 16 * 1024 * 1024;

/// A place for a client's state. Every method may block on a disk; the client calls them where that is allowed.
pub trait StateStore: Send + Sync {
    /// The stored session; None when nobody is logged in.
    ///
    /// # Errors
    /// What the medium says.
    fn load_session(&self) -> io::Result<Option<Zeroizing<String>>>;

    /// Replaces the session, durably and as a whole: the old or the new one is there after a crash, never a part.
    ///
    /// # Errors
    /// What the medium says.
    fn save_session(&self, session: &str) -> io::Result<()>;

    /// Forgets the session; harmless when there is none.
    ///
    /// # Errors
    /// What the medium says.
    fn clear_session(&self) -> io::Result<()>;

    /// The stored pins; None when there are none yet.
    ///
    /// # Errors
    /// What the medium says.
    fn load_pins(&self) -> io::Result<Option<String>>;

    /// Replaces the pins, durably and as a whole.
    ///
    /// # Errors
    /// What the medium says.
    fn save_pins(&self, pins: &str) -> io::Result<()>;

    /// Waits until nobody else, in this process or another, holds the lock, and holds it until the guard is dropped.
    /// The client holds it while it renews a session or moves a pin, never while a person is asked something.
    ///
    /// # Errors
    /// What the medium says.
    fn lock(&self) -> io::Result<Box<dyn Send>>;

    /// Directory for ciphertext of unfinished uploads; None: uploads do not survive the process.
    fn spool_dir(&self) -> Option<PathBuf>;
}
