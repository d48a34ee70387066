//! The two moments a seal is judged at. Both run the same list of comparisons; a commit demands every one of them.

use veilcore::id::{AccountId, EnvironmentId, ProjectId};

use super::{NO_DIGEST, Seal, SealError};
use crate::key::PublicKey;

/// The newest committed version of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number, from 1.
    pub version: u64,
    /// SHA-256 of its ciphertext.
    pub digest: [u8; 32],
}

/// What the server knows when a new version is to be committed.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// Project addressed by the request.
    pub project: ProjectId,
    /// Environment addressed by the request.
    pub environment: EnvironmentId,
    /// Newest version; None if there is none yet.
    pub head: Option<Head>,
    /// Current epoch of the environment.
    pub epoch: u32,
    /// Account that makes the request.
    pub author: AccountId,
    /// Signing key from that account's bundle.
    pub author_key: &'a PublicKey,
    /// SHA-256 of the ciphertext that arrived.
    pub digest: [u8; 32],
    /// Its length, in bytes.
    pub ciphertext_len: u64,
}

/// What a reader knows before it reads. None means that the reader has nothing to compare with; the digest and the
/// length are compared with the ciphertext itself when it is opened.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Project asked for.
    pub project: ProjectId,
    /// Environment asked for.
    pub environment: EnvironmentId,
    /// Version asked for; None only on the first look at the newest one. A client that has seen a version demands
    /// at least that one.
    pub version: Option<u64>,
    /// Digest of the version before, when the reader has seen it.
    pub parent: Option<[u8; 32]>,
    /// Epoch of the key the reader holds.
    pub epoch: u32,
    /// Whose seal it should be.
    pub author: AccountId,
    /// Signing key from that account's verified bundle.
    pub author_key: &'a PublicKey,
    /// SHA-256 of the ciphertext, when known from its etag or an earlier read.
    pub digest: Option<[u8; 32]>,
}

/// Server side: whether a new version with this seal may be committed.
///
/// # Errors
/// [`SealError`] names the first thing amiss.
pub fn check_for_commit(bytes: &[u8], commit: &Commit<'_>) -> Result<Seal, SealError> {
    let (last, parent) = commit.head.map_or((0, NO_DIGEST), |head| (head.version, head.digest));
    let expected = Expected {
        project: commit.project,
        environment: commit.environment,
        // Saturates where no version can follow: no seal of the same number has the right parent.
        version: Some(last.saturating_add(1)),
        parent: Some(parent),
        epoch: commit.epoch,
        author: commit.author,
        author_key: commit.author_key,
        digest: Some(commit.digest),
    };
    let seal = check_on_read(bytes, &expected)?;
    if seal.ciphertext_len != commit.ciphertext_len {
        return Err(SealError::Length { expected: seal.ciphertext_len, found: commit.ciphertext_len });
    }
    Ok(seal)
}

/// Client side: whether this is the seal of the version that was asked for.
///
/// # Errors
/// [`SealError`] names the first thing amiss.
pub fn check_on_read(bytes: &[u8], expected: &Expected<'_>) -> Result<Seal, SealError> {
    let seal = Seal::verify(bytes, expected.author_key)?;
    if seal.project != expected.project {
        return Err(SealError::Project { expected: expected.project, found: seal.project });
    }
    if seal.environment != expected.environment {
        return Err(SealError::Environment { expected: expected.environment, found: seal.environment });
    }
    if seal.author != expected.author {
        return Err(SealError::Author { expected: expected.author, found: seal.author });
    }
    if let Some(version) = expected.version.filter(|version| *version != seal.version) {
        return Err(SealError::Version { expected: version, found: seal.version });
    }
    if expected.parent.is_some_and(|parent| parent != seal.parent) {
        return Err(SealError::Parent);
    }
    if seal.epoch != expected.epoch {
        return Err(SealError::Epoch { expected: expected.epoch, found: seal.epoch });
    }
    if expected.digest.is_some_and(|digest| digest != seal.digest) {
        return Err(SealError::Digest);
    }
    Ok(seal)
}
