//! `import` and `export`: other formats in, other formats out, and everything at once into the escape folder.

use std::path::Path;

use serde_json::json;
use veilcloud_sdk::dotenv::{self, Variables};
use veilcloud_sdk::{ExportOptions, Exported};
use zeroize::Zeroizing;

use super::content::{self, Content};
use super::storage::put::Target;
use crate::args::storage::{Export, Format, Import};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::progress;

pub async fn import(context: &Context, args: Import) -> Result<Exit, Failure> {
    let format = args.format.unwrap_or_else(|| format_of(&args.file));
    let Content::Text(text) = content::read(context, &args.file).await? else {
        let message = format!("{} is not a text of at most 512 KiB", args.file.display());
        return Err(Failure::usage(message).try_this("veilcloud storage put stores any file"));
    };
    let refuse = |fault: dotenv::Error| Failure::usage(format!("{}: {fault}", args.file.display()));
    let text = match format {
        Format::Dotenv => {
            dotenv::parse(&text).map_err(refuse)?;
            text
        }
        Format::Json => as_dotenv(dotenv::from_json(&text).map_err(refuse)?)?,
        Format::Yaml => as_dotenv(dotenv::from_yaml(&text).map_err(refuse)?)?,
    };
    let (client, project) = context.project(&args.project).await?;
    let target =
        Target { context, client: &client, project: &project, env: &args.env, dry_run: args.dry_run };
    target.put_text(&text, None).await?;
    Ok(Exit::Done)
}

pub async fn export(context: &Context, args: Export) -> Result<Exit, Failure> {
    match (&args.dir, &args.env) {
        (Some(dir), _) => escape(context, &args.project, dir).await?,
        (None, Some(env)) => plain(context, &args, env).await?,
        (None, None) => return Err(Failure::usage("give a folder, or an environment with --env")),
    }
    Ok(Exit::Done)
}

async fn escape(context: &Context, project: &str, dir: &Path) -> Result<(), Failure> {
    let (client, project) = context.project(project).await?;
    let options = ExportOptions { progress: progress::bar(context.output, "exporting") };
    let report = client.export(&project, dir, options).await?;
    let one = |exported: &Exported| {
        json!({
            "name": exported.name,
            "version": exported.version,
            "ciphertext_bytes": exported.ciphertext_bytes,
            "dir": exported.directory.display().to_string(),
        })
    };
    let value = json!({
        "dir": report.directory.display().to_string(),
        "key_file": report.key_file.display().to_string(),
        "environments": report.environments.iter().map(one).collect::<Vec<_>>(),
    });
    let count = report.environments.len();
    context.output.done(&value, &format!("wrote {count} environments to {}", report.directory.display()))?;
    context.output.say(&format!(
        "{} is your private key: keep the folder like one. README.txt has the two age commands.",
        report.key_file.display()
    ));
    Ok(())
}

async fn plain(context: &Context, args: &Export, env: &str) -> Result<(), Failure> {
    let (client, project) = context.project(&args.project).await?;
    let bytes = match args.format {
        // As it was stored, comments and order included.
        Format::Dotenv => content::text(&client, &project, env, args.version).await?,
        Format::Json => dotenv::to_json(&content::variables(&client, &project, env, args.version).await?),
        Format::Yaml => dotenv::to_yaml(&content::variables(&client, &project, env, args.version).await?),
    };
    content::deliver(bytes.as_bytes(), args.file.as_deref())?;
    if let Some(file) = &args.file {
        context.output.say(&format!("wrote {}", file.display()));
    }
    Ok(())
}

fn format_of(file: &Path) -> Format {
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("json") => Format::Json,
        Some("yaml" | "yml") => Format::Yaml,
        _ => Format::Dotenv,
    }
}

/// Quoting can make a text longer than its source.
fn as_dotenv(variables: Variables) -> Result<Zeroizing<String>, Failure> {
    let text = dotenv::write(&variables);
    match text.len() <= dotenv::TEXT_LEN_MAX {
        true => Ok(text),
        false => Err(Failure::usage("as dotenv this is longer than 512 KiB")),
    }
}
