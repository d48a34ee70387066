//! Shares of a key, and the client that splits one (docs/spec/key.md, section 5). A share opens nothing alone. What
//! must never happen: the whole key outliving its split, or a share being used for a key it is not of.

use std::fmt;
use std::num::NonZeroU16;

use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRngCore;
use veilcore::canon::{DecodeError, Reader};
use veilcore::secret::Secret;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::context::{CONTEXT_LEN, Context};
use crate::group::{Point, SCALAR_LEN, draw_nonce, parse_scalar, read_scalar};
use crate::key::{GroupKey, KeyError, KeyRecord, check_threshold, read_version};
use crate::poly::evaluate;

/// Length of an exported share, in bytes.
pub const SHARE_LEN: usize = 1 + CONTEXT_LEN + 2 + SCALAR_LEN;

const VERSION: u8 = 1;

/// Number of a share: where its polynomial is evaluated. Never 0, where the key itself is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareIndex(NonZeroU16);

impl ShareIndex {
    /// None for 0.
    pub const fn new(index: u16) -> Option<Self> {
        match NonZeroU16::new(index) {
            Some(index) => Some(Self(index)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    pub(crate) fn scalar(self) -> Scalar {
        Scalar::from(self.get())
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(input.u16()?).ok_or(DecodeError::Value { field: "index" })
    }
}

impl fmt::Display for ShareIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One share of a key. Wiped on drop, never printed.
///
/// ```compile_fail
/// fn printed(share: veilkey::share::SecretShare) -> String {
///     format!("{share:?}")
/// }
/// ```
#[derive(Clone)]
pub struct SecretShare {
    context: Context,
    index: ShareIndex,
    /// On the heap, so that moving a share leaves no copy behind.
    scalar: Box<Scalar>,
}

impl SecretShare {
    /// Reads the bytes of [`SecretShare::export`].
    ///
    /// # Errors
    /// [`KeyError::Malformed`]; index 0 and a scalar of 0 are refused.
    pub fn import(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut input = Reader::new(bytes);
        read_version(&mut input)?;
        let context = Context::read(&mut input)?;
        let index = ShareIndex::read(&mut input)?;
        let scalar = Box::new(read_scalar(&mut input, "share")?);
        // Refused after the share owns the scalar, so that every way out wipes it.
        let share = Self { context, index, scalar };
        input.finish()?;
        if *share.scalar == Scalar::ZERO {
            return Err(DecodeError::Value { field: "share" }.into());
        }
        Ok(share)
    }

    /// The share as bytes, to be stored as a secret.
    pub fn export(&self) -> Secret<SHARE_LEN> {
        Secret::fill(|room| {
            room[0] = VERSION;
            room[1..1 + CONTEXT_LEN].copy_from_slice(&self.context.encode());
            room[1 + CONTEXT_LEN..SHARE_LEN - SCALAR_LEN].copy_from_slice(&self.index.get().to_be_bytes());
            room[SHARE_LEN - SCALAR_LEN..].copy_from_slice(self.scalar.as_bytes());
        })
    }

    /// Whose key it is a share of.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Its number.
    pub fn index(&self) -> ShareIndex {
        self.index
    }

    /// Whether the record has this share: an older share of a refreshed key is no longer one.
    pub fn belongs_to(&self, record: &KeyRecord) -> bool {
        let known = record.share_key(self.index);
        self.context == *record.key().context()
            && known.is_some_and(|known| Point::base_times(&self.scalar).is_some_and(|own| own == *known))
    }

    pub(crate) fn scalar(&self) -> &Scalar {
        &self.scalar
    }
}

impl Drop for SecretShare {
    fn drop(&mut self) {
        self.scalar.zeroize();
    }
}

impl ZeroizeOnDrop for SecretShare {}

/// A whole key. It exists in the client that splits it and only until then. Wiped on drop, never printed.
///
/// ```compile_fail
/// fn printed(secret: veilkey::share::GroupSecret) -> String {
///     format!("{secret:?}")
/// }
/// ```
pub struct GroupSecret(Box<Scalar>);

/// What a split gives: the record for everybody, and each share for its holder alone.
pub struct Dealing {
    /// Public.
    pub record: KeyRecord,
    /// Ascending from index 1, one for each holder.
    pub shares: Vec<SecretShare>,
}

impl GroupSecret {
    /// Draws a key.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        Self(Box::new(*draw_nonce(rng, "key", &[], &[])))
    }

    /// Takes over bytes that are already a key, e.g. pinned ones.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] for 0, for the order of the group and above.
    pub fn from_bytes(bytes: &Secret<SCALAR_LEN>) -> Result<Self, KeyError> {
        let scalar = parse_scalar(bytes.expose()).filter(|scalar| *scalar != Scalar::ZERO);
        let scalar = scalar.ok_or(DecodeError::Value { field: "key" })?;
        Ok(Self(Box::new(scalar)))
    }

    /// Splits the key into `count` shares of which any `threshold` open what is encrypted to it, and fewer open
    /// nothing. A service token and its server are `threshold` 2 of `count` 2. Consumes the key.
    ///
    /// # Errors
    /// [`KeyError::Threshold`].
    pub fn split(
        self,
        context: Context,
        threshold: usize,
        count: usize,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Dealing, KeyError> {
        check_threshold(threshold, count)?;
        let refused = KeyError::Threshold { threshold, shares: count };
        let (threshold, count) =
            u8::try_from(threshold).ok().zip(u16::try_from(count).ok()).ok_or(refused)?;
        // A zero share, once in 2^252: its public key would be the identity.
        let dealing = loop {
            if let Some(dealing) = self.try_split(context, threshold, count, rng) {
                break dealing;
            }
        };
        Ok(dealing)
    }

    fn try_split(
        &self,
        context: Context,
        threshold: u8,
        count: u16,
        rng: &mut impl CryptoRngCore,
    ) -> Option<Dealing> {
        // Room for all of it at once: a vector that grows leaves what it held behind.
        let mut polynomial = Vec::with_capacity(threshold.into());
        polynomial.push(Zeroizing::new(*self.0));
        for power in 1..threshold {
            let statement: [(&str, &[u8]); 2] = [("context", &context.encode()), ("power", &[power])];
            polynomial.push(draw_nonce(rng, "split", self.0.as_bytes(), &statement));
        }
        let mut shares = Vec::with_capacity(count.into());
        let mut keys = Vec::with_capacity(count.into());
        for index in (1..=count).filter_map(ShareIndex::new) {
            let scalar = evaluate(&polynomial, index);
            keys.push((index, Point::base_times(&scalar)?));
            shares.push(SecretShare { context, index, scalar: Box::new(*scalar) });
        }
        let key = GroupKey::new(context, Point::base_times(&self.0)?);
        Some(Dealing { record: KeyRecord::from_dealer(key, threshold, keys), shares })
    }
}

impl Drop for GroupSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for GroupSecret {}

#[cfg(test)]
mod tests;
