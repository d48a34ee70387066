//! What a batch costs the disk: calls that wait for it, and bytes.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::{Arc, atomic::Ordering},
};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use veilcloud_domain::audit::port::Outbox;

use crate::{
    append::BATCH,
    measure::round,
    rig::{LEAF_LEN, LOG, Ready, Rig, numbered, runtime},
};

/// Batches whose calls are not counted, so that opening and closing are not.
const FEW: u64 = 16;
/// Batches of the counted run.
const MANY: u64 = 144;
/// Batches whose bytes are counted.
const BATCHES: u64 = 64;

/// Child: appends batches and ends.
pub fn append(folder: &Path, batches: u64) {
    let runtime = runtime();
    let outbox = Arc::<Ready>::default();
    let rig = Rig::start(&runtime, folder, Some(outbox.clone()), BATCH);
    outbox.end.store(batches * BATCH as u64, Ordering::SeqCst);
    runtime.block_on(rig.log.settle(LOG)).expect("they are appended");
    rig.stop(&runtime);
}

/// Calls for each batch, by the kind of file; both runs of a child under strace, the smaller one taken off.
pub fn syncs(disk: &Path) -> Value {
    let (Some(few), Some(many)) = (count(disk, FEW), count(disk, MANY)) else {
        return json!({"skipped": "strace is not there, or may not trace"});
    };
    let batches = (MANY - FEW) as f64;
    let each = |name: &str| {
        let of = |counts: &BTreeMap<String, u64>| counts.get(name).copied().unwrap_or(0) as f64;
        round((of(&many) - of(&few)) / batches)
    };
    let files: BTreeMap<_, _> = many.keys().map(|name| (name.clone(), each(name))).collect();
    let all: f64 = files.values().sum();
    json!({
        "goal": "at most 2 of files and 1 commit of the database for each batch",
        "batches": MANY - FEW,
        "per_batch": round(all),
        "by_file": files,
    })
}

fn count(disk: &Path, batches: u64) -> Option<BTreeMap<String, u64>> {
    let folder = tempfile::tempdir_in(disk).ok()?;
    let trace = folder.path().join("trace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-y", "-e", "trace=fsync,fdatasync,msync,sync_file_range,syncfs,sync", "-o"])
        .arg(&trace);
    command.arg(std::env::current_exe().ok()?).args(["--append", &batches.to_string(), "--folder"]);
    let status = command.arg(folder.path().join("data")).status().ok()?;
    if !status.success() {
        return None;
    }
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(&trace).ok()?.lines().filter(|line| line.contains("sync")) {
        // A call that another thread interrupted is in two lines.
        if line.contains("resumed>") || line.contains("+++") {
            continue;
        }
        let path =
            line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
        let name = match path.rsplit('/').next().unwrap_or("") {
            name if name.ends_with(".seg") => "segment",
            "veilcloud.db-wal" => "database_wal",
            "veilcloud.db" => "database_checkpoint",
            "head" => "head",
            _ => "folders",
        };
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    Some(counts)
}

/// Bytes written for each leaf beside its payload and 34, with the database's checkpoint at the end.
pub fn bytes(memory: &Path) -> Value {
    let runtime = runtime();
    json!({
        "goal": "at most 1.3 of payload and 34 bytes",
        "batch": BATCH,
        "leaves": BATCHES * BATCH as u64,
        "log": written(&runtime, memory, false),
        "log_and_outbox": written(&runtime, memory, true),
    })
}

fn written(runtime: &Runtime, memory: &Path, through_database: bool) -> Value {
    let folder = tempfile::tempdir_in(memory).expect("a folder");
    let leaves = BATCHES * BATCH as u64;
    let ready = Arc::<Ready>::default();
    let outbox: Option<Arc<dyn Outbox>> = if through_database { None } else { Some(ready.clone()) };
    let rig = Rig::start(runtime, folder.path(), outbox, BATCH);
    let before = wchar();
    if through_database {
        let outbox = rig.stores.outbox();
        let record = stream::iter(0..leaves).map(|number| outbox.record(numbered(number)));
        runtime.block_on(record.buffer_unordered(1024).for_each(async |index| assert!(index.is_ok())));
    } else {
        ready.end.store(leaves, Ordering::SeqCst);
    }
    let recorded = wchar() - before;
    runtime.block_on(rig.log.settle(LOG)).expect("they are appended");
    rig.stop(runtime);
    let all = wchar() - before;
    let files = fs::read_dir(folder.path().join("log")).expect("the folder of segments");
    let segments: u64 = files.filter_map(|file| file.ok()?.metadata().ok()).map(|meta| meta.len()).sum();
    let per = |bytes: u64| round(bytes as f64 / leaves as f64);
    let ratio = |bytes: u64| round(bytes as f64 / (leaves * (LEAF_LEN as u64 + 34)) as f64);
    json!({
        "bytes_per_leaf": {
            "segments": per(segments),
            "database_while_recording": per(recorded),
            "database_while_appending": per(all - segments - recorded),
        },
        "ratio_segments": ratio(segments),
        "ratio": ratio(all),
    })
}

/// Bytes that this process gave to write calls.
fn wchar() -> u64 {
    let io = fs::read_to_string("/proc/self/io").expect("Linux has /proc");
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|number| number.parse().ok()).expect("a number")
}
