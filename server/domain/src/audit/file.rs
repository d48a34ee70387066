//! A log's files as c2sp.org/tlog-tiles lays them out: `checkpoint`, `tile/<level>/<index>`, `tile/entries/<index>`. Only
//! what a published checkpoint covers is served: nobody learns of a leaf that no witness has seen.

use bytes::Bytes;
use veilchain::{
    bundle::push_entry,
    tile::{BundlePath, Tile, level_len},
};

use super::{
    error::AuditError,
    model::Trail,
    reader::{LogReader, damaged},
};

/// Longest path of a file.
pub const FILE_PATH_LEN_MAX: usize = 64;

/// A file of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its bytes.
    pub bytes: Bytes,
    /// True when it never changes any more.
    pub immutable: bool,
    /// True for text.
    pub text: bool,
}

impl LogReader {
    /// The file at this path below the log's origin.
    pub async fn file(&self, log: Trail, path: &str) -> Result<LogFile, AuditError> {
        if path.len() > FILE_PATH_LEN_MAX {
            return Err(AuditError::File);
        }
        let head = self.published(log).await?.ok_or(AuditError::File)?;
        if path == "checkpoint" {
            return Ok(LogFile { bytes: head.checkpoint, immutable: false, text: true });
        }
        if let Ok(bundle) = BundlePath::parse(path) {
            return self.bundle(log, bundle, head.size).await;
        }
        let tile = Tile::parse(path).map_err(|_| AuditError::File)?;
        if tile.start().saturating_add(u64::from(tile.width)) > level_len(tile.level, head.size) {
            return Err(AuditError::File);
        }
        let hashes = self.tile(log, tile).await?;
        let bytes = hashes[..usize::from(tile.width)].concat();
        Ok(LogFile { bytes: bytes.into(), immutable: true, text: false })
    }

    async fn bundle(&self, log: Trail, bundle: BundlePath, size: u64) -> Result<LogFile, AuditError> {
        let first = bundle.start();
        let end = first.saturating_add(u64::from(bundle.width));
        if end > size {
            return Err(AuditError::File);
        }
        let mut bytes = Vec::new();
        for entry in self.bundle_part(log, first, end).await? {
            push_entry(&mut bytes, &entry).map_err(|error| damaged(log, &error.to_string()))?;
        }
        Ok(LogFile { bytes: bytes.into(), immutable: true, text: false })
    }
}
