//! Encryption to a group key, and the check that everybody makes before helping to open anything (docs/spec/key.md,
//! sections 6 and 7). TDH2 of Shoup and Gennaro: a ciphertext proves that its maker knew what is in it, under which
//! label and for which key. What must never happen: a partial decryption of something that its maker only copied and
//! altered, because then holders of shares would open other people's files for whoever asks.

use std::ops::RangeInclusive;

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag as AeadTag};
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use hkdf::Hkdf;
use rand_core::CryptoRngCore;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::hash::frame;
use veilcore::secret::Secret;
use veilcore::tag;
use zeroize::Zeroizing;

use crate::context::{CONTEXT_LEN, Context};
use crate::group::{Items, POINT_LEN, Point, SCALAR_LEN, draw_nonce, hs, parse_scalar, second_base};
use crate::key::GroupKey;

/// Longest message, in bytes: keys are wrapped here, files are not.
pub const MESSAGE_LEN_MAX: usize = 256;
/// Longest label, in bytes.
pub const LABEL_LEN_MAX: usize = 512;
/// Bytes a body is longer than its message.
pub const OVERHEAD_LEN: usize = 16;
/// Longest ciphertext, in bytes.
pub const CIPHERTEXT_LEN_MAX: usize =
    1 + CONTEXT_LEN + 2 * POINT_LEN + 2 * SCALAR_LEN + 4 + MESSAGE_LEN_MAX + OVERHEAD_LEN;

const VERSION: u8 = 1;
/// Lengths of a body: a message of 1 to 256 bytes and its tag.
const BODY_LENS: RangeInclusive<usize> = 1 + OVERHEAD_LEN..=MESSAGE_LEN_MAX + OVERHEAD_LEN;
/// Each key encrypts one message, so its one nonce is zero.
const NONCE: [u8; 12] = [0; 12];

/// Why something was not encrypted, or is not to be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CiphertextError {
    /// Not canonical, or a point or scalar that is not allowed.
    #[error("threshold ciphertext is not well formed: {0}")]
    Malformed(#[from] DecodeError),
    /// The message is empty or over its limit.
    #[error("a message of {len} bytes cannot be encrypted: 1 to {MESSAGE_LEN_MAX} can")]
    MessageLen {
        /// Its length, in bytes.
        len: usize,
    },
    /// The label is over its limit.
    #[error("label of {len} bytes is over the limit of {LABEL_LEN_MAX}")]
    LabelLen {
        /// Its length, in bytes.
        len: usize,
    },
    /// Made for another team, token or epoch.
    #[error("ciphertext is for another key")]
    OtherKey {
        /// Whose key it names.
        found: Context,
    },
    /// The proof does not hold: another key, another label, or an altered ciphertext. Which one cannot be told.
    #[error("ciphertext does not verify")]
    Invalid,
}

/// A message encrypted to a group key: about 170 bytes and the message, however many shares there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ciphertext {
    context: Context,
    /// R = rB, and R̂ = rĜ.
    ephemeral: Point,
    ephemeral_hat: Point,
    challenge: Scalar,
    response: Scalar,
    body: Vec<u8>,
}

/// A ciphertext field by field, for formats that carry it otherwise than [`Ciphertext::encode`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Whose key.
    pub context: Context,
    /// R of the spec.
    pub ephemeral: [u8; POINT_LEN],
    /// R̂ of the spec.
    pub ephemeral_hat: [u8; POINT_LEN],
    /// c of the spec.
    pub challenge: [u8; SCALAR_LEN],
    /// z of the spec.
    pub response: [u8; SCALAR_LEN],
    /// The sealed message, 17 to 272 bytes.
    pub body: Vec<u8>,
}

/// A ciphertext whose proof holds for this key and this label. There is no other way to a partial decryption.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    ciphertext: &'a Ciphertext,
    key: GroupKey,
    label: &'a [u8],
}

impl Ciphertext {
    /// Encrypts `message` so that it opens only under `label`: the canonical bytes, or their hash, of what the message
    /// is for and of the policy under which it may be opened.
    ///
    /// # Errors
    /// [`CiphertextError::MessageLen`], [`CiphertextError::LabelLen`].
    pub fn encrypt(
        key: &GroupKey,
        label: &[u8],
        message: &[u8],
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, CiphertextError> {
        if message.is_empty() || message.len() > MESSAGE_LEN_MAX {
            return Err(CiphertextError::MessageLen { len: message.len() });
        }
        check_label(label)?;
        let context = key.context().encode();
        let about: [(&str, &[u8]); 3] = [("context", &context), ("key", key.point_bytes()), ("label", label)];
        let r = draw_nonce(rng, "encrypt", message, &about);
        let hat = Point::new(*r * second_base().point());
        let (ephemeral, ephemeral_hat) =
            Point::base_times(&r).zip(hat).expect("r is not zero, and both bases have prime order");
        let shared = Zeroizing::new(*r * key.point().point());
        let body = seal(&message_key(&shared, key, &ephemeral, label), message);

        let mut made = Self {
            context: *key.context(),
            ephemeral,
            ephemeral_hat,
            challenge: Scalar::ZERO,
            response: Scalar::ZERO,
            body,
        };
        let s = {
            let statement = made.statement(&context, key, label);
            draw_nonce(rng, "prove", r.as_bytes(), &statement)
        };
        let commitments = [RistrettoPoint::mul_base(&s), *s * second_base().point()];
        made.challenge = made.challenge_for(key, label, &commitments);
        made.response = *s + made.challenge * *r;
        Ok(made)
    }

    /// Reads the bytes of [`Ciphertext::encode`]. What is read is not verified yet.
    ///
    /// # Errors
    /// [`CiphertextError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CiphertextError> {
        let mut input = Reader::new(bytes);
        match input.u8()? {
            VERSION => {}
            found => return Err(DecodeError::Version { found }.into()),
        }
        let parts = Parts {
            context: Context::read(&mut input)?,
            ephemeral: input.array()?,
            ephemeral_hat: input.array()?,
            challenge: input.array()?,
            response: input.array()?,
            body: input.bytes(*BODY_LENS.end())?.to_vec(),
        };
        input.finish()?;
        Self::from_parts(parts)
    }

    /// Takes over fields that another format carried. What is read is not verified yet.
    ///
    /// # Errors
    /// [`CiphertextError::Malformed`].
    pub fn from_parts(parts: Parts) -> Result<Self, CiphertextError> {
        let value = |field| DecodeError::Value { field };
        if parts.context.epoch == 0 {
            return Err(value("epoch").into());
        }
        if !BODY_LENS.contains(&parts.body.len()) {
            return Err(value("body").into());
        }
        Ok(Self {
            context: parts.context,
            ephemeral: Point::parse(&parts.ephemeral).ok_or(value("ephemeral"))?,
            ephemeral_hat: Point::parse(&parts.ephemeral_hat).ok_or(value("ephemeral_hat"))?,
            challenge: parse_scalar(&parts.challenge).ok_or(value("challenge"))?,
            response: parse_scalar(&parts.response).ok_or(value("response"))?,
            body: parts.body,
        })
    }

    /// The fields.
    pub fn parts(&self) -> Parts {
        Parts {
            context: self.context,
            ephemeral: *self.ephemeral.as_bytes(),
            ephemeral_hat: *self.ephemeral_hat.as_bytes(),
            challenge: self.challenge.to_bytes(),
            response: self.response.to_bytes(),
            body: self.body.clone(),
        }
    }

    /// Canonical bytes, at most [`CIPHERTEXT_LEN_MAX`].
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(CIPHERTEXT_LEN_MAX);
        out.u8(VERSION)
            .fixed(&self.context.encode())
            .fixed(self.ephemeral.as_bytes())
            .fixed(self.ephemeral_hat.as_bytes())
            .fixed(self.challenge.as_bytes())
            .fixed(self.response.as_bytes())
            .bytes(&self.body)
            .finish()
    }

    /// Whose key it was encrypted to, as it says itself.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Checks that somebody who knew the message encrypted it to this key under this label.
    ///
    /// The label is the verifier's own, made from what was asked for: never one that came with the ciphertext.
    ///
    /// # Errors
    /// [`CiphertextError::OtherKey`], [`CiphertextError::LabelLen`], [`CiphertextError::Invalid`].
    pub fn verify<'a>(&'a self, key: &GroupKey, label: &'a [u8]) -> Result<Verified<'a>, CiphertextError> {
        check_label(label)?;
        if self.context != *key.context() {
            return Err(CiphertextError::OtherKey { found: self.context });
        }
        // Nothing here is secret, so variable time is no loss.
        let c = -self.challenge;
        let commitments = [
            RistrettoPoint::vartime_double_scalar_mul_basepoint(&c, self.ephemeral.point(), &self.response),
            RistrettoPoint::vartime_multiscalar_mul(
                [self.response, c],
                [second_base().point(), self.ephemeral_hat.point()],
            ),
        ];
        let expected = self.challenge_for(key, label, &commitments);
        if expected.ct_eq(&self.challenge).into() {
            Ok(Verified { ciphertext: self, key: *key, label })
        } else {
            Err(CiphertextError::Invalid)
        }
    }

    /// Everything the proof is about.
    fn statement<'a>(
        &'a self,
        context: &'a [u8],
        key: &'a GroupKey,
        label: &'a [u8],
    ) -> Vec<(&'a str, &'a [u8])> {
        vec![
            ("context", context),
            ("key", key.point_bytes()),
            ("R", self.ephemeral.as_bytes()),
            ("R_hat", self.ephemeral_hat.as_bytes()),
            ("body", &self.body),
            ("label", label),
        ]
    }

    fn challenge_for(&self, key: &GroupKey, label: &[u8], commitments: &[RistrettoPoint; 2]) -> Scalar {
        let context = self.context.encode();
        let [w, w_hat] = commitments.map(|point| point.compress().to_bytes());
        let mut items = self.statement(&context, key, label);
        items.extend([("W", &w[..]), ("W_hat", &w_hat[..])]);
        hs(tag::TDH2_ENC, &items)
    }
}

impl Verified<'_> {
    /// The key it is encrypted to.
    pub fn key(&self) -> &GroupKey {
        &self.key
    }

    pub(crate) fn ephemeral(&self) -> &Point {
        &self.ciphertext.ephemeral
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.ciphertext.encode()
    }

    pub(crate) fn label(&self) -> &[u8] {
        self.label
    }

    /// Opens the body with rY; None if it was not sealed with that.
    pub(crate) fn open(&self, shared: &RistrettoPoint) -> Option<Zeroizing<Vec<u8>>> {
        let key = message_key(shared, &self.key, &self.ciphertext.ephemeral, self.label);
        open(&key, &self.ciphertext.body)
    }
}

fn check_label(label: &[u8]) -> Result<(), CiphertextError> {
    if label.len() > LABEL_LEN_MAX {
        return Err(CiphertextError::LabelLen { len: label.len() });
    }
    Ok(())
}

/// The key that seals one message: from rY, for this R, group key and label alone.
fn message_key(shared: &RistrettoPoint, key: &GroupKey, ephemeral: &Point, label: &[u8]) -> Secret<32> {
    let context = key.context().encode();
    let items: &Items<'_> =
        &[("context", &context), ("key", key.point_bytes()), ("R", ephemeral.as_bytes()), ("label", label)];
    let info = frame(tag::KEK, items);
    let shared = Zeroizing::new(shared.compress().to_bytes());
    Secret::fill(|room| {
        Hkdf::<Sha256>::new(None, &shared[..])
            .expand(&info, room)
            .expect("32 bytes are far fewer than 255 digests");
    })
}

fn seal(key: &Secret<32>, message: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(message.len() + OVERHEAD_LEN);
    body.extend_from_slice(message);
    let tag = ChaCha20Poly1305::new(key.expose().into())
        .encrypt_in_place_detached(Nonce::from_slice(&NONCE), &[], &mut body)
        .expect("a message is far below the cipher's limit");
    body.extend_from_slice(&tag);
    body
}

fn open(key: &Secret<32>, body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (sealed, tag) = body.split_at_checked(body.len().checked_sub(OVERHEAD_LEN)?)?;
    let mut message = Zeroizing::new(sealed.to_vec());
    ChaCha20Poly1305::new(key.expose().into())
        .decrypt_in_place_detached(Nonce::from_slice(&NONCE), &[], &mut message, AeadTag::from_slice(tag))
        .ok()?;
    Some(message)
}
