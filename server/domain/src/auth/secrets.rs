//! The server's long-lived secrets: OPAQUE keys, the seed of answers to unknown addresses. The composition root keeps
//! them in one file. Lost, every password is wrong; leaked together with the directory, passwords can be guessed offline.
//! The keys that sign capabilities are none of them: they come and go (`issuers`).

use hmac::{Hmac, Mac};
use sha2::Sha256;
use veilcore::{
    canon::{Reader, Writer},
    hash,
    id::AccountId,
    secret::Secret,
    tag,
};
use veilsign::{
    key::SigningKey,
    login::{SERVER_KEYS_LEN, ServerKeys},
};
use veilvault::{account::WRAPPED_ARK_LEN, key::PublicKey};
use zeroize::Zeroizing;

use super::model::Email;
use crate::clock::{Entropy, Rng};

const VERSION: u8 = 2;
/// Length of the secrets' canonical encoding: version, OPAQUE keys, fake seed.
pub const SECRETS_LEN: usize = 1 + SERVER_KEYS_LEN + 32;

/// The secrets. No Debug, no Serialize; wiped on drop.
pub struct Secrets {
    pub(super) opaque: ServerKeys,
    fake_seed: Secret<32>,
}

/// The bytes are not secrets of this server's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the secrets of a server of this version")]
pub struct SecretsInvalid;

impl Secrets {
    /// Draws new secrets, once in the life of a deployment.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut rng = Rng(entropy);
        Self { opaque: ServerKeys::generate(&mut rng), fake_seed: Secret::fill(|seed| entropy.fill(seed)) }
    }

    /// Canonical bytes, [`SECRETS_LEN`] of them, to be written where only the server reads.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut w = Writer::with_capacity(SECRETS_LEN);
        w.u8(VERSION);
        w.fixed(&self.opaque.to_bytes());
        w.fixed(self.fake_seed.expose());
        Zeroizing::new(w.finish())
    }

    /// Reads what [`Secrets::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretsInvalid> {
        let mut r = Reader::new(bytes);
        let version = r.u8().map_err(|_| SecretsInvalid)?;
        let opaque = Zeroizing::new(r.array::<SERVER_KEYS_LEN>().map_err(|_| SecretsInvalid)?);
        let fake_seed = r.array::<32>().map_err(|_| SecretsInvalid)?;
        r.finish().map_err(|_| SecretsInvalid)?;
        if version != VERSION {
            return Err(SecretsInvalid);
        }
        Ok(Self {
            opaque: ServerKeys::from_bytes(&opaque[..]).map_err(|_| SecretsInvalid)?,
            fake_seed: Secret::new(fake_seed),
        })
    }

    /// Account id that an address without an account is answered with; looks like a client's random UUID.
    pub(super) fn fake_account(&self, email: &Email) -> AccountId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.fake(email, b"account")[..16]);
        AccountId::from_bytes(uuid::Builder::from_random_bytes(id).into_uuid().into_bytes())
    }

    /// Recovery wrap that an address without an account is answered with: the right version and kind, then noise.
    pub(super) fn fake_recovery_wrap(&self, email: &Email) -> Vec<u8> {
        let mut wrap = vec![1, 2];
        for part in [b"wrap 0", b"wrap 1", b"wrap 2"] {
            wrap.extend_from_slice(&self.fake(email, part));
        }
        wrap.truncate(WRAPPED_ARK_LEN);
        wrap
    }

    /// A verifier that nobody can sign for, so that a recovery of nobody costs a signature check too.
    pub(super) fn decoy_verifier(&self) -> PublicKey {
        let seed = Secret::new(self.keyed(&hash::frame(tag::FAKE_ACCOUNT, &[("field", b"verifier")])));
        let key = SigningKey::from_seed(&seed).verifying_key();
        PublicKey::from_bytes(key.as_bytes()).expect("the public half of a key is a key")
    }

    fn fake(&self, email: &Email, field: &[u8]) -> [u8; 32] {
        self.keyed(&hash::frame(tag::FAKE_ACCOUNT, &[("field", field), ("email", email.as_str().as_bytes())]))
    }

    fn keyed(&self, message: &[u8]) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.fake_seed.expose()).expect("HMAC takes any key length");
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}
