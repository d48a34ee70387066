//! Content on its way in and out of the vault: from files and standard input, to files and standard output,
//! and as variables.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::{NamedTempFile, SpooledTempFile};
use tokio::io::AsyncReadExt;
use veilcloud_sdk::dotenv::{Change, Diff, TEXT_LEN_MAX, Variables, mask};
use veilcloud_sdk::{Blob, Client, ErrorKind, GetOptions, Kind, Project, StateStore};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::style;

/// Most bytes taken from standard input.
const STDIN_LEN_MAX: u64 = 4 << 30;

/// Bytes kept in memory before an answer spills into a nameless file: room for any text.
const SPOOL_MEMORY_LEN: usize = TEXT_LEN_MAX;

/// Longest ciphertext a text can have: header, padding (at most an eighth) and age's own overhead included.
const TEXT_CIPHERTEXT_MAX: u64 = (TEXT_LEN_MAX + TEXT_LEN_MAX / 4) as u64;

/// What is to be stored.
pub enum Content {
    Text(Zeroizing<String>),
    File(PathBuf),
    /// Standard input that is no text; the file goes when this is dropped.
    Spooled(NamedTempFile),
}

/// Looks at FILE, or takes standard input in when it is `-`.
pub async fn read(context: &Context, file: &Path) -> Result<Content, Failure> {
    if file.as_os_str() == "-" {
        return read_stdin(context).await;
    }
    let fault = |fault| Failure::local(&format!("read {}", file.display()), &fault);
    let open = File::open(file).map_err(fault)?;
    let meta = open.metadata().map_err(fault)?;
    if !meta.is_file() {
        return Err(Failure::usage(format!("{} is not a file", file.display())));
    }
    let head = read_text_len(open, meta.len()).map_err(fault)?;
    Ok(head.map_or_else(|| Content::File(file.to_owned()), Content::Text))
}

fn read_text_len(file: File, len: u64) -> io::Result<Option<Zeroizing<String>>> {
    if len > TEXT_LEN_MAX as u64 {
        return Ok(None);
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(TEXT_LEN_MAX + 1));
    file.take(TEXT_LEN_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(into_text(bytes).ok())
}

async fn read_stdin(context: &Context) -> Result<Content, Failure> {
    let fault = |fault| Failure::local("read standard input", &fault);
    let mut stdin = tokio::io::stdin();
    let mut bytes = Zeroizing::new(Vec::with_capacity(TEXT_LEN_MAX + 1));
    (&mut stdin).take(TEXT_LEN_MAX as u64 + 1).read_to_end(&mut bytes).await.map_err(fault)?;
    let bytes = match into_text(bytes) {
        Ok(text) => return Ok(Content::Text(text)),
        Err(bytes) => bytes,
    };
    let spool = spool_file(context)?;
    let copy = spool.reopen().map_err(fault)?;
    let mut copy = tokio::fs::File::from_std(copy);
    tokio::io::AsyncWriteExt::write_all(&mut copy, &bytes).await.map_err(fault)?;
    let mut rest = stdin.take(STDIN_LEN_MAX);
    let copied = tokio::io::copy(&mut rest, &mut copy).await.map_err(fault)?;
    tokio::io::AsyncWriteExt::flush(&mut copy).await.map_err(fault)?;
    if copied == STDIN_LEN_MAX {
        return Err(
            Failure::usage("standard input is longer than 4 GiB").try_this("store a file by its name")
        );
    }
    Ok(Content::Spooled(spool))
}

/// A file beside the session that only its owner can read.
fn spool_file(context: &Context) -> Result<NamedTempFile, Failure> {
    let state = context.state()?;
    let dir = state.spool_dir().unwrap_or_else(|| state.dir().to_owned());
    NamedTempFile::new_in(&dir)
        .map_err(|fault| Failure::local(&format!("write to {}", dir.display()), &fault))
}

/// Text as the vault means it: UTF-8 of limited length without NUL. Anything else comes back as it is.
fn into_text(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, Zeroizing<Vec<u8>>> {
    if bytes.len() > TEXT_LEN_MAX || bytes.contains(&0) {
        return Err(bytes);
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(refused) => Err(Zeroizing::new(refused.into_bytes())),
    }
}

/// The newest text of an environment; None when there is no environment, no content, or no text in it.
pub async fn head_text(client: &Client, project: &Project, env: &str) -> Result<Option<Head>, Failure> {
    let environment = match client.environments(project).get(env).await {
        Ok(environment) => environment,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if environment.version == 0 || environment.ciphertext_bytes > TEXT_CIPHERTEXT_MAX {
        return Ok(None);
    }
    match client.storage().get(project, env, GetOptions::default()).await {
        Ok(blob) if blob.version.kind == Kind::Text => {
            let etag = blob.version.etag.clone();
            Ok(Some(Head { etag, text: blob_text(blob, env)? }))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub struct Head {
    pub etag: String,
    pub text: Zeroizing<String>,
}

/// The text of an environment, or a failure that says it holds none.
pub async fn text(
    client: &Client,
    project: &Project,
    env: &str,
    version: Option<u64>,
) -> Result<Zeroizing<String>, Failure> {
    // A large file is refused before it is fetched.
    if version.is_none() {
        let environment = client.environments(project).get(env).await?;
        if environment.ciphertext_bytes > TEXT_CIPHERTEXT_MAX {
            return Err(not_text(env));
        }
    }
    let options = GetOptions { version, ..GetOptions::default() };
    blob_text(client.storage().get(project, env, options).await?, env)
}

/// The variables of an environment.
pub async fn variables(
    client: &Client,
    project: &Project,
    env: &str,
    version: Option<u64>,
) -> Result<Variables, Failure> {
    let text = text(client, project, env, version).await?;
    Variables::from_dotenv(&text).map_err(|fault| {
        Failure::new(Exit::Other, "NOT_DOTENV", format!("{env} is not a dotenv text: {fault}"))
            .try_this(format!("veilcloud storage get {} {env} shows it", project.name))
    })
}

fn blob_text(blob: Blob, env: &str) -> Result<Zeroizing<String>, Failure> {
    match blob.version.kind {
        Kind::Text => into_text(blob.bytes).map_err(|_| not_text(env)),
        _ => Err(not_text(env)),
    }
}

fn not_text(env: &str) -> Failure {
    Failure::usage(format!("{env} holds a binary file, not variables"))
        .try_this("veilcloud storage get PROJECT ENV --file OUT writes it to a file")
}

/// Says what would change, masked, and gives the same for machines.
pub fn summarise(context: &Context, old: Option<&str>, new: &str) -> Value {
    let new = match Variables::from_dotenv(new) {
        Ok(new) => new,
        Err(fault) => {
            context.output.say(&format!("not a dotenv text ({fault}); `run` and `diff` cannot use it"));
            return Value::Null;
        }
    };
    let old = old.and_then(|old| Variables::from_dotenv(old).ok()).unwrap_or_default();
    let diff = Diff::between(&old, &new);
    for change in diff.changes() {
        context.output.say(&change_line(change, &mask));
    }
    let value = changes(&diff, false);
    let count = |name: &str| value[name].as_array().map_or(0, Vec::len);
    let (added, changed, removed) = (count("added"), count("changed"), count("removed"));
    context.output.say(&format!("{added} added, {changed} changed, {removed} removed, {} keys", new.len()));
    value
}

/// One line of a difference; `show` decides how much of a value is seen.
pub fn change_line(change: &Change<'_>, show: &dyn Fn(&str) -> String) -> String {
    match change {
        Change::Added { key, new } => format!("{} {key}={}", style::green("+"), show(new)),
        Change::Removed { key, old } => format!("{} {key}={}", style::red("-"), show(old)),
        Change::Changed { key, old, new } => format!("~ {key}={} -> {}", show(old), show(new)),
    }
}

/// Keys by what happened to them; with `reveal`, each with its values.
pub fn changes(diff: &Diff<'_>, reveal: bool) -> Value {
    let (mut added, mut changed, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for change in diff.changes() {
        let (list, values) = match change {
            Change::Added { key, new } => (&mut added, json!({ "key": key, "new": new })),
            Change::Removed { key, old } => (&mut removed, json!({ "key": key, "old": old })),
            Change::Changed { key, old, new } => {
                (&mut changed, json!({ "key": key, "old": old, "new": new }))
            }
        };
        list.push(if reveal { values } else { json!(change.key()) });
    }
    json!({ "added": added, "changed": changed, "removed": removed })
}

/// A place for content that must not be seen before it is verified: memory for a text, beyond that a file
/// without a name, which no crash leaves behind.
pub fn spool() -> SpooledTempFile {
    tempfile::spooled_tempfile(SPOOL_MEMORY_LEN)
}

/// Copies a spool to standard output.
pub fn pour(mut spool: SpooledTempFile) -> Result<(), Failure> {
    let fault = |fault| Failure::local("read the temporary file", &fault);
    spool.rewind().map_err(fault)?;
    let mut out = io::stdout().lock();
    let mut piece = Zeroizing::new(vec![0; 64 * 1024]);
    loop {
        let len = spool.read(&mut piece).map_err(fault)?;
        if len == 0 {
            return out.flush().map_err(|fault| Failure::output(&fault));
        }
        out.write_all(&piece[..len]).map_err(|fault| Failure::output(&fault))?;
    }
}

/// A file that appears under its name only when it is complete, readable by its owner alone.
pub fn staged(file: &Path) -> Result<NamedTempFile, Failure> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    NamedTempFile::new_in(dir).map_err(|fault| Failure::local(&format!("write to {}", dir.display()), &fault))
}

pub fn publish(staged: NamedTempFile, file: &Path) -> Result<(), Failure> {
    let fault = |fault: io::Error| Failure::local(&format!("write {}", file.display()), &fault);
    staged.as_file().sync_all().map_err(fault)?;
    staged.persist(file).map(drop).map_err(|refused| fault(refused.error))
}

/// Writes `bytes` to a file as a whole, or to standard output.
pub fn deliver(bytes: &[u8], file: Option<&Path>) -> Result<(), Failure> {
    let Some(file) = file else { return crate::ui::output::write(bytes) };
    let mut staging = staged(file)?;
    staging.write_all(bytes).map_err(|fault| Failure::local(&format!("write {}", file.display()), &fault))?;
    publish(staging, file)
}

#[cfg(test)]
mod tests;
