//! Uploads of what does not fit one message: a session for exactly one ciphertext, chunks in any order, one commit.
//! Nothing is visible before the commit, and the server hashes the whole before it commits.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use veilcloud_proto::storage::v1 as pb;
use veilcore::hash::sha256;
use veilcore::id::UploadId;
use veilvault::envelope::Sealed;

use super::prove::Receipt;
use super::put::{Slot, was_taken};
#[cfg(feature = "native")]
use super::spool::{Spool, Spooled};
use super::verify::Site;
use super::{CHUNK_LEN, Progress, Storage};
use crate::error::{Error, Result};
use crate::times;
use crate::transport::{blocking, rpc};

/// Chunks on the way at once.
const PARALLEL: usize = 4;
/// How often the server is asked what is missing. It names 1000 runs at a time, so this is far more than needed.
const ROUNDS_MAX: u32 = 64;

/// Where the chunks come from.
#[derive(Clone)]
pub(super) enum Source {
    /// From memory.
    Bytes(Bytes),
    /// From the spool.
    #[cfg(feature = "native")]
    File(std::path::PathBuf),
}

impl Source {
    /// Bytes from `start`, `len` of them.
    fn read(&self, start: u64, len: u64) -> Result<Bytes> {
        let short = || Error::Local {
            action: "read the ciphertext".to_owned(),
            source: std::io::ErrorKind::UnexpectedEof.into(),
        };
        let len = usize::try_from(len).map_err(|_| short())?;
        match self {
            Source::Bytes(bytes) => {
                let start = usize::try_from(start).map_err(|_| short())?;
                let end = start.checked_add(len).filter(|end| *end <= bytes.len()).ok_or_else(short)?;
                Ok(bytes.slice(start..end))
            }
            #[cfg(feature = "native")]
            Source::File(path) => {
                use std::io::{Read, Seek};
                let read = || {
                    let mut file = std::fs::File::open(path)?;
                    file.seek(std::io::SeekFrom::Start(start))?;
                    let mut bytes = vec![0; len];
                    file.read_exact(&mut bytes)?;
                    Ok(Bytes::from(bytes))
                };
                read().map_err(Error::local("read the ciphertext"))
            }
        }
    }
}

/// What stays behind when an upload breaks.
#[cfg(feature = "native")]
pub(super) type Kept<'a> = Option<(&'a Spool, &'a Spooled)>;
/// What stays behind when an upload breaks: nothing without a disk.
#[cfg(not(feature = "native"))]
pub(super) type Kept<'a> = Option<std::convert::Infallible>;

impl Storage {
    /// Uploads a ciphertext and commits it.
    pub(super) async fn upload(
        &self,
        site: &Site,
        slot: &Slot,
        sealed: &Sealed,
        source: Source,
        progress: Option<&dyn Progress>,
        kept: Kept<'_>,
    ) -> Result<Receipt> {
        if let Some(progress) = progress {
            progress.start(sealed.ciphertext_len);
        }
        let stays = kept.is_some();
        let (id, missing) = self.open_upload(site, slot, sealed, kept).await?;
        if let Some(progress) = progress {
            let left: u64 = missing.iter().map(|index| chunk(*index, sealed.ciphertext_len).1).sum();
            progress.advance(sealed.ciphertext_len.saturating_sub(left));
        }
        let done = self.finish_upload(site, id, missing, sealed, &source, progress).await;
        if done.as_ref().is_err_and(|e| !stays || was_taken(e)) {
            // Nobody will go on with it. If this fails, too, the server forgets it after a day.
            let _ = self.abort_upload(site, id).await;
        }
        done
    }

    /// Sends what is missing until nothing is, then commits.
    async fn finish_upload(
        &self,
        site: &Site,
        id: UploadId,
        mut missing: Vec<u32>,
        sealed: &Sealed,
        source: &Source,
        progress: Option<&dyn Progress>,
    ) -> Result<Receipt> {
        for _ in 0..ROUNDS_MAX {
            if missing.is_empty() {
                let committed = self.commit_upload(site, id).await;
                if let (Ok(_), Some(progress)) = (&committed, progress) {
                    progress.finish();
                }
                match committed {
                    Err(e) if e.is("UPLOAD_INCOMPLETE") => {}
                    committed => return committed,
                }
            }
            self.send_chunks(site, id, &missing, sealed, source, progress).await?;
            missing = self.missing_chunks(site, id, sealed).await?;
        }
        // A server that keeps losing chunks makes us work for nothing.
        Err(Error::BadAnswer { rpc: rpc::GET_UPLOAD.path })
    }

    /// Goes on with the upload that was begun, or begins one.
    async fn open_upload(
        &self,
        site: &Site,
        slot: &Slot,
        sealed: &Sealed,
        kept: Kept<'_>,
    ) -> Result<(UploadId, Vec<u32>)> {
        #[cfg(feature = "native")]
        if let Some(id) = kept.as_ref().and_then(|(_, spooled)| spooled.upload_id) {
            match self.missing_chunks(site, id, sealed).await {
                Ok(missing) => return Ok((id, missing)),
                Err(e) if e.is("UPLOAD_NOT_FOUND") => {}
                Err(e) => return Err(e),
            }
        }
        let request = pb::StartUploadRequest {
            project_id: site.project.to_string(),
            env_name: site.name.clone(),
            ciphertext_bytes: sealed.ciphertext_len,
            digest: sealed.digest.to_vec().into(),
            seal: sealed.seal.to_vec().into(),
            if_match: slot.if_match.clone(),
            if_none_match: slot.if_none_match(),
            request_id: times::request_id(),
        };
        let answer: pb::StartUploadResponse = self.client.call(&rpc::START_UPLOAD, &request).await?;
        let upload = times::present(answer.upload, &rpc::START_UPLOAD)?;
        let id = times::id(&upload.upload_id, &rpc::START_UPLOAD)?;
        #[cfg(feature = "native")]
        if let Some((spool, spooled)) = kept {
            spool.note(spooled, id).await?;
        }
        #[cfg(not(feature = "native"))]
        let _ = kept;
        Ok((id, missing(&upload, sealed)?))
    }

    async fn missing_chunks(&self, site: &Site, id: UploadId, sealed: &Sealed) -> Result<Vec<u32>> {
        let request = pb::GetUploadRequest {
            project_id: site.project.to_string(),
            env_name: site.name.clone(),
            upload_id: id.to_string(),
        };
        let answer: pb::GetUploadResponse = self.client.call(&rpc::GET_UPLOAD, &request).await?;
        missing(&times::present(answer.upload, &rpc::GET_UPLOAD)?, sealed)
    }

    async fn send_chunks(
        &self,
        site: &Site,
        id: UploadId,
        indices: &[u32],
        sealed: &Sealed,
        source: &Source,
        progress: Option<&dyn Progress>,
    ) -> Result<()> {
        stream::iter(indices.iter().copied())
            .map(|index| self.send_chunk(site, id, index, sealed.ciphertext_len, source, progress))
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await
    }

    async fn send_chunk(
        &self,
        site: &Site,
        id: UploadId,
        index: u32,
        whole: u64,
        source: &Source,
        progress: Option<&dyn Progress>,
    ) -> Result<()> {
        let (start, len) = chunk(index, whole);
        let source = source.clone();
        let (data, digest) = blocking(move || {
            let data = source.read(start, len)?;
            let digest = sha256(&data);
            Ok::<_, Error>((data, digest))
        })
        .await?;
        let request = pb::PutChunkRequest {
            project_id: site.project.to_string(),
            env_name: site.name.clone(),
            upload_id: id.to_string(),
            index,
            data,
            digest: digest.to_vec().into(),
        };
        let _: pb::PutChunkResponse = self.client.call(&rpc::PUT_CHUNK, &request).await?;
        if let Some(progress) = progress {
            progress.advance(len);
        }
        Ok(())
    }

    async fn abort_upload(&self, site: &Site, id: UploadId) -> Result<()> {
        let request = pb::AbortUploadRequest {
            project_id: site.project.to_string(),
            env_name: site.name.clone(),
            upload_id: id.to_string(),
        };
        let _: pb::AbortUploadResponse = self.client.call(&rpc::ABORT_UPLOAD, &request).await?;
        Ok(())
    }

    async fn commit_upload(&self, site: &Site, id: UploadId) -> Result<Receipt> {
        let asked = self.client.ask(site.log()).await?;
        let request = pb::CommitUploadRequest {
            project_id: site.project.to_string(),
            env_name: site.name.clone(),
            upload_id: id.to_string(),
            request_id: times::request_id(),
            log_size: asked.head.size,
        };
        let answer: pb::CommitUploadResponse = self.client.call(&rpc::COMMIT_UPLOAD, &request).await?;
        let blob = times::present(answer.blob, &rpc::COMMIT_UPLOAD)?;
        Ok(Receipt { blob, asked, proof: answer.log_proof })
    }
}

/// Start and length of a chunk; length 0 beyond the end.
fn chunk(index: u32, whole: u64) -> (u64, u64) {
    let start = u64::from(index) * CHUNK_LEN;
    (start, whole.saturating_sub(start).min(CHUNK_LEN))
}

/// The chunks the server says are missing, if it speaks of this upload at all.
fn missing(upload: &pb::Upload, sealed: &Sealed) -> Result<Vec<u32>> {
    let bad = || Error::BadAnswer { rpc: rpc::GET_UPLOAD.path };
    let count = u32::try_from(sealed.ciphertext_len.div_ceil(CHUNK_LEN))
        .map_err(|_| Error::invalid("content", "more chunks than can be counted"))?;
    let same = upload.ciphertext_bytes == sealed.ciphertext_len
        && upload.chunk_bytes == CHUNK_LEN
        && upload.chunk_count == count;
    if !same {
        return Err(bad());
    }
    let mut indices = Vec::new();
    let mut next = 0;
    for run in &upload.missing {
        let end = run.first.checked_add(run.count).filter(|end| *end <= count).ok_or_else(bad)?;
        // Ascending runs that do not overlap: a server cannot make us send more than there is.
        if run.first < next || run.count == 0 {
            return Err(bad());
        }
        indices.extend(run.first..end);
        next = end;
    }
    Ok(indices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(len: u64) -> Sealed {
        Sealed { seal: [0; veilvault::seal::SEAL_LEN], digest: [0; 32], ciphertext_len: len }
    }

    fn upload(len: u64, runs: &[(u32, u32)]) -> pb::Upload {
        pb::Upload {
            ciphertext_bytes: len,
            chunk_bytes: CHUNK_LEN,
            chunk_count: u32::try_from(len.div_ceil(CHUNK_LEN)).expect("few"),
            missing: runs
                .iter()
                .map(|(first, count)| pb::ChunkRun { first: *first, count: *count })
                .collect(),
            ..Default::default()
        }
    }

    #[test]
    fn chunks_cover_the_whole_and_nothing_else() {
        for whole in [1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 5 * CHUNK_LEN + 7] {
            let count = u32::try_from(whole.div_ceil(CHUNK_LEN)).expect("few");
            let mut next = 0;
            for index in 0..count {
                let (start, len) = chunk(index, whole);
                assert_eq!(start, next);
                assert!(len > 0);
                next += len;
            }
            assert_eq!(next, whole);
            assert_eq!(chunk(count, whole).1, 0);
        }
    }

    #[test]
    fn missing_chunks_are_named_once_each() {
        let len = 9 * CHUNK_LEN + 1;
        let found = missing(&upload(len, &[(0, 2), (4, 1), (9, 1)]), &sealed(len)).expect("fine");
        assert_eq!(found, [0, 1, 4, 9]);
        assert!(missing(&upload(len, &[]), &sealed(len)).expect("complete").is_empty());
    }

    #[test]
    fn an_upload_of_something_else_is_refused() {
        let len = 9 * CHUNK_LEN;
        for runs in [&[(9, 1)][..], &[(0, 0)], &[(3, 2), (4, 1)], &[(3, 1), (1, 1)], &[(1, u32::MAX)]] {
            assert!(missing(&upload(len, runs), &sealed(len)).is_err(), "{runs:?}");
        }
        assert!(missing(&upload(len, &[]), &sealed(len + 1)).is_err());
        let other = pb::Upload { chunk_bytes: 1, ..upload(len, &[]) };
        assert!(missing(&other, &sealed(len)).is_err());
    }

    #[cfg(feature = "native")]
    #[test]
    fn memory_and_file_give_the_same_chunks() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        std::io::Write::write_all(&mut file, &bytes).expect("written");
        let sources = [Source::Bytes(bytes.clone().into()), Source::File(file.path().to_path_buf())];
        for source in &sources {
            assert_eq!(source.read(300, 500).expect("within"), bytes[300..800]);
            assert!(matches!(source.read(600, 500), Err(Error::Local { .. })));
        }
    }
}
