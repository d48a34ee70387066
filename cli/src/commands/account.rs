//! Accounts and sessions. Passwords and codes are asked for before anything is sent.

use std::path::PathBuf;

use serde_json::json;
use veilcloud_sdk::RecoveryCode;

use super::handover::Handover;
use super::kit::{self, Kit};
use super::show;
use crate::args::account as args;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::prompt::secret_line;

pub async fn register(context: &Context, args: args::Register) -> Result<Exit, Failure> {
    let password = context.prompt.new_password("New password", args.password_stdin)?;
    let mut handover = Handover::new(context, &args.email, reserve_kit(context, args.recovery_file)?);
    let client = context.client()?;
    let outcome = client.register_with(&args.email, &password, |code| handover.keep(code)).await;
    let registered = handover.settle(outcome)?;
    let mut value = json!({ "account_id": registered.account_id.to_string(), "email": args.email });
    let mut lines = vec![("account", args.email.clone()), ("id", registered.account_id.to_string())];
    handover.show(&mut value, &mut lines, &registered.recovery_code);
    context.output.object(&value, &lines)?;
    context.remember(&args.email)?;
    context.output.hint(&format!("veilcloud login {}", args.email));
    Ok(Exit::Done)
}

pub async fn login(context: &Context, args: args::Login) -> Result<Exit, Failure> {
    let email = match (args.email, context.settings.email.as_deref()) {
        (Some(email), _) => email,
        // A password on standard input leaves nothing to ask with.
        (None, Some(last)) if args.password_stdin => last.to_owned(),
        (None, Some(last)) => {
            let typed =
                context.prompt.line(&format!("E-mail [{last}]"), "EMAIL, as in: veilcloud login EMAIL")?;
            if typed.is_empty() { last.to_owned() } else { typed }
        }
        (None, None) => context.prompt.line("E-mail", "EMAIL, as in: veilcloud login EMAIL")?,
    };
    let password = context.prompt.password(&format!("Password of {email}"), args.password_stdin)?;
    let client = context.client()?;
    let account = client.login(&email, &password).await?;
    show::witnesses(&client);
    context.remember(&email)?;
    let value = json!({
        "account_id": account.account_id.to_string(),
        "email": account.email,
        "endpoint": context.endpoint.value,
    });
    context.output.done(&value, &format!("logged in as {} at {}", account.email, context.endpoint.value))?;
    context.output.hint("veilcloud projects list");
    Ok(Exit::Done)
}

pub async fn logout(context: &Context, args: args::Logout) -> Result<Exit, Failure> {
    let client = context.client()?;
    let Some(_) = client.try_session()? else {
        context.output.done(&json!({ "logged_out": false }), "nobody was logged in")?;
        return Ok(Exit::Done);
    };
    client.logout(args.everywhere).await?;
    let sentence = if args.everywhere { "logged out on every machine" } else { "logged out" };
    context.output.done(&json!({ "logged_out": true, "everywhere": args.everywhere }), sentence)?;
    Ok(Exit::Done)
}

pub async fn recover(context: &Context, args: args::Recover) -> Result<Exit, Failure> {
    let code = match &args.recovery_code_file {
        Some(path) => kit::read_code(path)?,
        None if args.recovery_code_stdin => RecoveryCode::parse(&secret_line("the recovery code")?)?,
        None => {
            let flag = "--recovery-code-stdin or --recovery-code-file";
            RecoveryCode::parse(&context.prompt.secret("Recovery code", flag)?)?
        }
    };
    let password = context.prompt.new_password("New password", args.password_stdin)?;
    let mut handover = Handover::new(context, &args.email, reserve_kit(context, args.recovery_file)?);
    let client = context.client()?;
    let outcome = client.recover_with(&args.email, &code, &password, |code| handover.keep(code)).await;
    let fresh = handover.settle(outcome)?;
    let mut value = json!({ "email": args.email, "recovered": true });
    let mut lines = vec![("account", args.email.clone())];
    handover.show(&mut value, &mut lines, &fresh);
    context.output.object(&value, &lines)?;
    context.remember(&args.email)?;
    context.output.say(
        "The new password is set, the old recovery code is spent, and all sessions and API keys have ended.",
    );
    context.output.hint(&format!("veilcloud login {}", args.email));
    Ok(Exit::Done)
}

pub async fn password(context: &Context, args: args::Password) -> Result<Exit, Failure> {
    let email = session_email(context)?;
    let old = context.prompt.password(&format!("Present password of {email}"), args.password_stdin)?;
    let new = context.prompt.new_password("New password", args.password_stdin)?;
    context.client()?.change_password(&email, &old, &new).await?;
    context.output.done(&json!({ "email": email, "changed": true }), "the password is changed")?;
    Ok(Exit::Done)
}

pub async fn whoami(context: &Context, args: args::Whoami) -> Result<Exit, Failure> {
    let client = context.client()?;
    let session = client.try_session()?.ok_or(veilcloud_sdk::Error::NotLoggedIn)?;
    let file = context.config_dir.value.join("session.json");
    let mut value = json!({
        "email": session.email,
        "account_id": session.account_id.to_string(),
        "endpoint": context.endpoint.value,
        "endpoint_source": context.endpoint.source,
        "session_endpoint": session.endpoint,
        "credential_source": format!("file {}", file.display()),
        "config_dir_source": context.config_dir.source,
        "capability_expires_at": show::time(session.capability_expires_at),
        "session_expires_at": show::time(session.session_expires_at),
    });
    let mut lines = vec![
        ("account", session.email.clone()),
        ("id", session.account_id.to_string()),
        ("server", format!("{} (from {})", context.endpoint.value, context.endpoint.source)),
        ("credential", format!("{} (folder from {})", file.display(), context.config_dir.source)),
        ("capability", format!("until {}, renewed by itself", show::time(session.capability_expires_at))),
        ("session", format!("until {}", show::time(session.session_expires_at))),
    ];
    if session.endpoint != client.endpoint() {
        lines.push((
            "warning",
            format!("this session is for {}, not for the chosen server", session.endpoint),
        ));
    }
    if args.check {
        let account = client.me().await?;
        value["tier"] = json!(account.tier);
        value["used_bytes"] = json!(account.used_bytes);
        value["quota_bytes"] = json!(account.quota_bytes);
        value["checked"] = json!(true);
        let used = format!("{} of {}", show::size(account.used_bytes), show::size(account.quota_bytes));
        lines.extend([("server says", "accepted".to_owned()), ("used", used)]);
    }
    context.output.object(&value, &lines)?;
    Ok(Exit::Done)
}

pub async fn manage(context: &Context, args: args::Account) -> Result<Exit, Failure> {
    match args.command {
        args::AccountCommand::Delete(args) => delete(context, args).await,
        args::AccountCommand::TrustKey(args) => trust_key(context, args).await,
    }
}

async fn trust_key(context: &Context, args: args::AccountTrustKey) -> Result<Exit, Failure> {
    let email = session_email(context)?;
    let what = "this machine will take every key that was published in your name so far for yours";
    context.prompt.confirm(what, &email, args.yes)?;
    let key = context.client()?.directory().trust_own_key().await?;
    let value = json!({
        "account_id": key.account_id().to_string(),
        "digest": show::hex(key.digest()),
        "index": key.index(),
    });
    let sentence = format!("the keys of {email} are trusted, leaf {} of the directory", key.index());
    context.output.done(&value, &sentence)?;
    Ok(Exit::Done)
}

async fn delete(context: &Context, args: args::AccountDelete) -> Result<Exit, Failure> {
    let email = session_email(context)?;
    let what = format!("this deletes the account {email} with every project, version and key for good");
    context.prompt.confirm(&what, &email, args.yes)?;
    let password = context.prompt.password(&format!("Password of {email}"), args.password_stdin)?;
    context.client()?.delete_account(&email, &password).await?;
    context.output.done(&json!({ "email": email, "deleted": true }), &format!("{email} is deleted"))?;
    Ok(Exit::Done)
}

fn session_email(context: &Context) -> Result<String, Failure> {
    let session = context.client()?.try_session()?.ok_or(veilcloud_sdk::Error::NotLoggedIn)?;
    Ok(session.email)
}

fn reserve_kit(context: &Context, file: Option<PathBuf>) -> Result<Option<Kit>, Failure> {
    let file = match file {
        Some(file) => file,
        None => {
            let label = "File to save the recovery code to (Enter: only show it)";
            PathBuf::from(context.prompt.line_or_empty(label)?)
        }
    };
    if file.as_os_str().is_empty() { Ok(None) } else { Kit::reserve(&file).map(Some) }
}
