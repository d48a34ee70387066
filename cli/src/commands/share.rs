//! Sharing projects with teams.

use serde_json::{Value, json};
use veilcloud_sdk::{AccountId, Principal, Project, SharePlan, TeamId};

use super::teams::team_of;
use super::{outcome, show};
use crate::args::share::{Share, ShareCommand};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output::{plain, say};
use crate::ui::progress;

pub async fn manage(context: &Context, args: Share) -> Result<Exit, Failure> {
    match args.command {
        ShareCommand::Add { project, team, permissions, yes } => {
            add(context, &project, &team, &permissions, yes).await?
        }
        ShareCommand::List { project } => list(context, &project).await?,
        ShareCommand::Sync { project, replace_keys, yes } => {
            sync(context, &project, replace_keys, yes).await?
        }
        ShareCommand::Remove { project, team } => remove(context, &project, &team).await?,
    }
    Ok(Exit::Done)
}

pub async fn access_list(context: &Context, project: &str) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let access = client.projects().access(&project).await?;
    let owner = json!({ "principal": format!("account {}", access.owner_id), "owner": true });
    let mut items = vec![owner];
    let mut rows = vec![vec![
        format!("account {}", access.owner_id),
        "everything (owner)".to_owned(),
        "-".to_owned(),
        "-".to_owned(),
    ]];
    for grant in &access.entries {
        let team = grant.team_id.map(|team| team.to_string());
        items.push(json!({
            "principal": grant.principal.to_string(),
            "account_id": account_of(grant.principal).map(|id| id.to_string()),
            "permissions": grant.permissions,
            "team_id": team,
            "environment_ids": grant.environments.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "key": show::hex(&grant.key),
            "access_list": access.number,
        }));
        rows.push(vec![
            grant.principal.to_string(),
            grant.permissions.join(" "),
            team.unwrap_or_else(|| "-".to_owned()),
            show::hex(&grant.key[..8]),
        ]);
    }
    context.output.list("access", items, &["who", "permissions", "team", "key"], rows)
}

fn account_of(principal: Principal) -> Option<AccountId> {
    match principal {
        Principal::Account(id) => Some(id),
        Principal::ApiKey(_) => None,
    }
}

async fn add(
    context: &Context,
    project: &str,
    team: &str,
    permissions: &[String],
    yes: bool,
) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let team = team_of(&client, team).await?;
    let permissions: Vec<&str> = permissions.iter().map(String::as_str).collect();
    let plan = client.projects().plan_share(&project, team.id, &permissions).await?;
    confirm(context, &project, std::slice::from_ref(&plan), yes)?;
    let bar = progress::count(context.output, "sharing");
    let done = client.projects().share(&project, &plan, bar).await?;
    let more = [
        ("team_id", team.id.to_string().into()),
        ("permissions", plan.permissions.clone().into()),
        ("members", plan.members.iter().map(listed_value).collect()),
    ];
    let sentence = format!(
        "shared {} with {}: {} people, access list {}",
        project.name,
        team.name,
        plan.members.iter().filter(|member| member.key.is_some()).count(),
        done.access_list
    );
    outcome::tell(context, &project, done, &more, &sentence)?;
    context.output.hint(&format!("veilcloud access list {}", project.id));
    Ok(())
}

/// Shows who is let in, with the keys to compare, and has it confirmed: that they are in the team is the server's word.
fn confirm(context: &Context, project: &Project, plans: &[SharePlan], yes: bool) -> Result<(), Failure> {
    // Whoever is asked has to see what for, also with `--json`.
    let tell = |line: &str| if yes { context.output.say(line) } else { say(line) };
    let mut people = 0;
    for plan in plans {
        tell(&format!("through team {}, with {}:", plan.team_id, plan.permissions.join(" ")));
        for member in &plan.members {
            let name = plain(&member.display_name);
            match member.key {
                Some(key) => tell(&format!("  {} {name} key {}", member.account_id, show::hex(&key[..8]))),
                None => {
                    tell(&format!("  {} {name} is left out: the directory has no keys", member.account_id))
                }
            }
            people += usize::from(member.key.is_some());
        }
    }
    if people == 0 {
        return Ok(());
    }
    let act = format!("this lets the {people} shown into {}", project.name);
    context.prompt.confirm(&act, &project.name, yes)
}

fn listed_value(member: &veilcloud_sdk::Listed) -> Value {
    json!({
        "account_id": member.account_id.to_string(),
        "display_name": member.display_name,
        "key": member.key.map(|key| show::hex(&key)),
    })
}

async fn list(context: &Context, project: &str) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let shares = client.projects().shares(&project).await?;
    let item = |share: &veilcloud_sdk::Share| {
        json!({
            "team_id": share.team_id.to_string(),
            "permissions": share.permissions,
            "shared_by_id": share.shared_by_id.to_string(),
            "shared_at": show::time(share.shared_at),
        })
    };
    let row = |share: &veilcloud_sdk::Share| {
        vec![share.team_id.to_string(), share.permissions.join(" "), show::time(share.shared_at)]
    };
    let (items, rows) = (shares.iter().map(item).collect(), shares.iter().map(row).collect());
    context.output.list("shares", items, &["team", "permissions", "shared"], rows)
}

async fn sync(context: &Context, project: &str, replace_keys: bool, yes: bool) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let mut plan = client.projects().plan_sync(&project).await?;
    confirm(context, &project, &plan.gains, yes)?;
    plan.replaces_keys = replace_keys;
    let bar = progress::count(context.output, "keys");
    let done = client.projects().sync(&project, &plan, bar).await?;
    let sentence = format!(
        "{} is in step: {} let in, {} shut out, {} keys handed on, {} environments with a new key",
        project.name,
        done.added.len(),
        done.removed.len(),
        done.keys_added,
        done.rotated.len()
    );
    outcome::tell(context, &project, done, &[], &sentence)
}

async fn remove(context: &Context, project: &str, team: &str) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    // A team that is gone, or that this account left, still has an id.
    let team: TeamId = match team.parse() {
        Ok(id) => id,
        Err(_) => team_of(&client, team).await?.id,
    };
    let bar = progress::count(context.output, "keys");
    let done = client.projects().unshare(&project, team, bar).await?;
    let sentence = format!(
        "{} is not shared with {team} any more; {} environments have a new key",
        project.name,
        done.rotated.len()
    );
    outcome::tell(context, &project, done, &[], &sentence)
}
