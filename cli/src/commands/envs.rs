//! Environments.

use serde_json::json;

use super::outcome::{tell_vouched, vouched_value};
use super::show;
use crate::args::projects::{Envs, EnvsCommand};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;

pub async fn manage(context: &Context, args: Envs) -> Result<Exit, Failure> {
    match args.command {
        EnvsCommand::Create { project, env } => create(context, &project, &env).await?,
        EnvsCommand::List { project } => list(context, &project).await?,
        EnvsCommand::Show { project, env } => show_one(context, &project, &env).await?,
        EnvsCommand::Clone { project, from, to } => clone(context, &project, &from, &to).await?,
        EnvsCommand::Rotate { project, env } => rotate(context, &project, &env).await?,
        EnvsCommand::Delete { project, env, yes } => delete(context, &project, &env, yes).await?,
        EnvsCommand::Forget { project, env, yes } => forget(context, &project, &env, yes).await?,
    }
    Ok(Exit::Done)
}

async fn create(context: &Context, project_name: &str, env: &str) -> Result<(), Failure> {
    let (client, project) = context.project(project_name).await?;
    let environment = client.environments(&project).create(env).await?;
    context.output.done(&show::environment(&environment), &format!("created environment {env}"))?;
    context.output.hint(&format!("veilcloud storage put {project_name} {env} ./.env"));
    Ok(())
}

pub async fn list(context: &Context, project: &str) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let environments = client.environments(&project).list().await?;
    let rows = environments.iter().map(show::environment_row).collect();
    let items = environments.iter().map(show::environment).collect();
    context.output.list("environments", items, &show::ENVIRONMENT_HEAD, rows)
}

async fn show_one(context: &Context, project: &str, env: &str) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let environment = client.environments(&project).get(env).await?;
    let row = show::environment_row(&environment);
    let lines: Vec<_> = show::ENVIRONMENT_HEAD.iter().copied().zip(row).collect();
    context.output.object(&show::environment(&environment), &lines)
}

async fn clone(context: &Context, project: &str, from: &str, to: &str) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let environment = client.environments(&project).clone(from, to).await?;
    context.output.done(&show::environment(&environment), &format!("{to} holds the content of {from}"))?;
    context.output.hint(&format!("veilcloud diff {} {from} {to}", project.name));
    Ok(())
}

async fn rotate(context: &Context, project: &str, env: &str) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let rotation = client.environments(&project).rotate(env).await?;
    let environment = &rotation.environment;
    let sentence =
        format!("{env} has a new key (epoch {}); older versions stay under theirs", environment.epoch);
    let mut value = show::environment(environment);
    value["vouched"] = rotation.vouched.as_ref().map(vouched_value).into();
    context.output.done(&value, &sentence)?;
    tell_vouched(context, &rotation.vouched);
    Ok(())
}

async fn delete(context: &Context, project: &str, env: &str, yes: bool) -> Result<(), Failure> {
    let act = format!("this deletes environment {env} of {project} with all its versions for good");
    context.prompt.confirm(&act, env, yes)?;
    let (client, project) = context.project(project).await?;
    client.environments(&project).delete(env).await?;
    context.output.done(&json!({ "name": env, "deleted": true }), &format!("deleted environment {env}"))
}

async fn forget(context: &Context, project: &str, env: &str, yes: bool) -> Result<(), Failure> {
    let act = format!("this machine will accept any {env} that the server shows next");
    context.prompt.confirm(&act, env, yes)?;
    let (client, project) = context.project(project).await?;
    client.environments(&project).forget(env).await?;
    context.output.done(&json!({ "name": env, "forgotten": true }), &format!("forgot what was seen of {env}"))
}
