//! Issued capabilities, issuer keys, and explanations of access.

use veilcloud_domain::{
    auth::{
        capabilities::{
            Judged, NewCapability, Question,
            model::{Issued, LIFETIME_MS_DEFAULT},
        },
        issuers::Issuer,
    },
    projects::explain::{Explanation, Reason},
};
use veilcloud_proto::auth::v1 as pb;
use veilcore::id::ProjectId;
use veilsign::capability::{Actions, Grant, Resource};

use super::{array, id, name, timestamp};
use crate::status::Fault;

/// A capability that is asked for.
pub fn new(request: pb::IssueCapabilityRequest) -> Result<NewCapability, Fault> {
    let request_id: ProjectId = id("request_id", &request.request_id)?;
    Ok(NewCapability {
        name: name(&request.name)?,
        holder_pk: array("holder_public_key", &request.holder_public_key)?,
        possession: array("possession", &request.possession)?,
        request_id: *request_id.as_bytes(),
        grants: request.grants.iter().map(grant).collect::<Result<_, _>>()?,
        lifetime_ms: match request.ttl_seconds {
            0 => LIFETIME_MS_DEFAULT,
            seconds => u64::from(seconds) * 1000,
        },
    })
}

/// What is asked about one.
pub fn question(request: pb::VerifyCapabilityRequest) -> Result<Question, Fault> {
    let act = match (request.permission.as_str(), request.project_id.as_str()) {
        ("", "") if request.env_name.is_empty() => None,
        ("", _) => return Err(Fault::field("permission", "required", "is needed with a place")),
        (permission, project) => {
            let project = id("project_id", project)?;
            Some((actions("permission", &[permission])?, place(project, &request.env_name)?))
        }
    };
    Ok(Question { capability: request.capability, act })
}

/// What is known of an issued one.
pub fn issued(issued: Issued) -> pb::IssuedCapability {
    pb::IssuedCapability {
        token_id: issued.id.to_string(),
        name: issued.name.to_string(),
        holder_public_key: issued.holder_pk.to_vec(),
        grants: grants(&issued.grants),
        issued_at: timestamp(issued.issued_at_ms),
        expires_at: timestamp(issued.expires_at_ms),
        issuer_key_id: issued.kid.as_bytes().to_vec(),
        revoked: issued.is_revoked,
    }
}

/// The verdict on one.
pub fn judged(judged: Judged) -> pb::VerifyCapabilityResponse {
    match judged {
        Judged::Inactive(reason) => {
            pb::VerifyCapabilityResponse { reason: reason.to_owned(), ..Default::default() }
        }
        Judged::Active(standing) => pb::VerifyCapabilityResponse {
            active: true,
            reason: String::new(),
            account_id: standing.account.to_string(),
            token_id: standing.id.to_string(),
            holder_public_key: standing.holder_pk.to_vec(),
            issuer_key_id: standing.kid.as_bytes().to_vec(),
            expires_at: timestamp(standing.expires_at_ms),
            grants: grants(&standing.grants),
            depth: u32::try_from(standing.depth).unwrap_or(u32::MAX),
        },
    }
}

/// A key that signs capabilities.
pub fn issuer(issuer: &Issuer) -> pb::IssuerKey {
    pb::IssuerKey {
        key_id: issuer.kid().as_bytes().to_vec(),
        public_key: issuer.public.key.as_bytes().to_vec(),
        not_before: timestamp(issuer.public.not_before_ms),
        not_after: timestamp(issuer.public.not_after_ms),
        unlogged: issuer.leaf.is_none(),
        log_index: issuer.leaf.unwrap_or(0),
    }
}

/// Who may do what, and why.
pub fn explanation(explanation: Explanation) -> pb::ExplainAccessResponse {
    pb::ExplainAccessResponse {
        owner_id: explanation.owner.to_string(),
        access_list: explanation.access_list,
        grants: explanation.grants.into_iter().map(reason).collect(),
        permissions: names(explanation.effective),
    }
}

fn reason(reason: Reason) -> pb::AccessReason {
    match reason {
        Reason::Ownership => {
            pb::AccessReason { ownership: true, gives: names(Actions::ALL), ..Default::default() }
        }
        Reason::Team(team) => pb::AccessReason {
            team_id: team.team.to_string(),
            shared: names(team.shared),
            listed: names(team.listed),
            role: team.role.map(|role| role.as_str().to_owned()).unwrap_or_default(),
            gives: names(team.gives),
            missing: team.missing().unwrap_or_default().to_owned(),
            ..Default::default()
        },
        Reason::ApiKey(key) => pb::AccessReason {
            api_key_id: key.id.to_string(),
            scope: names(key.actions),
            env_names: key.environments,
            gives: names(key.gives),
            ..Default::default()
        },
    }
}

/// Grants that lie in projects.
fn grants(grants: &[Grant]) -> Vec<pb::CapabilityGrant> {
    let grant = |grant: &Grant| {
        let mut segments = grant.resource.as_str().split('/');
        let project_id = segments.nth(1)?.to_owned();
        let env_name = segments.nth(1).unwrap_or_default().to_owned();
        Some(pb::CapabilityGrant { project_id, env_name, permissions: names(grant.actions) })
    };
    grants.iter().filter_map(grant).collect()
}

fn grant(grant: &pb::CapabilityGrant) -> Result<Grant, Fault> {
    let place = place(id("grants.project_id", &grant.project_id)?, &grant.env_name)?;
    let permissions: Vec<&str> = grant.permissions.iter().map(String::as_str).collect();
    Ok(Grant::new(place, actions("grants.permissions", &permissions)?))
}

fn place(project: ProjectId, env_name: &str) -> Result<Resource, Fault> {
    if env_name.is_empty() {
        return Ok(Resource::project(project));
    }
    let name = name(env_name)?;
    Resource::environment(project, name.as_str())
        .map_err(|_| Fault::field("env_name", "format", "names no place in a project"))
}

fn actions(field: &str, permissions: &[&str]) -> Result<Actions, Fault> {
    permissions.iter().try_fold(Actions::NONE, |all, permission| {
        let action: Actions = permission
            .parse()
            .map_err(|_| Fault::field(field, "permission", "names an unknown permission"))?;
        Ok(all | action)
    })
}

fn names(actions: Actions) -> Vec<String> {
    actions.iter().map(|(_, name)| name.to_owned()).collect()
}
