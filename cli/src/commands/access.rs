//! Capabilities: made, narrowed, shown, judged and revoked. Their keys go into files that their owner alone reads.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use veilcloud_sdk::{
    CapabilityGrant, CapabilityView, HELD_LEN_MAX, HeldCapability, HolderKey, IssuedCapability, Narrowing,
    SessionId, Verdict,
};
use zeroize::Zeroizing;

use super::{content, explain, share, show};
use crate::args::access::{Access, AccessCommand};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output;

pub async fn manage(context: &Context, args: Access) -> Result<Exit, Failure> {
    match args.command {
        AccessCommand::List { project } => share::access_list(context, &project).await?,
        AccessCommand::Explain { who, project } => return explain::explain(context, &who, &project).await,
        AccessCommand::Permissions => permissions(context).await?,
        AccessCommand::Issue { name, project, env, permissions, ttl, file } => {
            let wanted = Wanted { name, env, permissions, ttl };
            issue(context, wanted, &project, &file).await?;
        }
        AccessCommand::Capabilities => capabilities(context).await?,
        AccessCommand::Attenuate { capability, path, action, expires, to, seal } => {
            let how = narrowing(path, action, expires, to.as_deref(), seal)?;
            attenuate(&capability, &how)?;
        }
        AccessCommand::NewKey { file } => new_key(context, &file)?,
        AccessCommand::Show { capability } => shown(context, &capability)?,
        AccessCommand::Verify { capability, permission, project, env } => {
            let act = permission.zip(project);
            return verify(context, &capability, act, env.as_deref()).await;
        }
        AccessCommand::Revoke { which, all: _, yes } => revoke(context, which.as_deref(), yes).await?,
        AccessCommand::Issuers => issuers(context).await?,
    }
    Ok(Exit::Done)
}

/// What is to be issued.
struct Wanted {
    name: String,
    env: Option<String>,
    permissions: Vec<String>,
    ttl: Duration,
}

async fn issue(context: &Context, wanted: Wanted, project: &str, file: &Path) -> Result<(), Failure> {
    if file.symlink_metadata().is_ok() {
        return Err(exists(file));
    }
    // Made before anything is issued: what cannot be kept must not be asked for.
    let staged = content::staged(file)?;
    let (client, project) = context.project(project).await?;
    let grant =
        CapabilityGrant { project_id: project.id, environment: wanted.env, permissions: wanted.permissions };
    let (held, issued) = client.capabilities().issue(&wanted.name, &[grant], wanted.ttl).await?;
    keep(staged, file, held.to_text().as_bytes())?;
    let sentence = format!(
        "{} is good until {}; it is in {}, with its key",
        issued.name,
        show::time(issued.expires_at),
        file.display()
    );
    context.output.done(&issued_value(&issued), &sentence)
}

async fn capabilities(context: &Context) -> Result<(), Failure> {
    let found = context.client()?.capabilities().list().await?;
    let row = |issued: &IssuedCapability| {
        let grants = issued.grants.iter().map(grant_text).collect::<Vec<_>>().join("; ");
        let state = if issued.is_revoked { "revoked" } else { "" };
        vec![
            issued.name.clone(),
            issued.token_id.to_string(),
            grants,
            show::time(issued.expires_at),
            show::hex(&issued.holder_key[..8]),
            state.to_owned(),
        ]
    };
    let (items, rows) = (found.iter().map(issued_value).collect(), found.iter().map(row).collect());
    context.output.list("capabilities", items, &["name", "token", "may", "ends", "key", ""], rows)
}

async fn permissions(context: &Context) -> Result<(), Failure> {
    let found = context.client()?.capabilities().permissions().await?;
    let item = |permission: &veilcloud_sdk::Permission| {
        json!({
            "name": permission.name,
            "description": permission.description,
            "api_key": permission.for_api_keys,
        })
    };
    let row = |permission: &veilcloud_sdk::Permission| {
        let keys = if permission.for_api_keys { "yes" } else { "no" };
        vec![permission.name.clone(), keys.to_owned(), permission.description.clone()]
    };
    let (items, rows) = (found.iter().map(item).collect(), found.iter().map(row).collect());
    context.output.list("permissions", items, &["permission", "API keys", "allows"], rows)
}

async fn issuers(context: &Context) -> Result<(), Failure> {
    let found = context.client()?.capabilities().proven_issuers().await?;
    let item = |(key, is_proved): &(veilcloud_sdk::IssuerKey, bool)| {
        json!({
            "key_id": show::hex(&key.key_id),
            "public_key": show::hex(&key.public_key),
            "not_before": show::time(key.not_before),
            "not_after": show::time(key.not_after),
            "log_index": key.log_index,
            "proved": is_proved,
        })
    };
    let row = |(key, is_proved): &(veilcloud_sdk::IssuerKey, bool)| {
        let leaf = key.log_index.map_or_else(|| "-".to_owned(), |index| index.to_string());
        let proved = if *is_proved { "yes" } else { "not yet" };
        vec![
            show::hex(&key.key_id),
            show::time(key.not_before),
            show::time(key.not_after),
            leaf,
            proved.to_owned(),
        ]
    };
    let (items, rows) = (found.iter().map(item).collect(), found.iter().map(row).collect());
    context.output.list(
        "issuers",
        items,
        &["key", "signs from", "believed until", "leaf", "in the log"],
        rows,
    )
}

fn narrowing(
    places: Vec<String>,
    permissions: Vec<String>,
    expires: Option<Duration>,
    to: Option<&str>,
    seal: bool,
) -> Result<Narrowing, Failure> {
    let mut how = Narrowing::default();
    how.places = places;
    how.permissions = permissions;
    how.expires_at = expires.map(|left| OffsetDateTime::now_utc() + left);
    how.to = to.map(public_key).transpose()?;
    how.seal = seal;
    Ok(how)
}

fn attenuate(file: &Path, how: &Narrowing) -> Result<(), Failure> {
    let narrower = read(file)?.narrow(how)?;
    output::write(narrower.to_text().as_bytes())
}

fn new_key(context: &Context, file: &Path) -> Result<(), Failure> {
    if file.symlink_metadata().is_ok() {
        return Err(exists(file));
    }
    let key = HolderKey::generate();
    let mut text = key.to_text();
    text.push('\n');
    keep(content::staged(file)?, file, text.as_bytes())?;
    let public = show::hex(&key.public_key());
    if context.output.json {
        return context.output.json(&json!({ "public_key": public }));
    }
    output::write(format!("{public}\n").as_bytes())
}

fn shown(context: &Context, file: &Path) -> Result<(), Failure> {
    let held = read(file)?;
    let view = held.view()?;
    let grants: Vec<String> = view
        .grants
        .iter()
        .map(|(place, permissions)| format!("{place}: {}", permissions.join(" ")))
        .collect();
    let lines = [
        ("server", held.endpoint().to_owned()),
        ("account", view.account_id.to_string()),
        ("token", view.token_id.to_string()),
        ("may", grants.join("; ")),
        ("ends", show::time(view.expires_at)),
        ("narrowed", format!("{} of 3 times{}", view.depth, if view.is_sealed { ", sealed" } else { "" })),
        ("holder key", show::hex(&view.holder_key)),
        ("has the key", if held.has_key() { "yes" } else { "no" }.to_owned()),
    ];
    context.output.object(&view_value(&held, &view), &lines)
}

async fn verify(
    context: &Context,
    file: &Path,
    act: Option<(String, String)>,
    env: Option<&str>,
) -> Result<Exit, Failure> {
    let held = read(file)?;
    let (client, act) = match act {
        Some((permission, project)) => {
            let (client, project) = context.project(&project).await?;
            (client, Some((permission, project.id)))
        }
        None => (context.client()?, None),
    };
    let act = act.as_ref().map(|(permission, project)| (permission.as_str(), *project, env));
    match client.capabilities().verify(held.bytes(), act).await? {
        Verdict::Inactive(reason) => {
            let sentence = format!("not good: {reason}");
            context.output.done(&json!({ "active": false, "reason": reason }), &sentence)?;
            Ok(Exit::Denied)
        }
        Verdict::Active { account_id, token_id, expires_at, grants, depth, .. } => {
            let value = json!({
                "active": true,
                "account_id": account_id.to_string(),
                "token_id": token_id.to_string(),
                "expires_at": show::time(expires_at),
                "grants": grants.iter().map(grant_value).collect::<Vec<_>>(),
                "depth": depth,
            });
            context.output.done(&value, &format!("good until {}", show::time(expires_at)))?;
            Ok(Exit::Done)
        }
        _ => Ok(Exit::Other),
    }
}

async fn revoke(context: &Context, which: Option<&str>, yes: bool) -> Result<(), Failure> {
    let Some(which) = which else {
        let email = context.settings.email.clone().unwrap_or_else(|| "everything".to_owned());
        let act = "this ends every session, this one too, and every capability that was issued";
        context.prompt.confirm(act, &email, yes)?;
        context.client()?.capabilities().revoke_all().await?;
        return context.output.done(&json!({ "all": true }), "everything is revoked: log in again");
    };
    let client = context.client()?;
    let token: SessionId = match which.parse() {
        Ok(token) => token,
        Err(_) => named(client.capabilities().list().await?, which)?,
    };
    client.capabilities().revoke(token).await?;
    context.output.done(&json!({ "token_id": token.to_string() }), &format!("{which} is revoked"))
}

/// The one of this name that can still be revoked.
fn named(found: Vec<IssuedCapability>, name: &str) -> Result<SessionId, Failure> {
    let mut live = found.into_iter().filter(|issued| issued.name == name && !issued.is_revoked);
    match (live.next(), live.next()) {
        (Some(one), None) => Ok(one.token_id),
        (Some(_), Some(_)) => Err(Failure::usage(format!("several capabilities are called {name}"))
            .try_this("name it by its token: veilcloud access capabilities")),
        (None, _) => {
            let message = format!("there is no capability called {name}");
            Err(Failure::new(Exit::NotFound, "CAPABILITY_UNKNOWN", message)
                .try_this("veilcloud access capabilities"))
        }
    }
}

fn issued_value(issued: &IssuedCapability) -> Value {
    json!({
        "token_id": issued.token_id.to_string(),
        "name": issued.name,
        "holder_key": show::hex(&issued.holder_key),
        "grants": issued.grants.iter().map(grant_value).collect::<Vec<_>>(),
        "issued_at": show::time(issued.issued_at),
        "expires_at": show::time(issued.expires_at),
        "revoked": issued.is_revoked,
    })
}

fn grant_value(grant: &CapabilityGrant) -> Value {
    json!({
        "project_id": grant.project_id.to_string(),
        "environment": grant.environment,
        "permissions": grant.permissions,
    })
}

fn grant_text(grant: &CapabilityGrant) -> String {
    let place = match &grant.environment {
        Some(name) => format!("{}/{name}", grant.project_id),
        None => grant.project_id.to_string(),
    };
    format!("{place}: {}", grant.permissions.join(" "))
}

fn view_value(held: &HeldCapability, view: &CapabilityView) -> Value {
    let grants =
        view.grants.iter().map(|(place, permissions)| json!({ "path": place, "permissions": permissions }));
    json!({
        "endpoint": held.endpoint(),
        "account_id": view.account_id.to_string(),
        "token_id": view.token_id.to_string(),
        "hash": show::hex(&view.hash),
        "holder_key": show::hex(&view.holder_key),
        "expires_at": show::time(view.expires_at),
        "grants": grants.collect::<Vec<_>>(),
        "depth": view.depth,
        "sealed": view.is_sealed,
        "has_key": held.has_key(),
    })
}

/// A capability file.
pub fn read(file: &Path) -> Result<HeldCapability, Failure> {
    Ok(HeldCapability::parse(&text(file)?)?)
}

/// A capability file, with the key that it was passed on to when it has none.
pub fn read_with_key(file: &Path, key: Option<&Path>) -> Result<HeldCapability, Failure> {
    let held = read(file)?;
    match key {
        Some(key) => Ok(held.with_key(HolderKey::parse(&text(key)?)?)?),
        None => Ok(held),
    }
}

fn text(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let fault = |fault| Failure::local(&format!("read {}", file.display()), &fault);
    // Room for all of it from the beginning: growing would leave copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(HELD_LEN_MAX + 1));
    let max = HELD_LEN_MAX as u64 + 1;
    File::open(file).map_err(fault)?.take(max).read_to_string(&mut text).map_err(fault)?;
    Ok(text)
}

/// Writes a file that its owner alone can read; temporary files are made so.
fn keep(mut staged: tempfile::NamedTempFile, file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let fault = |fault: std::io::Error| Failure::local(&format!("write {}", file.display()), &fault);
    staged.write_all(bytes).map_err(fault)?;
    staged.as_file().sync_all().map_err(fault)?;
    staged.persist_noclobber(file).map(drop).map_err(|refused| match refused.error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(file),
        _ => fault(refused.error),
    })
}

fn exists(file: &Path) -> Failure {
    Failure::new(Exit::Conflict, "FILE_EXISTS", format!("{} exists and is not overwritten", file.display()))
        .try_this("name a new file")
}

fn public_key(text: &str) -> Result<[u8; 32], Failure> {
    let refused = || Failure::usage("a public key has 64 hexadecimal digits, as `access new-key` prints it");
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refused());
    }
    let mut key = [0; 32];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| refused())?;
    }
    Ok(key)
}
