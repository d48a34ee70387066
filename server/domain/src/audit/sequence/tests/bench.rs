//! What the tests stand on: a store, a clock, a sequencer, and a record of what it did in which order.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use veilchain::hash::Hash;
use veilcore::id::{AccountId, ProjectId};

use crate::{
    audit::{
        heads::Heads,
        log::Log,
        model::{Kind, Line, Trail},
        port::{Extension, LogState, LogStore, Lost, Outbox, SignedHead, StageId},
        sequence::{BATCH_LEAVES, Parts, Sequencer},
    },
    clock::Clock,
    store::StoreError,
    testkit::{MemoryStore, ScriptedClock, log_keys},
};

/// What a sequencer did to its store and when it asked for the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Clock,
    Stage(usize),
    Commit(Vec<SignedHead>),
}

/// A store and a clock that note what is asked of them.
pub(super) struct Recorder {
    store: MemoryStore,
    clock: Arc<ScriptedClock>,
    steps: Mutex<Vec<Step>>,
}

impl Recorder {
    fn note(&self, step: Step) {
        self.steps.lock().unwrap().push(step);
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        std::mem::take(&mut *self.steps.lock().unwrap())
    }
}

impl Clock for Recorder {
    fn now_ms(&self) -> u64 {
        self.note(Step::Clock);
        self.clock.now_ms()
    }
}

#[async_trait]
impl LogStore for Recorder {
    async fn fence(&self) -> Result<u64, StoreError> {
        self.store.fence().await
    }
    async fn state(&self, log: Trail) -> Result<Option<LogState>, StoreError> {
        self.store.state(log).await
    }
    async fn stage(&self, batch: &[Extension]) -> Result<StageId, StoreError> {
        self.note(Step::Stage(batch.len()));
        self.store.stage(batch).await
    }
    async fn commit(
        &self,
        epoch: u64,
        stage: StageId,
        heads: Vec<SignedHead>,
    ) -> Result<Result<(), Lost>, StoreError> {
        self.note(Step::Commit(heads.clone()));
        LogStore::commit(&self.store, epoch, stage, heads).await
    }
    async fn publish(&self, log: Trail, size: u64, checkpoint: Bytes) -> Result<(), StoreError> {
        self.store.publish(log, size, checkpoint).await
    }
    async fn entries(&self, log: Trail, first: u64, count: u16) -> Result<Vec<Bytes>, StoreError> {
        self.store.entries(log, first, count).await
    }
    async fn hashes(&self, log: Trail, level: u8, first: u64, count: u16) -> Result<Vec<Hash>, StoreError> {
        self.store.hashes(log, level, first, count).await
    }
    async fn logs(&self, after: Option<Trail>, limit: usize) -> Result<Vec<Trail>, StoreError> {
        self.store.logs(after, limit).await
    }
}

/// A store with a clock, and the handle of the sequencer that runs over it now.
pub(super) struct Bench {
    pub(super) store: MemoryStore,
    pub(super) clock: Arc<ScriptedClock>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) log: Arc<Log>,
    pub(super) heads: Option<Arc<Heads>>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ScriptedClock::default());
        let store = MemoryStore::new(clock.clone());
        let recorder = Recorder { store: store.clone(), clock: clock.clone(), steps: Mutex::default() };
        Self { store, clock, recorder: Arc::new(recorder), log: Log::new(), heads: None }
    }

    /// A sequencer that takes the logs, with a new handle.
    pub(super) async fn sequencer_of(&mut self, batch_leaves: usize) -> Sequencer {
        self.log = Log::new();
        let parts = Parts {
            store: self.recorder.clone(),
            outbox: Arc::new(self.store.clone()),
            keys: log_keys(),
            clock: self.recorder.clone(),
            log: self.log.clone(),
            heads: self.heads.clone(),
        };
        Sequencer::start(parts, batch_leaves).await.unwrap()
    }

    pub(super) async fn sequencer(&mut self) -> Sequencer {
        self.sequencer_of(BATCH_LEAVES).await
    }

    /// Writes lines into the outbox.
    pub(super) async fn record(&self, log: Trail, count: usize) {
        for _ in 0..count {
            self.store.record(line(log, self.clock.now_ms())).await.unwrap();
        }
    }

    /// Writes lines and takes them into the log.
    pub(super) async fn append(&self, sequencer: &mut Sequencer, log: Trail, count: usize) {
        self.record(log, count).await;
        let settled = self.settle(log);
        while !sequencer.is_idle() {
            sequencer.round().await.unwrap();
        }
        settled.await.unwrap().unwrap();
    }

    /// Joins those who wait for a log; the answer comes later.
    pub(super) fn settle(&self, log: Trail) -> tokio::sync::oneshot::Receiver<Result<(), StoreError>> {
        self.log.pool.join(log).unwrap()
    }

    pub(super) fn size(&self, log: Trail) -> u64 {
        self.store.peek_log(log, |stored| stored.state.size).unwrap_or(0)
    }

    /// All entries of a log.
    pub(super) fn entries(&self, log: Trail) -> Vec<Bytes> {
        self.store.peek_log(log, |stored| stored.entries.clone()).unwrap_or_default()
    }
}

pub(super) fn log(n: u16) -> Trail {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&n.to_be_bytes());
    Trail::Project(ProjectId::from_bytes(id))
}

pub(super) fn line(log: Trail, at_ms: u64) -> Line {
    Line {
        trail: log,
        kind: Kind::BlobRead,
        actor: AccountId::from_bytes([9; 16]),
        at_ms,
        environment: None,
        version: 0,
        digest: None,
        key: None,
        by_number: false,
    }
}

pub(super) fn cause(answer: Result<(), StoreError>) -> String {
    answer.expect_err("must fail").to_string()
}
