//! What an operator does to the logs while the server is stopped: check them, rotate the keys that sign them.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use veilcloud_domain::{
    audit::{
        model::{Kind, Line, Trail},
        signer::LogKeys,
    },
    clock::{Clock, SystemClock, SystemEntropy},
    store::StoreError,
};
use veilcloud_embedded::{Check, Embedded, Finding, Options, Progress};
use veilcore::id::AccountId;

use crate::{
    config::Config,
    folder::Folder,
    keys::{Keys, LogKeyFile},
    say,
    start::StartError,
};

/// Pause between two words of how far a check is.
const PROGRESS_PAUSE: Duration = Duration::from_millis(200);
/// Logs that are looked up at a time.
const LOGS_PAGE: usize = 256;

/// Checks every log; tells each finding on standard output and how far it is on a terminal.
pub fn fsck(config: &Config, repair: bool) -> Result<(), StartError> {
    let folder = Folder::open(&config.server.data_dir)?;
    let keys = open_keys(config, &folder)?.keys()?;
    let verify = |log: Trail, size: u64, root: &[u8; 32], note: &[u8]| {
        let opened = veilcloud_domain::audit::open_checkpoint(note, &keys.verifiers(log));
        opened.is_some_and(|(found, under)| found == size && under == *root)
    };
    let terminal = std::io::stderr().is_terminal();
    let mut shown = Instant::now();
    let mut progress = |now: &Progress| {
        if terminal && shown.elapsed() >= PROGRESS_PAUSE {
            shown = Instant::now();
            // Overwritten by the next one; nobody is left to tell when standard error is closed.
            let _ = write!(std::io::stderr(), "\r{}: {} of {} leaves\x1b[K", now.log, now.leaves, now.size);
        }
    };
    let mut unprinted = None;
    let mut report = |finding: &Finding| {
        if let Err(error) = writeln!(std::io::stdout(), "{finding}") {
            unprinted.get_or_insert(error);
        }
    };
    let mut check = Check { repair, verify: Some(&verify), progress: &mut progress, report: &mut report };
    let summary = veilcloud_embedded::fsck(folder.path(), &mut check)?;
    if terminal {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    if let Some(error) = unprinted {
        return Err(StartError::Print(error));
    }
    say(&format!(
        "{} logs, {} leaves, {} blocks: {} findings, {} repaired",
        summary.logs, summary.leaves, summary.blocks, summary.findings, summary.repaired
    ));
    if summary.findings > 0 { Err(StartError::Findings(summary.findings)) } else { Ok(()) }
}

/// Writes the verifier keys: of the directory log, and of all logs of this server as a witness is told of them.
pub fn show_keys(config: &Config) -> Result<(), StartError> {
    let folder = Folder::open(&config.server.data_dir)?;
    let keys = open_keys(config, &folder)?.keys()?;
    let mut text = String::new();
    for key in keys.verifiers(Trail::Directory) {
        text += &format!("directory {}\n", key.encode());
    }
    for key in keys.server_verifiers() {
        text += &format!("server {}\n", key.encode());
    }
    std::io::stdout().write_all(text.as_bytes()).map_err(StartError::Print)
}

/// Adds a key. Every log is told first: a key that signs is always one that clients can learn of from the directory, and
/// no log stays behind whose last checkpoint only an old key has signed.
pub fn rotate_key(config: &Config) -> Result<(), StartError> {
    let folder = Folder::open(&config.server.data_dir)?;
    let mut file = open_keys(config, &folder)?;
    let new = file.draw(&SystemEntropy)?;
    let public = new.public;
    with_store(&folder, |store| async move {
        let announced = announce(&store, public).await;
        (store, announced)
    })?;
    file.add(new)?;
    say(
        "the new key signs beside the others from the next start on; retire the old ones when every client was online",
    );
    show(&file.keys()?)
}

/// The line that tells of a key.
fn log_key(trail: Trail, key: Option<[u8; 32]>) -> Line {
    Line {
        trail,
        kind: Kind::LogKey,
        actor: AccountId::from_bytes([0; 16]),
        at_ms: SystemClock.now_ms(),
        environment: None,
        version: 0,
        digest: key,
        key: None,
        by_number: false,
    }
}

async fn announce(store: &Embedded, key: [u8; 32]) -> Result<(), StoreError> {
    let (logs, outbox) = (store.logs(), store.outbox());
    let line = |trail| log_key(trail, Some(key));
    outbox.record(line(Trail::Directory)).await?;
    let mut after = None;
    loop {
        let page = logs.logs(after, LOGS_PAGE).await?;
        for log in page.iter().filter(|log| **log != Trail::Directory) {
            outbox.record(line(*log)).await?;
        }
        match page.last() {
            Some(last) if page.len() == LOGS_PAGE => after = Some(*last),
            _ => return Ok(()),
        }
    }
}

/// Forgets every key but the newest, if the logs announce it already.
pub fn retire_keys(config: &Config) -> Result<(), StartError> {
    let folder = Folder::open(&config.server.data_dir)?;
    let mut file = open_keys(config, &folder)?;
    let mut announced = false;
    with_store(&folder, |store| async {
        let waiting = store.outbox().waiting(None, 1).await;
        announced = matches!(&waiting, Ok(trails) if trails.is_empty());
        (store, waiting.map(drop))
    })?;
    if !announced {
        let cause = "not every log announces the new key yet: start the server once, then retire";
        return Err(StartError::TooEarly(cause));
    }
    let forgotten = file.retire()?;
    // One more leaf, so that the next start shows a directory that the old keys did not sign: clients drop them then.
    let keys = file.keys()?;
    let newest = keys.verifiers(Trail::Directory).first().map(|key| *key.public_key());
    let line = log_key(Trail::Directory, newest);
    with_store(&folder, |store| async move {
        let recorded = store.outbox().record(line).await;
        (store, recorded.map(drop))
    })?;
    say(&format!("{forgotten} old keys are forgotten"));
    show(&file.keys()?)
}

fn show(keys: &LogKeys) -> Result<(), StartError> {
    let lines: String =
        keys.verifiers(Trail::Directory).iter().map(|key| format!("directory {}\n", key.encode())).collect();
    std::io::stdout().write_all(lines.as_bytes()).map_err(StartError::Print)
}

fn open_keys(config: &Config, folder: &Folder) -> Result<LogKeyFile, StartError> {
    Ok(LogKeyFile::open(folder.path(), config.chain.name.as_deref(), &SystemEntropy)?)
}

/// Opens the store, does one thing, and closes it.
fn with_store<F, R>(folder: &Folder, work: F) -> Result<(), StartError>
where
    F: FnOnce(Embedded) -> R,
    R: Future<Output = (Embedded, Result<(), StoreError>)>,
{
    let keys = Keys::open(folder.path(), folder.has_database(), &SystemEntropy)?;
    let store = Embedded::open(folder.path(), keys.outbox, Options::default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| StartError::System { step: "start threads", cause: e.to_string() })?;
    runtime.block_on(async {
        let (store, outcome) = work(store).await;
        store.close().await;
        outcome.map_err(|error| StartError::Wire(error.to_string()))
    })
}
