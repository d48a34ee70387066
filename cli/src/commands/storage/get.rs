//! `storage get`: nothing is written before the SDK has checked all of it. To a file it goes through a file
//! beside it that is renamed at the end; to standard output through memory or a file without a name.

use std::io::{self, IsTerminal};
use std::path::Path;

use veilcloud_sdk::{Client, GetOptions, Kind, Project};

use crate::args::storage::Get;
use crate::commands::{content, show};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::progress;

pub async fn get(context: &Context, args: Get) -> Result<(), Failure> {
    let (client, project) = context.project(&args.project).await?;
    match &args.file {
        Some(file) => to_file(context, &client, &project, &args, file).await,
        None => to_stdout(context, &client, &project, &args).await,
    }
}

async fn to_file(
    context: &Context,
    client: &Client,
    project: &Project,
    args: &Get,
    file: &Path,
) -> Result<(), Failure> {
    let mut staged = content::staged(file)?;
    let options = options(context, args);
    let version = client.storage().get_to(project, &args.env, staged.as_file_mut(), options).await?;
    content::publish(staged, file)?;
    let mut value = show::version(&version);
    value["file"] = serde_json::json!(file.display().to_string());
    context.output.done(&value, &format!("wrote {} (version {})", file.display(), version.number))
}

async fn to_stdout(context: &Context, client: &Client, project: &Project, args: &Get) -> Result<(), Failure> {
    let mut spool = content::spool();
    let options = options(context, args);
    let version = client.storage().get_to(project, &args.env, &mut spool, options).await?;
    if version.kind != Kind::Text && io::stdout().is_terminal() && !args.force {
        let message = format!("{} is a binary file and standard output is a terminal", args.env);
        return Err(
            Failure::usage(message).try_this("--file OUT writes it to a file, --force shows it anyway")
        );
    }
    content::pour(spool)
}

fn options(context: &Context, args: &Get) -> GetOptions {
    GetOptions { version: args.version, progress: progress::bar(context.output, "fetching") }
}
