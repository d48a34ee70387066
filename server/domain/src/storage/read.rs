//! Reading a version: its description, its bytes at once, or its bytes as a stream.

use bytes::Bytes;
use veilsign::capability::Actions;

use super::{
    Storage,
    error::StorageError,
    model::{DIRECT_BLOB_MAX, Etag, Version},
    port::BlobStream,
};
use crate::{
    audit::model::{Kind, Line},
    name::Name,
    projects::{ProjectAccess, model::Environment},
    store::StoreError,
};

/// A version with its bytes.
#[derive(Debug, Clone)]
pub struct Read {
    /// The environment.
    pub environment: Environment,
    /// The version.
    pub version: Version,
    /// The age file; `None` when the caller has this version already.
    pub body: Option<Bytes>,
}

/// A version with a stream of its bytes.
pub struct Opened {
    /// The environment.
    pub environment: Environment,
    /// The version.
    pub version: Version,
    /// Where the stream begins in the ciphertext.
    pub offset: u64,
    /// Bytes in the stream.
    pub len: u64,
    /// The bytes; `None` when the caller has this version already.
    pub stream: Option<BlobStream>,
}

impl Storage {
    /// Describes a version; `None` means the current one. One whose bytes were deleted is described too.
    pub async fn stat(
        &self,
        access: &ProjectAccess,
        name: &Name,
        number: Option<u64>,
    ) -> Result<(Environment, Version), StorageError> {
        let environment = self.projects.environment_for(access, Actions::PROJECT_READ, name).await?;
        let version = match number {
            None => environment.head.clone().ok_or(StorageError::BlobNotFound)?,
            Some(number) => {
                let current = environment.head.as_ref().map_or(0, |v| v.number);
                let found = self.shelf.version(environment.id, Some(number)).await?;
                found.ok_or(StorageError::VersionNotFound { version: number, current })?
            }
        };
        Ok((environment, version))
    }

    /// A version of at most 786,432 bytes; without its bytes when its tag is `if_none_match`.
    pub async fn read(
        &self,
        access: &ProjectAccess,
        name: &Name,
        number: Option<u64>,
        if_none_match: Option<Etag>,
    ) -> Result<Read, StorageError> {
        let (environment, version) = self.stored(access, name, number).await?;
        if if_none_match == Some(version.etag()) {
            return Ok(Read { environment, version, body: None });
        }
        if version.len > DIRECT_BLOB_MAX {
            return Err(StorageError::TooLarge { limit_bytes: DIRECT_BLOB_MAX });
        }
        match self.blobs.read(version.digest).await? {
            Some(body) => {
                self.record(access, &version, number.is_some()).await?;
                Ok(Read { environment, version, body: Some(body) })
            }
            None => Err(self.missing(&version).await),
        }
    }

    /// A stream of `length` bytes from `offset`, 0 for all that follow; no stream when the tag is `if_none_match`. A
    /// length that reaches beyond the end is cut.
    pub async fn open(
        &self,
        access: &ProjectAccess,
        name: &Name,
        number: Option<u64>,
        if_none_match: Option<Etag>,
        offset: u64,
        length: u64,
    ) -> Result<Opened, StorageError> {
        let stated = self.stat(access, name, number).await?;
        self.open_stated(access, stated, number.is_some(), if_none_match, offset, length).await
    }

    /// A stream of a version that the caller was just told of. `by_number` says whether it was asked for by its number.
    pub async fn open_stated(
        &self,
        access: &ProjectAccess,
        (environment, version): (Environment, Version),
        by_number: bool,
        if_none_match: Option<Etag>,
        offset: u64,
        length: u64,
    ) -> Result<Opened, StorageError> {
        if version.deleted {
            return Err(StorageError::BlobNotFound);
        }
        if if_none_match == Some(version.etag()) {
            return Ok(Opened { environment, version, offset: 0, len: 0, stream: None });
        }
        if offset >= version.len {
            return Err(StorageError::Range { length: version.len });
        }
        let rest = version.len - offset;
        let len = if length == 0 { rest } else { length.min(rest) };
        match self.blobs.open(version.digest, offset, len).await? {
            Some(stream) => {
                self.record(access, &version, by_number).await?;
                Ok(Opened { environment, version, offset, len, stream: Some(stream) })
            }
            None => Err(self.missing(&version).await),
        }
    }

    /// Writes down who is given which version, before it is given.
    async fn record(
        &self,
        access: &ProjectAccess,
        version: &Version,
        by_number: bool,
    ) -> Result<(), StoreError> {
        let line = Line { by_number, ..self.line(access, Kind::BlobRead, version) };
        self.reads.record(line).await?;
        Ok(())
    }

    async fn stored(
        &self,
        access: &ProjectAccess,
        name: &Name,
        number: Option<u64>,
    ) -> Result<(Environment, Version), StorageError> {
        let (environment, version) = self.stat(access, name, number).await?;
        if version.deleted { Err(StorageError::BlobNotFound) } else { Ok((environment, version)) }
    }

    // Bytes may go between the look at the version and the look at the blob; only if they did not, are they lost.
    async fn missing(&self, version: &Version) -> StorageError {
        match self.shelf.version(version.environment, Some(version.number)).await {
            Ok(Some(now)) if !now.deleted => {
                let cause = format!("blob {} of a version is missing", version.digest);
                StoreError::Damaged { store: "blobs", cause }.into()
            }
            Ok(_) => StorageError::BlobNotFound,
            Err(error) => error.into(),
        }
    }
}
