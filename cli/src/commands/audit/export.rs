//! `audit export`: the log as text, or as the folder that outside tools verify.

use std::io::Write;
use std::path::Path;

use serde_json::json;
use veilcloud_sdk::{Audit, AuditEvent, BundleOptions};

use super::{event, open};
use crate::args::Output as Place;
use crate::args::audit::{ExportFormat, Whose};
use crate::commands::content;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::output::{self, escaped};
use crate::ui::progress;

pub async fn export(context: &Context, whose: &Whose, format: ExportFormat) -> Result<(), Failure> {
    let place = match &context.place {
        Place::To(path) if path.as_os_str() != "-" => Some(path.as_path()),
        _ => None,
    };
    if format == ExportFormat::Bundle {
        let needed = || Failure::usage("a bundle is a folder").try_this("name it with --output DIR");
        return bundle(context, whose, place.ok_or_else(needed)?).await;
    }
    let audit = open(context, whose).await?.audit;
    let is_array = format == ExportFormat::Json;
    let Some(file) = place else {
        text(context, &audit, is_array, &mut |bytes| output::write(bytes)).await?;
        return Ok(());
    };
    let mut staged = content::staged(file)?;
    let fault = |fault| Failure::local(&format!("write {}", file.display()), &fault);
    let count = text(context, &audit, is_array, &mut |bytes| staged.write_all(bytes).map_err(fault)).await?;
    content::publish(staged, file)?;
    let value = json!({ "file": file.display().to_string(), "events": count });
    context.output.done(&value, &format!("wrote {count} events to {}", file.display()))
}

async fn bundle(context: &Context, whose: &Whose, dir: &Path) -> Result<(), Failure> {
    let audit = open(context, whose).await?.audit;
    let options = BundleOptions { progress: progress::count(context.output, "exporting") };
    let report = audit.export_bundle(dir, options).await?;
    let value = json!({
        "dir": report.directory.display().to_string(),
        "origin": report.origin,
        "log_size": report.log_size,
        "bundles": report.bundles,
        "fetched": report.fetched,
    });
    let sentence = format!("wrote the log of {} events to {}", report.log_size, report.directory.display());
    context.output.done(&value, &sentence)?;
    context.output.hint(&format!("veilcloud audit fsck {}", report.directory.display()));
    Ok(())
}

/// Writes the events as they are checked; says how many there were.
async fn text(
    context: &Context,
    audit: &Audit,
    is_array: bool,
    write: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    // A bar would be drawn into the text where both go to one terminal; it is drawn where a file takes the text.
    let progress = match context.place {
        Place::To(_) => progress::count(context.output, "exporting"),
        _ => None,
    };
    let mut reader = audit.reader().await?;
    if let Some(progress) = &progress {
        progress.start(reader.len());
    }
    let mut count = 0;
    if is_array {
        write(b"[")?;
    }
    while let Some(events) = reader.next().await? {
        let mut piece = String::new();
        for one in &events {
            piece.push_str(&line(one, is_array, count));
            count += 1;
        }
        write(piece.as_bytes())?;
        if let Some(progress) = &progress {
            progress.advance(events.len() as u64);
        }
    }
    if is_array {
        write(b"\n]\n")?;
    }
    if let Some(progress) = &progress {
        progress.finish();
    }
    Ok(count)
}

fn line(one: &AuditEvent, is_array: bool, before: u64) -> String {
    let json = escaped(&event(one).to_string());
    match (is_array, before) {
        (true, 0) => format!("\n{json}"),
        (true, _) => format!(",\n{json}"),
        (false, _) => format!("{json}\n"),
    }
}
