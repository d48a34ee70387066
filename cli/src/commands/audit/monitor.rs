//! `audit monitor`: looks again and again, tells what should not be there, keeps the evidence.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use veilcloud_sdk::{Error, ErrorKind, Finding, Step};

use super::{open, show};
use crate::args::audit::Whose;
use crate::commands::content;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output::{self, escaped, plain, say};
use crate::ui::style;

pub async fn monitor(
    context: &Context,
    whose: &Whose,
    interval: Duration,
    once: bool,
    evidence: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let evidence = evidence.unwrap_or_else(|| context.config_dir.value.join("evidence"));
    let opened = open(context, whose).await?;
    let (client, mut monitor) = (opened.client, opened.audit.monitor());
    context.output.say(&plain(&format!("watching the log of {}", opened.of)));
    let mut is_first = true;
    loop {
        match monitor.step().await {
            Ok(step) => {
                if std::mem::take(&mut is_first) {
                    show::witnesses(&client);
                }
                tell(context, &step, &evidence, once)?;
                if once {
                    return Ok(if step.findings.is_empty() { Exit::Done } else { Exit::Integrity });
                }
            }
            Err(e) if !once && passes(&e) => context.output.say(&plain(&format!("not reached: {e}"))),
            Err(e) => return Err(e.into()),
        }
        tokio::time::sleep(interval).await;
    }
}

/// Whether it may be gone at the next look.
fn passes(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::Network(_) | ErrorKind::RateLimited { .. } | ErrorKind::Server)
}

fn tell(context: &Context, step: &Step, evidence: &Path, once: bool) -> Result<(), Failure> {
    let mut findings = Vec::new();
    for finding in &step.findings {
        let files = keep(finding, evidence)?;
        if !context.output.json {
            let at = finding.index.map(|index| format!(" at event {index}")).unwrap_or_default();
            say(&format!(
                "{} {}",
                style::red("alarm:"),
                plain(&format!("{}{at}: {}", finding.kind, finding.message))
            ));
            files.iter().for_each(|file| say(&format!("  evidence: {}", plain(file))));
        }
        findings.push(json!({
            "kind": finding.kind,
            "index": finding.index,
            "message": finding.message,
            "evidence": files,
        }));
    }
    if context.output.json {
        // One line a look, so that the answer can be followed.
        let at = show::time(time::OffsetDateTime::now_utc());
        let value = json!({
            "at": at,
            "log_size": step.log_size,
            "new_events": step.new_events,
            "findings": findings,
        });
        return output::write(format!("{}\n", escaped(&value.to_string())).as_bytes());
    }
    if once || step.new_events > 0 || !step.findings.is_empty() {
        let state = match step.findings.len() {
            0 => "all in place".to_owned(),
            count => format!("{count} alarms"),
        };
        context.output.say(&format!("{} events, {} new, {state}", step.log_size, step.new_events));
    }
    Ok(())
}

/// Writes the evidence of a finding; says where.
fn keep(finding: &Finding, dir: &Path) -> Result<Vec<String>, Failure> {
    let mut files = Vec::new();
    for evidence in &finding.evidence {
        std::fs::create_dir_all(dir)
            .map_err(|fault| Failure::local(&format!("make {}", dir.display()), &fault))?;
        let file = dir.join(&evidence.name);
        let mut staged = content::staged(&file)?;
        let fault = |fault| Failure::local(&format!("write {}", file.display()), &fault);
        staged.write_all(&evidence.bytes).map_err(fault)?;
        content::publish(staged, &file)?;
        files.push(file.display().to_string());
    }
    Ok(files)
}
