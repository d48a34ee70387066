//! Writing a file. Small ones go as bytes; a large one is sealed into the spool, so that an upload that breaks can go
//! on with the same ciphertext, hours later and in another process.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use veilvault::envelope::{SealWriter, SealingError};
use veilvault::kind::{Kind, TEXT_LEN_MAX};
use zeroize::Zeroizing;

use super::super::spool::{Spool, Spooled};
use super::super::upload::Source;
use super::super::verify::Visit;
use super::super::{Expect, PutOptions, Storage, Version};
use super::{PLACES_MAX, Slot, sealing_error, was_taken};
use crate::error::{Error, Result};
use crate::pipeline;
use crate::projects::Project;
use crate::transport::blocking;

/// How much of a file is read at once, in bytes.
const READ_LEN: usize = 256 * 1024;

/// A file as it was when the write began.
#[derive(Clone)]
struct Origin {
    path: PathBuf,
    len: u64,
    modified: Option<SystemTime>,
}

impl Storage {
    pub(in crate::storage) async fn put_path(
        &self,
        project: &Project,
        name: &str,
        path: &Path,
        options: PutOptions,
    ) -> Result<Version> {
        let path = path.to_path_buf();
        let origin = blocking(move || look_at(&path)).await?;
        if origin.len <= TEXT_LEN_MAX {
            let bytes = blocking(move || read_small(&origin)).await?;
            return self.put_bytes(project, name, bytes, options).await;
        }
        let mut places = 1;
        loop {
            match self.put_spooled(project, name, &origin, &options).await {
                Err(e) if options.expect == Expect::Any && places < PLACES_MAX && was_taken(&e) => {
                    places += 1
                }
                Err(e) if places < PLACES_MAX && e.is("ROTATION_DUE") => places += 1,
                done => return done,
            }
        }
    }

    async fn put_spooled(
        &self,
        project: &Project,
        name: &str,
        origin: &Origin,
        options: &PutOptions,
    ) -> Result<Version> {
        let visit = self.visit_or_create(project, name).await?;
        let head = self.head(&visit).await?;
        let spool = self.spool(&visit, origin).await?;
        let kept = spool.load().await?;
        // The upload before this one was finished; only its answer was lost.
        if let (Some(kept), Some(head)) = (&kept, &head)
            && kept.digest == head.seal.digest
        {
            self.note(&visit.site, head).await?;
            spool.remove().await;
            return Ok(head.version(&self.key_of(&visit, head.seal.epoch).await?.key));
        }
        let slot = self.slot(&visit, head.as_ref(), &options.expect).await?;
        let spooled = match kept.filter(|kept| kept.fits(&slot.subject)) {
            Some(kept) => kept,
            None => self.seal_file(&visit, &slot, origin, &spool).await?,
        };
        let sealed = spooled.sealed();
        let source = Source::File(spool.ciphertext_path());
        let progress = options.progress.as_deref();
        let info = self.upload(&visit.site, &slot, &sealed, source, progress, Some((&spool, &spooled))).await;
        let done = self.committed(&visit, &slot, &sealed, info).await;
        if done.is_ok() || done.as_ref().is_err_and(is_final) {
            spool.remove().await;
        }
        done
    }

    async fn spool(&self, visit: &Visit, origin: &Origin) -> Result<Spool> {
        let state = std::sync::Arc::clone(&self.client.inner().state);
        let key = Spool::key(
            self.client.endpoint(),
            visit.site.environment,
            &origin.path,
            origin.len,
            origin.modified,
        );
        blocking(move || Spool::open(state.spool_dir(), key)).await
    }

    async fn seal_file(&self, visit: &Visit, slot: &Slot, origin: &Origin, spool: &Spool) -> Result<Spooled> {
        let (subject, key, author) = (slot.subject, slot.key.clone(), visit.writer()?.clone());
        let (origin, spool) = (origin.clone(), spool.clone());
        blocking(move || {
            let file =
                File::open(&origin.path).map_err(Error::local(format!("open {}", origin.path.display())))?;
            let output = spool.begin()?;
            let spool_error = || Error::local("write to the spool");
            let (sink, digest) = pipeline::sink(output.reopen().map_err(spool_error())?);
            let content = (Kind::Binary, origin.len);
            let mut writer =
                SealWriter::with_digester(sink, &subject, content, &key, &author, Box::new(digest))
                    .map_err(sealing_error)?;
            copy(file, &mut writer, &origin)?;
            let (sink, sealed) = writer.finish().map_err(|e| match e {
                SealingError::Less { .. } => origin.changed(),
                e => sealing_error(e),
            })?;
            sink.close().map_err(spool_error())?;
            origin.still_the_same()?;
            let spooled = Spooled::new(&subject, &sealed);
            spool.keep(output, &spooled)?;
            Ok(spooled)
        })
        .await
    }
}

impl Origin {
    fn changed(&self) -> Error {
        Error::FileChanged { path: self.path.display().to_string() }
    }

    /// Whether the file is what it was, as far as its length and time of change tell.
    fn still_the_same(&self) -> Result<()> {
        let now = look_at(&self.path)?;
        if now.len == self.len && now.modified == self.modified { Ok(()) } else { Err(self.changed()) }
    }
}

fn look_at(path: &Path) -> Result<Origin> {
    let failed = || Error::local(format!("read {}", path.display()));
    let path = fs::canonicalize(path).map_err(failed())?;
    let metadata = fs::metadata(&path).map_err(failed())?;
    if !metadata.is_file() {
        return Err(Error::invalid("path", format!("{} is not a file", path.display())));
    }
    Ok(Origin { len: metadata.len(), modified: metadata.modified().ok(), path })
}

fn read_small(origin: &Origin) -> Result<Zeroizing<Vec<u8>>> {
    let failed = || Error::local(format!("read {}", origin.path.display()));
    let len = usize::try_from(origin.len).unwrap_or(usize::MAX);
    // One byte more than expected, so that a file that grew is noticed.
    let mut bytes = Zeroizing::new(Vec::with_capacity(len + 1));
    let file = File::open(&origin.path).map_err(failed())?;
    file.take(origin.len + 1).read_to_end(&mut bytes).map_err(failed())?;
    if bytes.len() == len { Ok(bytes) } else { Err(origin.changed()) }
}

/// Copies the file into the sealing writer, which refuses more than was announced.
fn copy(mut file: File, writer: &mut impl Write, origin: &Origin) -> Result<()> {
    let mut piece = Zeroizing::new(vec![0; READ_LEN]);
    loop {
        let read = file.read(&mut piece).map_err(Error::local(format!("read {}", origin.path.display())))?;
        if read == 0 {
            return Ok(());
        }
        writer.write_all(&piece[..read]).map_err(|e| match e.downcast::<SealingError>() {
            Ok(SealingError::More { .. }) => origin.changed(),
            Ok(e) => sealing_error(e),
            Err(e) => Error::local("write the ciphertext")(e),
        })?;
    }
}

/// Whether the spooled ciphertext is of no use for another try.
fn is_final(e: &Error) -> bool {
    was_taken(e)
        || e.is("ROTATION_DUE")
        || e.is("SEAL_INVALID")
        || e.is("DIGEST_MISMATCH")
        || e.is("STANZA_REFUSED")
        || e.is("BLOB_TOO_LARGE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_or_shrinks_while_it_is_read_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        fs::write(&path, b"twelve bytes").expect("written");
        let origin = look_at(&path).expect("there");
        assert_eq!(read_small(&origin).expect("unchanged").as_slice(), b"twelve bytes");
        for other in [&b"twelve bytes and more"[..], b"fewer"] {
            fs::write(&path, other).expect("written");
            assert!(matches!(read_small(&origin), Err(Error::FileChanged { .. })));
            assert!(matches!(origin.still_the_same(), Err(Error::FileChanged { .. })));
        }
    }

    #[test]
    fn a_directory_is_not_a_file() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(matches!(look_at(dir.path()), Err(Error::Invalid { .. })));
        assert!(matches!(look_at(&dir.path().join("missing")), Err(Error::Local { .. })));
    }
}
