//! What a caller acts with, for rights that outlive the request: they end with it.

use std::sync::Arc;

use veilcore::id::{AccountId, ApiKeyId, SessionId};
use veilsign::capability::{Actions, Resource};

use super::{Caller, api_keys::port::ApiKeyStore, caller::Authority, port::Directory};
use crate::{clock::Clock, store::StoreError};

/// Length of a credential's bytes.
pub const CREDENTIAL_LEN: usize = 17;

/// A session or an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A session.
    Session(SessionId),
    /// An API key, whichever of its secrets was shown.
    ApiKey(ApiKeyId),
}

impl Credential {
    /// 17 bytes: 1 for a session, 2 for an API key, then the id.
    pub fn to_bytes(self) -> [u8; CREDENTIAL_LEN] {
        let (kind, id) = match &self {
            Self::Session(id) => (1, id.as_bytes()),
            Self::ApiKey(id) => (2, id.as_bytes()),
        };
        let mut bytes = [kind; CREDENTIAL_LEN];
        bytes[1..].copy_from_slice(id);
        bytes
    }

    /// Reads [`Credential::to_bytes`] back.
    pub fn from_bytes(bytes: &[u8; CREDENTIAL_LEN]) -> Option<Self> {
        let (kind, id) = bytes.split_first_chunk::<1>()?;
        let id = <[u8; 16]>::try_from(id).ok()?;
        match kind {
            [1] => Some(Self::Session(SessionId::from_bytes(id))),
            [2] => Some(Self::ApiKey(ApiKeyId::from_bytes(id))),
            _ => None,
        }
    }
}

impl Caller {
    /// What the caller acts with.
    pub fn credential(&self) -> Credential {
        match &self.authority {
            Authority::Session(session) => Credential::Session(session.session),
            Authority::Key(key) => Credential::ApiKey(key.id),
        }
    }

    /// When what the caller acts with ends by itself, if that is sooner than the credential does: a capability that was
    /// narrowed or issued is not renewed. Nothing made with it outlives it.
    pub fn ends_at_ms(&self) -> Option<u64> {
        let Authority::Session(session) = &self.authority else { return None };
        let verified = &session.verified;
        let renewed = verified.depth() == 0 && verified.allows(Actions::AUDIT_READ, &Resource::account());
        (!renewed).then_some(verified.expires_at_ms())
    }
}

/// Says whether credentials are good still.
#[derive(Clone)]
pub struct Credentials {
    directory: Arc<dyn Directory>,
    api_keys: Arc<dyn ApiKeyStore>,
    clock: Arc<dyn Clock>,
}

impl Credentials {
    /// Over these ports.
    pub fn new(directory: Arc<dyn Directory>, api_keys: Arc<dyn ApiKeyStore>, clock: Arc<dyn Clock>) -> Self {
        Self { directory, api_keys, clock }
    }

    /// Whether the account has this session, not ended, or this API key, neither revoked nor expired. Answered from what
    /// every request asks: on the node that made a change at once, elsewhere within what the stores say.
    pub async fn live(&self, account: AccountId, credential: Credential) -> Result<bool, StoreError> {
        match credential {
            Credential::Session(session) => {
                let standing = self.directory.standing(account, session).await?;
                Ok(standing.is_some_and(|standing| standing.live))
            }
            Credential::ApiKey(id) => {
                let Some(standing) = self.api_keys.key_standing(id).await? else { return Ok(false) };
                let key = standing.key;
                let over = key.revoked_at_ms.is_some() || key.expires_at_ms <= self.clock.now_ms();
                Ok(key.account == account && !over)
            }
        }
    }
}
