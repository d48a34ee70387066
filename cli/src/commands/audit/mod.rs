//! The log of a project or account: its events, proofs, exports, and the watch over it. Every check lies in the SDK.

mod export;
mod monitor;
mod verify;

use serde_json::{Value, json};
use veilcloud_sdk::{Audit, AuditEvent, Client, ErrorKind, ProjectId};

use super::show;
use crate::args::audit::{self as args, AuditCommand, Whose};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output;

pub async fn manage(context: &Context, args: args::Audit) -> Result<Exit, Failure> {
    match args.command {
        AuditCommand::List { whose } => list(context, &whose).await?,
        AuditCommand::Proof { whose, index } => proof(context, &whose, index).await?,
        AuditCommand::Verify { path, policy } => {
            return verify::verify(context, &path, policy.as_deref()).await;
        }
        AuditCommand::Export { whose, format } => export::export(context, &whose, format).await?,
        AuditCommand::Monitor { whose, interval, once, evidence } => {
            return monitor::monitor(context, &whose, interval, once, evidence).await;
        }
        AuditCommand::Fsck { dir, policy } => return verify::fsck(context, &dir, policy.as_deref()),
        AuditCommand::Token { project, ttl } => token(context, &project, ttl).await?,
        AuditCommand::Policy { whose } => policy(context, &whose).await?,
    }
    Ok(Exit::Done)
}

/// A log that somebody asked for.
struct Opened {
    client: Client,
    audit: Audit,
    /// What it is the log of, for people.
    of: String,
}

/// The log of the account or of a project. A text that names no project and is an id means one that was deleted: whether
/// it was the caller's is for the server to say, which tells an id of somebody else's from none in no way.
async fn open(context: &Context, whose: &Whose) -> Result<Opened, Failure> {
    let client = context.client()?;
    let Some(project) = &whose.project else {
        let audit = client.audit_account().await?;
        return Ok(Opened { client, audit, of: "your account".to_owned() });
    };
    let found = client.projects().by_name(project).await;
    let audit = match (found, project.parse::<ProjectId>()) {
        (Ok(found), _) => client.audit(&found),
        (Err(e), Ok(id)) if e.kind() == ErrorKind::NotFound => match client.projects().get(id).await {
            Ok(shared) => client.audit(&shared),
            Err(e) if e.kind() == ErrorKind::Denied => {
                context.output.say(&format!(
                    "No project has this name: asking for the log of the deleted project {id}."
                ));
                client.audit_of(id)
            }
            Err(e) => return Err(e.into()),
        },
        (Err(e), _) => return Err(e.into()),
    };
    Ok(Opened { client, audit, of: project.clone() })
}

async fn list(context: &Context, whose: &Whose) -> Result<(), Failure> {
    let events = open(context, whose).await?.audit.events().await?;
    let row = |event: &AuditEvent| {
        vec![
            event.index.to_string(),
            show::time(event.at),
            event.kind.clone(),
            event.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
            event.environment_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            event.actor_id.to_string(),
            event.api_key_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
        ]
    };
    let (items, rows) = (events.iter().map(event).collect(), events.iter().map(row).collect());
    let head = ["index", "at", "kind", "version", "environment", "actor", "API key"];
    context.output.list("events", items, &head, rows)
}

async fn proof(context: &Context, whose: &Whose, index: u64) -> Result<(), Failure> {
    let proof = open(context, whose).await?.audit.proof(index).await?;
    if context.output.json {
        let value = json!({ "event": event(&proof.event), "log_size": proof.log_size, "proof": proof.file });
        return context.output.json(&value);
    }
    output::write(proof.file.as_bytes())
}

async fn token(context: &Context, project: &str, ttl: std::time::Duration) -> Result<(), Failure> {
    let whose = Whose { project: Some(project.to_owned()), account: false };
    let token = open(context, &whose).await?.audit.create_token(ttl).await?;
    let expires_at = show::time(token.expires_at);
    let value = json!({ "token": *token.token, "url": token.url, "expires_at": expires_at });
    let lines = [("token", (*token.token).clone()), ("url", token.url.clone()), ("expires", expires_at)];
    context.output.object(&value, &lines)?;
    context.output.say("Whoever has the token reads ids, times and digests of this log until it expires.");
    Ok(())
}

async fn policy(context: &Context, whose: &Whose) -> Result<(), Failure> {
    let audit = open(context, whose).await?.audit;
    let policy = audit.policy().await?;
    if context.output.json {
        return context.output.json(&json!({ "policy": policy, "keys": audit.verifier_keys().await? }));
    }
    output::write(policy.as_bytes())
}

/// The stable JSON form of an event.
fn event(event: &AuditEvent) -> Value {
    json!({
        "index": event.index,
        "at": show::time(event.at),
        "kind": event.kind,
        "actor_id": event.actor_id.to_string(),
        "api_key_id": event.api_key_id.map(|id| id.to_string()),
        "environment_id": event.environment_id.map(|id| id.to_string()),
        "version": event.version,
        "digest": event.digest.as_ref().map(|digest| show::hex(digest.as_ref())),
        "by_number": event.by_number,
        "entry": show::hex(&event.entry),
    })
}
