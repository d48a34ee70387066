//! One log, block after block. A damaged block does not end the check: its hashes stand in for its entries where they can,
//! and the root tells in the end whether they were right.

use std::{fs::OpenOptions, os::unix::fs::FileExt, path::PathBuf};

use rusqlite::OptionalExtension;
use veilchain::{hash::Hash, range::CompactRange};
use veilcloud_domain::audit::{model::Trail, port::LogState};

use super::{
    Problem, Progress, Run, Stop,
    block::{self, Wrong},
};
use crate::{
    db::{fault::Fault, u64_at},
    log::{rows, segments::Placed},
};

/// Blocks that are looked up at a time.
const BLOCKS_PAGE: usize = 512;

/// What is known of a log so far.
struct Climb {
    log: Trail,
    size: u64,
    /// The tree, while every leaf is known.
    range: Option<CompactRange>,
    next: u64,
    published_size: u64,
    published_root: Option<Hash>,
    mendable: u64,
}

impl Run<'_, '_> {
    /// Checks a log, and mends it when that is asked for and certain.
    pub(super) fn log(&mut self, log: Trail) -> Result<(), Stop> {
        let Some(state) = rows::state(&self.conn, log)? else { return Ok(()) };
        let published_size = self
            .conn
            .query_row("SELECT published_size FROM logs WHERE trail = ?1", [log.to_bytes()], |r| u64_at(r, 0))
            .optional()
            .map_err(Fault::from)?
            .unwrap_or(0);
        let mut climb = Climb::new(log, &state, published_size);
        self.walk(&mut climb, false)?;
        let root = climb.range.as_ref().map(CompactRange::root);
        let fits = climb.next == state.size && root == Some(state.root);
        self.summary.leaves += climb.next;
        if climb.next != state.size {
            let problem = Problem::Size { found: climb.next, size: state.size };
            self.find(Some(log), self.database.clone(), None, problem, false);
        } else if root.is_some_and(|root| root != state.root) {
            self.find(Some(log), self.database.clone(), None, Problem::Root, false);
        }
        self.checkpoints(&climb, &state);
        if fits && self.check.repair && climb.mendable > 0 {
            self.walk(&mut Climb::new(log, &state, published_size), true)?;
        }
        Ok(())
    }

    fn walk(&mut self, climb: &mut Climb, mend: bool) -> Result<(), Stop> {
        loop {
            let page = rows::blocks_from(&self.conn, climb.log, climb.next, BLOCKS_PAGE)?;
            if page.is_empty() {
                return Ok(());
            }
            for placed in &page {
                if placed.block.first != climb.next {
                    climb.range = None;
                    let problem = Problem::Gap { leaf: climb.next.min(placed.block.first) };
                    self.find(Some(climb.log), self.database.clone(), None, problem, false);
                }
                self.block(climb, placed, mend)?;
                climb.next = placed.block.end();
                if !mend {
                    self.summary.blocks += 1;
                    let progress = Progress { log: climb.log, leaves: climb.next, size: climb.size };
                    (self.check.progress)(&progress);
                }
            }
        }
    }

    fn block(&mut self, climb: &mut Climb, placed: &Placed, mend: bool) -> Result<(), Stop> {
        let path = self.segments.path(placed.segment);
        let (bytes, mut inspected) = match block::inspect(&self.segments, placed) {
            Ok(inspected) => inspected,
            Err(error) => {
                climb.range = None;
                let problem = Problem::Unreadable { cause: error.to_string() };
                self.find(Some(climb.log), path, Some(placed.offset), problem, false);
                return Ok(());
            }
        };
        let above = climb.add(placed, &bytes, inspected.leaves.as_deref());
        inspected.wrong.extend(above);
        for wrong in inspected.wrong {
            if mend {
                self.mend(placed, &path, wrong)?;
                continue;
            }
            climb.mendable += u64::from(wrong.mend.is_some());
            let offset = Some(placed.offset.saturating_add(wrong.at));
            self.find(Some(climb.log), path.clone(), offset, wrong.problem, wrong.mend.is_some());
        }
        Ok(())
    }

    fn mend(&mut self, placed: &Placed, path: &PathBuf, wrong: Wrong) -> Result<(), Stop> {
        let Some((at, bytes)) = wrong.mend else { return Ok(()) };
        let offset = placed.offset.saturating_add(at);
        let written = OpenOptions::new().write(true).open(path).and_then(|file| {
            file.write_all_at(&bytes, offset)?;
            file.sync_data()
        });
        written.map_err(|error| Stop::Io(path.clone(), error))?;
        self.summary.repaired += 1;
        Ok(())
    }

    fn checkpoints(&mut self, climb: &Climb, state: &LogState) {
        let Some(verify) = self.check.verify else { return };
        let mut refused = Vec::new();
        if !verify(climb.log, state.size, &state.root, &state.checkpoint) {
            refused.push(state.size);
        }
        if let (Some(published), Some(root)) = (&state.published, &climb.published_root)
            && !verify(climb.log, climb.published_size, root, published)
        {
            refused.push(climb.published_size);
        }
        for size in refused {
            let problem = Problem::Checkpoint { size };
            self.find(Some(climb.log), self.database.clone(), None, problem, false);
        }
    }
}

impl Climb {
    fn new(log: Trail, state: &LogState, published_size: u64) -> Self {
        Self {
            log,
            size: state.size,
            range: Some(CompactRange::new()),
            next: 0,
            published_size,
            published_root: None,
            mendable: 0,
        }
    }

    /// Adds a block to the tree; gives what is wrong with the hashes above it.
    fn add(&mut self, placed: &Placed, bytes: &[u8], leaves: Option<&[Hash]>) -> Option<Wrong> {
        let (Some(range), Some(leaves)) = (self.range.as_mut(), leaves) else {
            self.range = None;
            return block::upper_fits(placed, bytes);
        };
        let (size, root) = (self.published_size, &mut self.published_root);
        block::climb(placed, bytes, leaves, range, |range| {
            if range.size() == size {
                *root = Some(range.root());
            }
        })
    }
}
