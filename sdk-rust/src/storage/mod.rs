//! Content of environments: sealed here before it leaves, checked here before it is believed.
//!
//! Writing makes a new version that names the one before it in its signed seal; reading checks seal, keyring, digest
//! and the chain of versions against what this machine has seen before, and that the version is in a log that continues
//! the one seen before. Whatever does not fit is an [`Error::Integrity`](crate::Error::Integrity) with the name of the
//! check, and must not be used.

mod get;
mod history;
pub(crate) mod pins;
mod prove;
mod put;
mod rollback;
#[cfg(feature = "native")]
mod save;
mod seal;
#[cfg(feature = "native")]
mod spool;
mod upload;
mod verify;

#[cfg(feature = "native")]
use std::io;
#[cfg(feature = "native")]
use std::path::Path;
use std::sync::Arc;

use time::OffsetDateTime;
use veilcore::id::AccountId;
use zeroize::Zeroizing;

pub use self::rollback::Rotation;
pub use self::seal::{Precondition, SealedVersion};
pub(crate) use self::verify::VersionEpoch;
use crate::client::Client;
use crate::error::Result;
use crate::projects::Project;

/// Greatest ciphertext that goes in one message, in bytes; larger ones are uploaded in chunks.
pub const DIRECT_BLOB_MAX: u64 = 786_432;
/// Length of every chunk of an upload but the last, in bytes.
pub const CHUNK_LEN: u64 = 983_280;
/// Greatest ciphertext that [`Storage::get`] takes into memory, in bytes; [`Storage::get_to`] has no such limit.
pub const MEMORY_LEN_MAX: u64 = 256 * 1024 * 1024;

/// What a version holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// UTF-8 text, e.g. a dotenv file.
    Text,
    /// Anything else.
    Binary,
    /// The seal could not be read.
    Unknown,
}

/// One version of an environment's content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// Number, from 1 without gaps.
    pub number: u64,
    /// Entity tag with its quotes, for [`Expect::Etag`].
    pub etag: String,
    /// SHA-256 of the ciphertext.
    pub digest: [u8; 32],
    /// Account that wrote it.
    pub author_id: AccountId,
    /// When the server committed it.
    pub created_at: OffsetDateTime,
    /// Text or binary.
    pub kind: Kind,
    /// Length of the content, in bytes; None when the seal could not be read.
    pub plain_bytes: Option<u64>,
    /// Length of the ciphertext, in bytes.
    pub ciphertext_bytes: u64,
    /// Epoch of the key it is sealed to.
    pub epoch: u32,
    /// True when its bytes were deleted.
    pub deleted: bool,
    /// True when seal, author and place in the chain of versions were checked and found right.
    pub verified: bool,
}

/// Content with the version it is.
pub struct Blob {
    /// The content, byte for byte as it was put. Wiped on drop.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Its version.
    pub version: Version,
}

/// What a write expects to replace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is newest: it is read first, and again if somebody is faster. Overwrites the work of others.
    #[default]
    Any,
    /// Nothing: this is the first version.
    First,
    /// The version with this entity tag: nobody wrote since it was read.
    Etag(String),
}

/// How to write.
#[derive(Clone, Default)]
pub struct PutOptions {
    /// What the write expects to replace.
    pub expect: Expect,
    /// Is told how the upload goes, in bytes of ciphertext.
    pub progress: Option<Arc<dyn Progress>>,
}

/// How to read.
#[derive(Clone, Default)]
pub struct GetOptions {
    /// Which version; None for the newest.
    pub version: Option<u64>,
    /// Is told how the download goes, in bytes of content.
    pub progress: Option<Arc<dyn Progress>>,
}

/// Is told how a transfer goes. Called from several threads, in no strict order; must not block.
pub trait Progress: Send + Sync {
    /// So many bytes are to be transferred.
    fn start(&self, total: u64);
    /// So many more have been.
    fn advance(&self, n: u64);
    /// All of them have been.
    fn finish(&self);
}

/// Content of environments; see [`Client::storage`].
#[derive(Clone)]
pub struct Storage {
    client: Client,
}

impl Storage {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Seals `bytes` and commits them as the next version. Creates the environment if there is none. UTF-8 up to
    /// 512 KiB is text, everything else binary. Bytes that are there already make a new version nevertheless.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] or [`crate::Error::Api`] with `ETAG_MISMATCH` when `options.expect` does not hold;
    /// [`crate::Error::Integrity`] when what is there fails a check.
    pub async fn put(
        &self,
        project: &Project,
        environment: &str,
        bytes: Vec<u8>,
        options: PutOptions,
    ) -> Result<Version> {
        self.put_bytes(project, environment, Zeroizing::new(bytes), options).await
    }

    /// Seals `bytes` as [`Storage::put`] would and sends nothing: the caller does, with an HTTP client of their own.
    /// Nothing is created on the server; the environment has to exist. The version is noted as seen here only when
    /// it is read or listed.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when the ciphertext would be longer than [`DIRECT_BLOB_MAX`];
    /// [`crate::Error::Api`] with `ENVIRONMENT_NOT_FOUND`; [`crate::Error::Conflict`] when `expect` does not hold;
    /// [`crate::Error::Integrity`] when what is there fails a check.
    pub async fn seal(
        &self,
        project: &Project,
        environment: &str,
        bytes: Vec<u8>,
        expect: Expect,
    ) -> Result<SealedVersion> {
        self.seal_only(project, environment, Zeroizing::new(bytes), &expect).await
    }

    /// Seals a file and commits it as the next version, in flat memory whatever its size. Ciphertext of an upload
    /// that is interrupted stays in the state's spool directory for a week; putting the same unchanged file again
    /// goes on where it stopped.
    ///
    /// # Errors
    /// As [`Storage::put`]; [`crate::Error::FileChanged`] when the file changes meanwhile.
    #[cfg(feature = "native")]
    pub async fn put_file(
        &self,
        project: &Project,
        environment: &str,
        path: &Path,
        options: PutOptions,
    ) -> Result<Version> {
        self.put_path(project, environment, path, options).await
    }

    /// Reads a version into memory, at most [`MEMORY_LEN_MAX`] bytes. Everything is checked before anything is given
    /// out.
    ///
    /// # Errors
    /// [`crate::Error::Api`] with `ENVIRONMENT_NOT_FOUND`, `BLOB_NOT_FOUND` or `VERSION_NOT_FOUND`;
    /// [`crate::Error::Integrity`].
    pub async fn get(&self, project: &Project, environment: &str, options: GetOptions) -> Result<Blob> {
        self.get_bytes(project, environment, options).await
    }

    /// Reads a version into a writer, in flat memory whatever its size. Writes happen on the calling task, in pieces
    /// of at most 256 KiB.
    ///
    /// Pieces are written before the end of the content shows that all of it is what the author sealed. **On any
    /// error the caller must discard what was written**: write to a temporary file and rename it after success.
    ///
    /// # Errors
    /// As [`Storage::get`]; [`crate::Error::Local`] when the writer fails.
    #[cfg(feature = "native")]
    pub async fn get_to(
        &self,
        project: &Project,
        environment: &str,
        writer: &mut (dyn io::Write + Send),
        options: GetOptions,
    ) -> Result<Version> {
        self.get_stream(project, environment, writer, options).await
    }

    /// All versions, newest first, each with the outcome of its check.
    ///
    /// # Errors
    /// [`crate::Error::Integrity`] when the newest version contradicts what this machine has seen, and when the list does
    /// not go from the version that the log proves to be there down to version 1 without a gap. A single version in its
    /// place that fails is in the list with `verified: false`.
    pub async fn history(&self, project: &Project, environment: &str) -> Result<Vec<Version>> {
        self.list_history(project, environment).await
    }

    /// Makes the content of an earlier version the newest one again, as a new version. History stays as it is.
    ///
    /// # Errors
    /// As [`Storage::get`] and [`Storage::put`].
    pub async fn rollback(&self, project: &Project, environment: &str, to: u64) -> Result<Version> {
        self.roll_back(project, environment, to).await
    }

    /// Deletes the bytes of every version so far. Seals and numbering stay. Cannot be undone.
    ///
    /// # Errors
    /// [`crate::Error::Api`] with `ETAG_MISMATCH` when somebody writes meanwhile.
    pub async fn delete(&self, project: &Project, environment: &str) -> Result<()> {
        self.delete_bytes(project, environment).await
    }
}

#[cfg(test)]
mod tests;
