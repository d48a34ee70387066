//! The session in use, and the way between it and the state store.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Session, SessionInfo, record};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::transport::blocking;

/// The session of this process; read from the state store on first use.
#[derive(Default)]
pub(crate) struct Current {
    session: Mutex<Option<Arc<Session>>>,
    /// One renewal at a time; others wait and find the work done.
    pub(super) renewing: futures_util::lock::Mutex<()>,
}

impl Current {
    pub(super) fn get(&self) -> Option<Arc<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, session: Option<Arc<Session>>) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }
}

impl Client {
    /// Who is logged in; None also when the state cannot be read (see [`Client::try_session`]). Asks no server.
    pub fn session(&self) -> Option<SessionInfo> {
        self.try_session().ok().flatten()
    }

    /// Who is logged in. Asks no server.
    ///
    /// # Errors
    /// [`Error::Local`] when the state cannot be read.
    pub fn try_session(&self) -> Result<Option<SessionInfo>> {
        let session = match self.inner().current.get() {
            Some(session) => Some(session),
            None => record::load(&*self.inner().state)?.map(Arc::new),
        };
        Ok(session.map(|session| session.info()))
    }

    /// The session in use, read from the store if this process has none.
    ///
    /// # Errors
    /// [`Error::NotLoggedIn`], [`Error::OtherEndpoint`], [`Error::Local`].
    pub(crate) async fn session_in_use(&self) -> Result<Arc<Session>> {
        if let Some(session) = self.inner().current.get() {
            return Ok(session);
        }
        let session = self.stored_session().await?.ok_or(Error::NotLoggedIn)?;
        self.inner().current.set(Some(Arc::clone(&session)));
        Ok(session)
    }

    /// The session in the store. One of another server is no session here: its token must not reach this one.
    pub(super) async fn stored_session(&self) -> Result<Option<Arc<Session>>> {
        let state = Arc::clone(&self.inner().state);
        let stored = blocking(move || record::load(&*state)).await?;
        match stored {
            Some(session) if session.endpoint != self.inner().endpoint => Err(Error::OtherEndpoint {
                session: session.endpoint,
                endpoint: self.inner().endpoint.clone(),
            }),
            stored => Ok(stored.map(Arc::new)),
        }
    }

    /// Stores a session and uses it. The caller holds the store's lock if another process could write meanwhile.
    pub(super) async fn adopt(&self, session: Arc<Session>) -> Result<()> {
        let state = Arc::clone(&self.inner().state);
        let saved = Arc::clone(&session);
        blocking(move || record::save(&*state, &saved)).await?;
        self.inner().current.set(Some(session));
        Ok(())
    }

    /// Forgets the session here and in the store. Waits for a renewal in another task or process, which would otherwise
    /// put back what was just forgotten.
    pub(crate) async fn forget_session(&self) -> Result<()> {
        let _guard = self.lock_state().await?;
        self.forget_session_locked().await
    }

    /// The same for a caller that holds the store's lock.
    pub(super) async fn forget_session_locked(&self) -> Result<()> {
        let state = Arc::clone(&self.inner().state);
        self.inner().current.set(None);
        self.inner().keys.clear();
        self.inner().chains.clear();
        self.inner().own_key.clear();
        blocking(move || state.clear_session()).await.map_err(Error::local("clear the session"))
    }

    /// The store's lock, taken where waiting is allowed.
    pub(crate) async fn lock_state(&self) -> Result<Box<dyn Send>> {
        let state = Arc::clone(&self.inner().state);
        blocking(move || state.lock()).await.map_err(Error::local("lock the state"))
    }
}
