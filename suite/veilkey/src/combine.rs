//! Combining (docs/spec/key.md, section 9): the requester collects partial decryptions, refuses each wrong one by the
//! name of its share, and opens the message when there are enough. The key itself never comes into being. What must
//! never happen: a wrong part spoiling an answer that the honest ones could give, or going unnamed.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::traits::MultiscalarMul;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::ciphertext::Verified;
use crate::key::KeyRecord;
use crate::partial::{PartialDecryption, PartialError, Request};
use crate::poly::lagrange_at_zero;
use crate::share::ShareIndex;

/// Why a part was refused, or a message does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CombineError {
    /// The part is wrong; the error says whose.
    #[error(transparent)]
    Partial(#[from] PartialError),
    /// A part of this share was accepted before.
    #[error("share {index} has answered already")]
    Duplicate {
        /// Its number.
        index: ShareIndex,
    },
    /// Fewer parts than the threshold.
    #[error("{have} of {need} partial decryptions are there")]
    TooFew {
        /// Parts accepted.
        have: usize,
        /// The threshold.
        need: usize,
    },
    /// Every part is right and the body was sealed with another key: its maker is to blame, and no holder of a share.
    #[error("the sender sealed the message wrongly")]
    Body,
}

/// Collects the parts of one request.
pub struct Combiner<'a> {
    ciphertext: Verified<'a>,
    record: &'a KeyRecord,
    request: Request,
    accepted: Vec<PartialDecryption>,
}

impl<'a> Combiner<'a> {
    /// Starts with no part.
    ///
    /// # Errors
    /// [`PartialError::OtherKey`] if record and ciphertext do not belong together.
    pub fn new(
        ciphertext: Verified<'a>,
        record: &'a KeyRecord,
        request: Request,
    ) -> Result<Self, PartialError> {
        if ciphertext.key() != record.key() {
            return Err(PartialError::OtherKey);
        }
        Ok(Self { ciphertext, record, request, accepted: Vec::new() })
    }

    /// Verifies a part and keeps it. A refused one changes nothing: the right one of the same share may still come,
    /// so nobody can keep a holder from answering by sending garbage in its name.
    ///
    /// # Errors
    /// [`CombineError::Partial`], [`CombineError::Duplicate`].
    pub fn add(&mut self, partial: PartialDecryption) -> Result<(), CombineError> {
        let index = partial.index();
        if self.accepted.iter().any(|other| other.index() == index) {
            return Err(CombineError::Duplicate { index });
        }
        partial.verify(&self.ciphertext, self.record, &self.request)?;
        self.accepted.push(partial);
        Ok(())
    }

    /// How many parts are missing; 0 when the message can be opened.
    pub fn missing(&self) -> usize {
        self.record.threshold().saturating_sub(self.accepted.len())
    }

    /// Opens the message with the parts accepted first. Wiped when dropped.
    ///
    /// # Errors
    /// [`CombineError::TooFew`], [`CombineError::Body`].
    pub fn open(&self) -> Result<Zeroizing<Vec<u8>>, CombineError> {
        let need = self.record.threshold();
        let chosen =
            self.accepted.get(..need).ok_or(CombineError::TooFew { have: self.accepted.len(), need })?;
        let indices: Vec<ShareIndex> = chosen.iter().map(PartialDecryption::index).collect();
        let shared = Zeroizing::new(RistrettoPoint::multiscalar_mul(
            lagrange_at_zero(&indices),
            chosen.iter().map(PartialDecryption::point),
        ));
        self.ciphertext.open(&shared).ok_or(CombineError::Body)
    }
}
