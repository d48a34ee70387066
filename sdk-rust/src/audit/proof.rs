//! Proof files (c2sp.org/tlog-proof): one event with everything that shows it to be in the log, to be checked by anyone,
//! any time later, without asking anybody.

use veilchain::checkpoint::Checkpoint;
use veilchain::hash::leaf_hash;
use veilchain::policy::{Accepted, Policy, PolicyError};
use veilchain::proof::verify_inclusion;
use veilchain::proof_file::ProofFile;
use veilcloud_proto::audit::v1 as pb;

use super::{Audit, AuditEvent};
use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};
use crate::log::{ASKS_MAX, Asked, Fault, Leaf, LogId, Settled, never_settled};
use crate::times;
use crate::transport::rpc;

/// An event and its proof file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventProof {
    /// The event.
    pub event: AuditEvent,
    /// Size of the log at the checkpoint.
    pub log_size: u64,
    /// The proof as a c2sp.org/tlog-proof file; its extra line holds the entry.
    pub file: String,
}

/// What a proof file proves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proven {
    /// Name of the log.
    pub origin: String,
    /// Size of the log at the checkpoint.
    pub log_size: u64,
    /// Root of the log at that size.
    pub root: [u8; 32],
    /// Witnesses of the policy that cosigned the checkpoint.
    pub witnesses: Vec<String>,
    /// The event that is in the log.
    pub event: AuditEvent,
}

impl Audit {
    /// Proves one event. The proof is checked, and the head of the log moved, before the file is given out.
    ///
    /// # Errors
    /// [`Error::Api`] with `LOG_INDEX_UNKNOWN`; [`Error::Integrity`] when the proof does not hold.
    pub async fn proof(&self, index: u64) -> Result<EventProof> {
        let asked = self.client.ask(self.log()).await?;
        let leaf = self.ask_proof(&asked, index).await?;
        if self.client.settle(&asked, &leaf).await? == Settled::Pinned {
            return self.proof_file(leaf);
        }
        let _one = self.client.inner().advancing.lock().await;
        for _ in 0..ASKS_MAX {
            let asked = self.client.ask(self.log()).await?;
            let leaf = self.ask_proof(&asked, index).await?;
            if self.client.settle_locked(&asked, &leaf).await? == Settled::Pinned {
                return self.proof_file(leaf);
            }
        }
        Err(never_settled(self.log()))
    }

    async fn ask_proof(&self, asked: &Asked, index: u64) -> Result<Leaf> {
        let log_size = asked.head.size;
        let proof = match self.log() {
            LogId::Project(project) => {
                let request = pb::GetProofRequest { project_id: project.to_string(), index, log_size };
                let answer: pb::GetProofResponse = self.client.call(&rpc::GET_PROOF, &request).await?;
                times::present(answer.proof, &rpc::GET_PROOF)?
            }
            LogId::Account(_) => {
                let request = pb::GetAccountProofRequest { index, log_size };
                let answer: pb::GetAccountProofResponse =
                    self.client.call(&rpc::GET_ACCOUNT_PROOF, &request).await?;
                times::present(answer.proof, &rpc::GET_ACCOUNT_PROOF)?
            }
            LogId::Directory => return Err(Error::invalid("log", "the directory proves keys, not events")),
        };
        let subject = format!("event {index}");
        let leaf = asked.open(proof).map_err(|fault| fault.into_error(&subject))?;
        match leaf.index == index {
            true => Ok(leaf),
            false => Err(Fault::invalid("the proof is of another event").into_error(&subject)),
        }
    }

    /// The file is made here, from what was checked.
    fn proof_file(&self, leaf: Leaf) -> Result<EventProof> {
        let event = AuditEvent::read(self.log(), leaf.index, &leaf.entry_bytes)
            .map_err(|fault| fault.into_error(format_args!("event {}", leaf.index)))?;
        let file = ProofFile {
            extra: Some(leaf.entry_bytes),
            index: leaf.index,
            path: leaf.path,
            checkpoint: leaf.note,
        };
        let file = String::from_utf8_lossy(&file.encode()).into_owned();
        Ok(EventProof { event, log_size: leaf.checkpoint.size, file })
    }
}

impl Client {
    /// Checks a proof file against what was pinned of this client's server. Asks nobody.
    ///
    /// # Errors
    /// [`Error::Invalid`] when nothing was pinned yet, or the file holds no entry; [`Error::Integrity`] when it does not
    /// hold.
    pub async fn verify_proof(&self, file: &[u8]) -> Result<Proven> {
        let read = read_file(file)?;
        let trust = self.pins().await?.logs.trust;
        let missing = || Error::invalid("policy", "this machine knows no log yet: give a policy");
        let trust = trust.ok_or_else(missing)?;
        let origin = &read.checkpoint.origin;
        let log = trust.log_of(origin).ok_or_else(|| {
            let cause = format!("{origin} is no log of the server that this machine knows");
            refused(read.file.index, Fault::new(IntegrityReason::LogKeyChanged, cause))
        })?;
        let policy =
            trust.policy(log).ok_or_else(|| refused(read.file.index, Fault::invalid("no valid name")))?;
        judge(read, &policy)
    }
}

/// Checks a proof file against a c2sp.org/tlog-policy text. Asks nobody and reads no state.
///
/// # Errors
/// [`Error::Invalid`] for a policy that is none, or a file that holds no entry; [`Error::Integrity`] when the proof does
/// not hold.
pub fn verify_file(file: &[u8], policy: &[u8]) -> Result<Proven> {
    let policy = Policy::parse(policy).map_err(|e| Error::invalid("policy", e))?;
    judge(read_file(file)?, &policy)
}

struct Read {
    file: ProofFile,
    entry: Vec<u8>,
    checkpoint: Checkpoint,
}

fn read_file(bytes: &[u8]) -> Result<Read> {
    let broken = |cause: &dyn std::fmt::Display| Fault::invalid(cause).into_error("the proof file");
    let file = ProofFile::parse(bytes).map_err(|e| broken(&e))?;
    let note = veilchain::note::Note::parse(&file.checkpoint).map_err(|e| broken(&e))?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|e| broken(&e))?;
    let entry = file.extra.clone();
    let entry = entry.ok_or_else(|| Error::invalid("proof file", "it has no extra line with the entry"))?;
    Ok(Read { file, entry, checkpoint })
}

fn judge(read: Read, policy: &Policy) -> Result<Proven> {
    let index = read.file.index;
    let accepted = accept(policy, &read.file.checkpoint).map_err(|fault| refused(index, fault))?;
    let checkpoint = &accepted.checkpoint;
    let leaf = leaf_hash(&read.entry);
    verify_inclusion(index, checkpoint.size, &leaf, &read.file.path, &checkpoint.root)
        .map_err(|e| refused(index, Fault::invalid(e)))?;
    let log = log_of(&checkpoint.origin)
        .ok_or_else(|| refused(index, Fault::invalid("the log is not one of VeilCloud's")))?;
    let event = AuditEvent::read(log, index, &read.entry).map_err(|fault| refused(index, fault))?;
    Ok(Proven {
        origin: checkpoint.origin.clone(),
        log_size: checkpoint.size,
        root: checkpoint.root,
        witnesses: witnesses(policy, &accepted),
        event,
    })
}

/// A checkpoint that a policy accepts.
pub(super) fn accept(policy: &Policy, note: &[u8]) -> Result<Accepted, Fault> {
    policy.check(note).map_err(|e| {
        let reason = match &e {
            PolicyError::Quorum { .. } => IntegrityReason::WitnessQuorum,
            _ => IntegrityReason::LogProofInvalid,
        };
        Fault::new(reason, e)
    })
}

/// Names of the witnesses that cosigned.
pub(super) fn witnesses(policy: &Policy, accepted: &Accepted) -> Vec<String> {
    let name = |index: usize| policy.witnesses().get(index).map(|witness| witness.name.to_string());
    accepted.cosigned.iter().filter_map(|cosigned| name(cosigned.witness)).collect()
}

/// The log that an origin ends in, whatever server it begins with.
pub(super) fn log_of(origin: &str) -> Option<LogId> {
    let (rest, last) = origin.rsplit_once('/')?;
    match LogId::parse(last) {
        Some(log) => Some(log),
        None => LogId::parse(&format!("{}/{last}", rest.rsplit_once('/')?.1)),
    }
}

fn refused(index: u64, fault: Fault) -> Error {
    fault.into_error(format_args!("the proof of event {index}"))
}
