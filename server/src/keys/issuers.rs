//! The keys that sign capabilities: `<data>/keys/issuers.keys`, made at the first start. Whoever holds the file can forge
//! capabilities until its keys are revoked; it opens no environment. The running server and `veilcloud-server issuer`
//! change it, one at a time (`issuers.lock`), each time as a whole; everybody else reads it again every few seconds.
//!
//! File: "VEILISSK" ‖ the keyset ([`Keyset::to_bytes`]) ‖ SHA-256 of all before.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use veilcloud_domain::{
    auth::issuers::{DAY_MS, Issuer, Keyset, port::IssuerStore},
    clock::Entropy,
    store::StoreError,
};
use zeroize::Zeroizing;

use super::{KeysError, file, file::io_error};

const MAGIC: &[u8; 8] = b"VEILISSK";
/// Name of the store in errors.
const STORE: &str = "issuer keys";

/// The file.
#[derive(Clone)]
pub struct IssuerFile(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    path: PathBuf,
    period_ms: u64,
    entropy: Arc<dyn Entropy>,
}

impl IssuerFile {
    /// The file of a data folder, whether it is there or not. A key signs for `period_days`.
    pub fn new(data_dir: &Path, period_days: u64, entropy: Arc<dyn Entropy>) -> Self {
        let folder = data_dir.join("keys");
        let path = folder.join("issuers.keys");
        Self(Arc::new(Inner { folder, path, period_ms: period_days.saturating_mul(DAY_MS), entropy }))
    }

    /// Reads the keys, or makes the first one. Lost keys end no account: sessions renew themselves under new ones.
    pub fn open(&self, now_ms: u64) -> Result<Keyset, KeysError> {
        let inner = &self.0;
        if inner.exists()? {
            return inner.read();
        }
        // Two first starts make one key between them.
        let _lock = inner.lock()?;
        if inner.exists()? {
            return inner.read();
        }
        let keyset = Keyset::first(now_ms, inner.period_ms, &*inner.entropy);
        inner.write(&keyset)?;
        Ok(keyset)
    }

    /// Reads the keys of a server that was started before.
    pub fn read(&self) -> Result<Keyset, KeysError> {
        self.0.read()
    }

    /// Changes the keys, alone; nothing is written when `change` says so by failing or by saying that nothing changed.
    pub fn change<E>(
        &self,
        change: impl FnOnce(&mut Keyset, u64, &dyn Entropy) -> Result<bool, E>,
    ) -> Result<Result<Keyset, E>, KeysError> {
        let inner = &self.0;
        let _lock = inner.lock()?;
        let mut keyset = inner.read()?;
        match change(&mut keyset, inner.period_ms, &*inner.entropy) {
            Ok(true) => inner.write(&keyset)?,
            Ok(false) => {}
            Err(refused) => return Ok(Err(refused)),
        }
        Ok(Ok(keyset))
    }

    async fn blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(Self) -> Result<T, KeysError> + Send + 'static,
    {
        let file = self.clone();
        match tokio::task::spawn_blocking(move || work(file)).await {
            Ok(done) => done.map_err(failed),
            Err(error) => Err(StoreError::Unavailable { store: STORE, cause: error.to_string() }),
        }
    }
}

#[async_trait]
impl IssuerStore for IssuerFile {
    async fn keyset(&self) -> Result<Keyset, StoreError> {
        self.blocking(|file| file.read()).await
    }

    async fn turn(&self, now_ms: u64) -> Result<Keyset, StoreError> {
        self.blocking(move |file| {
            changed(&file, |keyset, period_ms, entropy| keyset.turn(now_ms, period_ms, entropy))
        })
        .await
    }

    async fn logged(&self, issuer: &Issuer, leaf: u64) -> Result<Keyset, StoreError> {
        let public = issuer.public;
        self.blocking(move |file| changed(&file, |keyset, _, _| keyset.logged(&public, leaf))).await
    }
}

/// A change that cannot be refused.
fn changed(
    file: &IssuerFile,
    change: impl FnOnce(&mut Keyset, u64, &dyn Entropy) -> bool,
) -> Result<Keyset, KeysError> {
    let done = file.change(|keyset, period_ms, entropy| {
        Ok::<_, std::convert::Infallible>(change(keyset, period_ms, entropy))
    });
    done.map(|Ok(keyset)| keyset)
}

fn failed(error: KeysError) -> StoreError {
    match &error {
        KeysError::Io { cause, .. } if cause.kind() == io::ErrorKind::StorageFull => {
            StoreError::Full { store: STORE }
        }
        KeysError::Damaged { .. } => StoreError::Damaged { store: STORE, cause: error.to_string() },
        _ => StoreError::Unavailable { store: STORE, cause: error.to_string() },
    }
}

impl Inner {
    /// The lock over the file, held until it is dropped: by this process and by the operator's.
    fn lock(&self) -> Result<File, KeysError> {
        file::ensure(&self.folder)?;
        let lock = self.folder.join("issuers.lock");
        let mut options = OpenOptions::new();
        let lock_file = options.create(true).truncate(false).write(true).mode(0o600).open(&lock);
        let lock_file = lock_file.map_err(io_error("open", &lock))?;
        file::owned_like(&lock_file, &self.folder);
        lock_file.lock().map_err(io_error("lock", &lock))?;
        Ok(lock_file)
    }

    fn exists(&self) -> Result<bool, KeysError> {
        self.path.try_exists().map_err(io_error("look for", &self.path))
    }

    fn read(&self) -> Result<Keyset, KeysError> {
        if !self.exists()? {
            return Err(KeysError::NoIssuers { path: self.path.clone() });
        }
        let bytes = file::read(&self.folder, &self.path)?;
        let damaged = |why| KeysError::Damaged { path: self.path.clone(), why };
        let (body, checksum) = bytes.split_last_chunk::<32>().ok_or_else(|| damaged("it is too short"))?;
        if Sha256::digest(body).as_slice() != checksum {
            return Err(damaged("its checksum does not match: it was cut off or altered"));
        }
        let keyset = body.strip_prefix(MAGIC).ok_or_else(|| damaged("it does not begin like one"))?;
        Keyset::from_bytes(keyset).map_err(|_| damaged("it does not decode"))
    }

    fn write(&self, keyset: &Keyset) -> Result<(), KeysError> {
        let keyset = keyset.to_bytes();
        let mut out = Zeroizing::new(Vec::with_capacity(keyset.len() + 64));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&keyset);
        let checksum = Sha256::digest(&*out);
        out.extend_from_slice(&checksum);
        file::write(&self.folder, &self.path, &out)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use veilcloud_domain::{auth::issuers::KeysetError, clock::SystemEntropy};

    use super::*;

    fn file(dir: &Path) -> IssuerFile {
        IssuerFile::new(dir, 30, Arc::new(SystemEntropy))
    }

    fn kids(keyset: &Keyset) -> Vec<String> {
        keyset.iter().map(|issuer| issuer.kid().to_string()).collect()
    }

    #[test]
    fn the_first_start_makes_one_key_and_the_second_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        assert!(matches!(file.read(), Err(KeysError::NoIssuers { .. })));
        let first = kids(&file.open(5).unwrap());
        assert_eq!(first.len(), 1);
        assert_eq!(kids(&file.open(9).unwrap()), first);
        let path = dir.path().join("keys/issuers.keys");
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn first_starts_at_once_make_one_key_between_them() {
        let dir = tempfile::tempdir().unwrap();
        let starts = std::array::from_fn::<_, 8, _>(|_| {
            let file = file(dir.path());
            std::thread::spawn(move || kids(&file.open(5).unwrap()))
        });
        let made = starts.map(|start| start.join().unwrap());
        assert!(made.iter().all(|kids| *kids == made[0] && kids.len() == 1), "{made:?}");
    }

    #[test]
    fn a_change_is_kept_and_a_refused_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        file.open(5).unwrap();
        let added =
            file.change(|keyset, period, entropy| keyset.rotate(5, period, true, entropy).map(|_| true));
        assert_eq!(kids(&added.unwrap().unwrap()).len(), 2);
        assert_eq!(kids(&file.read().unwrap()).len(), 2);
        let refused = file.change(|keyset, period, entropy| {
            keyset.rotate(5, period, true, entropy)?;
            Err::<bool, _>(KeysetError::Invalid)
        });
        assert!(refused.unwrap().is_err());
        assert_eq!(kids(&file.read().unwrap()).len(), 2);
    }

    #[test]
    fn a_file_that_was_cut_or_altered_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        file.open(5).unwrap();
        let path = dir.path().join("keys/issuers.keys");
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            fs::write(&path, &whole[..at]).unwrap();
            assert!(matches!(file.read(), Err(KeysError::Damaged { .. })), "cut to {at}");
            let mut altered = whole.clone();
            altered[at] ^= 1;
            fs::write(&path, &altered).unwrap();
            assert!(matches!(file.read(), Err(KeysError::Damaged { .. })), "altered at {at}");
        }
        fs::write(&path, &whole).unwrap();
        file.read().unwrap();
    }
}
