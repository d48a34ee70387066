//! The key of one epoch of one environment (EEK): an age X25519 pair that every blob of the epoch is encrypted to.
//! Members find its secret in the keyring file. It is never derived and never reused in another epoch, so taking a
//! member out is a new key and nothing else.

use rand_core::CryptoRngCore;
use veilcore::secret::Secret;
use veilcore::tag;
use zeroize::Zeroizing;

use crate::agekey::AgeKey;
use crate::kdf::derive;
use crate::key::Recipient;

/// The secret key of an epoch.
#[derive(Clone)]
pub struct EpochKey(AgeKey);

impl EpochKey {
    /// Draws the key of a new epoch.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        Self(AgeKey::from_secret(Secret::fill(|room| rng.fill_bytes(room))))
    }

    /// Takes over bytes that are already a key, e.g. pinned ones.
    pub fn from_secret(secret: Secret<32>) -> Self {
        Self(AgeKey::from_secret(secret))
    }

    /// Reads `AGE-SECRET-KEY-1…`, exactly as written; None for anything else.
    pub fn from_secret_text(text: &str) -> Option<Self> {
        AgeKey::from_text(text).map(Self)
    }

    /// `AGE-SECRET-KEY-1…`: with it stock `age` opens every blob of the epoch. Wiped when dropped.
    pub fn secret_text(&self) -> Zeroizing<String> {
        self.0.secret_text()
    }

    /// The public half, which blobs are encrypted to. Prints as `age1…`.
    pub fn recipient(&self) -> &Recipient {
        self.0.recipient()
    }

    pub(crate) fn age_key(&self) -> &AgeKey {
        &self.0
    }

    /// What covers the exact content length in the seal of the ciphertext with this digest. Every ciphertext has its
    /// own digest, so no cover is used twice.
    pub(crate) fn length_cover(&self, digest: &[u8; 32]) -> u64 {
        // The label keeps this apart from what authors sign under the same tag, whose only item is `body`.
        let cover = derive::<8>(self.0.secret().expose(), digest, tag::SEAL, &[("content_len", &[])]);
        u64::from_be_bytes(*cover.expose())
    }
}
