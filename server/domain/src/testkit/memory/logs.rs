use std::{collections::BTreeMap, ops::Bound};

use async_trait::async_trait;
use bytes::Bytes;
use veilchain::hash::{EMPTY_ROOT, Hash};

use super::{MemoryStore, State};
use crate::{
    audit::{
        model::Trail,
        port::{Extension, LogState, LogStore, Lost, SignedHead, StageId},
    },
    store::StoreError,
};

/// Most items that one call of `entries` or `hashes` gives.
const COUNT_MAX: u16 = 256;

/// The logs, and what was staged beside them.
#[derive(Default)]
pub(super) struct Logs {
    logs: BTreeMap<Trail, StoredLog>,
    epoch: u64,
    staged: Option<(StageId, Vec<Extension>)>,
    last_stage: u64,
}

/// A log as the store has it, for tests that alter it behind the port's back.
pub struct StoredLog {
    /// The lock row.
    pub state: LogState,
    /// The entries, in order.
    pub entries: Vec<Bytes>,
    /// The hashes by tile level, each level in order.
    pub levels: Vec<Vec<Hash>>,
    /// Size of the checkpoint that is shown; 0 while none is.
    pub published_size: u64,
}

impl StoredLog {
    fn empty() -> Self {
        let state = LogState {
            size: 0,
            root: EMPTY_ROOT,
            checkpoint: Bytes::new(),
            published: None,
            signed_at_ms: 0,
            edge: Vec::new(),
        };
        Self { state, entries: Vec::new(), levels: Vec::new(), published_size: 0 }
    }
}

impl Logs {
    /// Size of a log; 0 before its first batch.
    pub(super) fn size(&self, log: Trail) -> u64 {
        self.logs.get(&log).map_or(0, |log| log.state.size)
    }

    fn is_at(&self, extension: &Extension) -> bool {
        let at =
            self.logs.get(&extension.log).map_or((0, EMPTY_ROOT), |log| (log.state.size, log.state.root));
        at == (extension.old_size, extension.old_root)
    }

    fn extend(&mut self, extension: Extension, head: SignedHead) {
        let log = self.logs.entry(extension.log).or_insert_with(StoredLog::empty);
        log.entries.extend(extension.entries);
        for level in extension.levels {
            let at = usize::from(level.level);
            if log.levels.len() <= at {
                log.levels.resize(at + 1, Vec::new());
            }
            log.levels[at].extend(level.hashes);
        }
        let published = if head.publish { Some(head.checkpoint.clone()) } else { log.state.published.take() };
        log.state = LogState {
            size: head.size,
            root: head.root,
            checkpoint: head.checkpoint,
            published,
            signed_at_ms: head.signed_at_ms,
            edge: head.edge,
        };
        if head.publish {
            log.published_size = head.size;
        }
    }
}

impl MemoryStore {
    /// Alters a log as somebody with access to the disk would.
    ///
    /// # Panics
    /// When there is no such log.
    pub fn edit_log(&self, log: Trail, edit: impl FnOnce(&mut StoredLog)) {
        edit(self.lock().logs.logs.get_mut(&log).expect("a test edits logs that exist"));
    }
}

impl MemoryStore {
    /// Removes a trail's lines, as somebody who can write the store's tables would.
    pub fn clear_outbox(&self, trail: Trail) {
        self.lock().outbox.remove(&trail);
    }

    /// Looks at a log without the port: no fault that was asked for is met. `None` when there is no such log.
    pub fn peek_log<T>(&self, log: Trail, look: impl FnOnce(&StoredLog) -> T) -> Option<T> {
        self.lock().logs.logs.get(&log).map(look)
    }
}

#[async_trait]
impl LogStore for MemoryStore {
    async fn fence(&self) -> Result<u64, StoreError> {
        let mut state = self.begin("fence")?;
        state.logs.epoch += 1;
        Ok(state.logs.epoch)
    }

    async fn state(&self, log: Trail) -> Result<Option<LogState>, StoreError> {
        Ok(self.begin("log_state")?.logs.logs.get(&log).map(|log| log.state.clone()))
    }

    async fn stage(&self, batch: &[Extension]) -> Result<StageId, StoreError> {
        let mut state = self.begin("stage")?;
        state.logs.last_stage += 1;
        let id = StageId(state.logs.last_stage);
        state.logs.staged = Some((id, batch.to_vec()));
        Ok(id)
    }

    async fn commit(
        &self,
        epoch: u64,
        stage: StageId,
        heads: Vec<SignedHead>,
    ) -> Result<Result<(), Lost>, StoreError> {
        let committed = self.begin("commit_log")?.commit_log(epoch, stage, heads)?;
        self.end("commit_log")?;
        Ok(committed)
    }

    async fn publish(&self, log: Trail, size: u64, checkpoint: Bytes) -> Result<(), StoreError> {
        let mut state = self.begin("publish_log")?;
        let stored =
            state.logs.logs.get_mut(&log).ok_or_else(|| damaged(format!("there is no log {log}")))?;
        if size > stored.state.size {
            return Err(damaged(format!("{log} has no checkpoint of size {size}")));
        }
        if size >= stored.published_size {
            stored.state.published = Some(checkpoint);
            stored.published_size = size;
        }
        Ok(())
    }

    async fn entries(&self, log: Trail, first: u64, count: u16) -> Result<Vec<Bytes>, StoreError> {
        let state = self.begin("entries")?;
        let entries = state.logs.logs.get(&log).map_or(&[][..], |log| &log.entries);
        range(entries, first, count).ok_or_else(|| missing(log, "entries", first))
    }

    async fn hashes(&self, log: Trail, level: u8, first: u64, count: u16) -> Result<Vec<Hash>, StoreError> {
        let state = self.begin("hashes")?;
        let levels = state.logs.logs.get(&log).map_or(&[][..], |log| &log.levels);
        let hashes = levels.get(usize::from(level)).map_or(&[][..], |level| level);
        range(hashes, first, count).ok_or_else(|| missing(log, "hashes", first))
    }

    async fn logs(&self, after: Option<Trail>, limit: usize) -> Result<Vec<Trail>, StoreError> {
        let state = self.begin("logs")?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(state.logs.logs.range((from, Bound::Unbounded)).map(|(log, _)| *log).take(limit).collect())
    }
}

impl State {
    fn commit_log(
        &mut self,
        epoch: u64,
        stage: StageId,
        heads: Vec<SignedHead>,
    ) -> Result<Result<(), Lost>, StoreError> {
        if epoch != self.logs.epoch {
            return Ok(Err(Lost::Fenced));
        }
        let staged = self.logs.staged.take_if(|(id, _)| *id == stage);
        let (_, batch) = staged.ok_or_else(|| damaged("no such batch is staged".to_owned()))?;
        let fits = |(extension, head): (&Extension, &SignedHead)| {
            let grown = extension.old_size + extension.entries.len() as u64;
            extension.log == head.log && head.size == grown
        };
        if batch.len() != heads.len() || !batch.iter().zip(&heads).all(fits) {
            return Err(damaged("the heads are not those of the staged batch".to_owned()));
        }
        if let Some(moved) = batch.iter().find(|extension| !self.logs.is_at(extension)) {
            return Ok(Err(Lost::Moved(moved.log)));
        }
        for (extension, head) in batch.into_iter().zip(heads) {
            if let Some(lines) = self.outbox.get_mut(&head.log) {
                *lines = lines.split_off(&head.size);
            }
            self.logs.extend(extension, head);
        }
        Ok(Ok(()))
    }
}

fn range<T: Clone>(items: &[T], first: u64, count: u16) -> Option<Vec<T>> {
    let first = usize::try_from(first).ok()?;
    let end = first.checked_add(usize::from(count))?;
    items.get(first..end).filter(|_| count <= COUNT_MAX).map(<[T]>::to_vec)
}

fn missing(log: Trail, what: &str, first: u64) -> StoreError {
    damaged(format!("{what} of {log} from {first} are missing"))
}

fn damaged(cause: String) -> StoreError {
    StoreError::Damaged { store: "memory", cause }
}
