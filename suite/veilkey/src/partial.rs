//! Partial decryptions (docs/spec/key.md, section 8): what one holder of a share gives for one request, with the proof
//! that it is right. What must never happen: a holder answering for a ciphertext that does not verify, which the types
//! exclude, or a proof made for one request serving another.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use rand_core::CryptoRngCore;
use subtle::ConstantTimeEq;
use thiserror::Error;
use veilcore::canon::{DecodeError, Reader};
use veilcore::tag;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::ciphertext::Verified;
use crate::group::{POINT_LEN, Point, SCALAR_LEN, draw_nonce, hs, read_scalar};
use crate::key::KeyRecord;
use crate::share::{SecretShare, ShareIndex};

/// Length of an encoded partial decryption, in bytes.
pub const PARTIAL_LEN: usize = 1 + 2 + POINT_LEN + 2 * SCALAR_LEN;

const VERSION: u8 = 1;

/// Why a partial decryption was not made, or is not accepted. Whoever is to blame is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PartialError {
    /// Not canonical, or a point or scalar that is not allowed; index 0, too.
    #[error("partial decryption is not well formed: {0}")]
    Malformed(#[from] DecodeError),
    /// The record is of another key than the ciphertext was verified for.
    #[error("record is of another key than the ciphertext")]
    OtherKey,
    /// The key has no such share.
    #[error("key has no share {index}")]
    NoSuchShare {
        /// Its number.
        index: ShareIndex,
    },
    /// One's own share is not the one of the record: of another key or epoch, or older than a refresh.
    #[error("own share {index} is not the one of the record")]
    WrongShare {
        /// Its number.
        index: ShareIndex,
    },
    /// The proof does not hold: made with another share, for another request or ciphertext, or altered.
    #[error("partial decryption of share {index} does not verify")]
    BadProof {
        /// The share it was given for, and whose holder is to blame if it came from there.
        index: ShareIndex,
    },
}

/// What a partial decryption is an answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// `Hb` of the request as its maker signed it: who asks, for what, why and until when.
    pub id: [u8; 32],
    /// The public key that the answer is sealed to, fresh for this request.
    pub requester: [u8; 32],
}

/// One holder's part, with its proof. As many as the threshold open the message, so it travels sealed to the requester,
/// is wiped on drop and never printed.
///
/// ```compile_fail
/// fn printed(partial: veilkey::partial::PartialDecryption) -> String {
///     format!("{partial:?}")
/// }
/// ```
#[derive(Clone)]
pub struct PartialDecryption {
    index: ShareIndex,
    point: Point,
    challenge: Scalar,
    response: Scalar,
}

impl SecretShare {
    /// Answers a request with this share.
    ///
    /// # Errors
    /// [`PartialError::OtherKey`], [`PartialError::NoSuchShare`], [`PartialError::WrongShare`]: nothing was computed.
    pub fn decrypt(
        &self,
        ciphertext: &Verified<'_>,
        record: &KeyRecord,
        request: &Request,
        rng: &mut impl CryptoRngCore,
    ) -> Result<PartialDecryption, PartialError> {
        let index = self.index();
        let statement = Statement::new(ciphertext, record, request, index)?;
        if !self.belongs_to(record) {
            return Err(PartialError::WrongShare { index });
        }
        let x = self.scalar();
        let point = Point::new(x * ciphertext.ephemeral().point())
            .expect("a share is not zero, and R has prime order");
        let s = draw_nonce(rng, "decrypt", x.as_bytes(), &statement.items(&point));
        let commitments = [RistrettoPoint::mul_base(&s), *s * ciphertext.ephemeral().point()];
        let challenge = statement.challenge(&point, &commitments);
        Ok(PartialDecryption { index, point, challenge, response: *s + challenge * x })
    }
}

impl PartialDecryption {
    /// Reads the bytes of [`PartialDecryption::encode`], all [`PARTIAL_LEN`] of them. What is read is not verified yet.
    ///
    /// # Errors
    /// [`PartialError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PartialError> {
        let mut input = Reader::new(bytes);
        match input.u8()? {
            VERSION => {}
            found => return Err(DecodeError::Version { found }.into()),
        }
        let partial = Self {
            index: ShareIndex::read(&mut input)?,
            point: Point::read(&mut input, "U")?,
            challenge: read_scalar(&mut input, "challenge")?,
            response: read_scalar(&mut input, "response")?,
        };
        input.finish()?;
        Ok(partial)
    }

    /// Canonical bytes. Wiped when dropped.
    pub fn encode(&self) -> Zeroizing<[u8; PARTIAL_LEN]> {
        let mut bytes = Zeroizing::new([0; PARTIAL_LEN]);
        bytes[0] = VERSION;
        bytes[1..3].copy_from_slice(&self.index.get().to_be_bytes());
        let (point, proof) = bytes[3..].split_at_mut(POINT_LEN);
        point.copy_from_slice(self.point.as_bytes());
        proof[..SCALAR_LEN].copy_from_slice(self.challenge.as_bytes());
        proof[SCALAR_LEN..].copy_from_slice(self.response.as_bytes());
        bytes
    }

    /// The share it was given for.
    pub fn index(&self) -> ShareIndex {
        self.index
    }

    /// Checks that it is right for this ciphertext and was made for this request.
    ///
    /// # Errors
    /// [`PartialError::OtherKey`], [`PartialError::NoSuchShare`], [`PartialError::BadProof`].
    pub fn verify(
        &self,
        ciphertext: &Verified<'_>,
        record: &KeyRecord,
        request: &Request,
    ) -> Result<(), PartialError> {
        let statement = Statement::new(ciphertext, record, request, self.index)?;
        let c = -self.challenge;
        let commitments = [
            RistrettoPoint::vartime_double_scalar_mul_basepoint(
                &c,
                statement.share_key.point(),
                &self.response,
            ),
            RistrettoPoint::vartime_multiscalar_mul(
                [self.response, c],
                [ciphertext.ephemeral().point(), self.point.point()],
            ),
        ];
        if statement.challenge(&self.point, &commitments).ct_eq(&self.challenge).into() {
            Ok(())
        } else {
            Err(PartialError::BadProof { index: self.index })
        }
    }

    pub(crate) fn point(&self) -> &RistrettoPoint {
        self.point.point()
    }
}

impl Drop for PartialDecryption {
    fn drop(&mut self) {
        self.point.zeroize();
    }
}

impl ZeroizeOnDrop for PartialDecryption {}

/// What the proof of a partial decryption says: the share whose key is Y_i was used on this ciphertext, for this
/// request. All of it is hashed.
struct Statement<'a> {
    context: [u8; crate::context::CONTEXT_LEN],
    record: &'a KeyRecord,
    index: [u8; 2],
    share_key: &'a Point,
    ciphertext: Vec<u8>,
    label: &'a [u8],
    request: &'a Request,
}

impl<'a> Statement<'a> {
    fn new(
        ciphertext: &'a Verified<'_>,
        record: &'a KeyRecord,
        request: &'a Request,
        index: ShareIndex,
    ) -> Result<Self, PartialError> {
        if ciphertext.key() != record.key() {
            return Err(PartialError::OtherKey);
        }
        let share_key = record.share_key(index).ok_or(PartialError::NoSuchShare { index })?;
        Ok(Self {
            context: record.key().context().encode(),
            record,
            index: index.get().to_be_bytes(),
            share_key,
            ciphertext: ciphertext.encode(),
            label: ciphertext.label(),
            request,
        })
    }

    fn items<'b>(&'b self, point: &'b Point) -> Vec<(&'b str, &'b [u8])> {
        vec![
            ("context", &self.context),
            ("key", self.record.key().point_bytes()),
            ("index", &self.index),
            ("share_key", self.share_key.as_bytes()),
            ("ciphertext", &self.ciphertext),
            ("label", self.label),
            ("request", &self.request.id),
            ("requester", &self.request.requester),
            ("U", point.as_bytes()),
        ]
    }

    fn challenge(&self, point: &Point, commitments: &[RistrettoPoint; 2]) -> Scalar {
        let [w, w_r] = commitments.map(|point| point.compress().to_bytes());
        let mut items = self.items(point);
        items.extend([("W", &w[..]), ("W_R", &w_r[..])]);
        hs(tag::PDEC, &items)
    }
}
