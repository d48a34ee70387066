//! What the audit trail needs from outside. Lines are written by the other areas' ports, in their transactions; the
//! sequencer moves them from the outbox into the logs.

use async_trait::async_trait;
use bytes::Bytes;
use veilchain::hash::Hash;

use super::model::{Event, Line, Trail};
use crate::store::StoreError;

/// Most lines that are recorded in one call.
pub const RECORD_MAX: usize = 4_096;

/// Lines that are committed and that no log has taken yet.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Writes a line that belongs to no change (a read) and gives its index; durable when it returns.
    async fn record(&self, line: Line) -> Result<u64, StoreError>;
    /// Writes lines that belong to no change, at most [`RECORD_MAX`], all or none; gives their indexes in the same order.
    /// Lines of one trail follow each other in the order given. Durable when it returns; more lines are refused.
    async fn record_all(&self, lines: Vec<Line>) -> Result<Vec<u64>, StoreError>;
    /// At most `limit` lines of a trail from index `first`, dense and oldest first, each with its MAC checked: a row that
    /// was edited, moved or stands after a gap is [`StoreError::Damaged`].
    async fn pending(&self, trail: Trail, first: u64, limit: usize) -> Result<Vec<Event>, StoreError>;
    /// At most `limit` trails that have lines, in ascending order after `after`.
    async fn waiting(&self, after: Option<Trail>, limit: usize) -> Result<Vec<Trail>, StoreError>;
}

/// What the lock row says of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogState {
    /// Number of leaves.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// The checkpoint of this size, signed by the log: a C2SP signed note.
    pub checkpoint: Bytes,
    /// The newest checkpoint that may be shown, with its cosignatures; of this size or a smaller one. `None` before the
    /// first.
    pub published: Option<Bytes>,
    /// When the checkpoint was signed, in milliseconds since the Unix epoch.
    pub signed_at_ms: u64,
    /// Hashes of the perfect subtrees, largest first, as they were committed with the head; empty when they are not known.
    pub edge: Vec<Hash>,
}

/// Hashes that complete at one tile level, appended to that level's stream. Level 0 holds leaf hashes, level 1 one hash
/// for each 256 leaves, and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelHashes {
    /// Tile level, 0 to 7.
    pub level: u8,
    /// Index of the first in its level.
    pub first: u64,
    /// The hashes, in order.
    pub hashes: Vec<Hash>,
}

/// What one batch adds to one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// The log.
    pub log: Trail,
    /// Its size before.
    pub old_size: u64,
    /// Its root before.
    pub old_root: Hash,
    /// The new entries, at least one, each at most 65,535 bytes.
    pub entries: Vec<Bytes>,
    /// New hashes by level, level 0 first: one for each entry there; higher levels only when something completed.
    pub levels: Vec<LevelHashes>,
}

/// The signed head that an extension leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// The log.
    pub log: Trail,
    /// Its size now.
    pub size: u64,
    /// Its root now.
    pub root: Hash,
    /// The signed note.
    pub checkpoint: Bytes,
    /// True when the checkpoint may be shown at once: no witness has to see it first.
    pub publish: bool,
    /// When it was signed.
    pub signed_at_ms: u64,
    /// Hashes of the perfect subtrees, largest first; empty when they are not known.
    pub edge: Vec<Hash>,
}

/// Names a staged batch to the store that staged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageId(pub u64);

/// Why a commit was refused. Nothing of it happened, and the sequencer that meets it must not sign again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Another sequencer took the logs.
    Fenced,
    /// A log is not where the batch began.
    Moved(Trail),
}

/// Keeps logs: entries, hashes and signed heads. The lock rows are trusted; entries and hashes are not, and everybody
/// who reads them checks them against a signed root.
///
/// A batch goes through two calls so that nothing is signed that is not durable: [`LogStore::stage`], then, signed,
/// [`LogStore::commit`], which is the one moment from which on the batch has happened.
#[async_trait]
pub trait LogStore: Send + Sync {
    /// Takes the logs for a sequencer: gives a greater epoch than ever before, and every commit under an earlier one is
    /// refused from now on. Fails as damaged when the lock rows are behind what was once committed here.
    async fn fence(&self) -> Result<u64, StoreError>;
    /// The lock row of a log; `None` before its first batch.
    async fn state(&self, log: Trail) -> Result<Option<LogState>, StoreError>;
    /// Makes a batch durable beside the logs; nobody sees it. At most one extension for each log. A batch that was staged
    /// before and not committed is forgotten.
    async fn stage(&self, batch: &[Extension]) -> Result<StageId, StoreError>;
    /// Commits the staged batch if `epoch` is the newest and every log still has its old size and root: lock rows, entries
    /// and hashes, and the outbox loses the lines that the logs have now. One transaction; durable when it returns. One
    /// head for each extension, in the same order.
    async fn commit(
        &self,
        epoch: u64,
        stage: StageId,
        heads: Vec<SignedHead>,
    ) -> Result<Result<(), Lost>, StoreError>;
    /// Shows a checkpoint that the witnesses have seen, if the one shown is of a smaller size or the same.
    async fn publish(&self, log: Trail, size: u64, checkpoint: Bytes) -> Result<(), StoreError>;
    /// Committed entries `first .. first + count`, all of them; at most 256. Damaged when one is missing or altered.
    async fn entries(&self, log: Trail, first: u64, count: u16) -> Result<Vec<Bytes>, StoreError>;
    /// Committed hashes `first .. first + count` of a level, all of them; at most 256. Damaged when one is missing.
    async fn hashes(&self, log: Trail, level: u8, first: u64, count: u16) -> Result<Vec<Hash>, StoreError>;
    /// At most `limit` logs, in ascending order after `after`.
    async fn logs(&self, after: Option<Trail>, limit: usize) -> Result<Vec<Trail>, StoreError>;
}
