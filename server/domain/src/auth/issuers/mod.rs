//! The issuer's keys while a server runs: which one signs, which ones are believed, and how both follow what an operator
//! or the time changes.

mod keeper;
mod keyset;
pub mod port;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use veilcore::id::KeyId;
use veilsign::capability::{self, Body, Capability, CapabilityError, IssuerKeys, Verified};

pub use self::{
    keeper::{IssuerKeeper, REREAD_MS},
    keyset::{ANNOUNCED_MS, DAY_MS, Issuer, Keyset, KeysetError, PERIOD_DAYS_MIN},
};

/// The keys in use. Everyone who signs or verifies asks anew each time, so that a change counts from then on.
pub struct Issuers(RwLock<Arc<InUse>>);

struct InUse {
    keyset: Keyset,
    trusted: IssuerKeys,
}

impl Issuers {
    /// These keys; refuses a set without a live one.
    pub fn new(keyset: Keyset) -> Result<Self, KeysetError> {
        Ok(Self(RwLock::new(Arc::new(in_use(keyset)?))))
    }

    /// Puts other keys in the place of these.
    pub fn replace(&self, keyset: Keyset) -> Result<(), KeysetError> {
        let next = Arc::new(in_use(keyset)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// Every live key with its record's place in the log, oldest first.
    pub fn list(&self) -> Vec<Issuer> {
        self.in_use().keyset.iter().filter(|issuer| !issuer.is_revoked()).cloned().collect()
    }

    /// Signs a body with the key that signs now, which it then names; its end is brought forward to the key's if need be.
    pub fn sign(&self, body: Body, now_ms: u64) -> Result<(Capability, u64), CapabilityError> {
        let in_use = self.in_use();
        let (key, not_after_ms) =
            in_use.keyset.signing(now_ms).and_then(Issuer::signer).ok_or(CapabilityError::WrongKey)?;
        let expires_at_ms = body.expires_at_ms.min(not_after_ms);
        let body = Body { kid: key.verifying_key().key_id(), expires_at_ms, ..body };
        Ok((capability::issue(key, &body)?, expires_at_ms))
    }

    /// Judges a capability by the keys that are believed now.
    pub fn verify(&self, bytes: &[u8], now_ms: u64, audience: &str) -> Result<Verified, CapabilityError> {
        capability::verify(bytes, &self.in_use().trusted, now_ms, audience)
    }

    /// Whether what a key signed is still believed.
    pub fn trusts(&self, kid: KeyId, now_ms: u64) -> bool {
        self.in_use().trusted.trusts(kid, now_ms)
    }

    fn in_use(&self) -> Arc<InUse> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn in_use(keyset: Keyset) -> Result<InUse, KeysetError> {
    let trusted = keyset.trusted().ok_or(KeysetError::Invalid)?;
    Ok(InUse { keyset, trusted })
}
