//! A whole log as a folder that outside tools verify (c2sp.org/tlog-tiles): entries, tiles, key, policy, and the
//! checkpoint last, so that a folder with a checkpoint is whole. Everything is rebuilt from the entries before it counts;
//! an export that was interrupted goes on with what is there and checks that, too.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use veilchain::bundle::BUNDLE_LEN_MAX;
use veilchain::checkpoint::Checkpoint;
use veilchain::fsck::Fsck;
use veilchain::hash::Hash;
use veilchain::note::Note;
use veilchain::tile::{BundlePath, TILE_WIDTH, Tile, level_len, levels};

use super::Audit;
use crate::error::{Error, IntegrityReason, Result};
use crate::log::{Fault, Files, Newest};
use crate::storage::Progress;
use crate::transport::blocking;

/// The newest key that signs the log: one, because outside verifiers take one.
pub(super) const KEY_FILE: &str = "key.vkey";
/// What a verifier has to trust.
pub(super) const POLICY_FILE: &str = "policy.txt";
/// The signed checkpoint.
pub(super) const CHECKPOINT_FILE: &str = "checkpoint";
/// Bundles on the way at once.
const PARALLEL: usize = 4;

/// How to export a log.
#[derive(Clone, Default)]
pub struct BundleOptions {
    /// Is told how it goes, in entries.
    pub progress: Option<Arc<dyn Progress>>,
}

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BundleReport {
    /// The folder.
    pub directory: PathBuf,
    /// Name of the log.
    pub origin: String,
    /// Entries.
    pub log_size: u64,
    /// Bundles of entries that were fetched; the others were there already.
    pub fetched: u64,
    /// Bundles of entries in all.
    pub bundles: u64,
}

impl Audit {
    /// Writes the log up to its newest checkpoint into a folder: `checkpoint`, `tile/...`, `key.vkey`, `policy.txt`. A
    /// folder that holds an earlier export of this log, or a part of one, is brought up to date.
    ///
    /// # Errors
    /// [`Error::NotFound`] while the log has no checkpoint; [`Error::Invalid`] when the folder holds another log;
    /// [`Error::Integrity`] when what the server gives does not lead to the signed root; [`Error::Local`].
    pub async fn export_bundle(&self, directory: &Path, options: BundleOptions) -> Result<BundleReport> {
        let files = self.files();
        let missing = || Error::NotFound { what: "published checkpoint", name: self.log().to_string() };
        let newest = files.newest().await?.ok_or_else(missing)?;
        let origin = newest.checkpoint.origin.clone();
        let folder = Folder(directory.to_path_buf());
        let before = folder.checkpoint().await?;
        if before.as_ref().is_some_and(|before| before.origin != origin) {
            let why = format!("{} holds another log", directory.display());
            return Err(Error::invalid("folder", why));
        }
        let progress = options.progress.as_deref();
        let fetched = match copy(&files, &newest, &folder, true, progress).await {
            // What was there may be damaged: once more, with everything from the server.
            Err(Error::Integrity { reason: IntegrityReason::LogProofInvalid, .. }) => {
                copy(&files, &newest, &folder, false, progress).await?
            }
            done => done?,
        };
        // Every key of the log has signed the checkpoint, so any one of them verifies it.
        let newest_key = self.verifier_keys().await?.into_iter().next().unwrap_or_default();
        folder.write(KEY_FILE.to_owned(), format!("{newest_key}\n").into_bytes()).await?;
        folder.write(POLICY_FILE.to_owned(), self.policy().await?.into_bytes()).await?;
        let size = newest.checkpoint.size;
        folder.write(CHECKPOINT_FILE.to_owned(), newest.note).await?;
        if let Some(before) = before {
            folder.sweep(before.size, size).await;
        }
        if let Some(progress) = progress {
            progress.finish();
        }
        let bundles = size.div_ceil(u64::from(TILE_WIDTH));
        Ok(BundleReport { directory: directory.to_path_buf(), origin, log_size: size, fetched, bundles })
    }
}

/// Copies all entries and rebuilds the tiles from them. Says how many bundles were fetched.
async fn copy(
    files: &Files,
    newest: &Newest,
    folder: &Folder,
    reuse: bool,
    progress: Option<&dyn Progress>,
) -> Result<u64> {
    let size = newest.checkpoint.size;
    if let Some(progress) = progress {
        progress.start(size);
    }
    let broken = |e: &dyn std::fmt::Display| files.fault(Fault::invalid(e));
    let mut fsck = Fsck::new(size, newest.checkpoint.root).map_err(|e| broken(&e))?;
    let bundles =
        (0..size.div_ceil(u64::from(TILE_WIDTH))).filter_map(|index| BundlePath::of_size(index, size));
    let mut pieces =
        stream::iter(bundles).map(|bundle| piece(files, folder, bundle, reuse)).buffered(PARALLEL);
    let mut fetched = 0;
    while let Some(piece) = pieces.next().await {
        let (bundle, bytes, is_new) = piece?;
        let full = fsck.bundle(bundle.index, &bytes).map_err(|e| broken(&e))?;
        if is_new {
            folder.write(bundle.path(), bytes).await?;
            fetched += 1;
        }
        folder.write_tiles(full).await?;
        if let Some(progress) = progress {
            progress.advance(u64::from(bundle.width));
        }
    }
    drop(pieces);
    let partial = fsck.finish().map_err(|e| broken(&e))?;
    folder.write_tiles(partial).await?;
    Ok(fetched)
}

/// A bundle from the folder or from the server, and whether it is from there.
async fn piece(
    files: &Files,
    folder: &Folder,
    bundle: BundlePath,
    reuse: bool,
) -> Result<(BundlePath, Vec<u8>, bool)> {
    if reuse && let Some(bytes) = folder.read(bundle.path()).await? {
        return Ok((bundle, bytes, false));
    }
    Ok((bundle, files.bundle(bundle).await?, true))
}

/// The folder of an export.
#[derive(Clone)]
struct Folder(PathBuf);

impl Folder {
    /// The checkpoint that is there; what it says is only compared.
    async fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let Some(note) = self.read(CHECKPOINT_FILE.to_owned()).await? else { return Ok(None) };
        let checkpoint = Note::parse(&note).ok().and_then(|note| Checkpoint::parse(note.text()).ok());
        let why = || Error::invalid("folder", format!("{} holds no log", self.0.display()));
        checkpoint.map(Some).ok_or_else(why)
    }

    async fn read(&self, name: String) -> Result<Option<Vec<u8>>> {
        let path = self.0.join(name);
        blocking(move || read_bounded(&path)).await
    }

    async fn write(&self, name: String, bytes: Vec<u8>) -> Result<()> {
        let path = self.0.join(name);
        blocking(move || {
            write_atomic(&path, &bytes).map_err(Error::local(format!("write {}", path.display())))
        })
        .await
    }

    /// Writes the tiles that are not there as they should be.
    async fn write_tiles(&self, tiles: Vec<(Tile, Vec<Hash>)>) -> Result<()> {
        let root = self.0.clone();
        blocking(move || {
            for (tile, hashes) in tiles {
                let path = root.join(tile.path());
                let bytes = hashes.as_flattened();
                if read_bounded(&path)?.as_deref() == Some(bytes) {
                    continue;
                }
                write_atomic(&path, bytes).map_err(Error::local(format!("write {}", path.display())))?;
            }
            Ok(())
        })
        .await
    }

    /// Removes the partial files of an earlier size. What cannot be removed does no harm.
    async fn sweep(&self, before: u64, now: u64) {
        let root = self.0.clone();
        blocking(move || {
            let kept: Vec<String> = edge_files(now);
            for name in edge_files(before).iter().filter(|name| !kept.contains(name)) {
                let path = root.join(name);
                let _ = fs::remove_file(&path);
                // The folder of partial files, if it is empty now.
                let _ = path.parent().map(fs::remove_dir);
            }
        })
        .await;
    }
}

/// Paths of the partial tiles and the partial bundle of a tree.
fn edge_files(size: u64) -> Vec<String> {
    let width = u64::from(TILE_WIDTH);
    let tiles =
        (0..levels(size)).filter_map(|level| Tile::of_size(level, level_len(level, size) / width, size));
    let bundle = BundlePath::of_size(size / width, size);
    tiles.map(|tile| tile.path()).chain(bundle.map(|bundle| bundle.path())).collect()
}

/// A file of at most a bundle's length; None when it is not there.
pub(super) fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = || Error::local(format!("read {}", path.display()));
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed()(e)),
    };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, BUNDLE_LEN_MAX as u64 + 1), &mut bytes)
        .map_err(failed())?;
    Ok(Some(bytes))
}

/// Writes a file beside its place and renames it, so that a crash leaves the old one or the new one.
fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(dir)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".new-");
    // To be handed on: readable as any file that its owner makes.
    #[cfg(unix)]
    builder.permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644));
    let mut file = builder.tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}
