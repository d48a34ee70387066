//! Checks that ask nobody: of a proof file and of an exported log.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Value, json};
use veilcloud_sdk::{BundleCheck, Proven, check_bundle, verify_file};

use super::{event, show};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::progress;

/// Longest proof file or policy that is read, in bytes.
const FILE_LEN_MAX: u64 = 2 * 1024 * 1024;

pub async fn verify(context: &Context, path: &Path, policy: Option<&Path>) -> Result<Exit, Failure> {
    if path.is_dir() {
        return fsck(context, path, policy);
    }
    let policy = policy.map(read).transpose()?;
    let file = if path.as_os_str() == "-" { read_stdin()? } else { read(path)? };
    let proven = match &policy {
        Some(policy) => verify_file(&file, policy)?,
        None => context.client()?.verify_proof(&file).await.map_err(|e| {
            let failure = Failure::from(e);
            if failure.exit == Exit::Usage {
                failure.try_this("give what to trust with --policy")
            } else {
                failure
            }
        })?,
    };
    let shown = &proven.event;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let lines = [
        ("proven", format!("event {} is in the log", shown.index)),
        ("log", proven.origin.clone()),
        ("size", proven.log_size.to_string()),
        ("root", show::hex(&proven.root)),
        (
            "witnesses",
            if proven.witnesses.is_empty() { "none".to_owned() } else { proven.witnesses.join(", ") },
        ),
        ("event", shown.kind.clone()),
        ("at", show::time(shown.at)),
        ("actor", shown.actor_id.to_string()),
        ("API key", or_none(shown.api_key_id.map(|id| id.to_string()))),
        ("environment", or_none(shown.environment_id.map(|id| id.to_string()))),
        ("version", or_none(shown.version.map(|version| version.to_string()))),
        ("digest", or_none(shown.digest.as_ref().map(|digest| show::hex(digest.as_ref())))),
    ];
    context.output.object(&proof_value(&proven), &lines)?;
    Ok(Exit::Done)
}

fn proof_value(proven: &Proven) -> Value {
    json!({
        "proven": true,
        "origin": proven.origin,
        "log_size": proven.log_size,
        "root": show::hex(&proven.root),
        "witnesses": proven.witnesses,
        "event": event(&proven.event),
    })
}

pub fn fsck(context: &Context, dir: &Path, policy: Option<&Path>) -> Result<Exit, Failure> {
    let policy = policy.map(read).transpose()?;
    let progress = progress::count(context.output, "checking");
    let check = check_bundle(dir, policy.as_deref(), progress.as_deref())?;
    match &check.finding {
        None => {
            let lines = [
                ("checked", "every byte is as the checkpoint says".to_owned()),
                ("log", check.origin.clone()),
                ("size", check.log_size.to_string()),
                ("root", show::hex(&check.root)),
                (
                    "witnesses",
                    if check.witnesses.is_empty() { "none".to_owned() } else { check.witnesses.join(", ") },
                ),
                ("files", format!("{} of entries, {} of hashes", check.bundles, check.tiles)),
            ];
            context.output.object(&bundle_value(&check), &lines)?;
            if policy.is_none() {
                context.output.say("Held against the policy in the folder: whose log it is, only a policy of your own tells.");
            }
            Ok(Exit::Done)
        }
        Some(finding) => {
            let byte = finding.offset.map(|offset| format!(", byte {offset}")).unwrap_or_default();
            if context.output.json {
                context.output.json(&bundle_value(&check))?;
            }
            let message = format!("{}{byte}: {}", finding.path, finding.message);
            let failure = Failure::new(Exit::Integrity, "LOG_DAMAGED", message);
            Err(failure.try_this("export the log again; if it stays, tell the server's operator"))
        }
    }
}

fn bundle_value(check: &BundleCheck) -> Value {
    json!({
        "ok": check.finding.is_none(),
        "origin": check.origin,
        "log_size": check.log_size,
        "root": show::hex(&check.root),
        "witnesses": check.witnesses,
        "bundles": check.bundles,
        "tiles": check.tiles,
        "finding": check.finding.as_ref().map(|finding| {
            json!({ "path": finding.path, "offset": finding.offset, "message": finding.message })
        }),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let fault = |fault| Failure::local(&format!("read {}", path.display()), &fault);
    take(File::open(path).map_err(fault)?, &path.display().to_string())
}

fn read_stdin() -> Result<Vec<u8>, Failure> {
    take(io::stdin().lock(), "standard input")
}

fn take(input: impl Read, name: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = input.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|fault| Failure::local(&format!("read {name}"), &fault))?;
    if bytes.len() as u64 > FILE_LEN_MAX {
        return Err(Failure::usage(format!("{name} is too long")));
    }
    Ok(bytes)
}
