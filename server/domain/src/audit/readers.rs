//! Who was let into a log, and whether they still may be: for tokens and exports, which outlive the request that was
//! judged at the gate.

use std::sync::Arc;

use veilcore::id::AccountId;
use veilsign::capability::Actions;

use super::model::Trail;
use crate::{
    auth::{Credential, Credentials},
    projects::{Projects, error::ProjectsError},
};

/// Somebody who was let into a log, by the credential that they showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The account.
    pub account: AccountId,
    /// What they showed. What it reaches never changes; that it is good may.
    pub credential: Credential,
}

/// Judges readers again.
#[derive(Clone)]
pub struct Readers {
    projects: Arc<Projects>,
    credentials: Credentials,
}

impl Readers {
    /// Over these services.
    pub fn new(projects: Arc<Projects>, credentials: Credentials) -> Self {
        Self { projects, credentials }
    }

    /// Whether the reader may read the log now.
    pub(super) async fn may(&self, log: Trail, reader: Reader) -> Result<bool, ProjectsError> {
        if !self.credentials.live(reader.account, reader.credential).await? {
            return Ok(false);
        }
        match log {
            Trail::Project(project) => {
                let rights = self.projects.rights(project, reader.account, Actions::AUDIT_READ).await?;
                Ok(rights.is_some_and(|rights| rights.actions.contains(Actions::AUDIT_READ)))
            }
            Trail::Account(account) => Ok(account == reader.account),
            Trail::Directory => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests;
