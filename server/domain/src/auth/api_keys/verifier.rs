//! What is stored of a secret: a MAC under a pepper that is not in the store, over the hash of the secret and the row that
//! it is good for. The secret has 256 random bits, so nobody guesses it from a copy of the store, and a slow hash would only
//! make wrong bearers expensive for the server. The MAC is for whoever can *write* the store: they can neither plant a key of
//! their own nor widen the scope or life of one they hold.

use std::fmt::Write;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use veilcore::id::ApiKeyId;
use zeroize::Zeroizing;

use super::model::{ApiKey, Verifier};

/// Key of the MACs.
#[derive(Clone)]
pub struct Pepper(Zeroizing<[u8; 32]>);

impl Pepper {
    /// A pepper from its 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The MAC of a secret of this key, by the hash that the client sends.
    pub fn seal(&self, key: &ApiKey, secret_hash: &[u8; 32]) -> Verifier {
        self.seal_until(key, key.expires_at_ms, secret_hash)
    }

    fn seal_until(&self, key: &ApiKey, expires_at_ms: u64, secret_hash: &[u8; 32]) -> Verifier {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(b"veilcloud api key verifier v1");
        mac.update(secret_hash);
        mac.update(key.id.as_bytes());
        mac.update(key.account.as_bytes());
        mac.update(&key.scope.actions.bits().to_be_bytes());
        mac.update(&expires_at_ms.to_be_bytes());
        // Names and networks have neither line feeds nor bars, so that no two scopes are one text.
        let mut places = String::new();
        if let Some(project) = key.scope.project {
            let _ = write!(places, "{project}");
        }
        for name in &key.scope.environments {
            let _ = write!(places, "\n{name}");
        }
        for network in &key.scope.networks {
            let _ = write!(places, "|{network}");
        }
        mac.update(places.as_bytes());
        Verifier(mac.finalize().into_bytes().into())
    }

    /// The MAC of a secret whose overlap begins: over the one that it had and the overlap's end, so that nobody who can
    /// write the store prolongs it.
    pub fn ending(&self, before: &Verifier, until_ms: u64) -> Verifier {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(b"veilcloud api key overlap v1");
        mac.update(&before.0);
        mac.update(&until_ms.to_be_bytes());
        Verifier(mac.finalize().into_bytes().into())
    }

    /// The key that seals the server's share of this record. The store does not have it.
    pub(super) fn share_key(&self, id: ApiKeyId, generation: u32, record: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(b"veilcloud api key share v1");
        mac.update(id.as_bytes());
        mac.update(&generation.to_be_bytes());
        mac.update(record);
        Zeroizing::new(mac.finalize().into_bytes().into())
    }

    /// The generation whose secret this is: the key's own, or the one before in its overlap. Both are compared, in constant
    /// time.
    pub(super) fn verify(&self, key: &ApiKey, secret_hash: &[u8; 32], now_ms: u64) -> Option<u32> {
        let current = self.seal(key, secret_hash).0.ct_eq(&key.verifier.0);
        let before = key.overlap.map_or(Choice::from(0), |overlap| {
            let shown = self.seal_until(key, overlap.expires_at_ms, secret_hash);
            let shown = self.ending(&shown, overlap.until_ms);
            shown.0.ct_eq(&overlap.verifier.0) & Choice::from(u8::from(now_ms < overlap.until_ms))
        });
        match (current.into(), before.into()) {
            (true, _) => Some(key.generation),
            (false, true) => Some(key.generation.saturating_sub(1)),
            (false, false) => None,
        }
    }
}
