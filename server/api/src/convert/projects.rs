//! Projects, environments, keyrings, shares.

use veilcloud_domain::projects::{
    GivenKeyring, NewEnvironment,
    access::{Principal, SHAREABLE, Share},
    model::{Environment, Keyring, Project},
    unlock::Unlocked,
};
use veilcloud_proto::projects::v1 as pb;
use veilcore::id::ApiKeyId;
use veilsign::capability::Actions;

use super::{id, name, timestamp};
use crate::status::Fault;

/// A project, and what the caller may do in it.
pub fn project(project: Project, held: Actions) -> pb::Project {
    pb::Project {
        project_id: project.id.to_string(),
        name: project.name.to_string(),
        owner_id: project.owner.to_string(),
        created_at: timestamp(project.created_at_ms),
        environment_count: project.environment_count,
        permissions: permissions(held.intersection(SHAREABLE)),
    }
}

/// Actions by their names, lowest bit first.
pub fn permissions(actions: Actions) -> Vec<String> {
    actions.iter().map(|(_, name)| name.to_owned()).collect()
}

/// Actions from their names.
pub fn actions(names: &[String]) -> Result<Actions, Fault> {
    names.iter().try_fold(Actions::NONE, |all, name| match name.parse() {
        Ok(action) if action != Actions::NONE && !name.contains(',') => Ok(all | action),
        _ => Err(Fault::field("permissions", "format", "must be the names of permissions, one each")),
    })
}

/// A share.
pub fn share(share: Share) -> pb::Share {
    pb::Share {
        team_id: share.team.to_string(),
        permissions: permissions(share.actions),
        shared_by_id: share.by.to_string(),
        shared_at: timestamp(share.at_ms),
    }
}

/// Whom a keyring is added for: an account or an API key.
pub fn principal(account_id: &str, api_key_id: &str) -> Result<Principal, Fault> {
    match (account_id, api_key_id) {
        (account, "") => Ok(Principal::Account(id("account_id", account)?)),
        ("", key) => Ok(Principal::ApiKey(id("api_key_id", key)?)),
        _ => Err(Fault::field("api_key_id", "either", "must be empty when account_id is given")),
    }
}

/// An environment.
pub fn environment(environment: Environment) -> pb::Environment {
    let head = environment.head.as_ref();
    pb::Environment {
        environment_id: environment.id.to_string(),
        project_id: environment.project.to_string(),
        name: environment.name.to_string(),
        epoch: environment.epoch,
        version: head.map_or(0, |v| v.number),
        etag: head.map_or_else(String::new, |v| v.etag().to_string()),
        ciphertext_bytes: head.map_or(0, |v| v.len),
        created_at: timestamp(environment.created_at_ms),
        updated_at: head.and_then(|v| timestamp(v.created_at_ms)),
        cloned_from_id: environment.cloned_from.map_or_else(String::new, |o| o.environment.to_string()),
        cloned_from_version: environment.cloned_from.map_or(0, |o| o.version),
        rotation_due: environment.rotation_due,
    }
}

/// A keyring on its way in.
pub fn keyring(keyring: Option<pb::Keyring>) -> Result<Keyring, Fault> {
    let keyring = keyring.ok_or_else(|| Fault::field("keyring", "required", "must not be empty"))?;
    let pb::Keyring { epoch, file, seal, access_list } = keyring;
    Ok(Keyring { epoch, file, seal, access_list })
}

/// A keyring on its way out.
pub fn keyring_out(keyring: Keyring) -> pb::Keyring {
    let Keyring { epoch, file, seal, access_list } = keyring;
    pb::Keyring { epoch, file, seal, access_list }
}

/// A keyring as it is given out.
pub fn given_keyring(given: GivenKeyring) -> pb::GetKeyringResponse {
    pb::GetKeyringResponse {
        keyring: Some(keyring_out(given.keyring)),
        author_id: given.seal.author.to_string(),
        added: given.added,
        epoch_seal: given.epoch_seal,
        epoch_author_id: given.epoch_author.to_string(),
    }
}

/// A keyring with the server's part of opening it.
pub fn unlocked(unlocked: Unlocked) -> pb::UnlockKeyringResponse {
    let given = given_keyring(unlocked.given);
    pb::UnlockKeyringResponse {
        keyring: given.keyring,
        author_id: given.author_id,
        epoch_seal: given.epoch_seal,
        epoch_author_id: given.epoch_author_id,
        partial: unlocked.partial.to_vec(),
    }
}

/// The record of an API key that a list names.
pub fn api_key_record((id, key_record): (ApiKeyId, Vec<u8>)) -> pb::ApiKeyRecord {
    pb::ApiKeyRecord { api_key_id: id.to_string(), key_record }
}

/// A new environment.
pub fn new_environment(
    environment_id: &str,
    environment_name: &str,
    with: Option<pb::Keyring>,
) -> Result<NewEnvironment, Fault> {
    Ok(NewEnvironment {
        id: id("environment_id", environment_id)?,
        name: name(environment_name)?,
        keyring: keyring(with)?,
    })
}
