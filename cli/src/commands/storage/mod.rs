//! Content of environments.

mod get;
pub mod put;

use serde_json::json;

use super::{envs, show};
use crate::args::storage::{Storage, StorageCommand};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;

pub async fn manage(context: &Context, args: Storage) -> Result<Exit, Failure> {
    match args.command {
        StorageCommand::Put(args) => put::put(context, args).await?,
        StorageCommand::Get(args) => get::get(context, args).await?,
        StorageCommand::History { project, env } => history(context, &project, &env).await?,
        StorageCommand::Rollback { project, env, to } => rollback(context, &project, &env, to).await?,
        StorageCommand::Delete { project, env, yes } => delete(context, &project, &env, yes).await?,
        StorageCommand::List { project } => envs::list(context, &project).await?,
    }
    Ok(Exit::Done)
}

async fn history(context: &Context, project: &str, env: &str) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let versions = client.storage().history(&project, env).await?;
    let rows = versions.iter().map(show::version_row).collect();
    let items = versions.iter().map(show::version).collect();
    context.output.list("versions", items, &show::VERSION_HEAD, rows)
}

async fn rollback(context: &Context, project: &str, env: &str, to: u64) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let version = client.storage().rollback(&project, env, to).await?;
    let sentence = format!("{env} is at version {} with the content of version {to}", version.number);
    context.output.done(&show::version(&version), &sentence)
}

async fn delete(context: &Context, project: &str, env: &str, yes: bool) -> Result<(), Failure> {
    context.prompt.confirm(
        &format!("this deletes the content of every version of {env} in {project} for good"),
        env,
        yes,
    )?;
    let (client, project) = context.project(project).await?;
    client.storage().delete(&project, env).await?;
    let value = json!({ "environment": env, "deleted": true });
    context.output.done(&value, &format!("deleted the content of {env}; the list of its versions stays"))
}
