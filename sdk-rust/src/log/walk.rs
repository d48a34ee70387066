//! Reading a log's entries in order. What comes out was hashed into a tree that a signed checkpoint continues: the root is
//! rebuilt from the entries themselves.

use futures_util::{StreamExt, stream};
use veilchain::bundle;
use veilchain::checkpoint::Checkpoint;
use veilchain::hash::leaf_hash;
use veilchain::proof::{Plan, verify_consistency};
use veilchain::range::CompactRange;
use veilchain::tile::{BundlePath, TILE_WIDTH};

use super::{Fault, Files};
use crate::error::{Error, Result};

/// Most entries of one step: 64 bundles, 2 MB.
pub(crate) const STEP_MAX: u64 = 64 * TILE_WIDTH as u64;
/// Bundles on the way at once.
const PARALLEL: usize = 4;

/// How far a log was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Walk {
    range: CompactRange,
}

impl Walk {
    /// Goes on after a tree that was seen.
    pub(crate) fn after(range: CompactRange) -> Self {
        Self { range }
    }

    /// Number of entries that were read.
    pub(crate) fn size(&self) -> u64 {
        self.range.size()
    }

    /// What was read.
    pub(crate) fn range(&self) -> &CompactRange {
        &self.range
    }

    /// The next entries, at most `max` and [`STEP_MAX`] of them, empty at the end. They and everything before them are
    /// the beginning of the checkpoint's tree, or this is an error and nothing was read.
    pub(crate) async fn step(&mut self, files: &Files, to: &Checkpoint, max: u64) -> Result<Vec<Vec<u8>>> {
        let start = self.range.size();
        // Ends where a bundle does, so that no bundle is read twice.
        let width = u64::from(TILE_WIDTH);
        let end = ((start + max.min(STEP_MAX).max(width)) / width * width).min(to.size);
        if start >= end {
            return Ok(Vec::new());
        }
        let bundles: Vec<BundlePath> = (start / width..end.div_ceil(width))
            .filter_map(|index| BundlePath::of_size(index, to.size))
            .collect();
        let mut fetched = stream::iter(bundles)
            .map(|bundle| async move { Ok::<_, Error>((bundle, files.bundle(bundle).await?)) })
            .buffered(PARALLEL);
        let (mut range, mut entries) = (self.range.clone(), Vec::new());
        while let Some(fetched) = fetched.next().await {
            let (path, bytes) = fetched?;
            let parsed = bundle::entries(&bytes, path.width)
                .map_err(|e| files.fault(Fault::invalid(format!("{}: {e}", path.path()))))?;
            let known = usize::try_from(start.saturating_sub(path.start())).unwrap_or(usize::MAX);
            for entry in parsed.into_iter().skip(known) {
                range.push(leaf_hash(entry));
                entries.push(entry.to_vec());
            }
        }
        drop(fetched);
        let rest = Plan::consistency(end, to.size).map_err(|e| files.fault(Fault::invalid(e)))?;
        let rest = files.hashes(&rest).await?;
        verify_consistency(range.size(), &range.root(), to.size, &to.root, &rest).map_err(|e| {
            files.fault(Fault::invalid(format!("the entries do not lead to the checkpoint: {e}")))
        })?;
        self.range = range;
        Ok(entries)
    }
}
