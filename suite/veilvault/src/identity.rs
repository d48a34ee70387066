//! Identity keys (docs/spec/vault.md, section 4): the key an author signs with and the age key files are encrypted
//! to, both derived from the account root key, so that whoever has the root key has them on every device. The
//! bundle of their public halves is what the server stores; a client recomputes it and refuses another one, so the
//! server can never put its own key in a member's place.

use ed25519_dalek::SigningKey;
use thiserror::Error;
use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::id::{AccountId, KeyId};
use veilcore::secret::Secret;
use veilcore::tag::{self, Tag};
use zeroize::Zeroizing;

use crate::account::AccountRootKey;
use crate::agekey::AgeKey;
use crate::kdf::derive;
use crate::key::{InvalidSignature, KeyError, PublicKey, Recipient};
use crate::statement::{self, STATEMENT_OVERHEAD};

/// Length of an account bundle: u32 length, body of 117 bytes, signature.
pub const ACCOUNT_BUNDLE_LEN: usize = BUNDLE_BODY_LEN + STATEMENT_OVERHEAD;
/// Length of an exported identity: Ed25519 seed and X25519 secret, 32 each.
pub const IDENTITY_SECRET_LEN: usize = 64;

const BUNDLE_VERSION: u8 = 1;
const BUNDLE_BODY_LEN: usize = 1 + 16 + 4 + 32 + 32 + 32;

/// Why an account bundle was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Not the bytes of a bundle, or of a version this build does not know.
    #[error("not an account bundle: {0}")]
    Malformed(#[from] DecodeError),
    /// One of the three public keys is unfit.
    #[error("account bundle carries an unfit {which} key: {reason}")]
    Key {
        /// Which of the keys.
        which: &'static str,
        /// What is wrong with it.
        reason: KeyError,
    },
    /// Not signed by the identity it names.
    #[error("account bundle is not signed by the identity it names")]
    Signature(#[from] InvalidSignature),
    /// Signed properly by somebody else: the server handed out another identity than the root key gives.
    #[error("account bundle names another identity than the account key gives")]
    OtherIdentity,
}

/// The unlocked identity of an account.
#[derive(Clone)]
pub struct Identity {
    account: AccountId,
    generation: u32,
    signing: SigningKey,
    age: AgeKey,
}

/// The secret half of an identity, for a client's own protected session file. 64 bytes, wiped on drop.
pub struct IdentitySecret(Secret<IDENTITY_SECRET_LEN>);

impl IdentitySecret {
    /// Takes the 64 bytes of [`IdentitySecret::expose`] back.
    pub fn from_secret(secret: Secret<IDENTITY_SECRET_LEN>) -> Self {
        Self(secret)
    }

    /// The bytes, to be written where only their owner can read.
    pub fn expose(&self) -> &[u8; IDENTITY_SECRET_LEN] {
        self.0.expose()
    }
}

impl Identity {
    /// Derives the identity of `account` in `generation` (1 for the first). Same in, same out.
    pub fn derive(ark: &AccountRootKey, account: AccountId, generation: u32) -> Self {
        let key =
            |tag: Tag| derive::<32>(ark.expose(), &[], tag, &[("generation", &generation.to_be_bytes())]);
        Self {
            account,
            generation,
            signing: SigningKey::from_bytes(key(tag::IDENTITY_SIGN).expose()),
            age: AgeKey::from_secret(key(tag::IDENTITY_AGE)),
        }
    }

    /// The identity a client exported earlier.
    pub fn restore(account: AccountId, generation: u32, secret: &IdentitySecret) -> Self {
        let (seed, x25519) = secret.expose().split_at(32);
        let seed = Secret::<32>::from_slice(seed).expect("half of 64 bytes");
        let x25519 = Secret::from_slice(x25519).expect("half of 64 bytes");
        Self {
            account,
            generation,
            signing: SigningKey::from_bytes(seed.expose()),
            age: AgeKey::from_secret(x25519),
        }
    }

    /// The secret half, for [`Identity::restore`]. Does not contain the root key.
    pub fn export(&self) -> IdentitySecret {
        IdentitySecret(Secret::fill(|room| {
            room[..32].copy_from_slice(self.signing.as_bytes());
            room[32..].copy_from_slice(self.age.secret().expose());
        }))
    }

    /// The account this identity belongs to.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Counts from 1 and rises when the account changes its keys.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The key others check this author's statements with.
    pub fn public_key(&self) -> PublicKey {
        self.signing.verifying_key().into()
    }

    /// Short name of [`Identity::public_key`].
    pub fn key_id(&self) -> KeyId {
        self.public_key().key_id()
    }

    /// The key files for this account are encrypted to. Prints as `age1…`.
    pub fn recipient(&self) -> &Recipient {
        self.age.recipient()
    }

    /// `AGE-SECRET-KEY-1…`: with it stock `age` opens this account's keyrings. Wiped when dropped.
    pub fn age_secret_text(&self) -> Zeroizing<String> {
        self.age.secret_text()
    }

    /// The signed bundle of the public halves, [`ACCOUNT_BUNDLE_LEN`] bytes. Same in, same out.
    pub fn account_bundle(&self, recovery_verifier: &PublicKey) -> Vec<u8> {
        let body = Writer::with_capacity(BUNDLE_BODY_LEN)
            .u8(BUNDLE_VERSION)
            .fixed(self.account.as_bytes())
            .u32(self.generation)
            .fixed(self.public_key().as_bytes())
            .fixed(self.recipient().as_bytes())
            .fixed(recovery_verifier.as_bytes())
            .finish();
        statement::sign(tag::ACCOUNT_BUNDLE, &body, &self.signing)
    }

    pub(crate) fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    pub(crate) fn age_key(&self) -> &AgeKey {
        &self.age
    }
}

/// The public half of an account, as the server stores it and hands it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountBundle {
    /// The account.
    pub account: AccountId,
    /// Generation of the keys, from 1.
    pub generation: u32,
    /// Checks what this account signs.
    pub public_key: PublicKey,
    /// Encrypts to this account.
    pub recipient: Recipient,
    /// Checks a recovery.
    pub recovery_verifier: PublicKey,
}

impl AccountBundle {
    /// Parses a bundle and checks that the identity named in it signed it. Proves possession, not who it is: a
    /// client also asks [`AccountBundle::matches`].
    ///
    /// # Errors
    /// [`BundleError`] by name of the condition.
    pub fn verify(bytes: &[u8]) -> Result<Self, BundleError> {
        let signed = statement::split(bytes, BUNDLE_BODY_LEN)?;
        let mut body = Reader::new(signed.body);
        let version = body.u8()?;
        if version != BUNDLE_VERSION {
            return Err(DecodeError::Version { found: version }.into());
        }
        let account = AccountId::from_bytes(body.array()?);
        let generation = body.u32()?;
        let unfit = |which| move |reason| BundleError::Key { which, reason };
        let bundle = Self {
            account,
            generation,
            public_key: PublicKey::from_bytes(&body.array()?).map_err(unfit("signing"))?,
            recipient: Recipient::from_bytes(&body.array()?).map_err(unfit("age"))?,
            recovery_verifier: PublicKey::from_bytes(&body.array()?).map_err(unfit("recovery"))?,
        };
        body.finish()?;
        signed.verify(tag::ACCOUNT_BUNDLE, &bundle.public_key)?;
        Ok(bundle)
    }

    /// Whether this bundle is the one `identity` would publish.
    ///
    /// # Errors
    /// [`BundleError::OtherIdentity`].
    pub fn matches(&self, identity: &Identity) -> Result<(), BundleError> {
        let same = self.account == identity.account
            && self.generation == identity.generation
            && self.public_key == identity.public_key()
            && self.recipient == *identity.recipient();
        if same { Ok(()) } else { Err(BundleError::OtherIdentity) }
    }
}

#[cfg(test)]
mod tests;
