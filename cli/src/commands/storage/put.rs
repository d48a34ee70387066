//! `storage put`: a text with a summary of what changes, or a file with a progress bar.

use std::path::Path;

use serde_json::{Value, json};
use veilcloud_sdk::{Client, Expect, Project, PutOptions};

use crate::args::storage::Put;
use crate::commands::content::{self, Content};
use crate::commands::show;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::progress;

pub async fn put(context: &Context, args: Put) -> Result<(), Failure> {
    // A file that is not there is told before anything is asked of the server.
    let given =
        if args.file.as_os_str() == "-" { None } else { Some(content::read(context, &args.file).await?) };
    let (client, project) = context.project(&args.project).await?;
    let given = match given {
        Some(given) => given,
        None => content::read(context, &args.file).await?,
    };
    let target =
        Target { context, client: &client, project: &project, env: &args.env, dry_run: args.dry_run };
    match &given {
        Content::Text(text) => target.put_text(text, args.if_match).await,
        Content::File(path) => target.put_file(path, args.if_match).await,
        Content::Spooled(spool) => target.put_file(spool.path(), args.if_match).await,
    }
}

/// Where content goes.
pub struct Target<'a> {
    pub context: &'a Context,
    pub client: &'a Client,
    pub project: &'a Project,
    pub env: &'a str,
    pub dry_run: bool,
}

impl Target<'_> {
    /// Shows what changes, then replaces exactly the version the comparison was made with.
    pub async fn put_text(&self, text: &str, if_match: Option<String>) -> Result<(), Failure> {
        let head = content::head_text(self.client, self.project, self.env).await?;
        let changes = content::summarise(self.context, head.as_ref().map(|head| head.text.as_str()), text);
        if self.dry_run {
            return self.tell_dry_run(changes);
        }
        let expect = if_match.or(head.map(|head| head.etag)).map_or(Expect::Any, Expect::Etag);
        let options = PutOptions { expect, ..PutOptions::default() };
        let bytes = text.as_bytes().to_vec();
        let version = self.client.storage().put(self.project, self.env, bytes, options).await?;
        let mut value = show::version(&version);
        value["changes"] = changes;
        self.tell(&value, version.number)
    }

    async fn put_file(&self, path: &Path, if_match: Option<String>) -> Result<(), Failure> {
        if self.dry_run {
            return self.tell_dry_run(Value::Null);
        }
        let progress = progress::bar(self.context.output, "storing");
        let expect = if_match.map_or(Expect::Any, Expect::Etag);
        let options = PutOptions { expect, progress };
        let version = self.client.storage().put_file(self.project, self.env, path, options).await?;
        self.tell(&show::version(&version), version.number)
    }

    fn tell(&self, value: &Value, number: u64) -> Result<(), Failure> {
        let (project, env) = (&self.project.name, self.env);
        self.context.output.done(value, &format!("stored {project}/{env} version {number}"))?;
        if number == 1 {
            self.context.output.hint(&format!("veilcloud storage get {project} {env}"));
        }
        Ok(())
    }

    fn tell_dry_run(&self, changes: Value) -> Result<(), Failure> {
        self.context
            .output
            .done(&json!({ "dry_run": true, "changes": changes }), "dry run: nothing was stored")
    }
}
