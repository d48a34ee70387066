//! Checks an exported log without asking anybody: the checkpoint against a policy, and every byte of every file against
//! the root, rebuilt from the entries.

use std::path::{Path, PathBuf};

use veilchain::fsck::{Fsck, compare_tile};
use veilchain::hash::Hash;
use veilchain::policy::Policy;
use veilchain::proof::{Plan, verify_inclusion};
use veilchain::tile::{BundlePath, TILE_WIDTH, Tile, parse_hashes};

use super::bundle::{CHECKPOINT_FILE, POLICY_FILE, read_bounded};
use super::proof::{accept, log_of, witnesses};
use crate::error::{Error, Result};
use crate::log::{LogId, decode_entry};
use crate::storage::Progress;

/// What a check of a folder found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BundleCheck {
    /// Name of the log; empty when the checkpoint was refused.
    pub origin: String,
    /// Entries that the checkpoint speaks of.
    pub log_size: u64,
    /// Its root.
    pub root: [u8; 32],
    /// Witnesses of the policy that cosigned.
    pub witnesses: Vec<String>,
    /// Bundles of entries that were checked.
    pub bundles: u64,
    /// Tiles that were checked.
    pub tiles: u64,
    /// The first thing that is wrong; None: every byte is as the checkpoint says.
    pub finding: Option<BundleFinding>,
}

/// The first thing that is wrong with a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BundleFinding {
    /// The file, below the folder.
    pub path: String,
    /// Its first bad byte, where one can be named.
    pub offset: Option<u64>,
    /// What is wrong.
    pub message: String,
}

impl BundleFinding {
    fn new(path: impl Into<String>, offset: Option<u64>, message: impl ToString) -> Self {
        Self { path: path.into(), offset, message: message.to_string() }
    }
}

impl From<veilchain::fsck::Finding> for BundleFinding {
    fn from(finding: veilchain::fsck::Finding) -> Self {
        Self::new(finding.path, finding.offset, finding.wrong)
    }
}

/// Why a check stops.
enum Stop {
    Found(BundleFinding),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Self {
        Self::Failed(e)
    }
}

impl From<veilchain::fsck::Finding> for Stop {
    fn from(finding: veilchain::fsck::Finding) -> Self {
        Self::Found(finding.into())
    }
}

/// Checks the folder of an export against a c2sp.org/tlog-policy text, or against the policy in the folder itself, which
/// shows that the folder is whole but not whose log it is. Asks nobody. Blocks on the disk.
///
/// # Errors
/// [`Error::Invalid`] for a policy that is none, or a folder without a checkpoint; [`Error::Local`] for one that cannot be
/// read. What is wrong with the log is no error but a finding.
pub fn check_bundle(
    directory: &Path,
    policy: Option<&[u8]>,
    progress: Option<&dyn Progress>,
) -> Result<BundleCheck> {
    let read = |name: &str| {
        let missing = || Error::invalid("folder", format!("{} holds no {name}", directory.display()));
        read_bounded(&directory.join(name))?.ok_or_else(missing)
    };
    let policy = match policy {
        Some(policy) => policy.to_vec(),
        None => read(POLICY_FILE)?,
    };
    let policy = Policy::parse(&policy).map_err(|e| Error::invalid("policy", e))?;
    let note = read(CHECKPOINT_FILE)?;
    let mut check = BundleCheck::default();
    let accepted = match accept(&policy, &note) {
        Ok(accepted) => accepted,
        Err(fault) => {
            check.finding = Some(BundleFinding::new(CHECKPOINT_FILE, None, fault.cause));
            return Ok(check);
        }
    };
    check.witnesses = witnesses(&policy, &accepted);
    check.origin = accepted.checkpoint.origin.clone();
    (check.log_size, check.root) = (accepted.checkpoint.size, accepted.checkpoint.root);
    if let Some(progress) = progress {
        progress.start(check.log_size);
    }
    let folder = Folder { root: directory.to_path_buf(), size: check.log_size, tree: check.root };
    let log = log_of(&check.origin);
    match folder.check(log, &mut check, progress) {
        Ok(()) => {}
        Err(Stop::Found(finding)) => check.finding = Some(finding),
        Err(Stop::Failed(e)) => return Err(e),
    }
    if let Some(progress) = progress {
        progress.finish();
    }
    Ok(check)
}

struct Folder {
    root: PathBuf,
    size: u64,
    tree: Hash,
}

impl Folder {
    fn check(
        &self,
        log: Option<LogId>,
        check: &mut BundleCheck,
        progress: Option<&dyn Progress>,
    ) -> Result<(), Stop> {
        let begun = Fsck::new(self.size, self.tree);
        let mut fsck = begun.map_err(|e| Stop::Found(BundleFinding::new(CHECKPOINT_FILE, None, e)))?;
        while let Some(bundle) = fsck.next() {
            let bytes = self.file(&bundle.path())?;
            let full = fsck.bundle(bundle.index, &bytes)?;
            check.bundles += 1;
            if bundle.width < TILE_WIDTH {
                // The last tile of leaves is partial, too, and tells which entry is wrong.
                self.compare(fsck.partial().into_iter().filter(|(tile, _)| tile.level == 0), bundle, &bytes)?;
            }
            check.tiles += self.compare(full.into_iter(), bundle, &bytes)?;
            if let Some(log) = log {
                entries_of(log, bundle, &bytes)?;
            }
            if let Some(progress) = progress {
                progress.advance(u64::from(bundle.width));
            }
        }
        for (tile, hashes) in fsck.finish()? {
            compare_tile(tile, &self.file(&tile.path())?, &hashes)?;
            check.tiles += 1;
        }
        Ok(())
    }

    /// Compares tiles as they are with tiles as they were rebuilt.
    fn compare(
        &self,
        tiles: impl Iterator<Item = (Tile, Vec<Hash>)>,
        bundle: BundlePath,
        bytes: &[u8],
    ) -> Result<u64, Stop> {
        let mut count = 0;
        for (tile, hashes) in tiles {
            let stored = self.file(&tile.path())?;
            if let Err(finding) = compare_tile(tile, &stored, &hashes) {
                let at = finding.offset.filter(|_| tile.level == 0).map(|offset| offset / 32);
                if let Some(entry) = at.filter(|at| self.leads_to_root(tile, *at, &stored)) {
                    let offset = entry_offset(bytes, bundle, entry);
                    let message = format!("entry {} is not the one in the log", bundle.start() + entry);
                    return Err(Stop::Found(BundleFinding::new(bundle.path(), offset, message)));
                }
                return Err(finding.into());
            }
            count += 1;
        }
        Ok(count)
    }

    /// Whether the leaf hash in the stored tile is the one in the tree: then it is the entry that is wrong, not the tile.
    fn leads_to_root(&self, tile: Tile, at: u64, stored: &[u8]) -> bool {
        let prove = || {
            let index = tile.start() + at;
            let plan = Plan::inclusion(index, self.size).ok()?;
            let mut tiles = std::collections::BTreeMap::new();
            for tile in plan.tiles() {
                let bytes = read_bounded(&self.root.join(tile.path())).ok()??;
                tiles.insert(tile, parse_hashes(&bytes, tile.width).ok()?);
            }
            let path = plan.build(|tile| tiles.get(&tile).map(Vec::as_slice)).ok()?;
            let leaf = *parse_hashes(stored, tile.width).ok()?.get(usize::try_from(at).ok()?)?;
            verify_inclusion(index, self.size, &leaf, &path, &self.tree).ok()
        };
        prove().is_some()
    }

    fn file(&self, name: &str) -> Result<Vec<u8>, Stop> {
        let bytes = read_bounded(&self.root.join(name))?;
        bytes.ok_or_else(|| Stop::Found(BundleFinding::new(name, None, "missing")))
    }
}

/// Where an entry begins in its bundle.
fn entry_offset(bytes: &[u8], bundle: BundlePath, entry: u64) -> Option<u64> {
    let entries = veilchain::bundle::entries(bytes, bundle.width).ok()?;
    let before = entries.iter().take(usize::try_from(entry).ok()?);
    Some(before.map(|entry| entry.len() as u64 + 2).sum())
}

/// Every entry has to be one of this log.
fn entries_of(log: LogId, bundle: BundlePath, bytes: &[u8]) -> Result<(), Stop> {
    let entries = veilchain::bundle::entries(bytes, bundle.width).unwrap_or_default();
    for (at, entry) in (0..).zip(entries) {
        if let Err(fault) = decode_entry(log, entry) {
            let offset = entry_offset(bytes, bundle, at);
            let message = format!("entry {}: {}", bundle.start() + at, fault.cause);
            return Err(Stop::Found(BundleFinding::new(bundle.path(), offset, message)));
        }
    }
    Ok(())
}
