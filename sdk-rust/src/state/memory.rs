//! State that ends with the process: for tests, services with a login of their own, and browsers.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::StateStore;

/// State in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryState {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    session: Mutex<Option<Zeroizing<String>>>,
    pins: Mutex<Option<String>>,
    locked: Mutex<bool>,
    freed: Condvar,
}

impl MemoryState {
    /// Empty state.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Frees the lock when it goes.
struct Guard(Arc<Inner>);

impl Drop for Guard {
    fn drop(&mut self) {
        *self.0.locked.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.freed.notify_one();
    }
}

impl StateStore for MemoryState {
    fn load_session(&self) -> io::Result<Option<Zeroizing<String>>> {
        Ok(self.inner.session.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn save_session(&self, session: &str) -> io::Result<()> {
        let session = Zeroizing::new(session.to_owned());
        *self.inner.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        Ok(())
    }

    fn clear_session(&self) -> io::Result<()> {
        *self.inner.session.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn load_pins(&self) -> io::Result<Option<String>> {
        Ok(self.inner.pins.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn save_pins(&self, pins: &str) -> io::Result<()> {
        *self.inner.pins.lock().unwrap_or_else(PoisonError::into_inner) = Some(pins.to_owned());
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn Send>> {
        let locked = self.inner.locked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut locked =
            self.inner.freed.wait_while(locked, |locked| *locked).unwrap_or_else(PoisonError::into_inner);
        *locked = true;
        Ok(Box::new(Guard(Arc::clone(&self.inner))))
    }

    fn spool_dir(&self) -> Option<PathBuf> {
        None
    }
}
