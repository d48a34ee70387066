//! Ed25519, the one signature algorithm of the suite, always over a 32-byte tagged digest (docs/spec/sign.md,
//! section 1). Keys of small order and non-canonical encodings are refused when parsed, signatures are
//! verified strictly. What must never happen: one signature that two verifiers judge differently.

use ed25519_dalek::Signer;
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use veilcore::id::KeyId;
use veilcore::secret::Secret;

/// Length of a public key, in bytes.
pub const PUBLIC_KEY_LEN: usize = 32;
/// Length of a signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// Why a key or a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The bytes are not a point of the curve.
    #[error("public key is not a point of the curve")]
    NotAPoint,
    /// The bytes are a point, in an encoding that is not its only one.
    #[error("public key is not encoded canonically")]
    NonCanonical,
    /// The point has small order: signatures under it mean nothing.
    #[error("public key has small order")]
    SmallOrder,
    /// The signature does not hold.
    #[error("signature does not verify")]
    Signature,
}

/// A private key. Wiped on drop, never printed.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key of a 32-byte seed (RFC 8032 private key). Same seed, same key.
    pub fn from_seed(seed: &Secret<32>) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed.expose()))
    }

    /// Draws a new key.
    pub fn generate<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        Self::from_seed(&Secret::fill(|seed| rng.fill_bytes(seed)))
    }

    /// The seed, to store the key.
    pub fn seed(&self) -> Secret<32> {
        Secret::fill(|seed| seed.copy_from_slice(self.0.as_bytes()))
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    /// Signs a digest made with a domain tag.
    pub fn sign(&self, digest: &[u8; 32]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(digest).to_bytes()
    }
}

/// A public key that passed the checks of [`VerifyingKey::parse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// Parses 32 bytes; refuses what is no point, what is not canonical and what has small order.
    pub fn parse(bytes: &[u8; PUBLIC_KEY_LEN]) -> Result<Self, KeyError> {
        if !is_canonical(bytes) {
            return Err(KeyError::NonCanonical);
        }
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?;
        // The two encodings that are non-canonical by their sign bit alone (x = 0) are of small order, too.
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(key))
    }

    /// The 32 bytes of the key.
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        self.0.as_bytes()
    }

    /// The short name of the key.
    pub fn key_id(&self) -> KeyId {
        KeyId::of(self.as_bytes())
    }

    /// Verifies a signature over a digest: canonical S and R, no small order, no cofactor slack.
    pub fn verify(&self, digest: &[u8; 32], signature: &[u8; SIGNATURE_LEN]) -> Result<(), KeyError> {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(digest, &signature).map_err(|_| KeyError::Signature)
    }
}

/// Whether the y coordinate is below p = 2^255 - 19.
fn is_canonical(bytes: &[u8; PUBLIC_KEY_LEN]) -> bool {
    let high_ones = bytes[1..31].iter().all(|byte| *byte == 0xff) && bytes[31] & 0x7f == 0x7f;
    !(high_ones && bytes[0] >= 0xed)
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    use curve25519_dalek::edwards::CompressedEdwardsY;
    use curve25519_dalek::scalar::Scalar;
    use proptest::prelude::*;

    use super::*;

    /// The group order, little-endian.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];

    fn key() -> SigningKey {
        SigningKey::from_seed(&Secret::new([5; 32]))
    }

    #[test]
    fn a_key_survives_its_seed() {
        let again = SigningKey::from_seed(&key().seed());
        assert_eq!(again.verifying_key(), key().verifying_key());
        assert_eq!(VerifyingKey::parse(key().verifying_key().as_bytes()), Ok(key().verifying_key()));
    }

    #[test]
    fn every_point_of_small_order_is_refused() {
        for point in EIGHT_TORSION {
            let mut bytes = point.compress().to_bytes();
            assert_eq!(VerifyingKey::parse(&bytes), Err(KeyError::SmallOrder));
            bytes[31] ^= 0x80;
            assert!(VerifyingKey::parse(&bytes).is_err(), "the other sign bit");
        }
    }

    #[test]
    fn an_encoding_of_p_or_more_is_refused() {
        for low in 0xed..=0xff_u8 {
            let mut bytes = [0xff; 32];
            bytes[0] = low;
            assert_eq!(VerifyingKey::parse(&bytes), Err(KeyError::NonCanonical));
            bytes[31] = 0x7f;
            assert_eq!(VerifyingKey::parse(&bytes), Err(KeyError::NonCanonical));
        }
    }

    #[test]
    fn bytes_that_are_no_point_are_refused() {
        let mut bytes = [0; 32];
        bytes[0] = 2;
        assert!(CompressedEdwardsY(bytes).decompress().is_none());
        assert_eq!(VerifyingKey::parse(&bytes), Err(KeyError::NotAPoint));
    }

    #[test]
    fn a_scalar_of_the_order_or_more_is_refused() {
        let signature = key().sign(&[1; 32]);
        let mut malleated = signature;
        let mut carry = 0u16;
        for (byte, order) in malleated[32..].iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(order);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert_eq!(key().verifying_key().verify(&[1; 32], &signature), Ok(()));
        assert_eq!(key().verifying_key().verify(&[1; 32], &malleated), Err(KeyError::Signature));
    }

    #[test]
    fn a_nonce_point_of_small_order_is_refused() {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(EIGHT_TORSION[0].compress().as_bytes());
        assert_eq!(key().verifying_key().verify(&[1; 32], &signature), Err(KeyError::Signature));
        signature[..32].copy_from_slice((ED25519_BASEPOINT_POINT * Scalar::from(3u8)).compress().as_bytes());
        assert_eq!(key().verifying_key().verify(&[1; 32], &signature), Err(KeyError::Signature));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn one_flipped_bit_anywhere_is_refused(digest: [u8; 32], bit in 0usize..512) {
            let mut signature = key().sign(&digest);
            prop_assert_eq!(key().verifying_key().verify(&digest, &signature), Ok(()));
            signature[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(key().verifying_key().verify(&digest, &signature), Err(KeyError::Signature));
        }
    }
}
