//! Step 5, permission: capability and role, judged before anything is looked up for the caller. A project of somebody
//! else and one that does not exist are refused alike.

use std::sync::Arc;

use veilcloud_domain::{auth::error::AuthError, projects::error::ProjectsError};
use veilcore::id::ProjectId;
use veilsign::capability::Resource;

use super::{Call, Gate};
use crate::status::Fault;

/// The project is not the caller's (any more), but the capability covers it: only an answer that this very request got
/// before may be given.
pub(super) struct OnlyRepeat(pub(super) Fault);

impl Gate {
    /// Judges the call; puts the right to the project into it.
    pub(super) async fn judge(&self, call: &mut Call) -> Result<Option<OnlyRepeat>, Fault> {
        let access = call.method.access;
        let Some(caller) = call.caller.clone() else { return Ok(None) };
        if caller.api_key().is_some() && !access.keys {
            return Err(ProjectsError::Denied.into());
        }
        let mut repeat = None;
        if let Some(permission) = access.permission {
            match call.text(call.method.resource) {
                None if caller.allows(permission, &Resource::account()) => {}
                None => return Err(ProjectsError::Denied.into()),
                Some(text) => {
                    let project: ProjectId = text.parse().map_err(|_| ProjectsError::Denied)?;
                    match self.services.projects.authorize(&caller, project, permission).await {
                        Ok(access) => call.access = Some(Arc::new(access)),
                        Err(ProjectsError::Denied)
                            if access.mutation
                                && call.text(call.method.request_id).is_some()
                                && caller.allows(permission, &Resource::project(project)) =>
                        {
                            repeat = Some(OnlyRepeat(ProjectsError::Denied.into()));
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        if access.fresh_login && !caller.is_fresh(self.services.clock.now_ms()) {
            return Err(AuthError::NotFresh.into());
        }
        Ok(repeat)
    }
}
