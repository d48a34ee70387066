//! The stable JSON forms and table rows of what the SDK gives.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use veilcloud_sdk::{Client, Environment, Kind, Project, Version};

pub use crate::ui::table::size;

pub const ENVIRONMENT_HEAD: [&str; 6] = ["name", "version", "stored", "epoch", "updated", "etag"];
pub const VERSION_HEAD: [&str; 7] = ["version", "created", "kind", "size", "author", "checked", "etag"];

/// One line on standard error when the server names other witnesses than the ones that are in force here.
pub fn witnesses(client: &Client) {
    if client.has_other_witness_policy() {
        let what = "the server names other witnesses than at the first contact; the first ones stay in force";
        crate::ui::output::say(&format!("warning: {what}"));
    }
}

/// RFC 3339 in UTC, to the second.
pub fn time(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

pub fn project(project: &Project) -> Value {
    json!({
        "name": project.name,
        "id": project.id.to_string(),
        "owner_id": project.owner_id.to_string(),
        "permissions": project.permissions,
        "environment_count": project.environment_count,
        "created_at": time(project.created_at),
    })
}

pub fn environment(environment: &Environment) -> Value {
    json!({
        "name": environment.name,
        "id": environment.id.to_string(),
        "version": environment.version,
        "etag": environment.etag,
        "ciphertext_bytes": environment.ciphertext_bytes,
        "epoch": environment.epoch,
        "created_at": time(environment.created_at),
        "updated_at": time(environment.updated_at),
    })
}

pub fn environment_row(environment: &Environment) -> Vec<String> {
    let stored = environment.version > 0;
    vec![
        environment.name.clone(),
        if stored { environment.version.to_string() } else { "-".to_owned() },
        if stored { size(environment.ciphertext_bytes) } else { "-".to_owned() },
        environment.epoch.to_string(),
        time(environment.updated_at),
        environment.etag.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

pub fn version(version: &Version) -> Value {
    json!({
        "version": version.number,
        "etag": version.etag,
        "digest": hex(&version.digest),
        "kind": kind(version.kind),
        "plain_bytes": version.plain_bytes,
        "ciphertext_bytes": version.ciphertext_bytes,
        "epoch": version.epoch,
        "author_id": version.author_id.to_string(),
        "created_at": time(version.created_at),
        "deleted": version.deleted,
        "verified": version.verified,
    })
}

pub fn version_row(version: &Version) -> Vec<String> {
    vec![
        version.number.to_string(),
        time(version.created_at),
        if version.deleted { "deleted" } else { kind(version.kind) }.to_owned(),
        version.plain_bytes.map_or_else(|| "?".to_owned(), size),
        version.author_id.to_string(),
        if version.verified { "yes" } else { "no" }.to_owned(),
        version.etag.clone(),
    ]
}

pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Binary => "binary",
        _ => "unknown",
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
