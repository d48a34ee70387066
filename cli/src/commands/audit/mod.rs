//! The log of a project: its events, proofs, exports, and the watch over it. Every check lies in the SDK.

mod export;
mod monitor;
mod verify;

use serde_json::{Value, json};
use veilcloud_sdk::AuditEvent;

use super::show;
use crate::args::audit::{Audit, AuditCommand};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output;

pub async fn manage(context: &Context, args: Audit) -> Result<Exit, Failure> {
    match args.command {
        AuditCommand::List { project } => list(context, &project).await?,
        AuditCommand::Proof { project, index } => proof(context, &project, index).await?,
        AuditCommand::Verify { path, policy } => {
            return verify::verify(context, &path, policy.as_deref()).await;
        }
        AuditCommand::Export { project, format } => export::export(context, &project, format).await?,
        AuditCommand::Monitor { project, interval, once, evidence } => {
            return monitor::monitor(context, &project, interval, once, evidence).await;
        }
        AuditCommand::Fsck { dir, policy } => return verify::fsck(context, &dir, policy.as_deref()),
        AuditCommand::Token { project, ttl } => token(context, &project, ttl).await?,
        AuditCommand::Policy { project } => policy(context, &project).await?,
    }
    Ok(Exit::Done)
}

async fn list(context: &Context, project: &str) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let events = client.audit(&project).events().await?;
    let row = |event: &AuditEvent| {
        vec![
            event.index.to_string(),
            show::time(event.at),
            event.kind.clone(),
            event.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
            event.environment_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            event.actor_id.to_string(),
        ]
    };
    let (items, rows) = (events.iter().map(event).collect(), events.iter().map(row).collect());
    context.output.list("events", items, &["index", "at", "kind", "version", "environment", "actor"], rows)
}

async fn proof(context: &Context, project: &str, index: u64) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let proof = client.audit(&project).proof(index).await?;
    if context.output.json {
        let value = json!({ "event": event(&proof.event), "log_size": proof.log_size, "proof": proof.file });
        return context.output.json(&value);
    }
    output::write(proof.file.as_bytes())
}

async fn token(context: &Context, project: &str, ttl: std::time::Duration) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let token = client.audit(&project).create_token(ttl).await?;
    let expires_at = show::time(token.expires_at);
    let value = json!({ "token": *token.token, "url": token.url, "expires_at": expires_at });
    let lines = [("token", (*token.token).clone()), ("url", token.url.clone()), ("expires", expires_at)];
    context.output.object(&value, &lines)?;
    context.output.say("Whoever has the token reads ids, times and digests of this log until it expires.");
    Ok(())
}

async fn policy(context: &Context, project: &str) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let audit = client.audit(&project);
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
        "environment_id": event.environment_id.map(|id| id.to_string()),
        "version": event.version,
        "digest": event.digest.as_ref().map(|digest| show::hex(digest.as_ref())),
        "by_number": event.by_number,
        "entry": show::hex(&event.entry),
    })
}
