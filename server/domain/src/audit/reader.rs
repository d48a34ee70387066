//! Reading logs: entries, tiles, and proofs that are checked before they are given. Entries and hashes come from a store
//! that nobody has to trust. What must never happen: a proof that does not hold.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use quick_cache::sync::Cache;
use veilchain::{
    checkpoint::Checkpoint,
    hash::{Hash, leaf_hash},
    note::Note,
    proof::{Plan, verify_consistency, verify_inclusion},
    tile::{TILE_WIDTH, Tile},
};

use super::{
    error::AuditError,
    model::{Event, Line, Trail},
    port::{LogState, LogStore},
};
use crate::{
    page::{Page, PageArgs},
    store::StoreError,
};

/// Tiles that are kept in memory, each at most 8 KiB.
pub const TILES_MAX: usize = 4_096;
/// Proven entries that are kept in memory, each about 120 bytes.
pub const ENTRIES_MAX: usize = 16_384;
/// Longest wait for the witnesses to see a leaf that is asked for.
pub const PUBLISH_WAIT: Duration = Duration::from_secs(2);
/// Pause between two looks whether they have.
const PUBLISH_POLL: Duration = Duration::from_millis(50);
/// Name of the logs in errors.
pub(super) const LOG: &str = "log";

/// What is shown of a log now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Number of leaves.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// The signed note with its cosignatures.
    pub checkpoint: Bytes,
}

/// A leaf with all that shows it to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Its place.
    pub index: u64,
    /// The entry.
    pub entry: Bytes,
    /// Hashes from the leaf to the root.
    pub inclusion: Vec<Hash>,
    /// The checkpoint.
    pub checkpoint: Bytes,
    /// Hashes that show the tree that the caller has seen to be the beginning of this one.
    pub consistency: Vec<Hash>,
}

/// Reads logs of one store.
pub struct LogReader {
    store: Arc<dyn LogStore>,
    tiles: Cache<(Trail, u8, u64), Arc<Vec<Hash>>>,
    /// Entries that were proven, by leaf: a leaf never changes, and each proof is checked with what is taken from here.
    entries: Cache<(Trail, u64), Bytes>,
}

impl LogReader {
    /// A reader over this store.
    pub fn new(store: Arc<dyn LogStore>) -> Self {
        Self { store, tiles: Cache::new(TILES_MAX), entries: Cache::new(ENTRIES_MAX) }
    }

    /// The newest checkpoint that is shown; `None` before the first.
    pub async fn published(&self, log: Trail) -> Result<Option<Published>, StoreError> {
        let Some(state) = self.store.state(log).await? else { return Ok(None) };
        shown(log, state)
    }

    /// Leaves that are committed, shown or not.
    pub async fn size(&self, log: Trail) -> Result<u64, StoreError> {
        Ok(self.store.state(log).await?.map_or(0, |state| state.size))
    }

    /// Events of a log, oldest first; the page key is the index of the last one given.
    pub async fn events(&self, log: Trail, page: PageArgs<u64>) -> Result<Page<Event, u64>, StoreError> {
        let size = self.size(log).await?;
        let first = page.after.map_or(0, |after| after.saturating_add(1));
        let end = first.saturating_add(page.size as u64 + 1).min(size);
        let mut events = Vec::with_capacity(page.size + 1);
        let mut at = first;
        while at < end {
            let entries = self.bundle_part(log, at, end).await?;
            for entry in &entries {
                let line = Line::parse(log, entry)
                    .map_err(|error| damaged(log, &format!("leaf {at} is no entry: {error}")))?;
                events.push(Event { index: at, line });
                at += 1;
            }
        }
        Ok(Page::cut(events, page.size, |event| event.index))
    }

    /// Entries from `first` to `end` or to the end of their bundle, whichever comes first. At least one.
    pub async fn bundle_part(&self, log: Trail, first: u64, end: u64) -> Result<Vec<Bytes>, StoreError> {
        let width = u64::from(TILE_WIDTH);
        let count = (end - first).min(width - first % width);
        let entries = self.store.entries(log, first, u16::try_from(count).unwrap_or(TILE_WIDTH)).await?;
        if entries.len() as u64 == count && count > 0 {
            Ok(entries)
        } else {
            Err(damaged(log, &format!("entries from {first} are missing")))
        }
    }

    /// The hashes of a tile.
    pub async fn tile(&self, log: Trail, tile: Tile) -> Result<Arc<Vec<Hash>>, StoreError> {
        let key = (log, tile.level, tile.index);
        let width = usize::from(tile.width);
        let known = self.tiles.get(&key);
        let have = known.as_ref().map_or(0, |hashes| hashes.len());
        if let Some(hashes) = known.as_ref().filter(|_| have >= width) {
            return Ok(hashes.clone());
        }
        // A level's hashes are only ever appended to: what is known of a tile stays.
        let first = tile.start() + have as u64;
        let count = u16::try_from(width - have).unwrap_or(TILE_WIDTH);
        let more = self.store.hashes(log, tile.level, first, count).await?;
        if more.len() != width - have {
            return Err(damaged(log, &format!("hashes of {} are missing", tile.path())));
        }
        let mut hashes = Vec::with_capacity(width);
        hashes.extend(known.iter().flat_map(|known| known.iter().copied()));
        hashes.extend(more);
        let hashes = Arc::new(hashes);
        self.tiles.insert(key, hashes.clone());
        Ok(hashes)
    }

    /// Proves a leaf under the newest published checkpoint, and that the tree of `seen` leaves is its beginning (0, or
    /// more than there are: no such proof). Waits at most [`PUBLISH_WAIT`] for the witnesses.
    pub async fn prove(&self, log: Trail, index: u64, seen: u64) -> Result<Proof, AuditError> {
        let head = self.covering(log, index).await?;
        let known = self.entries.get(&(log, index));
        let is_known = known.is_some();
        let entry = match known {
            Some(entry) => entry,
            None => self.bundle_part(log, index, index + 1).await?.swap_remove(0),
        };
        let inclusion = self.hashes_of(log, Plan::inclusion(index, head.size)).await?;
        let held = verify_inclusion(index, head.size, &leaf_hash(&entry), &inclusion, &head.root);
        if let Err(error) = held {
            self.forget(log);
            return Err(damaged(log, &format!("leaf {index} cannot be proven: {error}")).into());
        }
        if !is_known {
            // A copy: what came from the store is a part of its whole block.
            self.entries.insert((log, index), Bytes::copy_from_slice(&entry));
        }
        let consistency = self.consistency(log, seen, &head).await?;
        Ok(Proof { index, entry, inclusion, checkpoint: head.checkpoint, consistency })
    }

    /// The hashes that show the tree of `seen` leaves to be the beginning of `head`; none when there is nothing to show.
    pub async fn consistency(
        &self,
        log: Trail,
        seen: u64,
        head: &Published,
    ) -> Result<Vec<Hash>, AuditError> {
        if seen == 0 || seen >= head.size {
            return Ok(Vec::new());
        }
        let path = self.hashes_of(log, Plan::consistency(seen, head.size)).await?;
        // The old root is not kept; it follows from the same tiles.
        let edge = self.hashes_of(log, Plan::edge(seen)).await?;
        let old = veilchain::range::CompactRange::from_edge(seen, &edge)
            .map_err(|error| damaged(log, &error.to_string()))?;
        let held = verify_consistency(seen, &old.root(), head.size, &head.root, &path);
        if let Err(error) = held {
            self.forget(log);
            return Err(damaged(log, &format!("growth from {seen} cannot be proven: {error}")).into());
        }
        Ok(path)
    }

    /// A published checkpoint with this leaf under it.
    async fn covering(&self, log: Trail, index: u64) -> Result<Published, AuditError> {
        let tries = PUBLISH_WAIT.as_millis() / PUBLISH_POLL.as_millis();
        for attempt in 0..=tries {
            let state = self.store.state(log).await?;
            let size = state.as_ref().map_or(0, |state| state.size);
            if index >= size {
                return Err(AuditError::Index { index, size });
            }
            let head = state.map_or(Ok(None), |state| shown(log, state))?;
            if let Some(head) = head.filter(|head| index < head.size) {
                return Ok(head);
            }
            if attempt < tries {
                tokio::time::sleep(PUBLISH_POLL).await;
            }
        }
        Err(AuditError::Behind { index })
    }

    async fn hashes_of(
        &self,
        log: Trail,
        plan: Result<Plan, veilchain::range::TreeError>,
    ) -> Result<Vec<Hash>, StoreError> {
        let plan = plan.map_err(|error| damaged(log, &error.to_string()))?;
        let mut tiles = BTreeMap::new();
        for tile in plan.tiles() {
            tiles.insert(tile, self.tile(log, tile).await?);
        }
        let known = |tile: Tile| tiles.get(&tile).and_then(|hashes| hashes.get(..usize::from(tile.width)));
        plan.build(known).map_err(|error| damaged(log, &error.to_string()))
    }

    /// What does not fit a signed root is not kept.
    fn forget(&self, log: Trail) {
        self.tiles.retain(|(trail, _, _), _| *trail != log);
        self.entries.retain(|(trail, _), _| *trail != log);
    }
}

/// What a lock row says may be shown.
fn shown(log: Trail, state: LogState) -> Result<Option<Published>, StoreError> {
    let Some(note) = state.published else { return Ok(None) };
    let parsed = Note::parse(&note).ok().and_then(|note| Checkpoint::parse(note.text()).ok());
    let checkpoint = parsed.ok_or_else(|| damaged(log, "its published checkpoint is none"))?;
    Ok(Some(Published { size: checkpoint.size, root: checkpoint.root, checkpoint: note }))
}

pub(super) fn damaged(log: Trail, cause: &str) -> StoreError {
    StoreError::Damaged { store: LOG, cause: format!("{log}: {cause}") }
}
