//! The binding of a holder key to the login that admitted it (docs/spec/sign.md, section 3). The signature
//! shows that the client holds the key, the MAC that the key comes from whoever knows the session key. What
//! must never happen: a key slipped in by someone who merely carries the messages.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use veilcore::hash::hb;
use veilcore::secret::Secret;
use veilcore::tag;

use super::{LoginError, SESSION_KEY_LEN};
use crate::key::{PUBLIC_KEY_LEN, SIGNATURE_LEN, SigningKey, VerifyingKey};

/// Length of the session MAC, in bytes.
pub const SESSION_MAC_LEN: usize = 32;

/// What the client sends with KE3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The fresh Ed25519 public key of this session.
    pub holder_pk: [u8; PUBLIC_KEY_LEN],
    /// The holder key's signature over the login digest.
    pub holder_signature: [u8; SIGNATURE_LEN],
    /// HMAC-SHA-256 of the login digest under the OPAQUE session key.
    pub session_mac: [u8; SESSION_MAC_LEN],
}

/// Hb("Veil/login-bind/v1"; ke1, ke2, ke3, holder_pk): the whole transcript and the key that enters with it.
pub fn login_digest(ke1: &[u8], ke2: &[u8], ke3: &[u8], holder_pk: &[u8; PUBLIC_KEY_LEN]) -> [u8; 32] {
    hb(tag::LOGIN_BIND, &[("ke1", ke1), ("ke2", ke2), ("ke3", ke3), ("holder_pk", holder_pk)])
}

/// Client: binds the holder key to a login it has just finished.
pub fn bind(
    holder: &SigningKey,
    session_key: &Secret<SESSION_KEY_LEN>,
    ke1: &[u8],
    ke2: &[u8],
    ke3: &[u8],
) -> Binding {
    let holder_pk = *holder.verifying_key().as_bytes();
    let digest = login_digest(ke1, ke2, ke3, &holder_pk);
    Binding {
        holder_pk,
        holder_signature: holder.sign(&digest),
        session_mac: keyed(session_key, &digest).finalize().into_bytes().into(),
    }
}

/// Server: checks MAC, key and signature against its own copy of the three messages; returns the holder key.
pub fn verify_binding(
    binding: &Binding,
    session_key: &Secret<SESSION_KEY_LEN>,
    ke1: &[u8],
    ke2: &[u8],
    ke3: &[u8],
) -> Result<VerifyingKey, LoginError> {
    let digest = login_digest(ke1, ke2, ke3, &binding.holder_pk);
    // The MAC comes first: without it the key is a stranger's and nothing about it deserves work.
    keyed(session_key, &digest).verify_slice(&binding.session_mac).map_err(|_| LoginError::Binding)?;
    let holder = VerifyingKey::parse(&binding.holder_pk).map_err(|_| LoginError::Binding)?;
    holder.verify(&digest, &binding.holder_signature).map_err(|_| LoginError::Binding)?;
    Ok(holder)
}

fn keyed(session_key: &Secret<SESSION_KEY_LEN>, digest: &[u8; 32]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(session_key.expose()).expect("HMAC takes a key of any length");
    mac.update(digest);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> SigningKey {
        SigningKey::from_seed(&Secret::new([8; 32]))
    }

    fn session_key() -> Secret<64> {
        Secret::new([6; 64])
    }

    fn bound() -> Binding {
        bind(&holder(), &session_key(), b"ke1", b"ke2", b"ke3")
    }

    #[test]
    fn the_holder_key_of_this_login_is_admitted() {
        let admitted = verify_binding(&bound(), &session_key(), b"ke1", b"ke2", b"ke3");
        assert_eq!(admitted, Ok(holder().verifying_key()));
    }

    #[test]
    fn a_binding_to_another_login_is_refused() {
        let refused = Err(LoginError::Binding);
        assert_eq!(verify_binding(&bound(), &session_key(), b"kex", b"ke2", b"ke3"), refused);
        assert_eq!(verify_binding(&bound(), &session_key(), b"ke1", b"kex", b"ke3"), refused);
        assert_eq!(verify_binding(&bound(), &session_key(), b"ke1", b"ke2", b"kex"), refused);
        assert_eq!(verify_binding(&bound(), &session_key(), b"ke1k", b"e2", b"ke3"), refused);
        assert_eq!(verify_binding(&bound(), &Secret::new([7; 64]), b"ke1", b"ke2", b"ke3"), refused);
    }

    #[test]
    fn a_key_slipped_in_by_a_carrier_is_refused() {
        let other = SigningKey::from_seed(&Secret::new([9; 32]));
        let mut swapped = bind(&other, &Secret::new([0; 64]), b"ke1", b"ke2", b"ke3");
        assert!(verify_binding(&swapped, &session_key(), b"ke1", b"ke2", b"ke3").is_err());
        swapped.session_mac = bound().session_mac;
        assert!(verify_binding(&swapped, &session_key(), b"ke1", b"ke2", b"ke3").is_err());
    }

    #[test]
    fn a_key_without_its_signature_is_refused() {
        let other = SigningKey::from_seed(&Secret::new([9; 32]));
        let mut binding = bind(&other, &session_key(), b"ke1", b"ke2", b"ke3");
        binding.holder_signature = bound().holder_signature;
        assert!(verify_binding(&binding, &session_key(), b"ke1", b"ke2", b"ke3").is_err());
    }

    #[test]
    fn a_holder_key_of_small_order_is_refused() {
        let mut weak = bound();
        weak.holder_pk = [0; 32];
        let digest = login_digest(b"ke1", b"ke2", b"ke3", &weak.holder_pk);
        weak.session_mac = keyed(&session_key(), &digest).finalize().into_bytes().into();
        assert!(verify_binding(&weak, &session_key(), b"ke1", b"ke2", b"ke3").is_err());
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        for bit in 0..(32 + 64 + 32) * 8 {
            let mut binding = bound();
            let (byte, mask) = (bit / 8, 1u8 << (bit % 8));
            match byte {
                0..=31 => binding.holder_pk[byte] ^= mask,
                32..=95 => binding.holder_signature[byte - 32] ^= mask,
                _ => binding.session_mac[byte - 96] ^= mask,
            }
            assert!(verify_binding(&binding, &session_key(), b"ke1", b"ke2", b"ke3").is_err(), "bit {bit}");
        }
    }
}
