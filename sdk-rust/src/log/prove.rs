//! One proof: the entry is a leaf of the log, and the log continues the one seen before. Heads move under the store's
//! lock and along proofs only. Calls run side by side: when another one has moved the head meanwhile, the proof in hand
//! says nothing about the newest head, and the server is asked again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use veilchain::checkpoint::Checkpoint;
use veilchain::entry::Entry;
use veilchain::hash::{Hash, leaf_hash};
use veilchain::head::{Head, HeadError};
use veilchain::proof::verify_inclusion;
use veilcloud_proto::audit::v1 as pb;

use super::pins::HeadPin;
use super::{Fault, LogId, Trust, decode_entry};
use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};

/// How often a server is asked again because the head moved meanwhile. Within a process one call at a time asks again and
/// no other moves the head, so only other processes can be in the way.
pub(crate) const ASKS_MAX: u32 = 8;
/// How often a read waits for a checkpoint that covers its version.
pub(crate) const BEHIND_WAITS_MAX: u32 = 5;
/// How long it waits each time.
pub(crate) const BEHIND_WAIT: Duration = Duration::from_millis(300);
/// Most hashes of a path.
const PATH_LEN_MAX: usize = 63;

/// What was known of a log when the server was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) log: LogId,
    pub(crate) trust: Trust,
    pub(crate) head: Head,
}

/// A leaf that is proved to be in a tree that the log's key and its witnesses signed. Whether that tree continues the
/// one seen before shows when the head is moved.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) index: u64,
    pub(crate) entry: Entry,
    pub(crate) entry_bytes: Vec<u8>,
    pub(crate) path: Vec<Hash>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: Vec<u8>,
    consistency: Vec<Hash>,
    has_new_key: bool,
}

impl Leaf {
    /// The head of the log that it was proved under.
    pub(crate) fn head(&self) -> Head {
        Head { size: self.checkpoint.size, root: self.checkpoint.root }
    }
}

/// The directory is being followed to a new key: the proofs that this takes do not begin it again.
struct Following<'a>(&'a AtomicBool);

impl<'a> Following<'a> {
    /// None while it is under way.
    fn begin(is_following: &'a AtomicBool) -> Option<Self> {
        (!is_following.swap(true, Ordering::Relaxed)).then_some(Self(is_following))
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// How an attempt to move a head ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The head is the one of the proof, or was it already.
    Pinned,
    /// Another call moved it meanwhile: ask again.
    Again,
}

impl Asked {
    /// Checks the parts of a proof that need no state: form, signature, quorum, inclusion, and whose log it is.
    pub(crate) fn open(&self, proof: pb::LogProof) -> Result<Leaf, Fault> {
        let entry = decode_entry(self.log, &proof.entry)?;
        let (path, consistency) = (hashes(&proof.inclusion)?, hashes(&proof.consistency)?);
        let opened = self.trust.open(self.log, &proof.checkpoint)?;
        let checkpoint = opened.accepted.checkpoint;
        let leaf = leaf_hash(&proof.entry);
        verify_inclusion(proof.index, checkpoint.size, &leaf, &path, &checkpoint.root)
            .map_err(Fault::invalid)?;
        Ok(Leaf {
            index: proof.index,
            entry,
            entry_bytes: proof.entry,
            path,
            checkpoint,
            note: proof.checkpoint,
            consistency,
            has_new_key: opened.has_new_key,
        })
    }
}

fn hashes(parts: &[impl AsRef<[u8]>]) -> Result<Vec<Hash>, Fault> {
    if parts.len() > PATH_LEN_MAX {
        return Err(Fault::invalid("too many hashes"));
    }
    let hash = |part: &_| {
        let part: &[u8] = AsRef::<[u8]>::as_ref(part);
        part.try_into().map_err(|_| Fault::invalid("a hash is not 32 bytes long"))
    };
    parts.iter().map(hash).collect()
}

/// How the head behaves to what is shown, as a fault.
pub(crate) fn head_fault(e: HeadError) -> Fault {
    let reason = match e {
        HeadError::RolledBack { .. } => IntegrityReason::LogRolledBack,
        _ => IntegrityReason::LogForked,
    };
    Fault::new(reason, e)
}

impl Client {
    /// What is known of a log: to be read right before the server is asked.
    pub(crate) async fn ask(&self, log: LogId) -> Result<Asked> {
        let pins = self.pins().await?;
        let head = pins.logs.head(log);
        let trust = match pins.logs.trust {
            Some(trust) => trust,
            None => self.trust().await?,
        };
        Ok(Asked { log, trust, head })
    }

    /// Moves the head to that of a leaf's checkpoint. Waits for a call that is asking again, so that it is not disturbed.
    pub(crate) async fn settle(&self, asked: &Asked, leaf: &Leaf) -> Result<Settled> {
        let settled = {
            let _one = self.inner().advancing.lock().await;
            self.settle_locked(asked, leaf).await?
        };
        // The logs are getting a new key: learn it from the directory while the old one still vouches for it. Whatever
        // comes of it, this leaf is proved already; and a line of junk, or a failure, does not use up the next try.
        if leaf.has_new_key
            && let Some(_following) = Following::begin(&self.inner().is_following)
            && let Err(e) = Box::pin(self.directory().follow()).await
        {
            tracing::warn!(error = %e, "the directory could not be followed to the new key of the logs");
        }
        Ok(settled)
    }

    /// The same for the call that holds the lock.
    pub(crate) async fn settle_locked(&self, asked: &Asked, leaf: &Leaf) -> Result<Settled> {
        self.move_head(asked, &leaf.checkpoint, &leaf.note, &leaf.consistency).await
    }

    /// Moves a head along a consistency proof from the head that was known when the server was asked.
    pub(crate) async fn move_head(
        &self,
        asked: &Asked,
        to: &Checkpoint,
        note: &[u8],
        consistency: &[Hash],
    ) -> Result<Settled> {
        let subject = format!("the log {}", to.origin);
        let head = asked.head.advance(to, consistency).map_err(|e| head_fault(e).into_error(&subject))?;
        let (log, before) = (asked.log, asked.head);
        let note = String::from_utf8_lossy(note).into_owned();
        self.change_pins_with(move |pins| {
            let now = pins.logs.head(log);
            if now == head {
                return Ok((false, Settled::Pinned));
            }
            if now == before {
                pins.logs.move_head(log, HeadPin { head, note });
                return Ok((true, Settled::Pinned));
            }
            if now.size == head.size {
                let cause = format!("two roots of {} entries", head.size);
                return Err(Fault::new(IntegrityReason::LogForked, cause).into_error(subject));
            }
            Ok((false, Settled::Again))
        })
        .await
    }
}

/// The error of a server that never shows a proof that fits.
pub(crate) fn never_settled(log: LogId) -> Error {
    Fault::invalid("no proof leads from the newest head that was seen")
        .into_error(format_args!("the log {log}"))
}
