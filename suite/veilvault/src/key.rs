//! Public keys as the vault accepts them: the Ed25519 key that checks a signature and the X25519 key that a file is
//! encrypted to. Both are judged once, when they are parsed, so that no later step meets a key that proves nothing.

use std::fmt;
use std::str::FromStr;

use bech32::{FromBase32, ToBase32, Variant};
use curve25519_dalek::montgomery::MontgomeryPoint;
use ed25519_dalek::{Signature, VerifyingKey};
use thiserror::Error;
use veilcore::id::KeyId;

/// Length of an Ed25519 signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// Human-readable part of an age recipient: the text reads `age1…`.
const RECIPIENT_HRP: &str = "age";

/// Why bytes or text are not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The 32 bytes are no point of the curve, or not its one canonical encoding.
    #[error("the bytes are not a canonical point of the curve")]
    Encoding,
    /// The point has small order: it would let anyone forge a signature or know a shared secret.
    #[error("the key has small order")]
    SmallOrder,
    /// The text is not an `age1…` recipient of 32 bytes.
    #[error("the text is not an age X25519 recipient")]
    Text,
}

/// A signature does not belong to this message and key. Says no more, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature is not valid")]
pub struct InvalidSignature;

/// An Ed25519 public key of full order in canonical encoding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Parses 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::Encoding`] or [`KeyError::SmallOrder`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Encoding)?;
        if key.to_edwards().compress().to_bytes() != *bytes {
            return Err(KeyError::Encoding);
        }
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(key))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The key's short name, 8 bytes.
    pub fn key_id(&self) -> KeyId {
        KeyId::of(self.as_bytes())
    }

    /// Strict verification of a signature over a framed digest.
    ///
    /// # Errors
    /// [`InvalidSignature`], whatever the cause.
    pub fn verify(&self, digest: &[u8; 32], signature: &[u8; SIGNATURE_LEN]) -> Result<(), InvalidSignature> {
        self.0.verify_strict(digest, &Signature::from_bytes(signature)).map_err(|_| InvalidSignature)
    }
}

impl From<VerifyingKey> for PublicKey {
    /// A key derived from a secret seed is of full order by construction.
    fn from(key: VerifyingKey) -> Self {
        Self(key)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.key_id())
    }
}

/// The X25519 public key a file is encrypted to: what age writes as `age1…` (62 characters).
#[derive(Clone)]
pub struct Recipient {
    bytes: [u8; 32],
    age: age::x25519::Recipient,
}

impl Recipient {
    /// Parses 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::SmallOrder`]: encrypting to such a key would make age stop the process, and anyone could read
    /// the file.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        // A clamped scalar is a multiple of the cofactor, so it takes exactly the points of small order to zero.
        if MontgomeryPoint(*bytes).mul_clamped([1; 32]) == MontgomeryPoint([0; 32]) {
            return Err(KeyError::SmallOrder);
        }
        let text = bech32::encode(RECIPIENT_HRP, bytes.to_base32(), Variant::Bech32)
            .expect("the prefix is a lower-case literal");
        let age = text.parse().expect("32 bytes under the prefix `age` are a recipient");
        Ok(Self { bytes: *bytes, age })
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    pub(crate) fn as_age(&self) -> &dyn age::Recipient {
        &self.age
    }
}

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (hrp, data, variant) = bech32::decode(text).map_err(|_| KeyError::Text)?;
        if hrp != RECIPIENT_HRP || variant != Variant::Bech32 {
            return Err(KeyError::Text);
        }
        let bytes = Vec::<u8>::from_base32(&data).map_err(|_| KeyError::Text)?;
        Self::from_bytes(&bytes.try_into().map_err(|_| KeyError::Text)?)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Recipient {}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.age, f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Ed25519 points of order 1, 2, 4 and 8 in canonical encoding (one sign each for order 4 and 8).
    const SMALL_ED25519: [&str; 5] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];

    /// The X25519 inputs of RFC 7748 section 6.1's warning: order 1, 2, 4 and 8, and one encoding not reduced.
    const SMALL_X25519: [&str; 6] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];

    fn point(hex: &str) -> [u8; 32] {
        data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex").try_into().expect("32 bytes")
    }

    #[test]
    fn a_signing_key_of_small_order_is_refused() {
        for hex in SMALL_ED25519 {
            assert_eq!(PublicKey::from_bytes(&point(hex)), Err(KeyError::SmallOrder), "{hex}");
        }
    }

    #[test]
    fn a_signing_key_that_is_not_reduced_is_refused() {
        // p + 1: the same point as 1, in an encoding nobody has to write.
        let hex = "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
        assert_eq!(PublicKey::from_bytes(&point(hex)), Err(KeyError::Encoding));
    }

    #[test]
    fn a_recipient_of_small_order_is_refused() {
        for hex in SMALL_X25519 {
            assert_eq!(Recipient::from_bytes(&point(hex)), Err(KeyError::SmallOrder), "{hex}");
        }
    }

    #[test]
    fn a_recipient_reads_back_from_its_text() {
        let text = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
        let recipient: Recipient = text.parse().expect("a recipient");
        assert_eq!(recipient.to_string(), text);
        assert_eq!(Recipient::from_bytes(recipient.as_bytes()), Ok(recipient));
        assert_eq!(text[..61].parse::<Recipient>(), Err(KeyError::Text));
        assert_eq!(text.replace("7pa", "7pq").parse::<Recipient>(), Err(KeyError::Text));
        assert_eq!("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4".parse::<Recipient>(), Err(KeyError::Text));
    }
}
