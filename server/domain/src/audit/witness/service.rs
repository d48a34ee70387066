//! Judging and cosigning: read the record, judge, cosign, store if the record still is the one judged by, and only then
//! answer.

use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use veilchain::{
    checkpoint::Checkpoint,
    key::VerifierKey,
    note::{Note, NoteSignature},
    witness::{self, AddCheckpoint, Refusal, WitnessError},
};

use super::{
    key::WitnessKey,
    known::KnownLogs,
    port::{OriginHash, Seen, WitnessStore},
};
use crate::{clock::Clock, store::StoreError};

pub use veilchain::witness::SIZE_CONTENT_TYPE;

/// Longest request body, in bytes: room for 63 hashes and the signatures of 16 keys of any kind in use.
pub const BODY_LEN_MAX: usize = 128 * 1024;
/// Most times that a record may change under one request before it gives up.
const RACES_MAX: usize = 8;

/// Why a checkpoint was not cosigned.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessRefusal {
    /// The protocol's own refusals.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The body is longer than [`BODY_LEN_MAX`].
    #[error("body of {len} bytes is above the limit of {BODY_LEN_MAX}")]
    TooLong {
        /// Its length, in bytes.
        len: usize,
    },
    /// The clock says a time before one that this log was cosigned at.
    #[error("clock is {behind_s} s behind what was cosigned last")]
    ClockBehind {
        /// By how much, in seconds.
        behind_s: u64,
    },
    /// The record cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WitnessRefusal {
    /// The HTTP status: of c2sp.org/tlog-witness where it has one.
    pub fn status(&self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.status(),
            Self::TooLong { .. } => 413,
            Self::ClockBehind { .. } | Self::Store(_) => 503,
        }
    }

    /// Size of the record, when the refusal is that the request began at another.
    pub fn conflict(&self) -> Option<u64> {
        match self {
            Self::Refused(Refusal::Conflict { size }) => Some(*size),
            _ => None,
        }
    }
}

impl From<WitnessError> for WitnessRefusal {
    fn from(error: WitnessError) -> Self {
        Self::Refused(Refusal::Malformed(error))
    }
}

/// The witness.
pub struct Witness {
    key: WitnessKey,
    logs: KnownLogs,
    store: Arc<dyn WitnessStore>,
    clock: Arc<dyn Clock>,
}

impl Witness {
    /// A witness for these logs.
    pub fn new(
        key: WitnessKey,
        logs: KnownLogs,
        store: Arc<dyn WitnessStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { key, logs, store, clock }
    }

    /// The key that its cosignatures verify under.
    pub fn verifier(&self) -> &VerifierKey {
        self.key.0.verifier()
    }

    /// Judges the body of an `add-checkpoint` request; gives the body of the answer 200: signature lines, each with its
    /// newline. The checkpoint is the record, durably, before this returns.
    ///
    /// # Errors
    /// The refusal with its status; of two requests at once from the same size, one meets the other's record and is
    /// refused as a conflict.
    pub async fn add_checkpoint(&self, body: &[u8]) -> Result<String, WitnessRefusal> {
        if body.len() > BODY_LEN_MAX {
            return Err(WitnessRefusal::TooLong { len: body.len() });
        }
        let request = AddCheckpoint::parse(body)?;
        let note = Note::parse(&request.checkpoint).map_err(WitnessError::from)?;
        let origin = Checkpoint::parse(note.text()).map_err(WitnessError::from)?.origin;
        let keys = self.logs.keys(&origin);
        if keys.is_empty() {
            return Err(Refusal::UnknownOrigin.into());
        }
        // Anybody can send a note; only the log itself may have the record read. All keys have the log's name.
        note.verify(&keys).map_err(|_| Refusal::Untrusted)?;
        let log = OriginHash::of(&origin);
        for _ in 0..RACES_MAX {
            let seen = self.store.latest(log).await?;
            let from = seen.as_ref().map(|seen| (seen.size, seen.root));
            let judged = request.judge(from, &keys);
            if judged == Err(Refusal::Inconsistent) && request.old_size > 0 {
                self.note_evidence(&note, from);
            }
            let checkpoint = judged?;
            let (signature, time_s) = self.cosign(&note, seen.map_or(0, |seen| seen.cosigned_at_s))?;
            let to = Seen {
                size: checkpoint.size,
                root: checkpoint.root,
                note: kept(&note, &keys, signature.clone())?,
                cosigned_at_s: time_s,
            };
            // A lost race is judged again: the other's record makes it a conflict, as the specification wants.
            if self.store.advance(log, from, to).await? {
                return Ok(witness::encode_cosignatures(&[signature]));
            }
        }
        let cause = "the record changed again and again under one request".to_owned();
        Err(StoreError::Unavailable { store: "witness", cause }.into())
    }

    /// The newest checkpoint cosigned for a log, by the lower-case hex of its origin's SHA-256: the note with the log's
    /// signatures and ours. `None` for anything else.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn checkpoint(&self, origin_hash: &str) -> Result<Option<Bytes>, StoreError> {
        let hash = HEXLOWER.decode(origin_hash.as_bytes()).ok().and_then(|hash| hash.try_into().ok());
        let Some(hash) = hash else { return Ok(None) };
        Ok(self.store.latest(OriginHash(hash)).await?.map(|seen| seen.note))
    }

    /// A cosignature of now, never of a time before `last_s`: it says that nothing larger was seen until then.
    fn cosign(&self, note: &Note, last_s: u64) -> Result<(NoteSignature, u64), WitnessRefusal> {
        let now_s = self.clock.now_ms() / 1000;
        let behind = WitnessRefusal::ClockBehind { behind_s: last_s.saturating_sub(now_s) };
        if now_s < last_s {
            return Err(behind);
        }
        // The key is of the right type, so only a time of zero can be wrong.
        let signature = self.key.0.cosign(note.text(), now_s).map_err(|_| behind)?;
        Ok((signature, now_s))
    }

    /// A signed checkpoint of the recorded size with another root proves that the log shows two trees. A proof that does
    /// not hold proves nothing: anybody can send one.
    fn note_evidence(&self, note: &Note, known: Option<(u64, veilchain::hash::Hash)>) {
        let Ok(shown) = Checkpoint::parse(note.text()) else { return };
        if known.is_some_and(|(size, root)| size == shown.size && root != shown.root) {
            tracing::warn!(
                origin = shown.origin,
                size = shown.size,
                "a log signed two trees of one size: keep the record, tell the log's operator"
            );
        }
    }
}

/// What is kept and shown: the checkpoint with the signatures that were verified, and our own. Others are left out, so
/// that nobody can have us serve their bytes.
fn kept(note: &Note, keys: &[VerifierKey], ours: NoteSignature) -> Result<Bytes, WitnessRefusal> {
    let mut kept = Note::new(note.text()).map_err(WitnessError::from)?;
    let by_log = note.signatures().iter().filter(|signature| keys.iter().any(|key| key.signed(signature)));
    for signature in by_log.cloned().chain([ours]) {
        kept.add(signature).map_err(WitnessError::from)?;
    }
    Ok(Bytes::from(kept.encode()))
}
