//! The history of an environment: list it, delete its bytes. Seals and numbers stay, so nobody can pretend that a
//! version never was.

use veilsign::capability::Actions;

use super::{
    Storage,
    error::StorageError,
    model::{Etag, Version},
    service::refused,
};
use crate::{
    audit::model::Kind,
    name::Name,
    page::{Page, PageArgs},
    projects::{ProjectAccess, model::Environment},
};

impl Storage {
    /// Deletes the bytes of every version so far, if the current one has this tag; gives the index of the event in the
    /// project's log.
    pub async fn delete(&self, access: &ProjectAccess, name: &Name, etag: Etag) -> Result<u64, StorageError> {
        let environment = self.projects.environment_for(access, Actions::PROJECT_DELETE, name).await?;
        let head = environment.head.filter(|v| !v.deleted).ok_or(StorageError::BlobNotFound)?;
        if head.etag() != etag {
            return Err(StorageError::EtagMismatch { current: Some(head.etag()) });
        }
        let line = self.line(access, Kind::BlobDelete, &head);
        let deleted = self.shelf.delete_content(environment.id, etag, line).await?;
        deleted.map_err(|refusal| refused(refusal, name))
    }

    /// The environment's versions, newest first; the page key is the number of the last one given.
    pub async fn versions(
        &self,
        access: &ProjectAccess,
        name: &Name,
        page: PageArgs<u64>,
    ) -> Result<(Environment, Page<Version, u64>), StorageError> {
        let environment = self.projects.environment_for(access, Actions::PROJECT_READ, name).await?;
        let versions = self.shelf.versions(environment.id, page).await?;
        Ok((environment, versions))
    }
}
