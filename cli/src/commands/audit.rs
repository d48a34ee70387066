//! The audit trail of a project.

use serde_json::json;

use super::show;
use crate::args::tools::{Audit, AuditCommand};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;

pub async fn manage(context: &Context, args: Audit) -> Result<Exit, Failure> {
    let AuditCommand::List { project } = args.command;
    let (client, project) = context.project(&project).await?;
    let events = client.audit(&project).events().await?;
    let mut items = Vec::with_capacity(events.len());
    let mut rows = Vec::with_capacity(events.len());
    for event in &events {
        items.push(json!({
            "index": event.index,
            "at": show::time(event.at),
            "kind": event.kind,
            "actor_id": event.actor_id.to_string(),
            "environment_id": event.environment_id.map(|id| id.to_string()),
            "version": event.version,
            "digest": event.digest.as_ref().map(|digest| show::hex(digest.as_ref())),
        }));
        rows.push(vec![
            event.index.to_string(),
            show::time(event.at),
            event.kind.clone(),
            event.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
            event.environment_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            event.actor_id.to_string(),
        ]);
    }
    context.output.list(
        "events",
        items,
        &["index", "at", "kind", "version", "environment", "actor"],
        rows,
    )?;
    Ok(Exit::Done)
}
