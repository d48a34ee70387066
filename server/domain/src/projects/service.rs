//! The service of projects and environments. One verb, one file beside this one, or a pair of them.
//!
//! What must never happen: an answer that tells a foreign project from an absent one, an environment whose keyring
//! nobody vouches for, a right that no signed list gives.

use std::sync::Arc;

use veilcore::id::{AccountId, EnvironmentId, ProjectId};

use super::{
    ProjectAccess,
    authors::AuthorKeys,
    port::{Catalog, Grants, Keyrings},
};
use crate::{
    audit::model::{Kind, Line, Trail},
    auth::{api_keys::port::ApiKeyStore, port::Directory},
    clock::{Clock, Entropy},
};

/// Projects and environments.
pub struct Projects {
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) grants: Arc<dyn Grants>,
    pub(super) keyrings: Arc<dyn Keyrings>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) api_keys: Arc<dyn ApiKeyStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) authors: AuthorKeys,
}

impl Projects {
    /// The service on its ports.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        grants: Arc<dyn Grants>,
        keyrings: Arc<dyn Keyrings>,
        directory: Arc<dyn Directory>,
        api_keys: Arc<dyn ApiKeyStore>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let authors = AuthorKeys::default();
        Self { catalog, grants, keyrings, directory, api_keys, clock, entropy, authors }
    }

    /// A line of the project's trail by the caller.
    pub(super) fn line(&self, access: &ProjectAccess, kind: Kind) -> Line {
        let line = self.line_of(access.project(), access.actor(), kind);
        Line { key: access.api_key(), ..line }
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
            key: None,
            by_number: false,
        }
    }

    /// A line about an environment.
    pub(super) fn line_at(&self, access: &ProjectAccess, kind: Kind, environment: EnvironmentId) -> Line {
        Line { environment: Some(environment), ..self.line(access, kind) }
    }
}
