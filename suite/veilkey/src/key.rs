//! Keys (docs/spec/key.md, section 4). [`GroupKey`] is what a sender needs; [`KeyRecord`] adds who holds which share,
//! which everybody who judges a partial decryption needs. What must never happen: a record whose shares belong to
//! another key than the one it names, because then honest holders would fail and nobody could be blamed.

use std::fmt;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::traits::{Identity, VartimeMultiscalarMul};
use thiserror::Error;
use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::hash::hb;
use veilcore::tag;

use crate::context::{CONTEXT_LEN, Context};
use crate::group::{POINT_LEN, Point, hs};
use crate::poly::dual_word;
use crate::share::ShareIndex;

/// Fewest shares that open anything. One would be no threshold.
pub const THRESHOLD_MIN: u8 = 2;
/// Most shares of one key.
pub const SHARES_MAX: usize = 250;
/// Length of an encoded group key, in bytes.
pub const GROUP_KEY_LEN: usize = 1 + CONTEXT_LEN + POINT_LEN;
/// Longest record, in bytes.
pub const RECORD_LEN_MAX: usize = GROUP_KEY_LEN + 3 + SHARES_MAX * (2 + POINT_LEN);

const VERSION: u8 = 1;
/// The key was whole once, in the client that split it.
const PROVENANCE_DEALER: u8 = 1;

/// Why a key, a record or a share was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not canonical, or a point or scalar that is not allowed.
    #[error("threshold key is not well formed: {0}")]
    Malformed(#[from] DecodeError),
    /// Not 2 ≤ threshold ≤ shares ≤ 250.
    #[error("a threshold of {threshold} with {shares} shares is not possible")]
    Threshold {
        /// How many shares were to be needed.
        threshold: usize,
        /// How many there were to be.
        shares: usize,
    },
    /// Indices do not ascend, or one stands twice.
    #[error("share {index} is out of order")]
    Order {
        /// The index that is not above the one before it.
        index: ShareIndex,
    },
    /// The share keys are not those of one polynomial that ends in the group key.
    #[error("share keys do not belong to the group key")]
    Inconsistent,
    /// Fewer shares than the threshold would open the key: the record promises more than it keeps.
    #[error("fewer than {threshold} shares open the key")]
    ThresholdNotKept {
        /// The threshold that the record names.
        threshold: usize,
    },
}

/// What files are encrypted to: a point, and whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupKey {
    context: Context,
    point: Point,
}

impl GroupKey {
    pub(crate) fn new(context: Context, point: Point) -> Self {
        Self { context, point }
    }

    /// Reads the bytes of [`GroupKey::encode`], all [`GROUP_KEY_LEN`] of them.
    ///
    /// # Errors
    /// [`KeyError::Malformed`]; the identity is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut input = Reader::new(bytes);
        read_version(&mut input)?;
        let key = Self::read(&mut input)?;
        input.finish()?;
        Ok(key)
    }

    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(GROUP_KEY_LEN);
        out.u8(VERSION).fixed(&self.context.encode()).fixed(self.point.as_bytes()).finish()
    }

    /// Whose key it is.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The encoded point, Y of the spec.
    pub fn point_bytes(&self) -> &[u8; POINT_LEN] {
        self.point.as_bytes()
    }

    pub(crate) fn point(&self) -> &Point {
        &self.point
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { context: Context::read(input)?, point: Point::read(input, "key")? })
    }
}

/// A key with the public key of every share. Whoever reads one knows that its shares fit the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    key: GroupKey,
    threshold: u8,
    shares: Vec<(ShareIndex, Point)>,
}

impl KeyRecord {
    /// A record of parts that are known to fit: made by the dealer, who has the polynomial.
    pub(crate) fn from_dealer(key: GroupKey, threshold: u8, shares: Vec<(ShareIndex, Point)>) -> Self {
        Self { key, threshold, shares }
    }

    /// Reads the bytes of [`KeyRecord::encode`] and checks that the shares belong to the key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut input = Reader::new(bytes);
        read_version(&mut input)?;
        let key = GroupKey::read(&mut input)?;
        if input.u8()? != PROVENANCE_DEALER {
            return Err(DecodeError::Value { field: "provenance" }.into());
        }
        let threshold = input.u8()?;
        let count = usize::from(input.u8()?);
        check_threshold(threshold.into(), count)?;
        let mut shares: Vec<(ShareIndex, Point)> = Vec::with_capacity(count);
        for _ in 0..count {
            let index = ShareIndex::read(&mut input)?;
            if shares.last().is_some_and(|(last, _)| *last >= index) {
                return Err(KeyError::Order { index });
            }
            shares.push((index, Point::read(&mut input, "share_key")?));
        }
        input.finish()?;
        let record = Self { key, threshold, shares };
        record.check_polynomial()?;
        Ok(record)
    }

    /// Canonical bytes, at most [`RECORD_LEN_MAX`].
    pub fn encode(&self) -> Vec<u8> {
        let count = u8::try_from(self.shares.len()).expect("at most 250: checked when the record was made");
        let mut out = Writer::with_capacity(RECORD_LEN_MAX);
        out.u8(VERSION).fixed(&self.key.context.encode()).fixed(self.key.point.as_bytes());
        out.u8(PROVENANCE_DEALER).u8(self.threshold).u8(count);
        for (index, key) in &self.shares {
            out.u16(index.get()).fixed(key.as_bytes());
        }
        out.finish()
    }

    /// `Hb` of the record: what two people compare to know that they have the same key.
    pub fn fingerprint(&self) -> [u8; 32] {
        hb(tag::KEY_RECORD, &[("record", &self.encode())])
    }

    /// The key that files are encrypted to.
    pub fn key(&self) -> &GroupKey {
        &self.key
    }

    /// How many shares open a file.
    pub fn threshold(&self) -> usize {
        self.threshold.into()
    }

    /// The indices of all shares, ascending.
    pub fn indices(&self) -> impl ExactSizeIterator<Item = ShareIndex> + '_ {
        self.shares.iter().map(|(index, _)| *index)
    }

    /// The public key of a share; None if there is no such share.
    pub(crate) fn share_key(&self, index: ShareIndex) -> Option<&Point> {
        let at = self.shares.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(&self.shares[at].1)
    }

    /// The keys of all shares and the group key lie on one polynomial whose degree is the threshold less one, and not
    /// on one of a lower degree.
    fn check_polynomial(&self) -> Result<(), KeyError> {
        // The challenge is fixed only after everything it judges is.
        let alpha = hs(tag::KEY_RECORD, &[("record", &self.encode())]);
        let indices: Vec<_> = self.indices().collect();
        let threshold = self.threshold();
        let opens = |shares: usize| {
            let points =
                std::iter::once(self.key.point.point()).chain(self.shares.iter().map(|(_, key)| key.point()));
            let sum = RistrettoPoint::vartime_multiscalar_mul(dual_word(&indices, shares, &alpha), points);
            sum == RistrettoPoint::identity()
        };
        if !opens(threshold) {
            return Err(KeyError::Inconsistent);
        }
        if opens(threshold - 1) {
            return Err(KeyError::ThresholdNotKept { threshold });
        }
        Ok(())
    }
}

/// Refuses a threshold that no record may have.
pub(crate) fn check_threshold(threshold: usize, shares: usize) -> Result<(), KeyError> {
    let possible = threshold >= usize::from(THRESHOLD_MIN) && threshold <= shares && shares <= SHARES_MAX;
    if possible { Ok(()) } else { Err(KeyError::Threshold { threshold, shares }) }
}

pub(crate) fn read_version(input: &mut Reader<'_>) -> Result<(), DecodeError> {
    match input.u8()? {
        VERSION => Ok(()),
        found => Err(DecodeError::Version { found }),
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.point)
    }
}

#[cfg(test)]
mod tests;
