//! API keys.

use veilcloud_domain::auth::api_keys::{
    NewApiKey, NewSecret,
    model::{ApiKey, Scope},
};
use veilcloud_proto::auth::v1 as pb;
use veilsign::capability::Actions;

use super::{array, id, name, timestamp};
use crate::status::Fault;

/// A new key.
pub fn new_key(request: pb::CreateApiKeyRequest) -> Result<NewApiKey, Fault> {
    Ok(NewApiKey {
        id: id("api_key_id", &request.api_key_id)?,
        name: name(&request.name)?,
        secret_hash: array("secret_hash", &request.secret_hash)?,
        scope: scope(request.scope.unwrap_or_default())?,
        lifetime_ms: ms(request.ttl_seconds),
        public_key: public_key(&request.public_key)?,
    })
}

/// The next secret of a key.
pub fn new_secret(request: &pb::RotateApiKeyRequest) -> Result<NewSecret, Fault> {
    Ok(NewSecret {
        generation: request.generation,
        secret_hash: array("secret_hash", &request.secret_hash)?,
        public_key: public_key(&request.public_key)?,
        overlap_ms: ms(request.overlap_seconds),
        lifetime_ms: Some(request.ttl_seconds).filter(|seconds| *seconds > 0).map(ms),
    })
}

/// A key as its account sees it.
pub fn key(key: ApiKey) -> pb::ApiKey {
    pb::ApiKey {
        api_key_id: key.id.to_string(),
        name: key.name.to_string(),
        scope: Some(pb::ApiKeyScope {
            permissions: key.scope.actions.iter().map(|(_, name)| name.to_owned()).collect(),
            project_id: key.scope.project.map(|id| id.to_string()).unwrap_or_default(),
            env_names: key.scope.environments.iter().map(ToString::to_string).collect(),
            networks: key.scope.networks.iter().map(ToString::to_string).collect(),
        }),
        public_key: key.public_key.map(Vec::from).unwrap_or_default(),
        created_at: timestamp(key.created_at_ms),
        expires_at: timestamp(key.expires_at_ms),
        generation: key.generation,
        overlap_until: key.overlap.and_then(|overlap| timestamp(overlap.until_ms)),
        last_used_at: key.last_used_at_ms.and_then(timestamp),
        revoked_at: key.revoked_at_ms.and_then(timestamp),
    }
}

fn scope(scope: pb::ApiKeyScope) -> Result<Scope, Fault> {
    let mut actions = Actions::NONE;
    for permission in &scope.permissions {
        let action: Actions = permission
            .parse()
            .map_err(|_| Fault::field("scope.permissions", "permission", "names an unknown permission"))?;
        actions = actions | action;
    }
    let project = scope.project_id.as_str();
    let networks = scope.networks.iter().map(|text| {
        text.parse().map_err(|error: veilcloud_domain::auth::api_keys::network::NetworkInvalid| {
            Fault::field("scope.networks", "format", error.to_string())
        })
    });
    Ok(Scope {
        actions,
        project: if project.is_empty() { None } else { Some(id("scope.project_id", project)?) },
        environments: scope.env_names.iter().map(|text| name(text)).collect::<Result<_, _>>()?,
        networks: networks.collect::<Result<_, _>>()?,
    })
}

fn public_key(bytes: &[u8]) -> Result<Option<[u8; 32]>, Fault> {
    if bytes.is_empty() { Ok(None) } else { array("public_key", bytes).map(Some) }
}

fn ms(seconds: u32) -> u64 {
    u64::from(seconds) * 1000
}
