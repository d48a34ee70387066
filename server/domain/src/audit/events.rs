//! Reading a project's trail.

use std::sync::Arc;

use veilsign::capability::Actions;

use super::{
    model::{Event, Trail},
    port::Outbox,
};
use crate::{
    page::{Page, PageArgs},
    projects::{ProjectAccess, error::ProjectsError},
};

/// The audit trail's readers.
pub struct Audit {
    outbox: Arc<dyn Outbox>,
}

impl Audit {
    /// The service on its port.
    pub fn new(outbox: Arc<dyn Outbox>) -> Self {
        Self { outbox }
    }

    /// The project's events, oldest first; the page key is the index of the last one given.
    pub async fn events(
        &self,
        access: &ProjectAccess,
        page: PageArgs<u64>,
    ) -> Result<Page<Event, u64>, ProjectsError> {
        access.check_whole(Actions::AUDIT_READ)?;
        Ok(self.outbox.events(Trail::Project(access.project()), page).await?)
    }
}
