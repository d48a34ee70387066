//! The seal beside a keyring file: the author's statement that this file holds the key of this epoch. Without it
//! the server could hand out an epoch key of its own making and read what is sealed next.

use ed25519_dalek::SigningKey;
use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::hash::sha256;
use veilcore::id::{AccountId, EnvironmentId, KeyId, ProjectId};
use veilcore::tag;

use super::{NO_DIGEST, SealError};
use crate::header::{HeaderKind, HeaderLine};
use crate::key::{PublicKey, Recipient};
use crate::statement::{self, STATEMENT_OVERHEAD};

/// Length of a keyring seal: u32 length, body of 141 bytes, signature.
pub const KEYRING_SEAL_LEN: usize = BODY_LEN + STATEMENT_OVERHEAD;

const SEAL_VERSION: u8 = 1;
const BODY_LEN: usize = 141;

/// What a keyring seal says. All of it is visible to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyringSeal {
    /// Project of the environment.
    pub project: ProjectId,
    /// Environment whose key it is.
    pub environment: EnvironmentId,
    /// Epoch, from 1.
    pub epoch: u32,
    /// Number of the access list that said whom the file is for, 0 when there was none. For a key that was handed on to one
    /// principal, the list under which it was.
    pub access_list: u64,
    /// Public half of the epoch key: what blobs of the epoch are encrypted to.
    pub recipient: Recipient,
    /// SHA-256 of the keyring file.
    pub digest: [u8; 32],
    /// Who made the epoch.
    pub author: AccountId,
    /// Short name of the author's signing key.
    pub author_key: KeyId,
    /// Author's clock, milliseconds since 1970. A claim, not a proof.
    pub created_at_ms: u64,
}

/// What a keyring seal is compared with, on the server when it is stored and on the client when it is opened.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedKeyring<'a> {
    /// Project addressed.
    pub project: ProjectId,
    /// Environment addressed.
    pub environment: EnvironmentId,
    /// Epoch addressed.
    pub epoch: u32,
    /// Whose seal it should be.
    pub author: AccountId,
    /// Signing key from that account's verified bundle.
    pub author_key: &'a PublicKey,
}

impl KeyringSeal {
    /// Judges the seal of a keyring `file`: signature, ids, epoch, author, digest. Needs no secret; the server and
    /// the client both call it.
    ///
    /// # Errors
    /// [`SealError`] names the first thing amiss.
    pub fn check(bytes: &[u8], file: &[u8], expected: &ExpectedKeyring<'_>) -> Result<Self, SealError> {
        let seal = Self::check_alone(bytes, expected)?;
        if seal.digest != sha256(file) {
            return Err(SealError::Digest);
        }
        Ok(seal)
    }

    /// The same without the file: what the epoch's author said of its key, for whoever has a keyring of another file. Says
    /// nothing of what is in any file.
    ///
    /// # Errors
    /// As [`KeyringSeal::check`], but for the digest.
    pub fn check_alone(bytes: &[u8], expected: &ExpectedKeyring<'_>) -> Result<Self, SealError> {
        let signed = statement::split(bytes, BODY_LEN)?;
        let seal = Self::decode(signed.body)?;
        signed.verify(tag::KEYRING, expected.author_key)?;
        if seal.author_key != expected.author_key.key_id() {
            return Err(SealError::AuthorKey {
                expected: expected.author_key.key_id(),
                found: seal.author_key,
            });
        }
        if seal.project != expected.project {
            return Err(SealError::Project { expected: expected.project, found: seal.project });
        }
        if seal.environment != expected.environment {
            return Err(SealError::Environment { expected: expected.environment, found: seal.environment });
        }
        if seal.author != expected.author {
            return Err(SealError::Author { expected: expected.author, found: seal.author });
        }
        if seal.epoch != expected.epoch {
            return Err(SealError::Epoch { expected: expected.epoch, found: seal.epoch });
        }
        Ok(seal)
    }

    /// Reads a seal without checking it: to learn whose key [`KeyringSeal::check`] needs. Proves nothing.
    ///
    /// # Errors
    /// [`SealError::Malformed`], [`SealError::Recipient`]: not the bytes of a keyring seal.
    pub fn peek(bytes: &[u8]) -> Result<Self, SealError> {
        Self::decode(statement::split(bytes, BODY_LEN)?.body)
    }

    /// The first line of the keyring's plaintext.
    pub fn header_line(&self) -> HeaderLine {
        HeaderLine {
            kind: HeaderKind::Keyring,
            project: self.project,
            environment: self.environment,
            version: 0,
            parent: NO_DIGEST,
            epoch: self.epoch,
            author_key: self.author_key,
        }
    }

    pub(crate) fn sign(&self, key: &SigningKey) -> [u8; KEYRING_SEAL_LEN] {
        let body = Writer::with_capacity(BODY_LEN)
            .u8(SEAL_VERSION)
            .fixed(self.project.as_bytes())
            .fixed(self.environment.as_bytes())
            .u32(self.epoch)
            .u64(self.access_list)
            .fixed(self.recipient.as_bytes())
            .fixed(&self.digest)
            .fixed(self.author.as_bytes())
            .fixed(self.author_key.as_bytes())
            .u64(self.created_at_ms)
            .finish();
        statement::sign(tag::KEYRING, &body, key).try_into().expect("the fields above are 141 bytes together")
    }

    fn decode(body: &[u8]) -> Result<Self, SealError> {
        let mut body = Reader::new(body);
        let version = body.u8()?;
        if version != SEAL_VERSION {
            return Err(DecodeError::Version { found: version }.into());
        }
        let seal = Self {
            project: ProjectId::from_bytes(body.array()?),
            environment: EnvironmentId::from_bytes(body.array()?),
            epoch: body.u32()?,
            access_list: body.u64()?,
            recipient: Recipient::from_bytes(&body.array()?).map_err(SealError::Recipient)?,
            digest: body.array()?,
            author: AccountId::from_bytes(body.array()?),
            author_key: KeyId::from_bytes(body.array()?),
            created_at_ms: body.u64()?,
        };
        body.finish()?;
        Ok(seal)
    }
}
