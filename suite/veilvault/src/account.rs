//! The account root key (docs/spec/vault.md, section 2): 32 random bytes that only the person's devices ever hold.
//! The server keeps one wrapped copy per factor and can open none of them. What must never happen: a root key, or
//! a factor's secret, reaching the server or a log.

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Tag as AeadTag, XChaCha20Poly1305, XNonce};
use rand_core::CryptoRngCore;
use thiserror::Error;
use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::id::AccountId;
use veilcore::secret::Secret;
use veilcore::tag;
use zeroize::Zeroizing;

use crate::kdf::derive;
use crate::recovery::RecoveryCode;

/// Length of an account root key, in bytes.
pub const ARK_LEN: usize = 32;
/// Length of the OPAQUE export key, the secret of the password factor, in bytes.
pub const EXPORT_KEY_LEN: usize = 64;
/// Length of a wrapped root key: version, factor kind, nonce of 24, ciphertext of 48.
pub const WRAPPED_ARK_LEN: usize = 1 + 1 + NONCE_LEN + ARK_LEN + TAG_LEN;

const WRAP_VERSION: u8 = 1;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;

/// Why a wrapped root key was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnwrapError {
    /// The bytes have the wrong length.
    #[error("not a wrapped account key: {0}")]
    Malformed(#[from] DecodeError),
    /// Wrapped by a format this build does not know.
    #[error("wrapped account key of version {found} is not known here")]
    Version {
        /// The version byte found.
        found: u8,
    },
    /// The factor byte names no factor.
    #[error("wrapped account key names factor {found}, which does not exist")]
    UnknownFactor {
        /// The byte found.
        found: u8,
    },
    /// The copy was wrapped for another kind of factor than the one presented.
    #[error("wrapped for the factor {found:?}, opened with {presented:?}")]
    OtherFactor {
        /// What was presented.
        presented: FactorKind,
        /// What the copy is for.
        found: FactorKind,
    },
    /// The secret is not the one it was wrapped under, the account is another one, or the bytes were changed.
    #[error("the secret does not open this account key")]
    WrongFactor,
}

/// Which factor a copy of the root key is wrapped under. The byte in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FactorKind {
    /// The password, through the OPAQUE export key.
    Password = 1,
    /// The printed recovery code.
    Recovery = 2,
}

/// A factor with its secret.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Factor<'a> {
    /// The OPAQUE export key, 64 bytes: it never leaves the client.
    Password(&'a [u8; EXPORT_KEY_LEN]),
    /// The recovery code.
    Recovery(&'a RecoveryCode),
}

impl Factor<'_> {
    /// Which kind this is.
    pub fn kind(&self) -> FactorKind {
        match self {
            Factor::Password(_) => FactorKind::Password,
            Factor::Recovery(_) => FactorKind::Recovery,
        }
    }

    fn wrapping_key(&self, account: &AccountId) -> Secret<32> {
        let ikm: &[u8] = match self {
            Factor::Password(export_key) => *export_key,
            Factor::Recovery(code) => code.expose(),
        };
        derive(ikm, account.as_bytes(), tag::ARK_WRAP, &[("factor", &[self.kind() as u8])])
    }
}

/// The account root key. Everything the account can read hangs on it.
#[derive(Clone)]
pub struct AccountRootKey(Secret<ARK_LEN>);

impl AccountRootKey {
    /// Draws a new root key, once per account.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        Self(Secret::fill(|room| rng.fill_bytes(room)))
    }

    /// Takes over bytes that are already a root key, e.g. pinned ones.
    pub fn from_secret(secret: Secret<ARK_LEN>) -> Self {
        Self(secret)
    }

    /// Equality in constant time.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0)
    }

    pub(crate) fn expose(&self) -> &[u8; ARK_LEN] {
        self.0.expose()
    }
}

/// A root key wrapped under one factor: 74 bytes the server stores and cannot open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrappedArk([u8; WRAPPED_ARK_LEN]);

impl WrappedArk {
    /// Parses the bytes; says nothing yet about whether any secret opens them.
    ///
    /// # Errors
    /// [`UnwrapError::Malformed`], [`UnwrapError::Version`], [`UnwrapError::UnknownFactor`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, UnwrapError> {
        let mut reader = Reader::new(bytes);
        let wrapped = Self(reader.array()?);
        reader.finish()?;
        match (wrapped.0[0], wrapped.0[1]) {
            (WRAP_VERSION, 1 | 2) => Ok(wrapped),
            (WRAP_VERSION, found) => Err(UnwrapError::UnknownFactor { found }),
            (found, _) => Err(UnwrapError::Version { found }),
        }
    }

    /// The 74 bytes.
    pub fn as_bytes(&self) -> &[u8; WRAPPED_ARK_LEN] {
        &self.0
    }

    /// The factor this copy is for.
    pub fn kind(&self) -> FactorKind {
        if self.0[1] == FactorKind::Password as u8 { FactorKind::Password } else { FactorKind::Recovery }
    }
}

/// Wraps the root key of `account` under a factor. Draws a 24-byte nonce.
pub fn wrap(
    ark: &AccountRootKey,
    factor: Factor<'_>,
    account: &AccountId,
    rng: &mut impl CryptoRngCore,
) -> WrappedArk {
    let mut nonce = [0; NONCE_LEN];
    rng.fill_bytes(&mut nonce);
    let mut sealed = Zeroizing::new(*ark.expose());
    let aead_tag = cipher(&factor, account)
        .encrypt_in_place_detached(XNonce::from_slice(&nonce), &aad(factor.kind(), account), &mut sealed[..])
        .expect("32 bytes are within the cipher's limit");
    let bytes = Writer::with_capacity(WRAPPED_ARK_LEN)
        .u8(WRAP_VERSION)
        .u8(factor.kind() as u8)
        .fixed(&nonce)
        .fixed(&sealed[..])
        .fixed(&aead_tag)
        .finish();
    WrappedArk(bytes.try_into().expect("the fields above are 74 bytes together"))
}

/// Opens a wrapped root key of `account` with a factor.
///
/// # Errors
/// [`UnwrapError::OtherFactor`] or [`UnwrapError::WrongFactor`].
pub fn unwrap(
    wrapped: &WrappedArk,
    factor: Factor<'_>,
    account: &AccountId,
) -> Result<AccountRootKey, UnwrapError> {
    if wrapped.kind() != factor.kind() {
        return Err(UnwrapError::OtherFactor { presented: factor.kind(), found: wrapped.kind() });
    }
    let (nonce, sealed) = wrapped.0[2..].split_at(NONCE_LEN);
    let (ciphertext, aead_tag) = sealed.split_at(ARK_LEN);
    let mut ark = Zeroizing::new([0; ARK_LEN]);
    ark.copy_from_slice(ciphertext);
    cipher(&factor, account)
        .decrypt_in_place_detached(
            XNonce::from_slice(nonce),
            &aad(factor.kind(), account),
            &mut ark[..],
            AeadTag::from_slice(aead_tag),
        )
        .map_err(|_| UnwrapError::WrongFactor)?;
    Ok(AccountRootKey(Secret::new(*ark)))
}

fn cipher(factor: &Factor<'_>, account: &AccountId) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(factor.wrapping_key(account).expose().into())
}

/// What the wrapped copy is bound to besides its key: version, factor, account.
fn aad(kind: FactorKind, account: &AccountId) -> Vec<u8> {
    Writer::with_capacity(18).u8(WRAP_VERSION).u8(kind as u8).fixed(account.as_bytes()).finish()
}

#[cfg(test)]
mod tests;
