//! Who makes a request with a bearer: the key's account, as far as the key's scope goes. Called by the gate for every
//! request with `authorization`. There is no proof of possession and nothing that is good once: whoever sees the bearer
//! has it, so it goes over TLS only.

use std::net::IpAddr;

use veilcore::id::{AccountId, ApiKeyId};
use veilsign::{api_key, capability::Actions};

use super::{
    ApiKeys,
    model::{ApiKey, KeyStanding, Scope, Verifier},
};
use crate::{
    auth::{Caller, error::AuthError},
    name::Name,
};

impl ApiKeys {
    /// The caller who shows this key from this address.
    ///
    /// A wrong secret and an unknown id are refused alike: both were compared with a row, and both were looked up where the
    /// truth is. What only the holder of a good secret is told is that the key is revoked, expired or not for this address.
    pub async fn authenticate(&self, bearer: &str, from: IpAddr) -> Result<Caller, AuthError> {
        let shown = api_key::ApiKey::parse(bearer).map_err(|_| AuthError::Invalid)?;
        let now_ms = self.clock.now_ms();
        let hash = shown.hash();
        let found = self.store.key_standing(shown.id()).await?;
        let row = found.as_ref().map_or(&self.decoy, |found| &found.key);
        let good = self.pepper.verify(row, &hash, now_ms) & found.is_some();
        let standing = match (found, good) {
            (Some(standing), true) => standing,
            // What is in memory may be older than a rotation elsewhere; an unknown id was looked up just now.
            (Some(stale), false) => self.look_again(stale, &hash, now_ms).await?,
            (None, _) => return Err(AuthError::Invalid),
        };
        let KeyStanding { key, tier } = standing;
        if key.revoked_at_ms.is_some() {
            return Err(AuthError::Revoked);
        }
        if key.expires_at_ms <= now_ms {
            return Err(AuthError::Expired);
        }
        if !key.scope.networks.is_empty() && !key.scope.networks.iter().any(|network| network.contains(from))
        {
            return Err(AuthError::Network);
        }
        self.note_used(key.id, now_ms);
        Ok(Caller::by_key(key.account, tier, key.id, &key.scope))
    }

    async fn look_again(
        &self,
        stale: KeyStanding,
        hash: &[u8; 32],
        now_ms: u64,
    ) -> Result<KeyStanding, AuthError> {
        let key = self.store.key(stale.key.id).await?.ok_or(AuthError::Invalid)?;
        if self.pepper.verify(&key, hash, now_ms) {
            Ok(KeyStanding { key, ..stale })
        } else {
            Err(AuthError::Invalid)
        }
    }
}

/// A row that no secret is good for.
pub(super) fn decoy() -> ApiKey {
    let name: Name = "decoy".parse().expect("a plain word is a name");
    ApiKey {
        id: ApiKeyId::from_bytes([0; 16]),
        account: AccountId::from_bytes([0; 16]),
        name,
        scope: Scope {
            actions: Actions::NONE,
            project: None,
            environments: Vec::new(),
            networks: Vec::new(),
        },
        public_key: None,
        generation: 1,
        verifier: Verifier([0; 32]),
        overlap: None,
        created_at_ms: 0,
        expires_at_ms: 0,
        revoked_at_ms: None,
        last_used_at_ms: None,
    }
}
