//! Capabilities for other keys than a session's: for a program, a machine, somebody else. Issued by the server, narrowed by
//! whoever holds them, revoked by name.

mod held;
mod issuers;
#[cfg(test)]
mod tests;

use std::time::Duration;

use rand_core::OsRng;
use time::OffsetDateTime;
use veilcloud_proto::auth::v1 as pb;
use veilcore::id::{AccountId, ApiKeyId, ProjectId, SessionId, TeamId};
use veilsign::capability::{Actions, prove_holder};
use veilsign::key::SigningKey;

pub use self::held::{CapabilityView, HELD_LEN_MAX, HeldCapability, HolderKey, Narrowing};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::projects::Project;
use crate::times;
use crate::transport::rpc;

/// Most of a list that is asked for at once.
const PAGE: u32 = 1000;

/// What a capability may do in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityGrant {
    /// The project.
    pub project_id: ProjectId,
    /// Only the environment of this name; None for the whole project.
    pub environment: Option<String>,
    /// Any of `project:read`, `project:write`, `project:delete`, `project:share`, `audit:read`.
    pub permissions: Vec<String>,
}

/// An issued capability, as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuedCapability {
    /// Names it.
    pub token_id: SessionId,
    /// Name it was given.
    pub name: String,
    /// Key that it was issued for.
    pub holder_key: [u8; 32],
    /// What it may do.
    pub grants: Vec<CapabilityGrant>,
    /// When it was issued.
    pub issued_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// Whether it was revoked.
    pub is_revoked: bool,
}

/// What a capability is worth, as the server says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is good now, and allows what was asked.
    Active {
        /// The account that acts.
        account_id: AccountId,
        /// Names it.
        token_id: SessionId,
        /// Key that signs requests.
        holder_key: [u8; 32],
        /// When it ends.
        expires_at: OffsetDateTime,
        /// What it may do.
        grants: Vec<CapabilityGrant>,
        /// How often it was narrowed.
        depth: u32,
    },
    /// It is not; a word says why, `unknown` when it is nobody's business who asks.
    Inactive(String),
}

/// A permission there is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permission {
    /// Its name, e.g. `project:read`.
    pub name: String,
    /// What it allows.
    pub description: String,
    /// Whether an API key may hold it.
    pub for_api_keys: bool,
}

/// A key that the server signs capabilities with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuerKey {
    /// Its name: the first 8 bytes of its SHA-256.
    pub key_id: [u8; 8],
    /// The key.
    pub public_key: [u8; 32],
    /// When it begins to sign.
    pub not_before: OffsetDateTime,
    /// When nothing that it signed is believed any more.
    pub not_after: OffsetDateTime,
    /// Place of its record in the directory's log; None while it is on its way there.
    pub log_index: Option<u64>,
}

/// Who may do what in a project and why, as the server sees it. What this client believes is the signed access list
/// ([`crate::Projects::access`]): compare.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The project's owner.
    pub owner_id: AccountId,
    /// Number of the newest access list; 0 while there is none.
    pub access_list: u64,
    /// Every grant that concerns the account.
    pub grants: Vec<AccessReason>,
    /// What the account may do now.
    pub permissions: Vec<String>,
}

/// One grant, and what is missing where it gives nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessReason {
    /// The project is theirs.
    Ownership,
    /// Through a team: what share, list and membership give together.
    Team {
        /// The team.
        team_id: TeamId,
        /// What the project is shared with it for.
        shared: Vec<String>,
        /// What the newest list gives the account through it.
        listed: Vec<String>,
        /// The account's role in it.
        role: Option<String>,
        /// What it gives.
        gives: Vec<String>,
        /// What is missing: `share`, `list`, `membership`, `overlap`.
        missing: Option<String>,
    },
    /// By an API key of theirs.
    ApiKey {
        /// The key.
        api_key_id: ApiKeyId,
        /// What its scope allows.
        scope: Vec<String>,
        /// Only in these environments; none means in all.
        environments: Vec<String>,
        /// What it may do.
        gives: Vec<String>,
    },
}

/// Capabilities of the account; see [`Client::capabilities`].
#[derive(Clone)]
pub struct Capabilities {
    client: Client,
}

impl Capabilities {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Draws a key and has a capability for it issued. It opens no content. One that lives longer than 15 minutes needs a
    /// login within the last five.
    ///
    /// # Errors
    /// [`Error::Api`] with `LOGIN_NOT_FRESH`, `PERMISSION_DENIED`, `CAPABILITY_LIMIT` or `FIELD_INVALID`.
    pub async fn issue(
        &self,
        name: &str,
        grants: &[CapabilityGrant],
        ttl: Duration,
    ) -> Result<(HeldCapability, IssuedCapability)> {
        let rpc = &rpc::ISSUE_CAPABILITY;
        let account = self.client.session_in_use().await?.account();
        let holder = SigningKey::generate(&mut OsRng);
        let request_id = times::random_uuid();
        let request = pb::IssueCapabilityRequest {
            name: name.to_owned(),
            holder_public_key: holder.verifying_key().as_bytes().to_vec(),
            possession: prove_holder(&holder, account, request_id.as_bytes()).to_vec(),
            grants: grants.iter().map(to_wire).collect(),
            ttl_seconds: u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX),
            request_id: request_id.to_string(),
        };
        let answer: pb::IssueCapabilityResponse = self.client.call(rpc, &request).await?;
        let issued = issued(times::present(answer.issued, rpc)?)?;
        let held = HeldCapability::new(self.client.inner().endpoint.clone(), answer.capability, holder);
        // What was signed for another key, or account, is of no use and was not asked for.
        let view = held.view().map_err(|_| Error::BadAnswer { rpc: rpc.path })?;
        let is_asked = view.holder_key[..] == request.holder_public_key[..];
        if !is_asked || view.account_id != account || view.token_id != issued.token_id {
            return Err(Error::BadAnswer { rpc: rpc.path });
        }
        Ok((held, issued))
    }

    /// The account's issued capabilities, revoked ones and, for an hour at least, those that are over among them.
    ///
    /// # Errors
    /// What the server says.
    pub async fn list(&self) -> Result<Vec<IssuedCapability>> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListCapabilitiesRequest { page_size: PAGE, page_token };
            let answer: pb::ListCapabilitiesResponse =
                self.client.call(&rpc::LIST_CAPABILITIES, &request).await?;
            for capability in answer.capabilities {
                all.push(issued(capability)?);
            }
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Asks what a capability is worth, perhaps for doing `permission` in a project or environment. Nothing is proved by it
    /// but that the server says so.
    ///
    /// # Errors
    /// What the server says; `RATE_LIMITED`: it is metered like guesses.
    pub async fn verify(
        &self,
        capability: &[u8],
        act: Option<(&str, ProjectId, Option<&str>)>,
    ) -> Result<Verdict> {
        let rpc = &rpc::VERIFY_CAPABILITY;
        let (permission, project_id, env_name) =
            act.map_or_else(Default::default, |(what, project, place)| {
                (what.to_owned(), project.to_string(), place.unwrap_or_default().to_owned())
            });
        let request =
            pb::VerifyCapabilityRequest { capability: capability.to_vec(), permission, project_id, env_name };
        let answer: pb::VerifyCapabilityResponse = self.client.call(rpc, &request).await?;
        if !answer.active {
            return Ok(Verdict::Inactive(answer.reason));
        }
        Ok(Verdict::Active {
            account_id: times::id(&answer.account_id, rpc)?,
            token_id: times::id(&answer.token_id, rpc)?,
            holder_key: array(&answer.holder_public_key, rpc)?,
            expires_at: times::required(answer.expires_at, rpc)?,
            grants: answer.grants.into_iter().map(|grant| from_wire(grant, rpc)).collect::<Result<_>>()?,
            depth: answer.depth,
        })
    }

    /// Revokes one, at once, with all that was narrowed from it.
    ///
    /// # Errors
    /// [`Error::Api`] with `CAPABILITY_UNKNOWN`.
    pub async fn revoke(&self, token_id: SessionId) -> Result<()> {
        let request = pb::RevokeCapabilityRequest {
            token_id: token_id.to_string(),
            all: false,
            request_id: times::request_id(),
        };
        let _: pb::RevokeCapabilityResponse = self.client.call(&rpc::REVOKE_CAPABILITY, &request).await?;
        Ok(())
    }

    /// Revokes everything that acts for the account: every session, this one too, and every issued capability. Needs a
    /// login within the last five minutes, and another one afterwards. API keys stay.
    ///
    /// # Errors
    /// [`Error::Api`] with `LOGIN_NOT_FRESH`.
    pub async fn revoke_all(&self) -> Result<()> {
        let request = pb::RevokeCapabilityRequest {
            token_id: String::new(),
            all: true,
            request_id: times::request_id(),
        };
        let _: pb::RevokeCapabilityResponse = self.client.call(&rpc::REVOKE_CAPABILITY, &request).await?;
        self.client.forget_session().await
    }

    /// Every permission there is. Needs no login.
    ///
    /// # Errors
    /// What the server says.
    pub async fn permissions(&self) -> Result<Vec<Permission>> {
        let answer: pb::ListPermissionsResponse =
            self.client.call(&rpc::LIST_PERMISSIONS, &pb::ListPermissionsRequest {}).await?;
        let permission = |found: pb::Permission| Permission {
            name: found.name,
            description: found.description,
            for_api_keys: found.api_key,
        };
        Ok(answer.permissions.into_iter().map(permission).collect())
    }

    /// The keys that the server signs capabilities with, as it says; oldest first. Needs no login.
    ///
    /// # Errors
    /// What the server says.
    pub async fn issuers(&self) -> Result<Vec<IssuerKey>> {
        let rpc = &rpc::LIST_ISSUERS;
        let answer: pb::ListIssuersResponse = self.client.call(rpc, &pb::ListIssuersRequest {}).await?;
        let issuer = |found: pb::IssuerKey| {
            Ok(IssuerKey {
                key_id: array(&found.key_id, rpc)?,
                public_key: array(&found.public_key, rpc)?,
                not_before: times::required(found.not_before, rpc)?,
                not_after: times::required(found.not_after, rpc)?,
                log_index: (!found.unlogged).then_some(found.log_index),
            })
        };
        answer.keys.into_iter().map(issuer).collect()
    }

    /// Why somebody may do what in a project, as the server sees it; None asks about the own account.
    ///
    /// # Errors
    /// [`Error::Api`] with `PERMISSION_DENIED`: asking about somebody else needs `project:share`.
    pub async fn explain(&self, project: &Project, account: Option<AccountId>) -> Result<Explanation> {
        let rpc = &rpc::EXPLAIN_ACCESS;
        let request = pb::ExplainAccessRequest {
            project_id: project.id.to_string(),
            account_id: account.map(|id| id.to_string()).unwrap_or_default(),
        };
        let answer: pb::ExplainAccessResponse = self.client.call(rpc, &request).await?;
        Ok(Explanation {
            owner_id: times::id(&answer.owner_id, rpc)?,
            access_list: answer.access_list,
            grants: answer.grants.into_iter().map(reason).collect::<Result<_>>()?,
            permissions: answer.permissions,
        })
    }
}

fn reason(found: pb::AccessReason) -> Result<AccessReason> {
    let rpc = &rpc::EXPLAIN_ACCESS;
    if found.ownership {
        return Ok(AccessReason::Ownership);
    }
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    if !found.api_key_id.is_empty() {
        return Ok(AccessReason::ApiKey {
            api_key_id: times::id(&found.api_key_id, rpc)?,
            scope: found.scope,
            environments: found.env_names,
            gives: found.gives,
        });
    }
    Ok(AccessReason::Team {
        team_id: times::id(&found.team_id, rpc)?,
        shared: found.shared,
        listed: found.listed,
        role: some(found.role),
        gives: found.gives,
        missing: some(found.missing),
    })
}

fn issued(found: pb::IssuedCapability) -> Result<IssuedCapability> {
    let rpc = &rpc::LIST_CAPABILITIES;
    Ok(IssuedCapability {
        token_id: times::id(&found.token_id, rpc)?,
        name: times::name(found.name, rpc)?,
        holder_key: array(&found.holder_public_key, rpc)?,
        grants: found.grants.into_iter().map(|grant| from_wire(grant, rpc)).collect::<Result<_>>()?,
        issued_at: times::required(found.issued_at, rpc)?,
        expires_at: times::required(found.expires_at, rpc)?,
        is_revoked: found.revoked,
    })
}

fn to_wire(grant: &CapabilityGrant) -> pb::CapabilityGrant {
    pb::CapabilityGrant {
        project_id: grant.project_id.to_string(),
        env_name: grant.environment.clone().unwrap_or_default(),
        permissions: grant.permissions.clone(),
    }
}

fn from_wire(grant: pb::CapabilityGrant, rpc: &'static rpc::Rpc) -> Result<CapabilityGrant> {
    Ok(CapabilityGrant {
        project_id: times::id(&grant.project_id, rpc)?,
        environment: match grant.env_name.as_str() {
            "" => None,
            _ => Some(times::name(grant.env_name, rpc)?),
        },
        permissions: grant.permissions,
    })
}

fn array<const N: usize>(bytes: &[u8], rpc: &'static rpc::Rpc) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| Error::BadAnswer { rpc: rpc.path })
}

/// The set of these permissions.
fn actions<'a>(permissions: impl Iterator<Item = &'a str>) -> Result<Actions> {
    permissions.into_iter().try_fold(Actions::NONE, |all, name| {
        let action: Actions =
            name.parse().map_err(|_| Error::invalid("permission", format!("there is no {name}")))?;
        Ok(all | action)
    })
}
