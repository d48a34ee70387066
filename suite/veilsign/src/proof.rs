//! Proof of possession (docs/spec/sign.md, section 5): the holder signs each request, so a capability that
//! leaks from a log or a proxy is worth nothing. Between the client and any verifier. What must never happen:
//! a proof accepted for another request, another capability or another minute than it was made for.

use thiserror::Error;
use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::hash::hb;
use veilcore::tag;

use crate::capability::{Verified, cap_hash};
use crate::key::{SIGNATURE_LEN, SigningKey};
use crate::nullifier::{NONCE_LEN, Nullifier};

/// How far a proof's time may be from the verifier's, either way, in milliseconds.
pub const WINDOW_MS: u64 = 60_000;
/// Longest target, in bytes.
pub const TARGET_LEN_MAX: usize = 4096;
/// Longest signed part: version, capability hash, target with its length, body hash, time, nonce.
const STATEMENT_LEN_MAX: usize = 1 + 32 + 4 + TARGET_LEN_MAX + 32 + 8 + NONCE_LEN;
/// Longest encoded proof, in bytes.
pub const PROOF_LEN_MAX: usize = 4 + STATEMENT_LEN_MAX + SIGNATURE_LEN;

const VERSION: u8 = 1;

/// What the holder signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Hash of the capability that travels with the request.
    pub cap_hash: [u8; 32],
    /// What is asked: gRPC `:path`, or REST `METHOD SP path?query`. Up to [`TARGET_LEN_MAX`] bytes.
    pub target: String,
    /// [`body_hash`] of the request body; of the first message for a stream.
    pub body_hash: [u8; 32],
    /// When it was made, Unix milliseconds, by the holder's clock.
    pub ts_ms: u64,
    /// Random, never used twice with one capability.
    pub nonce: [u8; NONCE_LEN],
}

/// Refusals of a proof. Only [`ProofError::Stale`] tells the client something it can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Not canonical, or over a limit.
    #[error("proof is not well formed: {0}")]
    Malformed(#[from] DecodeError),
    /// Made for another capability.
    #[error("proof is for another capability")]
    Capability,
    /// Made for another method or path.
    #[error("proof is for another target")]
    Target,
    /// Made for another body.
    #[error("proof is for another body")]
    Body,
    /// Made too long ago, or in the future.
    #[error("proof is {skew_ms} ms away from the verifier's clock")]
    Stale {
        /// The verifier's time less the proof's, in milliseconds: positive when the proof is old.
        skew_ms: i64,
    },
    /// The capability ended after it was verified.
    #[error("capability of the proof has expired")]
    Expired,
    /// Not signed by the holder.
    #[error("proof is not signed by the holder")]
    Signature,
}

/// Hb("Veil/pop-body/v1"; body): the protobuf message bytes of a gRPC request, or the raw body of a REST one.
pub fn body_hash(body: &[u8]) -> [u8; 32] {
    hb(tag::POP_BODY, &[("body", body)])
}

/// Holder: makes the proof for one request. `nonce` must be fresh random bytes, `now_ms` the holder's Unix
/// time.
pub fn prove(
    holder: &SigningKey,
    capability: &[u8],
    target: &str,
    body: &[u8],
    now_ms: u64,
    nonce: [u8; NONCE_LEN],
) -> Result<Vec<u8>, ProofError> {
    let proof = Proof {
        cap_hash: cap_hash(capability),
        target: target.to_owned(),
        body_hash: body_hash(body),
        ts_ms: now_ms,
        nonce,
    };
    let statement = proof.encode()?;
    let signature = holder.sign(&digest(&statement));
    Ok(Writer::with_capacity(statement.len() + 4 + SIGNATURE_LEN)
        .bytes(&statement)
        .fixed(&signature)
        .finish())
}

/// Verifier: judges the proof of one request against the capability that came with it. Returns the nullifier,
/// which the caller must find unused and remember for [`crate::nullifier::REMEMBER_MS`] before it acts.
pub fn verify(
    bytes: &[u8],
    capability: &Verified,
    target: &str,
    body_hash: &[u8; 32],
    now_ms: u64,
) -> Result<Nullifier, ProofError> {
    let mut input = Reader::new(bytes);
    let statement = input.bytes(STATEMENT_LEN_MAX)?;
    let signature: [u8; SIGNATURE_LEN] = input.array()?;
    input.finish()?;
    let proof = Proof::decode(statement)?;
    if proof.cap_hash != *capability.cap_hash() {
        return Err(ProofError::Capability);
    }
    if proof.target != target {
        return Err(ProofError::Target);
    }
    if proof.body_hash != *body_hash {
        return Err(ProofError::Body);
    }
    if now_ms.abs_diff(proof.ts_ms) > WINDOW_MS {
        return Err(ProofError::Stale { skew_ms: skew(now_ms, proof.ts_ms) });
    }
    // A cached capability may have ended since it was verified.
    if now_ms >= capability.expires_at_ms() {
        return Err(ProofError::Expired);
    }
    capability.holder().verify(&digest(statement), &signature).map_err(|_| ProofError::Signature)?;
    Ok(Nullifier::for_proof(&proof.cap_hash, &proof.nonce))
}

/// When a proof says it was made, in Unix milliseconds. Nothing else is judged: for a verifier that has lost its
/// memory of spent proofs and must refuse all that are older than that loss.
pub fn made_at_ms(bytes: &[u8]) -> Result<u64, ProofError> {
    Ok(Proof::decode(Reader::new(bytes).bytes(STATEMENT_LEN_MAX)?)?.ts_ms)
}

impl Proof {
    /// Canonical bytes of the signed part.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        if self.target.len() > TARGET_LEN_MAX {
            return Err(DecodeError::TooLong { len: self.target.len(), max: TARGET_LEN_MAX });
        }
        let mut out = Writer::with_capacity(128 + self.target.len());
        out.u8(VERSION)
            .fixed(&self.cap_hash)
            .bytes(self.target.as_bytes())
            .fixed(&self.body_hash)
            .u64(self.ts_ms)
            .fixed(&self.nonce);
        Ok(out.finish())
    }

    /// Reads the signed part.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        match input.u8()? {
            VERSION => {}
            found => return Err(DecodeError::Version { found }),
        }
        let proof = Self {
            cap_hash: input.array()?,
            target: std::str::from_utf8(input.bytes(TARGET_LEN_MAX)?)
                .map_err(|_| DecodeError::Value { field: "target" })?
                .to_owned(),
            body_hash: input.array()?,
            ts_ms: input.u64()?,
            nonce: input.array()?,
        };
        input.finish()?;
        Ok(proof)
    }
}

fn digest(statement: &[u8]) -> [u8; 32] {
    hb(tag::POP, &[("proof", statement)])
}

fn skew(now_ms: u64, ts_ms: u64) -> i64 {
    let distance = i64::try_from(now_ms.abs_diff(ts_ms)).unwrap_or(i64::MAX);
    if now_ms >= ts_ms { distance } else { -distance }
}

#[cfg(test)]
mod tests;
