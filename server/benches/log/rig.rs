//! A log of a data folder with its sequencer, and lines for it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use tokio::{runtime::Runtime, task::JoinHandle};
use veilcloud_domain::{
    audit::{
        log::Log,
        model::{Event, Kind, Line, OutboxKey, Trail},
        port::Outbox,
        sequence::{Parts, Sequencer},
        signer::LogKeys,
    },
    clock::SystemClock,
    store::StoreError,
};
use veilcloud_embedded::{Embedded, Options};
use veilcore::id::{AccountId, EnvironmentId, ProjectId};

/// Length of an entry with all its fields, in bytes.
pub const LEAF_LEN: usize = 116;
/// What is measured.
pub const LOG: Trail = Trail::Project(ProjectId::from_bytes([2; 16]));
/// Name of the logs.
const NAME: &str = "log.example.org";

/// A line with all fields.
pub fn line(number: u64, digest: [u8; 32]) -> Line {
    Line {
        trail: LOG,
        kind: Kind::BlobPut,
        actor: AccountId::from_bytes([1; 16]),
        at_ms: 1_800_000_000_000 + number,
        environment: Some(EnvironmentId::from_bytes([3; 16])),
        version: number + 1,
        digest: Some(digest),
        key: None,
        by_number: false,
    }
}

/// A line whose digest follows from its number.
pub fn numbered(number: u64) -> Line {
    let mut digest = [0xA5; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    line(number, digest)
}

/// The keys of the logs.
pub fn keys() -> Arc<LogKeys> {
    let seeds = vec![zeroize::Zeroizing::new([7; 32])];
    Arc::new(LogKeys::new(NAME.to_owned(), seeds).expect("one good key"))
}

/// Opens a data folder.
pub fn open(folder: &Path) -> Embedded {
    Embedded::open(folder, OutboxKey::new([9; 32]), Options::default()).expect("the folder opens")
}

/// An outbox in memory: lines are there as soon as their number is below `end`. What is measured with it is the log
/// without the queue before it.
#[derive(Default)]
pub struct Ready {
    /// Lines that there are.
    pub end: AtomicU64,
}

#[async_trait]
impl Outbox for Ready {
    async fn record(&self, _: Line) -> Result<u64, StoreError> {
        Ok(self.end.fetch_add(1, Ordering::SeqCst))
    }

    async fn record_all(&self, lines: Vec<Line>) -> Result<Vec<u64>, StoreError> {
        let first = self.end.fetch_add(lines.len() as u64, Ordering::SeqCst);
        Ok((first..first + lines.len() as u64).collect())
    }

    async fn pending(&self, _: Trail, first: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let end = self.end.load(Ordering::SeqCst).min(first + limit as u64);
        Ok((first..end).map(|index| Event { index, line: numbered(index) }).collect())
    }

    async fn waiting(&self, _: Option<Trail>, _: usize) -> Result<Vec<Trail>, StoreError> {
        Ok(Vec::new())
    }
}

/// A folder's stores with a running sequencer.
pub struct Rig {
    /// The stores.
    pub stores: Embedded,
    /// Where others wait.
    pub log: Arc<Log>,
    task: JoinHandle<()>,
}

impl Rig {
    /// Opens the folder and starts a sequencer, on lines of this outbox or of the folder's own.
    pub fn start(runtime: &Runtime, folder: &Path, outbox: Option<Arc<dyn Outbox>>, batch: usize) -> Self {
        let stores = open(folder);
        Self::over(runtime, stores, outbox, batch)
    }

    /// Starts a sequencer over open stores.
    pub fn over(runtime: &Runtime, stores: Embedded, outbox: Option<Arc<dyn Outbox>>, batch: usize) -> Self {
        let log = Log::new();
        let parts = Parts {
            store: stores.logs(),
            outbox: outbox.unwrap_or_else(|| stores.outbox()),
            keys: keys(),
            clock: Arc::new(SystemClock),
            log: log.clone(),
            heads: None,
        };
        let sequencer = runtime.block_on(Sequencer::start(parts, batch)).expect("the logs are ours");
        let task = runtime.spawn(drive(sequencer));
        Self { stores, log, task }
    }

    /// Ends the sequencer and closes the folder.
    pub fn stop(self, runtime: &Runtime) {
        runtime.block_on(async {
            self.task.abort();
            // It was cancelled: that is its outcome.
            let _ = self.task.await;
            self.stores.close().await;
        });
    }
}

async fn drive(mut sequencer: Sequencer) {
    loop {
        sequencer.ready().await;
        let round = sequencer.round().await.expect("nobody else takes the logs");
        assert!(round.failed.is_none() && round.refused.is_empty(), "{round:?}");
    }
}

/// A runtime as the server has it.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be started")
}
