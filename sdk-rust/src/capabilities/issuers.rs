//! The keys that the server signs capabilities with, held against the directory's log: one that is in no log, or whose
//! record there says something else, is not one that the operator stands by.

use data_encoding::HEXLOWER;
use veilchain::bundle;
use veilchain::hash::leaf_hash;
use veilchain::proof::{Plan, verify_inclusion};
use veilchain::tile::{BundlePath, TILE_WIDTH};
use veilsign::capability::IssuerKey as Record;
use veilsign::key::VerifyingKey;

use super::{Capabilities, IssuerKey};
use crate::error::{Error, IntegrityReason, Result};
use crate::log::{Fault, Files, LogId, Newest, decode_entry, kinds};

impl Capabilities {
    /// The keys of [`Capabilities::issuers`], each with whether its record was found in the directory's log and proved to
    /// be there; false for one that is on its way. Needs a login.
    ///
    /// # Errors
    /// [`Error::Integrity`] with [`IntegrityReason::KeyNotInDirectory`] when the log says something else at the place that
    /// the server names, or with the name of the check of the log that failed.
    pub async fn proven_issuers(&self) -> Result<Vec<(IssuerKey, bool)>> {
        let keys = self.issuers().await?;
        let files = Files::new(self.client.clone(), LogId::Directory);
        let newest = files.newest().await?;
        let mut proven = Vec::with_capacity(keys.len());
        for key in keys {
            let place = key.log_index.zip(newest.as_ref());
            let is_there = match place.filter(|(index, newest)| *index < newest.checkpoint.size) {
                Some((index, newest)) => {
                    prove(&files, newest, index, &key).await?;
                    true
                }
                None => false,
            };
            proven.push((key, is_there));
        }
        Ok(proven)
    }
}

/// Whether the entry at this place is the key's record, and in the tree of the checkpoint.
async fn prove(files: &Files, newest: &Newest, index: u64, key: &IssuerKey) -> Result<()> {
    let size = newest.checkpoint.size;
    let invalid = |what: String| files.fault(Fault::invalid(what));
    let path = BundlePath::of_size(index / u64::from(TILE_WIDTH), size)
        .ok_or_else(|| invalid(format!("there is no bundle for leaf {index}")))?;
    let bytes = files.bundle(path).await?;
    let entries =
        bundle::entries(&bytes, path.width).map_err(|e| invalid(format!("{}: {e}", path.path())))?;
    let at = usize::try_from(index - path.start()).unwrap_or(usize::MAX);
    let entry = entries.get(at).ok_or_else(|| invalid(format!("leaf {index} is not in its bundle")))?;
    let plan = Plan::inclusion(index, size).map_err(|e| invalid(e.to_string()))?;
    let hashes = files.hashes(&plan).await?;
    verify_inclusion(index, size, &leaf_hash(entry), &hashes, &newest.checkpoint.root)
        .map_err(|e| invalid(format!("leaf {index}: {e}")))?;
    let decoded = decode_entry(files.log(), entry).map_err(|fault| files.fault(fault))?;
    let digest = record_digest(key);
    if decoded.kind == kinds::ISSUER_KEY && digest.is_some() && decoded.digest == digest {
        return Ok(());
    }
    let subject = format!("issuer key {}", HEXLOWER.encode(&key.key_id));
    Err(Error::integrity(IntegrityReason::KeyNotInDirectory, subject))
}

/// Digest of the record that the server's words come to; None when they come to none.
fn record_digest(key: &IssuerKey) -> Option<[u8; 32]> {
    let public = VerifyingKey::parse(&key.public_key).ok()?;
    let ms = |at: time::OffsetDateTime| u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok();
    let record = Record { key: public, not_before_ms: ms(key.not_before)?, not_after_ms: ms(key.not_after)? };
    (public.key_id().as_bytes() == &key.key_id).then(|| record.digest())
}
