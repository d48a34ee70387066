//! A log in memory, built by the plain rules; what the store gives is compared with it.

use std::collections::BTreeMap;

use bytes::Bytes;
use veilchain::{
    hash::{EMPTY_ROOT, Hash, leaf_hash},
    range::CompactRange,
};
use veilcloud_domain::{
    audit::{
        model::Trail,
        port::{Extension, LevelHashes, LogStore, Lost, SignedHead},
    },
    store::StoreError,
};
use veilcore::id::{AccountId, ProjectId};

/// Three logs, one of each kind.
pub const LOGS: [Trail; 3] = [
    Trail::Project(ProjectId::from_bytes([2; 16])),
    Trail::Account(AccountId::from_bytes([1; 16])),
    Trail::Directory,
];

#[derive(Clone, Default)]
pub struct Log {
    pub entries: Vec<Bytes>,
    pub levels: [Vec<Hash>; 8],
    range: CompactRange,
}

impl Log {
    pub fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    pub fn root(&self) -> Hash {
        if self.entries.is_empty() { EMPTY_ROOT } else { self.range.root() }
    }

    fn push(&mut self, entry: Bytes) {
        let levels = &mut self.levels;
        self.range.push_with(leaf_hash(&entry), |level, _, hash| {
            if level % 8 == 0 {
                levels[usize::from(level / 8)].push(*hash);
            }
        });
        self.entries.push(entry);
    }
}

#[derive(Clone, Default)]
pub struct Model(pub BTreeMap<Trail, Log>);

impl Model {
    /// Grows a log and says what a sequencer would.
    pub fn grow(&mut self, log: Trail, count: usize) -> (Extension, SignedHead) {
        let size = self.0.get(&log).map_or(0, Log::size);
        let entry = |n: u64| Bytes::from(format!("{log} {n} {}", "x".repeat((n % 40) as usize)));
        self.grow_by(log, (size..size + count as u64).map(entry).collect())
    }

    pub fn grow_by(&mut self, log: Trail, entries: Vec<Bytes>) -> (Extension, SignedHead) {
        let old = self.0.entry(log).or_default();
        let before = old.clone();
        entries.iter().for_each(|entry| old.push(entry.clone()));
        let new = &*old;
        let levels = before.levels.iter().zip(&new.levels).zip(0..);
        let levels = levels.filter(|((old, new), _)| old.len() < new.len());
        let levels = levels.map(|((old, new), level)| LevelHashes {
            level,
            first: old.len() as u64,
            hashes: new[old.len()..].to_vec(),
        });
        let extension = Extension {
            log,
            old_size: before.size(),
            old_root: before.root(),
            entries,
            levels: levels.collect(),
        };
        let head = SignedHead {
            log,
            size: new.size(),
            root: new.root(),
            checkpoint: checkpoint(log, new.size()),
            publish: true,
            signed_at_ms: 1_000 + new.size(),
            edge: Vec::new(),
        };
        (extension, head)
    }

    /// Grows logs in the model and in the store, in one batch.
    pub async fn batch(&mut self, store: &dyn LogStore, epoch: u64, growth: &[(Trail, usize)]) {
        let grown = growth.iter().map(|(log, count)| self.grow(*log, *count)).collect();
        assert_eq!(batch(store, epoch, grown).await.unwrap(), Ok(()));
    }

    /// Everything that the store gives is what the model has, at some widths.
    pub async fn compare(&self, store: &dyn LogStore) {
        for (log, expected) in &self.0 {
            let state = store.state(*log).await.unwrap().unwrap();
            assert_eq!((state.size, state.root), (expected.size(), expected.root()), "{log}");
            assert_eq!(state.checkpoint, checkpoint(*log, state.size));
            for width in [256, 255, 7] {
                for (first, window) in windows(&expected.entries, width) {
                    let count = window.len() as u16;
                    assert_eq!(store.entries(*log, first, count).await.unwrap(), window, "{log} {first}");
                }
                for (level, hashes) in (0..).zip(&expected.levels) {
                    for (first, window) in windows(hashes, width) {
                        let found = store.hashes(*log, level, first, window.len() as u16).await.unwrap();
                        assert_eq!(found, window, "{log} level {level} from {first}");
                    }
                }
            }
        }
    }
}

/// Windows of a width: every one of few, some of many, and the last, which may be narrower.
fn windows<T>(all: &[T], width: usize) -> impl Iterator<Item = (u64, &[T])> {
    let step = if all.len() > 1_000 && width < 256 { 97 } else { 1 };
    let count = all.len().div_ceil(width);
    let chunks = all.chunks(width).enumerate();
    chunks
        .filter(move |(i, _)| i % step == 0 || *i + 1 == count)
        .map(move |(i, chunk)| ((i * width) as u64, chunk))
}

pub fn checkpoint(log: Trail, size: u64) -> Bytes {
    Bytes::from(format!("{log} {size} signed"))
}

/// Stages and commits.
pub async fn batch(
    store: &dyn LogStore,
    epoch: u64,
    grown: Vec<(Extension, SignedHead)>,
) -> Result<Result<(), Lost>, StoreError> {
    let (extensions, heads): (Vec<_>, Vec<_>) = grown.into_iter().unzip();
    let stage = store.stage(&extensions).await?;
    store.commit(epoch, stage, heads).await
}
