//! Writing a version that fits into one message.

use bytes::Bytes;
use veilcore::hash::sha256;
use veilsign::capability::Actions;

use super::{
    Storage,
    check::{Announced, check_header},
    error::StorageError,
    model::{DIRECT_BLOB_MAX, Digest, Precondition, Version},
    service::{headed, refused},
};
use crate::{
    audit::model::Kind,
    name::Name,
    projects::{ProjectAccess, model::Environment},
};

/// The next version of an environment.
#[derive(Debug, Clone)]
pub struct Put {
    /// The age file.
    pub ciphertext: Bytes,
    /// The author's seal.
    pub seal: Vec<u8>,
    /// What must be the current version.
    pub precondition: Precondition,
}

impl Storage {
    /// Commits the next version, or changes nothing.
    pub async fn put(
        &self,
        access: &ProjectAccess,
        name: &Name,
        put: Put,
    ) -> Result<(Environment, Version), StorageError> {
        let len = put.ciphertext.len() as u64;
        self.check_len(len, DIRECT_BLOB_MAX)?;
        let digest = Digest(sha256(&put.ciphertext));
        check_header(&put.ciphertext)?;
        let environment = self.projects.environment_for(access, Actions::PROJECT_WRITE, name).await?;
        let announced = Announced { len, digest, seal: &put.seal };
        let version = self.next_version(access, &environment, put.precondition, &announced).await?;

        let _unswept = self.digest_lock(digest).read().await;
        self.blobs.put(digest, put.ciphertext).await?;
        let line = self.line(access, Kind::BlobPut, &version);
        let committed = self.shelf.commit(version.clone(), put.precondition, line).await?;
        let index = committed.map_err(|refusal| refused(refusal, name).told_to(access))?;
        let version = Version { log_index: Some(index), ..version };
        Ok((headed(environment, &version), version))
    }
}
