//! Renewal of the capability. A refresh token is good once, and one used twice ends the session, so exactly one of
//! all tasks and processes that share a session may use it: under the store's lock, after reading the store again.

use std::sync::Arc;

use veilcloud_proto::auth::v1 as pb;
use veilcore::hash::hb;
use veilcore::tag;

use super::Session;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::times;
use crate::transport::rpc;

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
        let renewed = match self.refresh(&stored).await {
            Ok(renewed) => Arc::new(renewed),
            Err(e) => {
                if ["REFRESH_INVALID", "REFRESH_REUSED", "CREDENTIAL_REVOKED"].iter().any(|r| e.is(r)) {
                    self.forget_session().await?;
                }
                return Err(e);
            }
        };
        self.adopt(Arc::clone(&renewed)).await?;
        drop(guard);
        Ok(renewed)
    }

    async fn refresh(&self, session: &Session) -> Result<Session> {
        let token = session.refresh_token.expose();
        let request = pb::RefreshRequest {
            refresh_token: token.to_vec(),
            holder_signature: session.holder.sign(&hb(tag::REFRESH, &[("refresh_token", token)])).to_vec(),
        };
        // Boxed: a call renews a session, and a renewal makes a call.
        let answer: pb::RefreshResponse = Box::pin(self.call(&rpc::REFRESH, &request)).await?;
        let granted = times::present(answer.session, &rpc::REFRESH)?;
        if granted.account_id != session.account().to_string() {
            return Err(Error::BadAnswer { rpc: rpc::REFRESH.path });
        }
        self.session_of(granted, session.email.clone(), session.identity.clone(), session.holder.clone())
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
