//! Reading. Bytes come as a stream whatever their number; a stream that breaks goes on where it broke.

use futures_util::StreamExt;
use prost::Message;
use veilcloud_proto::storage::v1 as pb;
use veilvault::envelope::{OpenError, open_bytes};
use veilvault::epoch::EpochKey;
use veilvault::seal::Expected;
use zeroize::Zeroizing;

use super::verify::{Checked, Site, Visit};
use super::{Blob, GetOptions, MEMORY_LEN_MAX, Storage};
use crate::access::Home;
use crate::error::{Error, IntegrityReason, Result};
use crate::projects::Project;
use crate::transport::{Failure, Messages, blocking, rpc};

/// How often a broken stream is taken up again before the caller is told.
const BREAKS_MAX: u32 = 4;
/// How often the newest is read because another call saw a newer one meanwhile.
const READS_MAX: u32 = 3;

/// A version on its way.
pub(super) struct Download {
    storage: Storage,
    site: Site,
    /// What is being read, checked against its seal.
    pub(super) checked: Checked,
    messages: Messages,
    /// Bytes that came with the description.
    first: Option<bytes::Bytes>,
    offset: u64,
    breaks: u32,
}

impl Storage {
    /// Begins to read a version, or the newest. Its description has passed every check when this returns.
    pub(super) async fn download(&self, visit: &Visit, version: Option<u64>) -> Result<Download> {
        let site = &visit.site;
        // An old version is believed because the chain of seals leads to it, not because a seal of it exists: a
        // version that lost a race has a seal, too.
        let linked = match version {
            Some(version) => Some(self.linked(visit, version).await?),
            None => None,
        };
        let asked = self.client.ask(site.log()).await?;
        let (answer, messages) = self.begin(site, version.unwrap_or(0), 0, asked.head.size).await?;
        let info = answer.blob.ok_or(Error::BadAnswer { rpc: rpc::GET_BLOB.path })?;
        let checked = self.check(&info, site, visit.reader(), version).await?;
        match &linked {
            Some(linked) if linked.pin() != checked.pin() => {
                return Err(site.integrity(IntegrityReason::Forked, checked.seal.version));
            }
            Some(_) => {}
            None => self.judge_newest(visit, &checked).await?,
        }
        self.prove(site, &checked, &asked, answer.log_proof).await?;
        let mut download = Download {
            storage: self.clone(),
            site: site.clone(),
            checked,
            messages,
            first: None,
            offset: 0,
            breaks: 0,
        };
        download.first = download.take(answer.offset, answer.data)?;
        Ok(download)
    }

    /// A version by its number, found by walking the chain from the newest.
    pub(super) async fn linked(&self, visit: &Visit, version: u64) -> Result<Checked> {
        let missing =
            || Error::NotFound { what: "version", name: format!("{version} of {}", visit.site.name) };
        if version == 0 {
            return Err(missing());
        }
        let chain = self.chain(visit, version).await?;
        chain.into_iter().find(|checked| checked.seal.version == version).ok_or_else(missing)
    }

    async fn begin(
        &self,
        site: &Site,
        version: u64,
        offset: u64,
        log_size: u64,
    ) -> Result<(pb::GetBlobResponse, Messages)> {
        let request = pb::GetBlobRequest {
            project_id: site.project.to_string(),
            env_name: site.name.clone(),
            version,
            if_none_match: String::new(),
            offset,
            length: 0,
            log_size,
        };
        let mut messages = self.client.call_stream(&rpc::GET_BLOB, &request).await?;
        let first = messages.next().await.ok_or(Error::BadAnswer { rpc: rpc::GET_BLOB.path })?;
        let first = first.map_err(|failure| failure.into_error(self.client.endpoint()))?;
        let first = pb::GetBlobResponse::decode(first);
        let first = first.map_err(|_| Error::BadAnswer { rpc: rpc::GET_BLOB.path })?;
        Ok((first, messages))
    }

    pub(super) async fn get_bytes(
        &self,
        project: &Project,
        environment: &str,
        options: GetOptions,
    ) -> Result<Blob> {
        for _ in 1..READS_MAX {
            if let (_, blob, true) = self.get_bytes_once(project, environment, &options).await? {
                return Ok(blob);
            }
        }
        match self.get_bytes_once(project, environment, &options).await? {
            (_, blob, true) => Ok(blob),
            (site, blob, false) => Err(site.integrity(IntegrityReason::RolledBack, blob.version.number)),
        }
    }

    /// Reads once. False when the newest was asked for, and a newer one was seen by the time it was read.
    async fn get_bytes_once(
        &self,
        project: &Project,
        environment: &str,
        options: &GetOptions,
    ) -> Result<(Site, Blob, bool)> {
        let visit = self.visit(Home::of(project), environment).await?;
        let download = self.download(&visit, options.version).await?;
        let key = self.key_of(&visit, download.checked.seal.epoch).await?.key;
        let version = download.checked.version(&key);
        let progress = &options.progress;
        if let Some(progress) = progress {
            progress.start(version.plain_bytes.unwrap_or_default());
        }
        let (checked, bytes) = self.open_in_memory(&visit, download, key).await?;
        if let Some(progress) = progress {
            progress.advance(bytes.len() as u64);
            progress.finish();
        }
        let is_newest = self.note_read(&visit.site, &checked, options.version).await?;
        Ok((visit.site, Blob { bytes, version }, is_newest))
    }

    /// Takes note of what was read. False when the newest was asked for, and a newer one was seen meanwhile.
    pub(super) async fn note_read(&self, site: &Site, checked: &Checked, asked: Option<u64>) -> Result<bool> {
        match asked {
            Some(_) => self.note(site, checked).await.map(|()| true),
            None => self.note_newest(site, checked).await,
        }
    }

    /// Reads a version to its end and opens it.
    pub(super) async fn open_in_memory(
        &self,
        visit: &Visit,
        mut download: Download,
        key: EpochKey,
    ) -> Result<(Checked, Zeroizing<Vec<u8>>)> {
        let len = download.checked.seal.ciphertext_len;
        if len > MEMORY_LEN_MAX {
            return Err(Error::invalid(
                "content",
                format!("{len} bytes do not fit in memory: read them to a file"),
            ));
        }
        let mut ciphertext = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
        while let Some(piece) = download.next().await? {
            ciphertext.extend_from_slice(&piece);
        }
        let checked = download.checked.clone();
        let opened = blocking(move || {
            open_bytes(&ciphertext, &checked.seal_bytes, &expected(&checked), &key)
                .map(|opened| (checked, opened.content))
        });
        opened.await.map_err(|e| open_error(&visit.site, download.checked.seal.version, e))
    }
}

impl Download {
    /// The next bytes of ciphertext; None after the last.
    pub(super) async fn next(&mut self) -> Result<Option<bytes::Bytes>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        while self.offset < self.checked.seal.ciphertext_len {
            let failure = match self.messages.next().await {
                Some(Ok(message)) => {
                    let message = pb::GetBlobResponse::decode(message);
                    let message = message.map_err(|_| Error::BadAnswer { rpc: rpc::GET_BLOB.path })?;
                    if let Some(piece) = self.take(message.offset, message.data)? {
                        return Ok(Some(piece));
                    }
                    continue;
                }
                Some(Err(failure)) => failure,
                None => return Err(self.refused(IntegrityReason::Truncated)),
            };
            self.take_up(failure).await?;
        }
        Ok(None)
    }

    /// Accepts bytes if they are the next ones and not too many.
    fn take(&mut self, offset: u64, data: bytes::Bytes) -> Result<Option<bytes::Bytes>> {
        if data.is_empty() {
            return Ok(None);
        }
        let left = self.checked.seal.ciphertext_len - self.offset;
        if offset != self.offset || data.len() as u64 > left {
            return Err(self.refused(IntegrityReason::LengthMismatch));
        }
        self.offset += data.len() as u64;
        Ok(Some(data))
    }

    /// Goes on after the connection broke.
    async fn take_up(&mut self, failure: Failure) -> Result<()> {
        let lost = matches!(&failure, Failure::Network(e) if e.is_transient());
        if !lost || self.breaks >= BREAKS_MAX {
            return Err(failure.into_error(self.storage.client.endpoint()));
        }
        self.breaks += 1;
        let version = self.checked.seal.version;
        // The version was proved when the download began; the same digest is the same version.
        let (answer, messages) = self.storage.begin(&self.site, version, self.offset, 0).await?;
        let same = answer.blob.as_ref().is_some_and(|info| info.digest[..] == self.checked.seal.digest);
        if !same {
            return Err(self.refused(IntegrityReason::Forked));
        }
        self.messages = messages;
        self.first = self.take(answer.offset, answer.data)?;
        Ok(())
    }

    fn refused(&self, reason: IntegrityReason) -> Error {
        self.site.integrity(reason, self.checked.seal.version)
    }
}

/// What the envelope has to find again: exactly the seal that was checked.
pub(super) fn expected(checked: &Checked) -> Expected<'_> {
    Expected {
        project: checked.seal.project,
        environment: checked.seal.environment,
        version: Some(checked.seal.version),
        parent: Some(checked.seal.parent),
        epoch: checked.seal.epoch,
        author: checked.seal.author,
        author_key: &checked.author_key,
        digest: Some(checked.seal.digest),
    }
}

/// The error of a blob that did not open.
pub(super) fn open_error(site: &Site, version: u64, e: OpenError) -> Error {
    match IntegrityReason::of_open(&e) {
        Some(reason) => site.integrity(reason, version),
        None => Error::Local {
            action: format!("read version {version} of {}", site.name),
            source: std::io::Error::other(e),
        },
    }
}

#[cfg(feature = "native")]
pub(super) mod stream;
