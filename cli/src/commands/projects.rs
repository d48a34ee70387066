//! Projects.

use serde_json::json;

use super::show;
use crate::args::projects::{Projects, ProjectsCommand};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;

pub async fn manage(context: &Context, args: Projects) -> Result<Exit, Failure> {
    match args.command {
        ProjectsCommand::Create { project } => create(context, &project).await?,
        ProjectsCommand::List => list(context).await?,
        ProjectsCommand::Show { project } => show_one(context, &project).await?,
        ProjectsCommand::Rename { project, name } => rename(context, &project, &name).await?,
        ProjectsCommand::Forget { project, yes } => forget(context, &project, yes).await?,
        ProjectsCommand::Delete { project, yes } => delete(context, &project, yes).await?,
    }
    Ok(Exit::Done)
}

async fn create(context: &Context, name: &str) -> Result<(), Failure> {
    let project = context.client()?.projects().create(name).await?;
    context.output.done(&show::project(&project), &format!("created project {name}"))?;
    context.output.hint(&format!("veilcloud storage put {name} production ./.env"));
    Ok(())
}

async fn list(context: &Context) -> Result<(), Failure> {
    let client = context.client()?;
    let me = client.session().map(|session| session.account_id);
    let mut projects = client.projects().list().await?;
    projects.extend(client.projects().list_shared().await?);
    let row = |project: &veilcloud_sdk::Project| {
        let is_own = me == Some(project.owner_id);
        vec![
            project.name.clone(),
            if is_own { "you".to_owned() } else { project.owner_id.to_string() },
            project.environment_count.to_string(),
            show::time(project.created_at),
            project.id.to_string(),
        ]
    };
    let rows = projects.iter().map(row).collect();
    let items = projects.iter().map(show::project).collect();
    context.output.list("projects", items, &["name", "owner", "environments", "created", "id"], rows)
}

async fn show_one(context: &Context, name: &str) -> Result<(), Failure> {
    let (client, project) = context.project(name).await?;
    let environments = client.environments(&project).list().await?;
    let mut value = show::project(&project);
    value["environments"] = environments.iter().map(show::environment).collect();
    let names: Vec<&str> = environments.iter().map(|environment| environment.name.as_str()).collect();
    let lines = [
        ("name", project.name.clone()),
        ("id", project.id.to_string()),
        ("owner", project.owner_id.to_string()),
        ("permissions", project.permissions.join(", ")),
        ("created", show::time(project.created_at)),
        ("environments", if names.is_empty() { "none".to_owned() } else { names.join(", ") }),
    ];
    context.output.object(&value, &lines)
}

async fn rename(context: &Context, old: &str, new: &str) -> Result<(), Failure> {
    let (client, project) = context.project(old).await?;
    let project = client.projects().rename(&project, new).await?;
    context.output.done(&show::project(&project), &format!("{old} is now called {new}"))
}

async fn delete(context: &Context, name: &str, yes: bool) -> Result<(), Failure> {
    let act = format!("this deletes project {name} with all its environments and versions for good");
    context.prompt.confirm(&act, name, yes)?;
    let (client, project) = context.project(name).await?;
    client.projects().delete(&project).await?;
    // The id is what its log is asked for by from now on.
    let value = json!({ "name": name, "id": project.id.to_string(), "deleted": true });
    context.output.done(&value, &format!("deleted project {name}"))?;
    context.output.hint(&format!("veilcloud audit list {}", project.id));
    Ok(())
}

async fn forget(context: &Context, name: &str, yes: bool) -> Result<(), Failure> {
    let act = format!("this machine will accept any project that the server calls {name} next");
    context.prompt.confirm(&act, name, yes)?;
    context.client()?.projects().forget(name).await?;
    context
        .output
        .done(&json!({ "name": name, "forgotten": true }), &format!("forgot what was seen of {name}"))
}
