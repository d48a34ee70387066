//! Who makes a request, as the gate established it. Only [`super::Auth::authenticate`] makes one.

use std::sync::Arc;

use veilcore::id::{AccountId, SessionId};
use veilsign::{
    capability::{Actions, Resource, Verified},
    nullifier::Nullifier,
};

use super::model::Tier;

/// How long after a login the session may change the password or delete the account, in milliseconds.
pub const FRESH_LOGIN_MS: u64 = 5 * 60 * 1000;

/// An authenticated caller, for one request.
#[derive(Clone)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The session.
    pub session: SessionId,
    /// The account's rate tier now.
    pub tier: Tier,
    /// When the person logged in.
    pub logged_in_at_ms: u64,
    pub(super) verified: Arc<Verified>,
    pub(super) nullifier: Nullifier,
    pub(super) proof_expires_ms: u64,
}

impl Caller {
    /// What the gate spends, so that the request's proof is good once.
    pub fn nullifier(&self) -> Nullifier {
        self.nullifier
    }

    /// Until when the nullifier must be remembered.
    pub fn proof_expires_ms(&self) -> u64 {
        self.proof_expires_ms
    }

    /// Whether the capability allows these actions at this place. Says nothing about who owns the place.
    pub fn allows(&self, actions: Actions, resource: &Resource) -> bool {
        self.verified.allows(actions, resource)
    }

    /// Whether the capability allows these actions at this place or at some place inside it.
    pub(crate) fn allows_inside(&self, actions: Actions, resource: &Resource) -> bool {
        let inside = |place: &Resource| place.covers(resource) || resource.covers(place);
        let grants = self.verified.grants().iter();
        grants
            .filter(|grant| !grant.is_conditional())
            .any(|grant| grant.actions.contains(actions) && inside(&grant.resource))
    }

    /// Whether the person logged in within the last five minutes.
    pub fn is_fresh(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.logged_in_at_ms) <= FRESH_LOGIN_MS
    }
}
