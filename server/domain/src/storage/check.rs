//! What the server checks of a version before it takes it. It cannot read the content; it checks that the author named
//! exactly these bytes as the next version of exactly this environment.

use veilcore::id::AccountId;
use veilvault::{
    lint::{Policy, lint},
    seal::{self, Commit, Head, SealError},
};

use super::{
    Storage,
    error::StorageError,
    model::{Digest, Precondition, Version},
};
use crate::projects::{ProjectAccess, lint_check, model::Environment, seal_check};

/// Bytes as they are announced: how many, what they hash to, who says so.
pub(super) struct Announced<'a> {
    pub(super) len: u64,
    pub(super) digest: Digest,
    pub(super) seal: &'a [u8],
}

impl Storage {
    /// The version that would be committed: precondition and seal hold for the environment as it is now.
    pub(super) async fn next_version(
        &self,
        access: &ProjectAccess,
        environment: &Environment,
        precondition: Precondition,
        announced: &Announced<'_>,
    ) -> Result<Version, StorageError> {
        check_precondition(environment, precondition)?;
        if environment.rotation_due {
            return Err(StorageError::RotationDue { current: environment.epoch });
        }
        let author: AccountId = access.actor();
        let author_key = self.projects.author_key(author).await?;
        let commit = Commit {
            project: access.project(),
            environment: environment.id,
            head: environment.head.as_ref().map(|v| Head { version: v.number, digest: v.digest.0 }),
            epoch: environment.epoch,
            author,
            author_key: &author_key,
            digest: announced.digest.0,
            ciphertext_len: announced.len,
        };
        let seal = seal::check_for_commit(announced.seal, &commit).map_err(|error| match error {
            SealError::Digest => StorageError::DigestMismatch,
            SealError::Epoch { .. } => StorageError::EpochStale { current: environment.epoch },
            other => StorageError::Seal { check: seal_check(&other).to_owned() },
        })?;
        Ok(Version {
            environment: environment.id,
            number: seal.version,
            digest: announced.digest,
            len: announced.len,
            seal: announced.seal.to_vec(),
            epoch: seal.epoch,
            author,
            created_at_ms: self.clock.now_ms(),
            deleted: false,
            // The store gives it.
            log_index: None,
        })
    }

    pub(super) fn check_len(&self, len: u64, limit_bytes: u64) -> Result<(), StorageError> {
        let limit_bytes = limit_bytes.min(self.settings.blob_max_bytes);
        if len > limit_bytes { Err(StorageError::TooLarge { limit_bytes }) } else { Ok(()) }
    }
}

/// Whether the first bytes of a blob are the header of an age file that we take.
pub(super) fn check_header(first_bytes: &[u8]) -> Result<(), StorageError> {
    let refused = |error| StorageError::Stanza { check: lint_check(&error).to_owned() };
    lint(first_bytes, Policy::BLOB).map(drop).map_err(refused)
}

fn check_precondition(environment: &Environment, precondition: Precondition) -> Result<(), StorageError> {
    let current = environment.head.as_ref().map(Version::etag);
    let holds = match precondition {
        Precondition::First => current.is_none(),
        Precondition::Match(etag) => current == Some(etag),
    };
    if holds { Ok(()) } else { Err(StorageError::EtagMismatch { current }) }
}
