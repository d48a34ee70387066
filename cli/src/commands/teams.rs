//! Teams, and the people in them.

use serde_json::{Value, json};
use veilcloud_sdk::{AccountId, Client, Team, TeamId, TeamMember, TeamRole};

use super::show;
use crate::args::teams::{Role, Teams, TeamsCommand, Users, UsersCommand};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;

impl From<Role> for TeamRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => TeamRole::Admin,
            Role::Member => TeamRole::Member,
        }
    }
}

pub async fn manage(context: &Context, args: Teams) -> Result<Exit, Failure> {
    match args.command {
        TeamsCommand::Create { name } => create(context, &name).await?,
        TeamsCommand::List => list(context).await?,
        TeamsCommand::Show { team } => show_one(context, &team).await?,
        TeamsCommand::Rename { team, name } => rename(context, &team, &name).await?,
        TeamsCommand::Delete { team, yes } => delete(context, &team, yes).await?,
        TeamsCommand::Add { team, who, role } => add(context, &team, &who, role.into()).await?,
        TeamsCommand::Remove { team, who } => remove(context, &team, &who).await?,
        TeamsCommand::Role { team, who, role } => change_role(context, &team, &who, role.into()).await?,
    }
    Ok(Exit::Done)
}

pub async fn users(context: &Context, args: Users) -> Result<Exit, Failure> {
    let UsersCommand::Find { email } = args.command;
    let user = context.client()?.users().find(&email).await?;
    let value = json!({
        "account_id": user.account_id.to_string(),
        "email": email,
        "display_name": user.display_name,
    });
    let lines = [("e-mail", email), ("id", user.account_id.to_string()), ("name", user.display_name)];
    context.output.object(&value, &lines)?;
    Ok(Exit::Done)
}

async fn create(context: &Context, name: &str) -> Result<(), Failure> {
    let team = context.client()?.teams().create(name).await?;
    context.output.done(&team_value(&team), &format!("created team {name}"))?;
    context.output.hint(&format!("veilcloud teams add {name} EMAIL"));
    Ok(())
}

async fn list(context: &Context) -> Result<(), Failure> {
    let teams = context.client()?.teams().list().await?;
    let row = |team: &Team| {
        vec![
            team.name.clone(),
            team.role.as_str().to_owned(),
            team.member_count.to_string(),
            show::time(team.created_at),
            team.id.to_string(),
        ]
    };
    let rows = teams.iter().map(row).collect();
    let items = teams.iter().map(team_value).collect();
    context.output.list("teams", items, &["name", "role", "members", "created", "id"], rows)
}

async fn show_one(context: &Context, name: &str) -> Result<(), Failure> {
    let (client, team) = found(context, name).await?;
    let members = client.teams().members(team.id).await?;
    let mut value = team_value(&team);
    value["members"] = members.iter().map(member_value).collect();
    if context.output.json {
        return context.output.object(&value, &[]);
    }
    let row = |member: &TeamMember| {
        vec![
            member.account_id.to_string(),
            member.role.as_str().to_owned(),
            member.display_name.clone(),
            show::time(member.added_at),
        ]
    };
    let rows = members.iter().map(row).collect();
    let items = members.iter().map(member_value).collect();
    let lines = [
        ("name", team.name.clone()),
        ("id", team.id.to_string()),
        ("role", team.role.as_str().to_owned()),
        ("created", show::time(team.created_at)),
    ];
    context.output.object(&value, &lines)?;
    context.output.list("members", items, &["member", "role", "name", "added"], rows)
}

async fn rename(context: &Context, old: &str, new: &str) -> Result<(), Failure> {
    let (client, team) = found(context, old).await?;
    let team = client.teams().rename(team.id, new).await?;
    context.output.done(&team_value(&team), &format!("{old} is now called {new}"))
}

async fn delete(context: &Context, name: &str, yes: bool) -> Result<(), Failure> {
    let act = format!("this deletes team {name}: its members lose at once what was shared with it");
    context.prompt.confirm(&act, name, yes)?;
    let (client, team) = found(context, name).await?;
    client.teams().delete(team.id).await?;
    let value = json!({ "name": team.name, "id": team.id.to_string(), "deleted": true });
    context.output.done(&value, &format!("deleted team {name}"))
}

async fn add(context: &Context, name: &str, who: &str, role: TeamRole) -> Result<(), Failure> {
    let (client, team) = found(context, name).await?;
    let account = person(&client, who).await?;
    let member = client.teams().add(team.id, account, role).await?;
    context.output.done(&about(&team, &member), &format!("{who} is in {name} now, as {}", role.as_str()))
}

async fn remove(context: &Context, name: &str, who: &str) -> Result<(), Failure> {
    let (client, team) = found(context, name).await?;
    let account = person(&client, who).await?;
    client.teams().remove(team.id, account).await?;
    let value = json!({
        "team_id": team.id.to_string(),
        "account_id": account.to_string(),
        "removed": true,
    });
    context.output.done(&value, &format!("{who} is not in {name} any more"))
}

async fn change_role(context: &Context, name: &str, who: &str, role: TeamRole) -> Result<(), Failure> {
    let (client, team) = found(context, name).await?;
    let account = person(&client, who).await?;
    let member = client.teams().set_role(team.id, account, role).await?;
    context.output.done(&about(&team, &member), &format!("{who} is {} of {name} now", role.as_str()))
}

/// A client and the team of this name or id. A name cannot look like an id: ids are longer than any word a person types,
/// and a team whose name is one is reached by its own id.
async fn found(context: &Context, name: &str) -> Result<(Client, Team), Failure> {
    let client = context.client()?;
    let team = team_of(&client, name).await?;
    Ok((client, team))
}

/// The team of this name or id.
pub async fn team_of(client: &Client, name: &str) -> Result<Team, Failure> {
    let team = match name.parse::<TeamId>() {
        Ok(id) => client.teams().get(id).await?,
        Err(_) => client.teams().by_name(name).await?,
    };
    Ok(team)
}

/// The account of an address or id.
pub async fn person(client: &Client, who: &str) -> Result<AccountId, Failure> {
    match who.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(client.users().find(who).await?.account_id),
    }
}

fn team_value(team: &Team) -> Value {
    json!({
        "name": team.name,
        "id": team.id.to_string(),
        "owner_id": team.owner_id.to_string(),
        "role": team.role.as_str(),
        "member_count": team.member_count,
        "threshold": team.threshold,
        "created_at": show::time(team.created_at),
    })
}

fn member_value(member: &TeamMember) -> Value {
    json!({
        "account_id": member.account_id.to_string(),
        "display_name": member.display_name,
        "role": member.role.as_str(),
        "added_at": show::time(member.added_at),
    })
}

fn about(team: &Team, member: &TeamMember) -> Value {
    let mut value = member_value(member);
    value["team_id"] = team.id.to_string().into();
    value
}
