//! `access explain`: the server's word about who may do what, beside the access list that was checked here.

use serde_json::{Value, json};
use veilcloud_sdk::{AccessReason, AccountId, Principal};

use super::teams::person;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output;

pub async fn explain(context: &Context, who: &str, project: &str) -> Result<Exit, Failure> {
    let (client, project) = context.project(project).await?;
    let account = match who {
        "me" => client.me().await?.account_id,
        _ => person(&client, who).await?,
    };
    let own = client.session().is_some_and(|session| session.account_id == account);
    let told = client.capabilities().explain(&project, (!own).then_some(account)).await?;
    let list = client.projects().access(&project).await?;
    let differs = differences(&told, &list, account);
    let value = json!({
        "account_id": account.to_string(),
        "project_id": project.id.to_string(),
        "permissions": told.permissions,
        "access_list": list.number,
        "grants": told.grants.iter().map(reason_value).collect::<Vec<_>>(),
        "differences": differs,
    });
    if context.output.json {
        context.output.json(&value)?;
    } else {
        let may = match told.permissions.is_empty() {
            true => "nothing".to_owned(),
            false => told.permissions.join(" "),
        };
        let mut text = format!("may now: {may}\n");
        told.grants.iter().for_each(|reason| text.push_str(&format!("  {}\n", reason_text(reason))));
        differs.iter().for_each(|difference| text.push_str(&format!("DIFFERS: {difference}\n")));
        output::write(output::plain_lines(&text).as_bytes())?;
    }
    Ok(if differs.is_empty() { Exit::Done } else { Exit::Integrity })
}

/// Where the server's word and the access list that was checked here do not agree.
fn differences(
    told: &veilcloud_sdk::Explanation,
    list: &veilcloud_sdk::Access,
    account: AccountId,
) -> Vec<String> {
    let mut found = Vec::new();
    if told.owner_id != list.owner_id {
        found.push(format!("the server says that {} owns the project, not {}", told.owner_id, list.owner_id));
    }
    if told.access_list != list.number {
        found.push(format!("the server names list {}, the newest here is {}", told.access_list, list.number));
    }
    for reason in &told.grants {
        let AccessReason::Team { team_id, listed, .. } = reason else { continue };
        let mine = list.entries.iter().filter(|entry| {
            entry.principal == Principal::Account(account) && entry.team_id == Some(*team_id)
        });
        let mut here: Vec<String> =
            mine.flat_map(|entry| entry.permissions.iter().map(ToString::to_string)).collect();
        let mut there = listed.clone();
        here.sort();
        here.dedup();
        there.sort();
        if here != there {
            let (there, here) = (there.join(" "), here.join(" "));
            found.push(format!("through team {team_id} the server says [{there}], the list [{here}]"));
        }
    }
    found
}

fn reason_text(reason: &AccessReason) -> String {
    let set = |permissions: &[String]| match permissions.is_empty() {
        true => "nothing".to_owned(),
        false => permissions.join(" "),
    };
    match reason {
        AccessReason::Ownership => "owns the project: everything".to_owned(),
        AccessReason::Team { team_id, shared, listed, role, gives, missing } => {
            let role = role.as_deref().unwrap_or("not in it");
            let parts = format!("shared for {}, listed for {}, {role}", set(shared), set(listed));
            match missing.as_deref() {
                None => format!("team {team_id}: {} ({parts})", set(gives)),
                Some("overlap") => {
                    format!("team {team_id}: nothing, share and list have nothing in common ({parts})")
                }
                Some(what) => format!("team {team_id}: nothing, the {what} is missing ({parts})"),
            }
        }
        AccessReason::ApiKey { api_key_id, scope, environments, gives } => {
            let places = if environments.is_empty() { "all".to_owned() } else { environments.join(" ") };
            format!("API key {api_key_id}: {} (scope {}, environments: {places})", set(gives), set(scope))
        }
        _ => "a grant that this program does not know".to_owned(),
    }
}

fn reason_value(reason: &AccessReason) -> Value {
    match reason {
        AccessReason::Ownership => json!({ "ownership": true }),
        AccessReason::Team { team_id, shared, listed, role, gives, missing } => json!({
            "team_id": team_id.to_string(),
            "shared": shared,
            "listed": listed,
            "role": role,
            "gives": gives,
            "missing": missing,
        }),
        AccessReason::ApiKey { api_key_id, scope, environments, gives } => json!({
            "api_key_id": api_key_id.to_string(),
            "scope": scope,
            "environments": environments,
            "gives": gives,
        }),
        _ => Value::Null,
    }
}
