//! The spool: ciphertext of uploads that are not finished. It holds no secret; what is in it is what the server gets.
//! A record beside each ciphertext says which place in which chain it is sealed for, so that it is never sent to
//! another.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};
use veilcore::id::{EnvironmentId, UploadId};
use veilvault::envelope::{Sealed, Subject};
use veilvault::seal::SEAL_LEN;

use crate::error::{Error, Result};
use crate::transport::blocking;

/// Unfinished ciphertext older than this is removed; the server forgets its side after a day.
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest record, in bytes.
const RECORD_LEN_MAX: u64 = 16 * 1024;
/// Most files that are looked at for their age.
const SWEPT_MAX: usize = 1000;
const VERSION: u32 = 1;

/// The place of one upload in the spool directory: `<key>.json` and `<key>.age`.
#[derive(Clone)]
pub(super) struct Spool {
    dir: PathBuf,
    key: String,
    /// Set where the state has no spool: the directory goes with the last clone.
    _own: Option<Arc<TempDir>>,
}

/// A ciphertext in the spool and the place it is sealed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spooled {
    pub(super) upload_id: Option<UploadId>,
    pub(super) digest: [u8; 32],
    seal: [u8; SEAL_LEN],
    ciphertext_len: u64,
    environment: EnvironmentId,
    version: u64,
    parent: Option<[u8; 32]>,
    epoch: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    upload_id: Option<String>,
    digest: String,
    seal: String,
    ciphertext_bytes: u64,
    environment_id: String,
    blob_version: u64,
    parent: Option<String>,
    epoch: u32,
}

impl Spooled {
    pub(super) fn new(subject: &Subject, sealed: &Sealed) -> Self {
        Self {
            upload_id: None,
            digest: sealed.digest,
            seal: sealed.seal,
            ciphertext_len: sealed.ciphertext_len,
            environment: subject.environment,
            version: subject.version,
            parent: subject.parent,
            epoch: subject.epoch,
        }
    }

    pub(super) fn sealed(&self) -> Sealed {
        Sealed { seal: self.seal, digest: self.digest, ciphertext_len: self.ciphertext_len }
    }

    /// Whether it is sealed for exactly this place.
    pub(super) fn fits(&self, subject: &Subject) -> bool {
        self.environment == subject.environment
            && self.version == subject.version
            && self.parent == subject.parent
            && self.epoch == subject.epoch
    }

    fn encode(&self) -> Vec<u8> {
        let record = Record {
            version: VERSION,
            upload_id: self.upload_id.map(|id| id.to_string()),
            digest: HEXLOWER.encode(&self.digest),
            seal: BASE64URL_NOPAD.encode(&self.seal),
            ciphertext_bytes: self.ciphertext_len,
            environment_id: self.environment.to_string(),
            blob_version: self.version,
            parent: self.parent.map(|parent| HEXLOWER.encode(&parent)),
            epoch: self.epoch,
        };
        serde_json::to_vec(&record).expect("strings and numbers are always JSON")
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let record: Record = serde_json::from_slice(bytes).ok()?;
        let digest = |hex: &String| HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok();
        let parent = match &record.parent {
            Some(parent) => Some(digest(parent)?),
            None => None,
        };
        let upload_id = match &record.upload_id {
            Some(id) => Some(id.parse().ok()?),
            None => None,
        };
        (record.version == VERSION).then_some(Self {
            upload_id,
            digest: digest(&record.digest)?,
            seal: BASE64URL_NOPAD.decode(record.seal.as_bytes()).ok()?.try_into().ok()?,
            ciphertext_len: record.ciphertext_bytes,
            environment: record.environment_id.parse().ok()?,
            version: record.blob_version,
            parent,
            epoch: record.epoch,
        })
    }
}

impl Spool {
    /// Names one upload: the same unchanged file for the same environment of the same server.
    pub(super) fn key(
        endpoint: &str,
        environment: EnvironmentId,
        path: &Path,
        len: u64,
        modified: Option<SystemTime>,
    ) -> String {
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let mut hash = Sha256::new();
        for part in [
            endpoint.as_bytes(),
            environment.as_bytes(),
            path.as_os_str().as_encoded_bytes(),
            &len.to_be_bytes(),
            &modified.as_nanos().to_be_bytes(),
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        HEXLOWER.encode(&hash.finalize()[..16])
    }

    /// Opens the spool; one of its own, gone afterwards, where the state has none.
    pub(super) fn open(dir: Option<PathBuf>, key: String) -> Result<Self> {
        match dir {
            Some(dir) => {
                sweep(&dir);
                Ok(Self { dir, key, _own: None })
            }
            None => {
                let own =
                    TempDir::with_prefix("veilcloud-").map_err(Error::local("make a temporary directory"))?;
                Ok(Self { dir: own.path().to_path_buf(), key, _own: Some(Arc::new(own)) })
            }
        }
    }

    pub(super) fn ciphertext_path(&self) -> PathBuf {
        self.dir.join(format!("{}.age", self.key))
    }

    fn record_path(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.key))
    }

    /// A new file for ciphertext; gone unless it is kept.
    pub(super) fn begin(&self) -> Result<NamedTempFile> {
        let file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.dir);
        file.map_err(Error::local("make a file in the spool"))
    }

    /// Keeps the ciphertext, then the record that makes it count.
    pub(super) fn keep(&self, file: NamedTempFile, spooled: &Spooled) -> Result<()> {
        let failed = || Error::local("write to the spool");
        self.drop_record().map_err(failed())?;
        file.as_file().sync_all().map_err(failed())?;
        file.persist(self.ciphertext_path()).map_err(|e| failed()(e.error))?;
        self.write_record(spooled)
    }

    /// What was kept, if its ciphertext still is what it was. Anything else is as good as nothing.
    pub(super) async fn load(&self) -> Result<Option<Spooled>> {
        let spool = self.clone();
        Ok(blocking(move || spool.read().ok().flatten()).await)
    }

    /// Takes note of the server's name for the upload.
    pub(super) async fn note(&self, spooled: &Spooled, id: UploadId) -> Result<()> {
        let (spool, noted) = (self.clone(), Spooled { upload_id: Some(id), ..spooled.clone() });
        blocking(move || spool.write_record(&noted)).await
    }

    /// Forgets the upload. What cannot be removed now is swept later.
    pub(super) async fn remove(&self) {
        let spool = self.clone();
        blocking(move || {
            let _ = spool.drop_record();
            let _ = fs::remove_file(spool.ciphertext_path());
        })
        .await;
    }

    fn read(&self) -> io::Result<Option<Spooled>> {
        let mut record = Vec::new();
        File::open(self.record_path())?.take(RECORD_LEN_MAX).read_to_end(&mut record)?;
        let Some(spooled) = Spooled::decode(&record) else { return Ok(None) };
        let mut file = File::open(self.ciphertext_path())?;
        if file.metadata()?.len() != spooled.ciphertext_len {
            return Ok(None);
        }
        let mut hash = Sha256::new();
        io::copy(&mut file, &mut hash)?;
        Ok((hash.finalize()[..] == spooled.digest).then_some(spooled))
    }

    fn write_record(&self, spooled: &Spooled) -> Result<()> {
        let write = || {
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.dir)?;
            io::Write::write_all(&mut file, &spooled.encode())?;
            file.persist(self.record_path()).map_err(|e| e.error)?;
            Ok(())
        };
        write().map_err(Error::local("write to the spool"))
    }

    fn drop_record(&self) -> io::Result<()> {
        match fs::remove_file(self.record_path()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
}

/// Removes what was left behind long ago. Failing is harmless: the next one tries again.
fn sweep(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().take(SWEPT_MAX) {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > KEPT_FOR)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests;
