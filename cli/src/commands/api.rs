//! `api headers` and `api seal`: what a plain HTTP client needs to call the REST interface once. The signing lines
//! are a credential for one request, so they go to standard output and nowhere else.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use time::OffsetDateTime;
use veilcloud_sdk::{DIRECT_BLOB_MAX, Expect, HeldCapability};

use super::content::{self, Content};
use crate::args::tools::{Api, ApiCommand};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output;

/// Longest body signed here, in bytes. What a server takes is for the server to say; this only bounds memory.
const BODY_LEN_MAX: u64 = 16 * 1024 * 1024;

pub async fn manage(context: &Context, args: Api) -> Result<Exit, Failure> {
    match args.command {
        ApiCommand::Headers { method, path, body, capability, holder_key } => {
            let held = match capability {
                Some(file) => Some(super::access::read_with_key(&file, holder_key.as_deref())?),
                None => None,
            };
            headers(context, &method, &path, body, held).await?
        }
        ApiCommand::Seal { project, env, input, file } => {
            seal(context, &project, &env, &input, &file).await?
        }
    }
    Ok(Exit::Done)
}

async fn headers(
    context: &Context,
    method: &str,
    path: &str,
    body: Option<PathBuf>,
    held: Option<HeldCapability>,
) -> Result<(), Failure> {
    let method = method.to_ascii_uppercase();
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(Failure::usage("the method is a word, such as GET"));
    }
    let plain = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !plain || path.contains('#') {
        return Err(Failure::usage(
            "the path starts with / and has no blanks, as in /v1/projects?page_size=10",
        ));
    }
    let bytes = match body {
        Some(file) => read_up_to(&file, BODY_LEN_MAX)?,
        None => Vec::new(),
    };
    if bytes.len() as u64 > BODY_LEN_MAX {
        return Err(Failure::usage("a body has at most 16 MiB"));
    }
    let headers = match held {
        Some(held) => held.signed_headers(&method, path, &bytes, OffsetDateTime::now_utc())?,
        None => context.client()?.signed_headers(&method, path, &bytes).await?,
    };
    tell(context, headers)
}

async fn seal(context: &Context, project: &str, env: &str, input: &Path, file: &Path) -> Result<(), Failure> {
    // Told before anything is asked of the server; what decides is the rename at the end.
    if file.symlink_metadata().is_ok() {
        return Err(exists(file));
    }
    let bytes = match content::read(context, input).await? {
        Content::Text(text) => text.as_bytes().to_vec(),
        // One byte more than fits is enough for the SDK to refuse it.
        Content::File(path) => read_up_to(&path, DIRECT_BLOB_MAX)?,
        Content::Spooled(spool) => read_up_to(spool.path(), DIRECT_BLOB_MAX)?,
    };
    let mut staged = content::staged(file)?;
    let (client, project) = context.project(project).await?;
    let version = client.storage().seal(&project, env, bytes, Expect::Any).await?;
    let fault = |fault: io::Error| Failure::local(&format!("write {}", file.display()), &fault);
    staged.write_all(&version.ciphertext).map_err(fault)?;
    staged.persist_noclobber(file).map_err(|refused| match refused.error.kind() {
        io::ErrorKind::AlreadyExists => exists(file),
        _ => fault(refused.error),
    })?;
    tell(context, version.headers())
}

/// The beginning of a file, and one byte more than `max` if there are more.
fn read_up_to(file: &Path, max: u64) -> Result<Vec<u8>, Failure> {
    let fault = |fault| Failure::local(&format!("read {}", file.display()), &fault);
    let open = File::open(file).map_err(fault)?;
    let len = open.metadata().map_err(fault)?.len().min(max) + 1;
    // Room for all of it from the beginning: growing would leave copies of the content behind.
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
    open.take(max + 1).read_to_end(&mut bytes).map_err(fault)?;
    Ok(bytes)
}

fn exists(file: &Path) -> Failure {
    Failure::new(Exit::Conflict, "FILE_EXISTS", format!("{} exists and is not overwritten", file.display()))
        .try_this("name a new file with --file")
}

/// One header a line, as `curl -H @-` takes them.
fn tell(context: &Context, headers: Vec<(String, String)>) -> Result<(), Failure> {
    if context.output.json {
        let map: Map<String, Value> = headers.into_iter().map(|(name, value)| (name, value.into())).collect();
        return context.output.json(&Value::Object(map));
    }
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    output::write(lines.as_bytes())
}
