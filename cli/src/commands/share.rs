//! Sharing projects with teams, and taking people out again.

use serde_json::{Value, json};
use veilcloud_sdk::{
    AccountId, Client, ExposureReport, Principal, Project, ShareOutcome, SharePlan, Team, TeamId, TeamRole,
};

use super::show;
use super::teams::{person, team_of};
use crate::args::share::{Access, AccessCommand, Offboard, Share, ShareCommand};
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
        ShareCommand::Sync { project, yes } => sync(context, &project, yes).await?,
        ShareCommand::Remove { project, team } => remove(context, &project, &team).await?,
    }
    Ok(Exit::Done)
}

pub async fn access(context: &Context, args: Access) -> Result<Exit, Failure> {
    let AccessCommand::List { project } = args.command;
    let (client, project) = context.project(&project).await?;
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
    context.output.list("access", items, &["who", "permissions", "team", "key"], rows)?;
    Ok(Exit::Done)
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
    let outcome = client.projects().share(&project, &plan, bar).await?;
    let mut value = outcome_value(&project, &outcome);
    value["team_id"] = team.id.to_string().into();
    value["permissions"] = plan.permissions.clone().into();
    value["members"] = plan.members.iter().map(listed_value).collect();
    let sentence = format!(
        "shared {} with {}: {} people, access list {}",
        project.name,
        team.name,
        plan.members.iter().filter(|member| member.key.is_some()).count(),
        outcome.access_list
    );
    context.output.done(&value, &sentence)?;
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

async fn sync(context: &Context, project: &str, yes: bool) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let plan = client.projects().plan_sync(&project).await?;
    confirm(context, &project, &plan.gains, yes)?;
    let bar = progress::count(context.output, "keys");
    let outcome = client.projects().sync(&project, &plan, bar).await?;
    let sentence = format!(
        "{} is in step: {} let in, {} shut out, {} keys handed on, {} environments with a new key",
        project.name,
        outcome.added.len(),
        outcome.removed.len(),
        outcome.keys_added,
        outcome.rotated.len()
    );
    context.output.done(&outcome_value(&project, &outcome), &sentence)?;
    tell_exposure(context, outcome.exposure.as_ref());
    Ok(())
}

async fn remove(context: &Context, project: &str, team: &str) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    // A team that is gone, or that this account left, still has an id.
    let team: TeamId = match team.parse() {
        Ok(id) => id,
        Err(_) => team_of(&client, team).await?.id,
    };
    let bar = progress::count(context.output, "keys");
    let outcome = client.projects().unshare(&project, team, bar).await?;
    let sentence = format!(
        "{} is not shared with {team} any more; {} environments have a new key",
        project.name,
        outcome.rotated.len()
    );
    context.output.done(&outcome_value(&project, &outcome), &sentence)?;
    tell_exposure(context, outcome.exposure.as_ref());
    Ok(())
}

pub async fn offboard(context: &Context, args: Offboard) -> Result<Exit, Failure> {
    let act = format!("this takes {} out of every team and project that you manage", args.who);
    context.prompt.confirm(&act, &args.who, args.yes)?;
    let client = context.client()?;
    let account = person(&client, &args.who).await?;
    let teams = leave_teams(context, &client, account).await?;
    let mut projects = client.projects().list().await?;
    let shared = client.projects().list_shared().await?;
    projects.extend(shared.into_iter().filter(|p| p.permissions.iter().any(|held| held == "project:share")));
    let (mut done, mut left) = (Vec::new(), Vec::new());
    for project in &projects {
        let is_in = !client.projects().access(project).await?.actions_of(account).is_empty();
        let is_due = client.environments(project).list().await?.iter().any(|found| found.rotation_due);
        if !is_in && !is_due {
            continue;
        }
        context.output.say(&format!("{}: new access list and keys", project.name));
        let bar = progress::count(context.output, "keys");
        let mut outcome = client.projects().shut_out(project, &[account], bar).await?;
        if outcome.exposure.is_none() {
            // What an interrupted run has begun.
            outcome.exposure = Some(client.projects().exposure(project, &[account]).await?);
        }
        tell_exposure(context, outcome.exposure.as_ref());
        done.push(outcome_value(project, &outcome));
        let held = client.projects().access(project).await?.actions_of(account);
        if !held.is_empty() {
            left.push(format!("{} ({})", project.name, held.join(" ")));
        }
    }
    if !left.is_empty() {
        let message = format!("{} can still get at {}", args.who, left.join(", "));
        let remedy = "who owns a project cannot be taken out of it: move its content to one of yours";
        return Err(Failure::new(Exit::Denied, "STILL_IN", message).try_this(remedy));
    }
    let value = json!({
        "account_id": account.to_string(),
        "teams": teams.iter().map(|team| team.id.to_string()).collect::<Vec<_>>(),
        "projects": done,
    });
    let sentence = format!("{} is out of {} teams and {} projects", args.who, teams.len(), done.len());
    context.output.done(&value, &sentence)?;
    Ok(Exit::Done)
}

/// Takes somebody out of every team that this account manages. Gives those they were in.
async fn leave_teams(context: &Context, client: &Client, account: AccountId) -> Result<Vec<Team>, Failure> {
    let mut left = Vec::new();
    for team in client.teams().list().await? {
        if team.role < TeamRole::Admin || team.owner_id == account {
            continue;
        }
        let members = client.teams().members(team.id).await?;
        if members.iter().any(|member| member.account_id == account) {
            client.teams().remove(team.id, account).await?;
            context.output.say(&format!("taken out of team {}", team.name));
            left.push(team);
        }
    }
    Ok(left)
}

fn outcome_value(project: &Project, outcome: &ShareOutcome) -> Value {
    let ids = |accounts: &[AccountId]| accounts.iter().map(AccountId::to_string).collect::<Vec<_>>();
    json!({
        "project": project.name,
        "project_id": project.id.to_string(),
        "access_list": outcome.access_list,
        "added": ids(&outcome.added),
        "removed": ids(&outcome.removed),
        "keys_added": outcome.keys_added,
        "rotated": outcome.rotated,
        "exposure": outcome.exposure.as_ref().map(exposure_value),
    })
}

fn exposure_value(report: &ExposureReport) -> Value {
    let environments = report.environments.iter().map(|found| {
        json!({
            "environment": found.environment,
            "environment_id": found.environment_id.to_string(),
            "could_open": found.could_open,
            "read": found.read,
        })
    });
    json!({
        "accounts": report.accounts.iter().map(AccountId::to_string).collect::<Vec<_>>(),
        "log_read": report.is_log_read,
        "environments": environments.collect::<Vec<_>>(),
    })
}

/// What has to be changed at its source.
fn tell_exposure(context: &Context, report: Option<&ExposureReport>) {
    let Some(report) = report else { return };
    context.output.say("What they could open, and has not changed since (change it at its source):");
    for found in &report.environments {
        let name = found.environment.as_deref().unwrap_or("(deleted)");
        let could =
            found.could_open.map_or_else(|| "nothing".to_owned(), |version| format!("version {version}"));
        let read: Vec<String> = found.read.iter().map(u64::to_string).collect();
        let read = match (report.is_log_read, read.is_empty()) {
            (false, _) => "the log is not open to you".to_owned(),
            (true, true) => "read nothing".to_owned(),
            (true, false) => format!("read {}", read.join(", ")),
        };
        context.output.say(&format!("  {name}: {could}; {read}"));
    }
}
