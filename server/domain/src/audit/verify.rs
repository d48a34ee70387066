//! Checking a proof file for somebody who cannot do it: pure, from the file, the policy and the entry alone.

use veilchain::{
    checkpoint,
    hash::{Hash, leaf_hash},
    key::VerifierKey,
    policy::Policy,
    proof_file::ProofFile,
};

use super::error::AuditError;

/// Size and root of a checkpoint that one of these keys signed.
pub fn open_checkpoint(note: &[u8], keys: &[VerifierKey]) -> Option<(u64, Hash)> {
    let (checkpoint, _) = checkpoint::open(note, keys).ok()?;
    Some((checkpoint.size, checkpoint.root))
}

/// What a proof file proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Name of the log.
    pub origin: String,
    /// Size of the log at the checkpoint.
    pub size: u64,
    /// Place of the leaf.
    pub index: u64,
    /// Witnesses of the policy that cosigned.
    pub witnesses: Vec<String>,
    /// The entry.
    pub entry: Vec<u8>,
}

/// Checks the file against the policy. The entry is `entry`, or what the file's extra line holds.
pub fn verify(file: &str, policy: &str, entry: &[u8]) -> Result<Verified, AuditError> {
    let policy = Policy::parse(policy).map_err(|error| AuditError::Policy { check: error.to_string() })?;
    let refused = |check: String| AuditError::Proof { check };
    let proof = ProofFile::parse(file.as_bytes()).map_err(|error| refused(error.to_string()))?;
    let entry = match (&proof.extra, entry) {
        (Some(extra), []) => extra.clone(),
        (None, []) => return Err(refused("the file holds no entry, and none was given".to_owned())),
        (_, entry) => entry.to_vec(),
    };
    proof.verify(&leaf_hash(&entry), &policy).map_err(|error| refused(error.to_string()))?;
    let accepted = policy.check(&proof.checkpoint).map_err(|error| refused(error.to_string()))?;
    let witness = |at: usize| policy.witnesses().get(at).map(|witness| witness.name.to_string());
    Ok(Verified {
        origin: accepted.checkpoint.origin,
        size: accepted.checkpoint.size,
        index: proof.index,
        witnesses: accepted.cosigned.iter().filter_map(|cosigned| witness(cosigned.witness)).collect(),
        entry,
    })
}
