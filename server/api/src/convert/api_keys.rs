//! API keys.

use veilcloud_domain::auth::api_keys::{
    NewApiKey, NewSecret, NewToken,
    error::ApiKeyError,
    model::{ApiKey, Scope, TokenHalf},
};
use veilcloud_proto::auth::v1 as pb;
use veilsign::capability::Actions;
use zeroize::Zeroizing;

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
        token: token(request.key_record, request.server_share, request.trust)?,
    })
}

/// The next secret of a key.
pub fn new_secret(request: pb::RotateApiKeyRequest) -> Result<NewSecret, Fault> {
    Ok(NewSecret {
        generation: request.generation,
        secret_hash: array("secret_hash", &request.secret_hash)?,
        token: token(request.key_record, request.server_share, request.trust)?,
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
        key_record: key.record.map(|record| record.bytes).unwrap_or_default(),
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

/// What makes a key one that opens keyrings: all of it or nothing.
fn token(record: Vec<u8>, share: Vec<u8>, trust: Vec<u8>) -> Result<Option<NewToken>, Fault> {
    let share = Zeroizing::new(share);
    match [&record, &*share, &trust].map(|part| part.is_empty()) {
        [true, true, true] => Ok(None),
        [false, false, false] => Ok(Some(NewToken { record, share, trust })),
        _ => Err(ApiKeyError::Record { check: "incomplete" }.into()),
    }
}

/// What a key is told about itself.
pub fn own_key(api_key: ApiKey, generation: u32, half: Option<TokenHalf>) -> pb::GetOwnApiKeyResponse {
    let (key_record, trust) = half.map(|half| (half.record.bytes, half.trust)).unwrap_or_default();
    pb::GetOwnApiKeyResponse { api_key: Some(key(api_key)), generation, key_record, trust }
}

fn ms(seconds: u32) -> u64 {
    u64::from(seconds) * 1000
}
