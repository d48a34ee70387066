//! Versions, entity tags, upload sessions.

use std::{fmt, str::FromStr};

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use veilcore::id::{AccountId, EnvironmentId, ProjectId, UploadId};

/// Greatest ciphertext that one message carries, in bytes; larger blobs go through an upload session.
pub const DIRECT_BLOB_MAX: u64 = 786_432;
/// Length of every chunk of an upload but the last, in bytes: 15 age chunks of 65,552.
pub const CHUNK_LEN: u64 = 983_280;
/// Greatest ciphertext of one blob when the configuration does not say, in bytes.
pub const BLOB_MAX_DEFAULT: u64 = 8 << 30;
/// Bytes in one piece of a download stream.
pub const PIECE_LEN: usize = 262_144;
/// How long an upload session lives, in milliseconds.
pub const UPLOAD_TTL_MS: u64 = 24 * 3_600_000;
/// Most unfinished uploads of one account.
pub const UPLOADS_MAX: u32 = 64;

/// SHA-256 of a ciphertext: its name in the blob store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A strong entity tag: version and the first 15 bytes of the digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Etag {
    /// Version.
    pub version: u64,
    /// First 15 bytes of the digest.
    pub digest: [u8; 15],
}

/// The text is not an entity tag of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entity tag looks like \"v7-<24 letters>\", with its quotes")]
pub struct EtagInvalid;

impl Etag {
    /// The tag of a version.
    pub fn of(version: u64, digest: Digest) -> Self {
        let mut short = [0; 15];
        short.copy_from_slice(&digest.0[..15]);
        Self { version, digest: short }
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"v{}-{}\"", self.version, BASE32_NOPAD.encode(&self.digest).to_ascii_lowercase())
    }
}

impl FromStr for Etag {
    type Err = EtagInvalid;

    fn from_str(text: &str) -> Result<Self, EtagInvalid> {
        let inner = text.strip_prefix("\"v").and_then(|t| t.strip_suffix('"')).ok_or(EtagInvalid)?;
        let (version, digest) = inner.split_once('-').ok_or(EtagInvalid)?;
        let canonical = !version.starts_with('0') && version.bytes().all(|b| b.is_ascii_digit());
        let version = version.parse().ok().filter(|_| canonical).ok_or(EtagInvalid)?;
        let bytes = BASE32_NOPAD.decode(digest.to_ascii_uppercase().as_bytes()).map_err(|_| EtagInvalid)?;
        let digest = <[u8; 15]>::try_from(bytes).map_err(|_| EtagInvalid)?;
        Ok(Self { version, digest })
    }
}

/// What a write demands of the current version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// There is no version yet.
    First,
    /// The current version has this tag.
    Match(Etag),
}

/// One committed version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Environment.
    pub environment: EnvironmentId,
    /// Number, from 1, dense.
    pub number: u64,
    /// SHA-256 of the ciphertext.
    pub digest: Digest,
    /// Length of the ciphertext in bytes.
    pub len: u64,
    /// The author's seal, as received.
    pub seal: Vec<u8>,
    /// Epoch of the key it is sealed to.
    pub epoch: u32,
    /// Author.
    pub author: AccountId,
    /// Commit time.
    pub created_at_ms: u64,
    /// True when its bytes were deleted.
    pub deleted: bool,
    /// Index, in the project's log, of the line that tells of its commit. `None` for versions from before there was a
    /// log whose line is not known.
    pub log_index: Option<u64>,
}

impl Version {
    /// Its entity tag.
    pub fn etag(&self) -> Etag {
        Etag::of(self.number, self.digest)
    }
}

/// An upload session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Upload id, version 7.
    pub id: UploadId,
    /// Account that started it; only it may go on.
    pub account: AccountId,
    /// Project.
    pub project: ProjectId,
    /// Environment.
    pub environment: EnvironmentId,
    /// What the write demands of the current version.
    pub precondition: Precondition,
    /// Length of the whole ciphertext in bytes.
    pub len: u64,
    /// SHA-256 of the whole ciphertext.
    pub digest: Digest,
    /// The author's seal of the version.
    pub seal: Vec<u8>,
    /// When it is forgotten.
    pub expires_at_ms: u64,
    /// Indices of the chunks that arrived, ascending.
    pub received: Vec<u32>,
}

impl Upload {
    /// Number of chunks.
    pub fn chunk_count(&self) -> u32 {
        u32::try_from(self.len.div_ceil(CHUNK_LEN)).unwrap_or(u32::MAX)
    }

    /// Length of a chunk in bytes; `None` when there is no such chunk.
    pub fn chunk_len(&self, index: u32) -> Option<u64> {
        let start = u64::from(index) * CHUNK_LEN;
        (start < self.len).then(|| (self.len - start).min(CHUNK_LEN))
    }
}
