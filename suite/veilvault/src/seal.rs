//! The seal (docs/spec/vault.md, section 8): the author's signed statement beside every version of a blob. It says
//! which ciphertext is which version of which environment, and which version came before. The server checks it when
//! a version is committed, the client checks all of it again when it reads; neither trusts the other. What must
//! never happen: a check that one side makes and the other leaves out.

mod check;
mod error;
mod keyring_seal;

use ed25519_dalek::SigningKey;
use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::id::{AccountId, EnvironmentId, KeyId, ProjectId};
use veilcore::tag;

use crate::epoch::EpochKey;
use crate::header::{HeaderKind, HeaderLine};
use crate::key::PublicKey;
use crate::kind::Kind;
use crate::statement::{self, STATEMENT_OVERHEAD};

pub use check::{Commit, Expected, Head, check_for_commit, check_on_read};
pub use error::SealError;
pub use keyring_seal::{ExpectedKeyring, KEYRING_SEAL_LEN, KeyringSeal};

/// Length of a seal: u32 length, body of 190 bytes, signature.
pub const SEAL_LEN: usize = BODY_LEN + STATEMENT_OVERHEAD;
/// Parent of version 1, and header hash of a binary blob: no digest at all.
pub const NO_DIGEST: [u8; 32] = [0; 32];

const SEAL_VERSION: u8 = 1;
const BODY_LEN: usize = 190;

/// What a seal says. Everything in it is visible to the server, but for the exact content length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// Text or binary.
    pub kind: Kind,
    /// Project of the environment.
    pub project: ProjectId,
    /// Environment whose version this is.
    pub environment: EnvironmentId,
    /// Version, from 1, without gaps.
    pub version: u64,
    /// Digest of the version before; [`NO_DIGEST`] in version 1.
    pub parent: [u8; 32],
    /// SHA-256 of the whole ciphertext.
    pub digest: [u8; 32],
    /// Length of the ciphertext, in bytes.
    pub ciphertext_len: u64,
    /// Epoch of the key the ciphertext is encrypted to.
    pub epoch: u32,
    /// Who sealed it.
    pub author: AccountId,
    /// Short name of the author's signing key.
    pub author_key: KeyId,
    /// Exact content length in bytes, XORed with what only holders of the epoch key can compute:
    /// [`Seal::content_len`]. In the clear it would tell the server what the padding hides.
    pub covered_len: u64,
    /// Hash of the inner header line; [`NO_DIGEST`] for binary.
    pub header_hash: [u8; 32],
    /// Author's clock, milliseconds since 1970. A claim, not a proof.
    pub created_at_ms: u64,
}

impl Seal {
    /// Signs the seal: [`SEAL_LEN`] bytes.
    pub(crate) fn sign(&self, key: &SigningKey) -> [u8; SEAL_LEN] {
        let body = Writer::with_capacity(BODY_LEN)
            .u8(SEAL_VERSION)
            .u8(self.kind as u8)
            .fixed(self.project.as_bytes())
            .fixed(self.environment.as_bytes())
            .u64(self.version)
            .fixed(&self.parent)
            .fixed(&self.digest)
            .u64(self.ciphertext_len)
            .u32(self.epoch)
            .fixed(self.author.as_bytes())
            .fixed(self.author_key.as_bytes())
            .u64(self.covered_len)
            .fixed(&self.header_hash)
            .u64(self.created_at_ms)
            .finish();
        statement::sign(tag::SEAL, &body, key).try_into().expect("the fields above are 190 bytes together")
    }

    /// Parses a seal, checks that `author_key` signed it, and that its fields agree with each other. Whether it is
    /// the seal the caller wants is for [`check_for_commit`] and [`check_on_read`].
    ///
    /// # Errors
    /// [`SealError::Malformed`], [`SealError::Signature`], [`SealError::Version`] for version 0,
    /// [`SealError::Parent`], [`SealError::AuthorKey`], [`SealError::Header`].
    pub fn verify(bytes: &[u8], author_key: &PublicKey) -> Result<Self, SealError> {
        let signed = statement::split(bytes, BODY_LEN)?;
        let seal = Self::decode(signed.body)?;
        signed.verify(tag::SEAL, author_key)?;
        if seal.author_key != author_key.key_id() {
            return Err(SealError::AuthorKey { expected: author_key.key_id(), found: seal.author_key });
        }
        if seal.version == 0 {
            return Err(SealError::Version { expected: 1, found: 0 });
        }
        if (seal.version == 1) != (seal.parent == NO_DIGEST) {
            return Err(SealError::Parent);
        }
        let header_hash = seal.header_line().map_or(NO_DIGEST, |line| line.hash());
        if seal.header_hash != header_hash {
            return Err(SealError::Header);
        }
        Ok(seal)
    }

    /// Exact length of the content, in bytes. Meaningless with another key than the epoch's.
    pub fn content_len(&self, key: &EpochKey) -> u64 {
        self.covered_len ^ key.length_cover(&self.digest)
    }

    /// The first line a text blob has to have; None for binary.
    pub fn header_line(&self) -> Option<HeaderLine> {
        (self.kind == Kind::Text).then_some(HeaderLine {
            kind: HeaderKind::Text,
            project: self.project,
            environment: self.environment,
            version: self.version,
            parent: self.parent,
            epoch: self.epoch,
            author_key: self.author_key,
        })
    }

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut body = Reader::new(body);
        let version = body.u8()?;
        if version != SEAL_VERSION {
            return Err(DecodeError::Version { found: version });
        }
        let seal = Self {
            kind: Kind::from_byte(body.u8()?).ok_or(DecodeError::Value { field: "kind" })?,
            project: ProjectId::from_bytes(body.array()?),
            environment: EnvironmentId::from_bytes(body.array()?),
            version: body.u64()?,
            parent: body.array()?,
            digest: body.array()?,
            ciphertext_len: body.u64()?,
            epoch: body.u32()?,
            author: AccountId::from_bytes(body.array()?),
            author_key: KeyId::from_bytes(body.array()?),
            covered_len: body.u64()?,
            header_hash: body.array()?,
            created_at_ms: body.u64()?,
        };
        body.finish()?;
        Ok(seal)
    }
}

#[cfg(test)]
mod tests;
