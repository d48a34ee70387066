//! The service of projects and environments. One verb, one file beside this one, or a pair of them.
//!
//! What must never happen: an answer that tells a foreign project from an absent one, an environment whose keyring
//! nobody vouches for.

use std::sync::Arc;

use veilcore::id::{AccountId, EnvironmentId, ProjectId};
use veilvault::{identity::AccountBundle, key::PublicKey};

use super::{
    ProjectAccess,
    error::ProjectsError,
    port::{Catalog, Keyrings},
};
use crate::{
    audit::model::{Kind, Line, Trail},
    auth::port::Directory,
    clock::{Clock, Entropy},
    store::StoreError,
};

/// Projects and environments.
pub struct Projects {
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) keyrings: Arc<dyn Keyrings>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Projects {
    /// The service on its ports.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        keyrings: Arc<dyn Keyrings>,
        directory: Arc<dyn Directory>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { catalog, keyrings, directory, clock, entropy }
    }

    /// A line of the project's trail by the caller.
    pub(super) fn line(&self, access: &ProjectAccess, kind: Kind) -> Line {
        self.line_of(access.project(), access.actor(), kind)
    }

    pub(super) fn line_of(&self, project: ProjectId, actor: AccountId, kind: Kind) -> Line {
        Line {
            trail: Trail::Project(project),
            kind,
            actor,
            at_ms: self.clock.now_ms(),
            environment: None,
            version: 0,
            digest: None,
        }
    }

    /// A line about an environment.
    pub(super) fn line_at(&self, access: &ProjectAccess, kind: Kind, environment: EnvironmentId) -> Line {
        Line { environment: Some(environment), ..self.line(access, kind) }
    }
}

/// The key that an author's seals are checked with, from the bundle the author registered.
pub(crate) async fn author_key(
    directory: &dyn Directory,
    author: AccountId,
) -> Result<PublicKey, ProjectsError> {
    let account = directory.account(author).await?.ok_or(ProjectsError::Denied)?;
    let bundle = AccountBundle::verify(&account.bundle).map_err(|error| StoreError::Damaged {
        store: "directory",
        cause: format!("bundle of account {author}: {error}"),
    })?;
    Ok(bundle.public_key)
}
