//! Keys of programs. A secret is written to standard output, once, when it is made; what is said about it goes to standard
//! error.

use std::time::Duration;

use serde_json::{Value, json};
use veilcloud_sdk::{ApiKeyId, ApiKeyInfo, Client, NewApiKey, NewSecret, Project, Revoked};

use super::outcome::{self, Left};
use super::show;
use crate::args::api_keys::{ApiKeys, ApiKeysCommand};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output::{plain, say, write};
use crate::ui::progress;

pub async fn manage(context: &Context, args: ApiKeys) -> Result<Exit, Failure> {
    match args.command {
        ApiKeysCommand::Create {
            name,
            project,
            environments,
            permissions,
            networks,
            expires,
            opens_nothing,
        } => {
            let (client, project) = match &project {
                Some(project) => {
                    let (client, project) = context.project(project).await?;
                    (client, Some(project))
                }
                None => (context.client()?, None),
            };
            let new = NewApiKey { name, permissions, project, environments, networks, lifetime: expires };
            create(context, &client, &new, opens_nothing).await?;
        }
        ApiKeysCommand::List => list(context).await?,
        ApiKeysCommand::Rotate { key, overlap, expires } => rotate(context, &key, overlap, expires).await?,
        ApiKeysCommand::Revoke { key, yes } => revoke(context, &key, yes).await?,
    }
    Ok(Exit::Done)
}

async fn create(
    context: &Context,
    client: &Client,
    new: &NewApiKey,
    opens_nothing: bool,
) -> Result<(), Failure> {
    let made = match opens_nothing {
        true => client.api_keys().create(new).await?,
        false => {
            let bar = progress::count(context.output, "keys");
            client.api_keys().create_token(new, bar).await?
        }
    };
    let what = if opens_nothing { "API key" } else { "service token" };
    let sentence = format!("made {what} {}, good until {}", made.key.name, show::time(made.key.expires_at));
    tell(context, new.project.as_ref(), made, &sentence)
}

/// The secret, alone on standard output, and on standard error that it is the only time.
fn tell(
    context: &Context,
    project: Option<&Project>,
    mut made: NewSecret,
    sentence: &str,
) -> Result<(), Failure> {
    let left = made.shared.as_mut().map(outcome::left_of).unwrap_or_default();
    let not_shared = made.not_shared.take().map(outcome::error_of);
    if context.output.json {
        let mut value = value(&made.key);
        value["secret"] = made.text.as_str().into();
        value["unfinished"] = left.iter().map(Left::value).collect();
        value["not_let_in"] = not_shared.as_ref().map(|(value, _)| value.clone()).into();
        context.output.json(&value)?;
    } else {
        write(format!("{}\n", *made.text).as_bytes())?;
    }
    context.output.say(&plain(sentence));
    context.output.say("it is shown this once: keep it where only the program reads");
    if let Some((_, why)) = &not_shared {
        say(&plain(&format!("it may open nothing yet, it was not seen into the access list: {why}")));
        let message = "it is not finished: the token is good, and may open nothing yet".to_owned();
        let remedy = format!(
            "try what it opens; if nothing, veilcloud api-keys rotate {} again, which ends the secret before this one",
            made.key.name
        );
        return Err(Failure::new(Exit::Incomplete, "INCOMPLETE", message).try_this(remedy));
    }
    if left.is_empty() {
        return Ok(());
    }
    context.output.say("Not done:");
    left.iter().for_each(|left| left.tell(context));
    Err(incomplete(project.map(|project| project.name.as_str()), left.len()))
}

fn incomplete(project: Option<&str>, steps: usize) -> Failure {
    let message = format!("it is not finished: {steps} steps failed");
    let remedy =
        format!("see to what is said above, then run veilcloud share sync {}", project.unwrap_or("PROJECT"));
    Failure::new(Exit::Incomplete, "INCOMPLETE", message).try_this(remedy)
}

async fn list(context: &Context) -> Result<(), Failure> {
    let found = context.client()?.api_keys().list().await?;
    let row = |key: &ApiKeyInfo| {
        vec![
            plain(&key.name),
            key.id.to_string(),
            kind(key).to_owned(),
            key.permissions.join(" "),
            key.project_id.map_or_else(|| "all".to_owned(), |id| id.to_string()),
            match key.environments.is_empty() {
                true => "all".to_owned(),
                false => key.environments.join(" "),
            },
            match key.revoked_at {
                Some(at) => format!("revoked {}", show::time(at)),
                None => show::time(key.expires_at),
            },
            key.last_used_at.map_or_else(|| "never".to_owned(), show::time),
        ]
    };
    let (items, rows) = (found.iter().map(value).collect(), found.iter().map(row).collect());
    let head = ["name", "id", "kind", "permissions", "project", "environments", "good until", "last used"];
    context.output.list("api_keys", items, &head, rows)
}

async fn rotate(
    context: &Context,
    key: &str,
    overlap: Duration,
    expires: Option<Duration>,
) -> Result<(), Failure> {
    let client = context.client()?;
    let known = find(&client, key).await?;
    let bar = progress::count(context.output, "keys");
    let made = client.api_keys().rotate(known.id, overlap, expires, bar).await?;
    let before = match made.key.overlap_until {
        Some(until) => format!("the one before is good until {}", show::time(until)),
        None => "the one before is over".to_owned(),
    };
    let sentence = format!("{} has a new secret, its {}.; {before}", made.key.name, made.key.generation);
    tell(context, None, made, &sentence)
}

async fn revoke(context: &Context, key: &str, yes: bool) -> Result<(), Failure> {
    let client = context.client()?;
    let known = find(&client, key).await?;
    let act = format!("this ends {} at once, for whatever uses it", plain(&known.name));
    context.prompt.confirm(&act, &known.name, yes)?;
    let bar = progress::count(context.output, "keys");
    let done = client.api_keys().revoke(known.id, bar).await?;
    tell_revoked(context, &known, done)
}

fn tell_revoked(context: &Context, known: &ApiKeyInfo, done: Revoked) -> Result<(), Failure> {
    let Revoked { key, shared, not_shared, could_open, .. } = done;
    let mut shared = shared;
    let left = shared.as_mut().map(outcome::left_of).unwrap_or_default();
    let rotated = shared.as_ref().map(|shared| shared.rotated.clone()).unwrap_or_default();
    let not_shared = not_shared.map(outcome::error_of);
    let mut value = value(&key);
    value["rotated"] = rotated.clone().into();
    value["could_open"] = could_open
        .iter()
        .map(|open| json!({ "environment": open.environment, "version": open.version }))
        .collect();
    value["unfinished"] = left.iter().map(Left::value).collect();
    value["not_taken_out"] = not_shared.as_ref().map(|(value, _)| value.clone()).into();
    let sentence = format!("{} is over; {} environments have a new key", plain(&known.name), rotated.len());
    context.output.done(&value, &sentence)?;
    if !could_open.is_empty() {
        context.output.say("It could open these, which have not changed since: change them at their source");
        for open in &could_open {
            context.output.say(&plain(&format!("  {} version {}", open.environment, open.version)));
        }
    }
    if let Some((_, why)) = &not_shared {
        // It opens nothing all the same, so this is said and ends nothing.
        say(&plain(&format!("it could not be taken out of the access list: {why}")));
    }
    if left.is_empty() && not_shared.is_none() {
        return Ok(());
    }
    context.output.say("Not done:");
    left.iter().for_each(|left| left.tell(context));
    Err(incomplete(None, left.len() + usize::from(not_shared.is_some())))
}

/// A key by its id, or by its name among those that are not over.
async fn find(client: &Client, name: &str) -> Result<ApiKeyInfo, Failure> {
    let keys = client.api_keys().list().await?;
    if let Ok(id) = name.parse::<ApiKeyId>() {
        let found = keys.into_iter().find(|key| key.id == id);
        return found.ok_or_else(|| not_found(name));
    }
    let mut named: Vec<_> = keys.into_iter().filter(|key| key.name == name).collect();
    if named.iter().any(|key| key.revoked_at.is_none()) {
        named.retain(|key| key.revoked_at.is_none());
    }
    match named.len() {
        0 => Err(not_found(name)),
        1 => Ok(named.remove(0)),
        many => Err(Failure::usage(format!("there are {many} keys called {name}"))
            .try_this("give the id that veilcloud api-keys list shows")),
    }
}

fn not_found(name: &str) -> Failure {
    Failure::new(Exit::NotFound, "NOT_FOUND", format!("there is no API key {}", plain(name)))
        .try_this("veilcloud api-keys list")
}

fn kind(key: &ApiKeyInfo) -> &'static str {
    if key.opens { "token" } else { "key" }
}

fn value(key: &ApiKeyInfo) -> Value {
    json!({
        "id": key.id.to_string(),
        "name": key.name,
        "kind": kind(key),
        "permissions": key.permissions,
        "project_id": key.project_id.map(|id| id.to_string()),
        "environments": key.environments,
        "networks": key.networks,
        "generation": key.generation,
        "created_at": show::time(key.created_at),
        "expires_at": show::time(key.expires_at),
        "overlap_until": key.overlap_until.map(show::time),
        "last_used_at": key.last_used_at.map(show::time),
        "revoked_at": key.revoked_at.map(show::time),
    })
}
