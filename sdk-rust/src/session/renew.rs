//! Renewal of the capability. A refresh token is good for one next token, which is drawn here; used with another one it
//! ends the session. So exactly one of all tasks and processes that share a session may use it: under the store's lock,
//! after reading the store again. And the next token is stored before it is sent: whoever is cut off, by the network or
//! by Ctrl-C, repeats the very same pair.

use std::sync::Arc;

use rand_core::{OsRng, RngCore};
use veilcloud_proto::auth::v1 as pb;
use veilcore::hash::{hb, sha256};
use veilcore::secret::Secret;
use veilcore::tag;

use super::{Session, record};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::times;
use crate::transport::{blocking, rpc};

/// A capability with less than this left is renewed before a call, in milliseconds.
const RENEW_BEFORE_MS: u64 = 60_000;

impl Client {
    /// The session in use, with a capability that is good for this call.
    pub(crate) async fn fresh_session(&self) -> Result<Arc<Session>> {
        let session = self.session_in_use().await?;
        if self.is_fresh(&session) { Ok(session) } else { self.renew_session(&session).await }
    }

    /// Renews a session that is too old, or that the server called expired, unless somebody did so meanwhile.
    pub(crate) async fn renew_session(&self, stale: &Session) -> Result<Arc<Session>> {
        let _one = self.inner().current.renewing.lock().await;
        if let Some(session) = self.inner().current.get().filter(|s| self.replaces(s, stale)) {
            return Ok(session);
        }
        let guard = self.lock_state().await?;
        let Some(stored) = self.stored_session().await? else {
            self.inner().current.set(None);
            return Err(Error::NotLoggedIn);
        };
        if self.replaces(&stored, stale) {
            self.inner().current.set(Some(Arc::clone(&stored)));
            return Ok(stored);
        }
        let (stored, next) = self.next_refresh(stored).await?;
        let renewed = match self.refresh(&stored, next).await {
            Ok(renewed) => Arc::new(renewed),
            Err(e) => {
                if ["REFRESH_INVALID", "REFRESH_REUSED", "CREDENTIAL_REVOKED"].iter().any(|r| e.is(r)) {
                    self.forget_session_locked().await?;
                }
                return Err(e);
            }
        };
        self.adopt(Arc::clone(&renewed)).await?;
        drop(guard);
        Ok(renewed)
    }

    /// The token to follow: the one of a renewal whose answer never came, or a new one, stored before it is sent. The
    /// caller holds the store's lock.
    async fn next_refresh(&self, stored: Arc<Session>) -> Result<(Arc<Session>, Secret<32>)> {
        if let Some(next) = stored.pending_refresh.clone() {
            return Ok((stored, next));
        }
        let next = Secret::fill(|room| OsRng.fill_bytes(room));
        let pending = Arc::new(Session { pending_refresh: Some(next.clone()), ..(*stored).clone() });
        let (state, saved) = (Arc::clone(&self.inner().state), Arc::clone(&pending));
        blocking(move || record::save(&*state, &saved)).await?;
        Ok((pending, next))
    }

    async fn refresh(&self, session: &Session, next: Secret<32>) -> Result<Session> {
        let token = session.refresh_token.expose();
        let next_hash = sha256(next.expose());
        let digest = hb(tag::REFRESH, &[("token", token), ("next", &next_hash)]);
        let request = pb::RefreshRequest {
            refresh_token: token.to_vec(),
            holder_signature: session.holder.sign(&digest).to_vec(),
            next_refresh_hash: next_hash.to_vec(),
        };
        // Boxed: a call renews a session, and a renewal makes a call.
        let answer: pb::RefreshResponse = Box::pin(self.call(&rpc::REFRESH, &request)).await?;
        let granted = times::present(answer.session, &rpc::REFRESH)?;
        if granted.account_id != session.account().to_string() {
            return Err(Error::BadAnswer { rpc: rpc::REFRESH.path });
        }
        let (identity, holder) = (session.identity.clone(), session.holder.clone());
        self.session_of(granted, next, session.email.clone(), identity, holder)
    }

    fn is_fresh(&self, session: &Session) -> bool {
        session.expires_at_ms > self.now_ms().saturating_add(RENEW_BEFORE_MS)
    }

    fn replaces(&self, session: &Session, stale: &Session) -> bool {
        session.capability != stale.capability && self.is_fresh(session)
    }
}

#[cfg(test)]
mod tests;
