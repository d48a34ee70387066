//! Projects, environments, keyrings.

use veilcloud_domain::projects::{
    NewEnvironment,
    model::{Environment, Keyring, Project},
};
use veilcloud_proto::projects::v1 as pb;

use super::{id, name, timestamp};
use crate::status::Fault;

/// A project.
pub fn project(project: Project) -> pb::Project {
    pb::Project {
        project_id: project.id.to_string(),
        name: project.name.to_string(),
        owner_id: project.owner.to_string(),
        created_at: timestamp(project.created_at_ms),
        environment_count: project.environment_count,
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
    }
}

/// A keyring on its way in.
pub fn keyring(keyring: Option<pb::Keyring>) -> Result<Keyring, Fault> {
    let keyring = keyring.ok_or_else(|| Fault::field("keyring", "required", "must not be empty"))?;
    Ok(Keyring { epoch: keyring.epoch, file: keyring.file, seal: keyring.seal })
}

/// A keyring on its way out.
pub fn keyring_out(keyring: Keyring) -> pb::Keyring {
    pb::Keyring { epoch: keyring.epoch, file: keyring.file, seal: keyring.seal }
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
