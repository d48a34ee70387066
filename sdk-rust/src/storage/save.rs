//! Ciphertext to disk as it is, for the export: checked like any read, opened by nobody here.

use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Progress, Storage, Version};
use crate::access::Home;
use crate::error::{Error, IntegrityReason, Result};
use crate::export::{create_new, write_new};
use crate::projects::Project;
use crate::transport::blocking;

impl Storage {
    /// Writes the newest version with its seal, and the keyring that opens it, into a folder; None while there is
    /// nothing. `stem` is the file name before `.age` and `.seal`.
    pub(crate) async fn save_newest(
        &self,
        project: &Project,
        name: &str,
        (folder, stem): (&Path, &str),
        progress: Option<&dyn Progress>,
    ) -> Result<Option<Version>> {
        let visit = self.visit(Home::of(project), name).await?;
        let Some(head) = self.head(&visit).await?.filter(|head| !head.deleted) else { return Ok(None) };
        let site = &visit.site;
        let identity = visit.writer()?;
        let keyring =
            self.client.keyring(site.home(), site.environment, name, head.seal.epoch, identity).await?;
        let path = |file: String| folder.join(file);
        let (keyring_file, keyring_seal) = (path("keyring.age".to_owned()), path("keyring.seal".to_owned()));
        let (seal_file, seal) = (path(format!("{stem}.seal")), head.seal_bytes.clone());
        let version = head.version(&keyring.known.key);
        blocking(move || {
            write_new(&keyring_file, &[&keyring.file])?;
            write_new(&keyring_seal, &[&keyring.seal])?;
            write_new(&seal_file, &[&seal])
        })
        .await?;
        let path = path(format!("{stem}.age"));
        let mut file = create_new(&path)?;
        let mut download = self.download(&visit, Some(head.seal.version)).await?;
        let mut hash = Sha256::new();
        while let Some(piece) = download.next().await? {
            hash.update(&piece);
            file.write_all(&piece).map_err(Error::local(format!("write {}", path.display())))?;
            if let Some(progress) = progress {
                progress.advance(piece.len() as u64);
            }
        }
        if hash.finalize()[..] != head.seal.digest {
            return Err(site.integrity(IntegrityReason::DigestMismatch, head.seal.version));
        }
        self.note(site, &head).await?;
        Ok(Some(version))
    }
}
