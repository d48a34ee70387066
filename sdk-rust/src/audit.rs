//! What happened in a project, as the server recorded it.

use time::OffsetDateTime;
use veilcloud_proto::audit::v1 as pb;
use veilcore::id::{AccountId, EnvironmentId, ProjectId};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::projects::{PAGE_SIZE, PAGES_MAX};
use crate::times;
use crate::transport::rpc;

/// One line of the audit trail: ids and digests, never a name or content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEvent {
    /// Place in the project's trail, from 0 without gaps.
    pub index: u64,
    /// What happened, e.g. `blob.put`.
    pub kind: String,
    /// Account that did it.
    pub actor_id: AccountId,
    /// When.
    pub at: OffsetDateTime,
    /// Environment it concerns.
    pub environment_id: Option<EnvironmentId>,
    /// Version it concerns.
    pub version: Option<u64>,
    /// SHA-256 of the ciphertext it concerns.
    pub digest: Option<[u8; 32]>,
}

/// The audit trail of a project; see [`Client::audit`].
#[derive(Clone)]
pub struct Audit {
    client: Client,
    project: ProjectId,
}

impl Audit {
    pub(crate) fn new(client: Client, project: ProjectId) -> Self {
        Self { client, project }
    }

    /// The whole trail, oldest first; at most 100,000 lines.
    ///
    /// # Errors
    /// What the server says; [`Error::BadAnswer`] for a trail with gaps or without an end.
    pub async fn events(&self) -> Result<Vec<AuditEvent>> {
        let mut events = Vec::new();
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let request = pb::ListEventsRequest {
                project_id: self.project.to_string(),
                page_size: PAGE_SIZE,
                page_token,
            };
            let answer: pb::ListEventsResponse = self.client.call(&rpc::LIST_EVENTS, &request).await?;
            for event in answer.events {
                if event.index != events.len() as u64 {
                    return Err(Error::BadAnswer { rpc: rpc::LIST_EVENTS.path });
                }
                events.push(read(event)?);
            }
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(events);
            }
        }
        Err(Error::BadAnswer { rpc: rpc::LIST_EVENTS.path })
    }
}

fn read(event: pb::Event) -> Result<AuditEvent> {
    let rpc = &rpc::LIST_EVENTS;
    let environment_id = match event.environment_id.as_str() {
        "" => None,
        id => Some(times::id(id, rpc)?),
    };
    let digest = match event.digest.len() {
        0 => None,
        _ => Some(event.digest.try_into().map_err(|_| Error::BadAnswer { rpc: rpc.path })?),
    };
    Ok(AuditEvent {
        index: event.index,
        kind: event.kind,
        actor_id: times::id(&event.actor_id, rpc)?,
        at: times::required(event.at, rpc)?,
        environment_id,
        version: Some(event.version).filter(|version| *version > 0),
        digest,
    })
}
