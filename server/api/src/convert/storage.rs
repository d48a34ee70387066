//! Versions and uploads.

use bytes::Bytes;
use veilcloud_domain::{
    name::Name,
    storage::model::{CHUNK_LEN, Upload, Version},
};
use veilcloud_proto::storage::v1 as pb;

use super::timestamp;

/// Most runs of missing chunks that one answer lists.
pub const RUNS_MAX: usize = 1000;

/// A version of the environment with this name.
pub fn blob(name: &Name, version: Version) -> pb::BlobInfo {
    pb::BlobInfo {
        env_name: name.to_string(),
        environment_id: version.environment.to_string(),
        version: version.number,
        etag: version.etag().to_string(),
        ciphertext_bytes: version.len,
        digest: Bytes::copy_from_slice(&version.digest.0),
        seal: version.seal.into(),
        epoch: version.epoch,
        author_id: version.author.to_string(),
        created_at: timestamp(version.created_at_ms),
        deleted: version.deleted,
        log_index: version.log_index.unwrap_or(0),
    }
}

/// An upload session.
pub fn upload(upload: &Upload) -> pb::Upload {
    pb::Upload {
        upload_id: upload.id.to_string(),
        ciphertext_bytes: upload.len,
        chunk_bytes: CHUNK_LEN,
        chunk_count: upload.chunk_count(),
        received_count: u32::try_from(upload.received.len()).unwrap_or(u32::MAX),
        missing: missing(upload.chunk_count(), &upload.received),
        expires_at: timestamp(upload.expires_at_ms),
    }
}

/// The gaps between received chunks, lowest first.
fn missing(count: u32, received: &[u32]) -> Vec<pb::ChunkRun> {
    let mut runs = Vec::new();
    let mut first = 0;
    for next in received.iter().copied().chain([count]) {
        if next > first && runs.len() < RUNS_MAX {
            runs.push(pb::ChunkRun { first, count: next - first });
        }
        first = next.saturating_add(1);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(count: u32, received: &[u32]) -> Vec<(u32, u32)> {
        missing(count, received).into_iter().map(|r| (r.first, r.count)).collect()
    }

    #[test]
    fn missing_chunks_come_in_runs() {
        assert_eq!(runs(5, &[]), [(0, 5)]);
        assert_eq!(runs(5, &[0, 1, 2, 3, 4]), []);
        assert_eq!(runs(5, &[1, 3]), [(0, 1), (2, 1), (4, 1)]);
        assert_eq!(runs(5, &[0, 4]), [(1, 3)]);
        assert_eq!(runs(0, &[]), []);
        let even: Vec<u32> = (0..4000).step_by(2).collect();
        assert_eq!(runs(4000, &even).len(), RUNS_MAX);
    }
}
