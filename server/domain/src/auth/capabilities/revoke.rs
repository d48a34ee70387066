//! Listing and revoking: one by its name, or everything that acts for the account.

use veilcore::id::SessionId;
use veilsign::capability::{Actions, Resource};

use super::{Capabilities, error::CapabilitiesError, model::Issued};
use crate::{
    audit::model::Kind,
    auth::{Caller, error::AuthError, model::Ending},
    page::{Page, PageArgs},
};

impl Capabilities {
    /// The account's issued capabilities by token id; those that are over are there for an hour more at least.
    pub async fn list(
        &self,
        caller: &Caller,
        page: PageArgs<SessionId>,
    ) -> Result<Page<Issued, SessionId>, CapabilitiesError> {
        Ok(self.store.issued(caller.account, page).await?)
    }

    /// Revokes one, at once, and with it whatever was narrowed from it.
    pub async fn revoke(&self, caller: &Caller, id: SessionId) -> Result<(), CapabilitiesError> {
        let line = self.line(caller, Kind::CapabilityRevoke, Some(id));
        let revoked = self.store.revoke(caller.account, id, line).await?;
        if revoked { Ok(()) } else { Err(CapabilitiesError::Unknown) }
    }

    /// Revokes every capability that acts for the account, issued or of a session, the caller's own among them: the
    /// account's revocation epoch goes up. Needs a fresh login. API keys stay.
    pub async fn revoke_all(&self, caller: &Caller) -> Result<(), CapabilitiesError> {
        if !caller.allows(Actions::ACCOUNT_MANAGE, &Resource::account()) {
            return Err(CapabilitiesError::Denied);
        }
        if !caller.is_fresh(self.clock.now_ms()) {
            return Err(AuthError::NotFresh.into());
        }
        let line = self.line(caller, Kind::CapabilityRevoke, None);
        Ok(self.directory.end_sessions(caller.account, Ending::All, line).await?)
    }
}
