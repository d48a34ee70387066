//! Who makes a request, as the gate established it. Only [`super::Auth::authenticate`] and
//! [`super::api_keys::ApiKeys::authenticate`] make one.

use std::sync::Arc;

use veilcore::id::{AccountId, ApiKeyId, SessionId};
use veilsign::{
    capability::{Actions, Resource, Verified},
    nullifier::Nullifier,
};

use super::{api_keys::model::ApiKey, model::Tier};

/// How long after a login the session may change the password or delete the account, in milliseconds.
pub const FRESH_LOGIN_MS: u64 = 5 * 60 * 1000;

/// An authenticated caller, for one request.
#[derive(Clone)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The account's rate tier now.
    pub tier: Tier,
    pub(super) authority: Authority,
}

/// By what the caller acts for the account.
#[derive(Clone)]
pub(super) enum Authority {
    /// A session's capability, with a proof that is good once.
    Session(Arc<SessionAuthority>),
    /// An API key.
    Key(Arc<KeyAuthority>),
}

pub(super) struct SessionAuthority {
    pub session: SessionId,
    pub logged_in_at_ms: u64,
    pub verified: Arc<Verified>,
    pub spend: Spend,
}

pub(super) struct KeyAuthority {
    pub id: ApiKeyId,
    /// The generation whose secret was shown, and the digest of its record.
    generation: u32,
    record: Option<[u8; 32]>,
    actions: Actions,
    places: Vec<Resource>,
}

/// What the gate spends, so that a request's proof is good once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spend {
    /// The proof's nullifier.
    pub nullifier: Nullifier,
    /// Until when it must be remembered.
    pub until_ms: u64,
}

impl Caller {
    /// The caller of a request with an API key.
    pub(super) fn by_key(account: AccountId, tier: Tier, key: &ApiKey, generation: u32) -> Self {
        let record = if generation == key.generation {
            key.record.as_ref().map(|record| record.digest)
        } else {
            key.overlap.and_then(|overlap| overlap.record)
        };
        let (id, scope) = (key.id, &key.scope);
        let key = KeyAuthority { id, generation, record, actions: scope.actions, places: scope.places() };
        Self { account, tier, authority: Authority::Key(Arc::new(key)) }
    }

    /// The session, if it is one.
    pub fn session(&self) -> Option<SessionId> {
        match &self.authority {
            Authority::Session(session) => Some(session.session),
            Authority::Key(_) => None,
        }
    }

    /// The API key, if it is one.
    pub fn api_key(&self) -> Option<ApiKeyId> {
        match &self.authority {
            Authority::Session(_) => None,
            Authority::Key(key) => Some(key.id),
        }
    }

    /// The API key and the generation whose secret was shown, if it is one.
    pub fn key_generation(&self) -> Option<(ApiKeyId, u32)> {
        match &self.authority {
            Authority::Session(_) => None,
            Authority::Key(key) => Some((key.id, key.generation)),
        }
    }

    /// Digest of the record of the secret that was shown, if it is an API key that opens keyrings.
    pub(crate) fn key_record(&self) -> Option<[u8; 32]> {
        match &self.authority {
            Authority::Session(_) => None,
            Authority::Key(key) => key.record,
        }
    }

    /// What is spent with this request; a bearer has nothing that is good once.
    pub fn spend(&self) -> Option<Spend> {
        match &self.authority {
            Authority::Session(session) => Some(session.spend),
            Authority::Key(_) => None,
        }
    }

    /// Whether the credential allows these actions at this place. Says nothing about who owns the place.
    pub fn allows(&self, actions: Actions, resource: &Resource) -> bool {
        match &self.authority {
            Authority::Session(session) => session.verified.allows(actions, resource),
            Authority::Key(key) => {
                key.actions.contains(actions) && key.places.iter().any(|place| place.covers(resource))
            }
        }
    }

    /// Whether the credential allows these actions at this place or at some place inside it.
    pub(crate) fn allows_inside(&self, actions: Actions, resource: &Resource) -> bool {
        let inside = |place: &Resource| place.covers(resource) || resource.covers(place);
        match &self.authority {
            Authority::Session(session) => {
                let grants = session.verified.grants().iter();
                grants
                    .filter(|grant| !grant.is_conditional())
                    .any(|grant| grant.actions.contains(actions) && inside(&grant.resource))
            }
            Authority::Key(key) => key.actions.contains(actions) && key.places.iter().any(inside),
        }
    }

    /// Whether the person logged in within the last five minutes. A key is no login.
    pub fn is_fresh(&self, now_ms: u64) -> bool {
        match &self.authority {
            Authority::Session(session) => now_ms.saturating_sub(session.logged_in_at_ms) <= FRESH_LOGIN_MS,
            Authority::Key(_) => false,
        }
    }
}
