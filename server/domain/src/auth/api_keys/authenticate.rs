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
        let (id, hash) = (shown.id(), shown.hash());
        // Guesses wait for each other, not before those whose key is known.
        let _turn = match self.known.is_good(id, &hash) {
            true => None,
            false => self.known.lookups.acquire().await.ok(),
        };
        let caller = self.judge(id, &hash, from).await;
        match &caller {
            Ok(_) => self.known.note(id, &hash, true),
            // What the store could not tell says nothing about the bearer.
            Err(AuthError::Store(_)) => {}
            Err(_) => self.known.note(id, &hash, false),
        }
        caller
    }

    async fn judge(&self, id: ApiKeyId, hash: &[u8; 32], from: IpAddr) -> Result<Caller, AuthError> {
        let now_ms = self.clock.now_ms();
        let found = self.store.key_standing(id).await?;
        let row = found.as_ref().map_or(&self.decoy, |found| &found.key);
        let shown = self.pepper.verify(row, hash, now_ms);
        let (standing, generation) = match (found, shown) {
            (Some(standing), Some(generation)) => (standing, generation),
            // What is in memory may be older than a rotation elsewhere; an unknown id was looked up just now.
            (Some(stale), None) => self.look_again(stale, hash, now_ms).await?,
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
        Ok(Caller::by_key(key.account, tier, &key, generation))
    }

    async fn look_again(
        &self,
        stale: KeyStanding,
        hash: &[u8; 32],
        now_ms: u64,
    ) -> Result<(KeyStanding, u32), AuthError> {
        let key = self.store.key(stale.key.id).await?.ok_or(AuthError::Invalid)?;
        let generation = self.pepper.verify(&key, hash, now_ms).ok_or(AuthError::Invalid)?;
        Ok((KeyStanding { key, ..stale }, generation))
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
        record: None,
        generation: 1,
        verifier: Verifier([0; 32]),
        overlap: None,
        created_at_ms: 0,
        expires_at_ms: 0,
        revoked_at_ms: None,
        last_used_at_ms: None,
    }
}
