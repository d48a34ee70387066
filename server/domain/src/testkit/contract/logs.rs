//! The logs, and the outbox as their queue.

use bytes::Bytes;
use veilchain::{
    checkpoint::{self, Checkpoint},
    hash::{EMPTY_ROOT, Hash, leaf_hash},
    key::{KeyType, SigningKey},
    range::CompactRange,
    tile::level_len,
};

use super::sample::*;
use crate::{
    audit::{
        model::{Kind, Line, Trail},
        port::{Extension, LevelHashes, LogState, Lost, SignedHead, StageId},
    },
    testkit::Ports,
};

/// Leaves under one hash of the next tile level.
const WIDTH: usize = 256;

/// A log as it should be, built without the store.
#[derive(Clone)]
struct Model {
    log: Trail,
    entries: Vec<Bytes>,
}

impl Model {
    fn new() -> Self {
        Self { log: Trail::Project(veilcore::id::ProjectId::from_bytes(bytes16())), entries: Vec::new() }
    }

    fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    fn root(&self) -> Hash {
        root(&self.level(0))
    }

    /// The hashes of a tile level, by the definition: each is the root over the 256 below it.
    fn level(&self, level: u8) -> Vec<Hash> {
        match level.checked_sub(1) {
            None => self.entries.iter().map(|entry| leaf_hash(entry)).collect(),
            Some(below) => self.level(below).chunks_exact(WIDTH).map(root).collect(),
        }
    }

    /// The log with `count` entries more, and what a sequencer would stage and sign for it.
    fn grown(&self, count: usize) -> (Self, Extension, SignedHead) {
        let entries: Vec<_> =
            (0..count).map(|at| Bytes::from(bytes32()[..1 + at % 32].repeat(1 + at % 5))).collect();
        let mut new = self.clone();
        new.entries.extend(entries.iter().cloned());
        let levels = (0..8).filter_map(|level| {
            let first = level_len(level, self.size());
            let hashes = new.level(level).split_off(first as usize);
            (!hashes.is_empty()).then_some(LevelHashes { level, first, hashes })
        });
        let extension = Extension {
            log: self.log,
            old_size: self.size(),
            old_root: self.root(),
            entries,
            levels: levels.collect(),
        };
        let head = new.head();
        (new, extension, head)
    }

    /// The roots of the perfect subtrees, by the definition: one for each one-bit of the size.
    fn edge(&self) -> Vec<Hash> {
        let (leaves, mut at) = (self.level(0), 0);
        let widths = (0..usize::BITS).rev().map(|bit| 1 << bit).filter(|width| leaves.len() & width > 0);
        widths
            .map(|width: usize| {
                at += width;
                root(&leaves[at - width..at])
            })
            .collect()
    }

    fn head(&self) -> SignedHead {
        SignedHead {
            log: self.log,
            size: self.size(),
            root: self.root(),
            checkpoint: note(self.log, self.size(), self.root()),
            publish: true,
            signed_at_ms: NOW_MS + self.size(),
            edge: self.edge(),
        }
    }

    /// Whether the store has exactly this.
    async fn check(&self, ports: &Ports) {
        let head = self.head();
        let state = ports.logs.state(self.log).await.expect("the store works").expect("the log is there");
        let expected = LogState {
            size: head.size,
            root: head.root,
            checkpoint: head.checkpoint.clone(),
            published: Some(head.checkpoint),
            signed_at_ms: head.signed_at_ms,
            edge: head.edge,
        };
        assert_eq!(state, expected);
        for first in (0..self.entries.len()).step_by(WIDTH) {
            self.check_range(ports, first, WIDTH.min(self.entries.len() - first)).await;
        }
        // Where blocks, bundles and batches end is nothing to the reader.
        for (first, count) in [(0, 1), (1, 2), (250, 20), (255, 2), (3, 256), (511, 3)] {
            if first + count <= self.entries.len() {
                self.check_range(ports, first, count).await;
            }
        }
    }

    async fn check_range(&self, ports: &Ports, first: usize, count: usize) {
        let found = ports.logs.entries(self.log, first as u64, count as u16).await.expect("they are there");
        assert_eq!(found, self.entries[first..first + count], "entries from {first}, {count} of them");
        for level in 0..2 {
            let hashes = self.level(level);
            let Some(hashes) = hashes.get(first..first + count) else { continue };
            let found = ports.logs.hashes(self.log, level, first as u64, count as u16).await;
            assert_eq!(found.expect("they are there"), hashes, "level {level} from {first}, {count} of them");
        }
    }
}

fn root(hashes: &[Hash]) -> Hash {
    let mut range = CompactRange::new();
    hashes.iter().for_each(|hash| range.push(*hash));
    range.root()
}

fn note(log: Trail, size: u64, root: Hash) -> Bytes {
    let origin = format!("log.test/{log}");
    let key = SigningKey::from_seed(&origin, KeyType::Ed25519, &[7; 32]).expect("the origin names a key");
    let checkpoint = Checkpoint::new(&origin, size, root).expect("the checkpoint is one");
    checkpoint::sign(&checkpoint, &[&key]).expect("it is the log's key").encode().into()
}

async fn stage(ports: &Ports, batch: &[Extension]) -> StageId {
    ports.logs.stage(batch).await.expect("the store works")
}

async fn fence(ports: &Ports) -> u64 {
    ports.logs.fence().await.expect("the store works")
}

async fn commit_batch(ports: &Ports, epoch: u64, stage: StageId, heads: Vec<SignedHead>) -> Result<(), Lost> {
    ports.logs.commit(epoch, stage, heads).await.expect("the store works")
}

/// Stages and commits one batch of one log.
async fn append(ports: &Ports, epoch: u64, model: &mut Model, count: usize) {
    let (new, extension, head) = model.grown(count);
    let staged = stage(ports, &[extension]).await;
    assert_eq!(commit_batch(ports, epoch, staged, vec![head]).await, Ok(()));
    *model = new;
}

async fn is_absent(ports: &Ports, log: Trail) -> bool {
    ports.logs.state(log).await.expect("the store works").is_none()
        && ports.logs.entries(log, 0, 1).await.is_err()
        && ports.logs.hashes(log, 0, 0, 1).await.is_err()
}

pub async fn what_is_staged_is_not_seen_before_it_is_committed(ports: Ports) {
    let epoch = fence(&ports).await;
    let (model, extension, head) = Model::new().grown(3);
    assert!(is_absent(&ports, model.log).await);
    let staged = stage(&ports, &[extension]).await;
    assert!(is_absent(&ports, model.log).await);
    assert_eq!(ports.logs.logs(None, 10).await.expect("the store works"), []);
    assert_eq!(commit_batch(&ports, epoch, staged, vec![head]).await, Ok(()));
    model.check(&ports).await;
    // The next batch is not seen either.
    let (_, extension, _) = model.grown(2);
    stage(&ports, &[extension]).await;
    model.check(&ports).await;
    assert!(ports.logs.entries(model.log, 3, 1).await.is_err());
}

pub async fn entries_hashes_and_heads_come_back_as_they_were_committed(ports: Ports) {
    let epoch = fence(&ports).await;
    let mut model = Model::new();
    for count in [1, 3, 251, 1, 256, 257, 40, 300] {
        append(&ports, epoch, &mut model, count).await;
        model.check(&ports).await;
    }
}

pub async fn batches_of_many_logs_do_not_mix(ports: Ports) {
    let epoch = fence(&ports).await;
    let mut models = [Model::new(), Model::new(), Model::new()];
    for counts in [[1, 0, 5], [260, 2, 255], [0, 255, 1], [7, 7, 7]] {
        let (mut batch, mut heads) = (Vec::new(), Vec::new());
        for (model, count) in models.iter_mut().zip(counts).filter(|(_, count)| *count > 0) {
            let (new, extension, head) = model.grown(count);
            batch.push(extension);
            heads.push(head);
            *model = new;
        }
        let staged = stage(&ports, &batch).await;
        assert_eq!(commit_batch(&ports, epoch, staged, heads).await, Ok(()));
        for model in models.iter().filter(|model| model.size() > 0) {
            model.check(&ports).await;
        }
    }
}

pub async fn a_fenced_sequencer_commits_nothing(ports: Ports) {
    let old = fence(&ports).await;
    let mut model = Model::new();
    append(&ports, old, &mut model, 2).await;
    let (_, extension, head) = model.grown(3);
    let (_, other, other_head) = Model::new().grown(1);
    let batch = [extension, other];
    let staged = stage(&ports, &batch).await;
    let new = fence(&ports).await;
    assert!(new > old);
    let heads = vec![head, other_head];
    assert_eq!(commit_batch(&ports, old, staged, heads.clone()).await, Err(Lost::Fenced));
    let staged = stage(&ports, &batch).await;
    assert_eq!(commit_batch(&ports, old, staged, heads.clone()).await, Err(Lost::Fenced));
    model.check(&ports).await;
    assert!(is_absent(&ports, batch[1].log).await);
    // Whoever fenced it goes on.
    let staged = stage(&ports, &batch).await;
    assert_eq!(commit_batch(&ports, new, staged, heads).await, Ok(()));
}

pub async fn every_fence_gives_a_greater_epoch(ports: Ports) {
    let mut last = fence(&ports).await;
    for _ in 0..5 {
        let next = fence(&ports).await;
        assert!(next > last);
        last = next;
    }
}

pub async fn a_batch_from_where_a_log_is_not_changes_no_log(ports: Ports) {
    let epoch = fence(&ports).await;
    let mut model = Model::new();
    append(&ports, epoch, &mut model, 2).await;
    let (_, right, _) = model.grown(3);
    let (other, beside, beside_head) = Model::new().grown(1);
    let at = |old_size: u64| {
        let levels = right.levels.iter().map(|l| LevelHashes { first: old_size, ..l.clone() }).collect();
        Extension { old_size, levels, ..right.clone() }
    };
    let (short, ahead) = (at(1), at(3));
    let begun = Extension { old_root: EMPTY_ROOT, ..at(0) };
    let forked = Extension { old_root: [9; 32], ..right.clone() };
    for wrong in [short, begun, forked, ahead] {
        let size = wrong.old_size + 3;
        let head =
            SignedHead { size, root: [1; 32], checkpoint: note(model.log, size, [1; 32]), ..model.head() };
        let staged = stage(&ports, &[beside.clone(), wrong]).await;
        let lost = commit_batch(&ports, epoch, staged, vec![beside_head.clone(), head]).await;
        assert_eq!(lost, Err(Lost::Moved(model.log)));
        model.check(&ports).await;
        assert!(is_absent(&ports, other.log).await);
    }
    append(&ports, epoch, &mut model, 1).await;
    model.check(&ports).await;
}

pub async fn a_batch_staged_later_takes_the_place_of_the_one_before(ports: Ports) {
    let epoch = fence(&ports).await;
    let (_, first, first_head) = Model::new().grown(5);
    let (model, second, second_head) = Model::new().grown(2);
    let forgotten = stage(&ports, std::slice::from_ref(&first)).await;
    let staged = stage(&ports, &[second]).await;
    assert_ne!(forgotten, staged);
    assert_eq!(commit_batch(&ports, epoch, staged, vec![second_head]).await, Ok(()));
    model.check(&ports).await;
    // What is forgotten cannot be committed, and neither can what was committed once more.
    assert!(ports.logs.commit(epoch, forgotten, vec![first_head.clone()]).await.is_err());
    assert!(ports.logs.commit(epoch, staged, vec![model.head()]).await.is_err());
    assert!(is_absent(&ports, first.log).await);
    model.check(&ports).await;
    let staged = stage(&ports, std::slice::from_ref(&first)).await;
    assert_eq!(commit_batch(&ports, epoch, staged, vec![first_head]).await, Ok(()));
}

pub async fn lines_leave_the_outbox_with_the_commit_and_numbering_goes_on(ports: Ports) {
    let epoch = fence(&ports).await;
    let model = Model::new();
    let other = Model::new();
    let read =
        |log| Line { actor: veilcore::id::AccountId::from_bytes([9; 16]), ..line(log, Kind::BlobRead) };
    for index in 0..3 {
        assert_eq!(ports.outbox.record(read(model.log)).await.expect("the store works"), index);
    }
    assert_eq!(ports.outbox.record(read(other.log)).await.expect("the store works"), 0);
    let indices = async |log, first| {
        let lines = ports.outbox.pending(log, first, 10).await.expect("the store works");
        lines.iter().map(|event| event.index).collect::<Vec<_>>()
    };
    let (model, extension, head) = model.grown(2);
    let staged = stage(&ports, &[extension]).await;
    assert_eq!(indices(model.log, 0).await, [0, 1, 2]);
    assert_eq!(commit_batch(&ports, epoch, staged, vec![head]).await, Ok(()));
    assert_eq!(indices(model.log, 2).await, [2]);
    assert_eq!(indices(other.log, 0).await, [0]);
    assert_eq!(ports.outbox.record(read(model.log)).await.expect("the store works"), 3);

    let (model, extension, head) = model.grown(2);
    let staged = stage(&ports, &[extension]).await;
    assert_eq!(commit_batch(&ports, epoch, staged, vec![head]).await, Ok(()));
    assert_eq!(indices(model.log, 4).await, [0; 0]);
    assert_eq!(ports.outbox.waiting(None, 10).await.expect("the store works"), [other.log]);
    assert_eq!(ports.outbox.record(read(model.log)).await.expect("the store works"), 4);
    assert_eq!(indices(model.log, 4).await, [4]);
    // A refused batch takes no line along.
    let (_, extension, head) = model.grown(1);
    let staged = stage(&ports, &[extension]).await;
    fence(&ports).await;
    assert_eq!(commit_batch(&ports, epoch, staged, vec![head]).await, Err(Lost::Fenced));
    assert_eq!(indices(model.log, 4).await, [4]);
}

pub async fn a_version_says_where_its_line_is_after_the_line_has_left(ports: Ports) {
    let epoch = fence(&ports).await;
    let (_, app, production) = place(&ports).await;
    let mut one = version(production.id, 1, b"one");
    let put = commit(&ports, app.id, &mut one, crate::storage::model::Precondition::First).await;
    assert_eq!(put, Ok(()));
    assert_eq!(one.log_index, Some(2));
    let begun = Model { log: Trail::Project(app.id), entries: Vec::new() };
    let (_, extension, head) = begun.grown(3);
    let staged = stage(&ports, &[extension]).await;
    assert_eq!(commit_batch(&ports, epoch, staged, vec![head]).await, Ok(()));
    let mut two = version(production.id, 2, b"two");
    let after = crate::storage::model::Precondition::Match(one.etag());
    assert_eq!(commit(&ports, app.id, &mut two, after).await, Ok(()));
    assert_eq!(two.log_index, Some(3));
    for version in [one, two] {
        let found = ports.shelf.version(production.id, Some(version.number)).await;
        assert_eq!(found.expect("the store works"), Some(version));
    }
}

pub async fn what_is_shown_never_goes_back(ports: Ports) {
    let epoch = fence(&ports).await;
    let log = Model::new();
    let published =
        async || ports.logs.state(log.log).await.expect("the store works").and_then(|s| s.published);
    let mut model = log.clone();
    let mut notes = Vec::new();
    for count in [2, 3] {
        let (new, extension, head) = model.grown(count);
        let head = SignedHead { publish: false, ..head };
        notes.push((head.size, head.checkpoint.clone()));
        let staged = stage(&ports, &[extension]).await;
        assert_eq!(commit_batch(&ports, epoch, staged, vec![head]).await, Ok(()));
        assert_eq!(published().await, None);
        model = new;
    }
    let show = async |(size, note): &(u64, Bytes)| {
        ports.logs.publish(log.log, *size, note.clone()).await.expect("the store works");
    };
    show(&notes[0]).await;
    assert_eq!(published().await.as_ref(), Some(&notes[0].1));
    // The same again with one more signature, as when another witness answers.
    let mut cosigned = notes[0].clone();
    cosigned.1 = [&cosigned.1[..], "\u{2014} witness AAAAAQ==\n".as_bytes()].concat().into();
    show(&cosigned).await;
    assert_eq!(published().await.as_ref(), Some(&cosigned.1));
    show(&notes[1]).await;
    show(&notes[0]).await;
    assert_eq!(published().await.as_ref(), Some(&notes[1].1));
    // A commit shows its checkpoint only if it may.
    let (new, extension, head) = model.grown(1);
    let staged = stage(&ports, &[extension]).await;
    let hidden = SignedHead { publish: false, ..head };
    assert_eq!(commit_batch(&ports, epoch, staged, vec![hidden]).await, Ok(()));
    assert_eq!(published().await.as_ref(), Some(&notes[1].1));
    model = new;
    append(&ports, epoch, &mut model, 1).await;
    model.check(&ports).await;
    show(&notes[1]).await;
    model.check(&ports).await;
}

pub async fn what_a_log_does_not_have_is_not_given(ports: Ports) {
    let epoch = fence(&ports).await;
    let mut model = Model::new();
    append(&ports, epoch, &mut model, 600).await;
    let logs = &ports.logs;
    for (first, count) in [(599, 2), (600, 1), (345, 256), (u64::MAX, 1), (0, 257), (0, u16::MAX)] {
        assert!(logs.entries(model.log, first, count).await.is_err(), "entries from {first}, {count}");
        assert!(logs.hashes(model.log, 0, first, count).await.is_err(), "hashes from {first}, {count}");
    }
    for (level, first, count) in [(1, 0, 3), (1, 2, 1), (2, 0, 1), (7, 0, 1), (8, 0, 1), (255, 0, 1)] {
        assert!(logs.hashes(model.log, level, first, count).await.is_err(), "level {level} from {first}");
    }
    assert!(logs.entries(Model::new().log, 0, 1).await.is_err());
    assert!(logs.hashes(Model::new().log, 0, 0, 1).await.is_err());
}

pub async fn logs_are_listed_in_order_at_every_size(ports: Ports) {
    let epoch = fence(&ports).await;
    let mut expected = Vec::new();
    for _ in 0..4 {
        let mut model = Model::new();
        append(&ports, epoch, &mut model, 1).await;
        expected.push(model.log);
    }
    let directory = Model { log: Trail::Directory, entries: Vec::new() };
    append(&ports, epoch, &mut directory.clone(), 1).await;
    expected.push(Trail::Directory);
    expected.sort();
    for limit in 1..=6 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = ports.logs.logs(after, limit).await.expect("the store works");
            assert!(page.len() <= limit);
            after = page.last().copied();
            found.extend(page);
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{limit} at a time");
    }
}
