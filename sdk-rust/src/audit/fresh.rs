//! What a log that was read says of the newest versions. A server that showed this machine the entry of a version cannot
//! give out an older one as the newest afterwards.

use std::collections::BTreeMap;

use veilcore::id::EnvironmentId;

use crate::error::Result;
use crate::log::{Files, LogId, decode_entry, kinds};

/// Takes note of the newest version of each environment among these entries, which were shown to be in the log. Only of
/// environments that this machine has used: the others would fill its memory, and nothing it saw of them can be older.
///
/// # Errors
/// [`Forked`](crate::IntegrityReason::Forked) when a version has another digest than the one seen.
pub(super) async fn note(files: &Files, entries: &[Vec<u8>]) -> Result<()> {
    let LogId::Project(_) = files.log() else { return Ok(()) };
    let mut newest: BTreeMap<EnvironmentId, (u64, [u8; 32])> = BTreeMap::new();
    for entry in entries.iter().filter_map(|entry| decode_entry(files.log(), entry).ok()) {
        let (kinds::BLOB_PUT, Some(subject), Some(version), Some(digest)) =
            (entry.kind, entry.subject, entry.number, entry.digest)
        else {
            continue;
        };
        let environment = EnvironmentId::from_bytes(subject);
        // Two contents of one version: each is held against what was seen.
        if newest.get(&environment).is_some_and(|known| known.0 == version && known.1 != digest) {
            files.client().pin_logged(std::mem::take(&mut newest)).await?;
        }
        let known = newest.entry(environment).or_insert((version, digest));
        if version > known.0 {
            *known = (version, digest);
        }
    }
    match newest.is_empty() {
        true => Ok(()),
        false => files.client().pin_logged(newest).await,
    }
}
