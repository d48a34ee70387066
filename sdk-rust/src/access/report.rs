//! What somebody who was removed could open, and has opened: the secrets that have to be changed at their source. What he
//! has opened is in the project's log, which the server can only add to.

use std::collections::BTreeSet;

use veilcore::id::{AccountId, EnvironmentId};

use crate::client::Client;
use crate::environments::{Environment, Environments};
use crate::error::Result;
use crate::projects::Project;

/// One environment of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exposure {
    /// Name of the environment; None for one that is gone.
    pub environment: Option<String>,
    /// Its id.
    pub environment_id: EnvironmentId,
    /// The newest version when they were removed: they could open it, and its content is unchanged until something else is
    /// put. None while there was none.
    pub could_open: Option<u64>,
    /// The versions whose bytes they were given, by the project's log.
    pub read: BTreeSet<u64>,
}

/// What people who were removed could open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExposureReport {
    /// Who they are.
    pub accounts: Vec<AccountId>,
    /// By environment.
    pub environments: Vec<Exposure>,
    /// Whether the log was read: it takes `audit:read`. If not, `read` is empty whatever they read.
    pub is_log_read: bool,
}

/// The newest versions as they were before the removal.
pub(super) struct Heads(Vec<Environment>);

impl Heads {
    pub(super) async fn of(environments: &Environments) -> Result<Self> {
        environments.list().await.map(Self)
    }

    /// Reads the project's log for what these accounts were given.
    pub(super) async fn report(
        self,
        client: &Client,
        project: &Project,
        accounts: &[AccountId],
    ) -> Result<ExposureReport> {
        let mut environments: Vec<Exposure> = self
            .0
            .iter()
            .map(|head| Exposure {
                environment: Some(head.name.clone()),
                environment_id: head.id,
                could_open: Some(head.version).filter(|version| *version > 0),
                read: BTreeSet::new(),
            })
            .collect();
        let mut reader = match client.audit(project).reader().await {
            Err(e) if e.is("PERMISSION_DENIED") => {
                return Ok(ExposureReport { accounts: accounts.to_vec(), environments, is_log_read: false });
            }
            reader => reader?,
        };
        while let Some(events) = reader.next().await? {
            let reads = events.iter().filter(|e| e.kind == "blob.read" && accounts.contains(&e.actor_id));
            for event in reads {
                let (Some(id), Some(version)) = (event.environment_id, event.version) else { continue };
                let place = match environments.iter().position(|found| found.environment_id == id) {
                    Some(place) => place,
                    None => {
                        environments.push(Exposure {
                            environment: None,
                            environment_id: id,
                            could_open: None,
                            read: BTreeSet::new(),
                        });
                        environments.len() - 1
                    }
                };
                environments[place].read.insert(version);
            }
        }
        Ok(ExposureReport { accounts: accounts.to_vec(), environments, is_log_read: true })
    }
}
