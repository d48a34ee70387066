//! One witness is asked about one head: with the proof from what it saw last, once more when it saw something else, and
//! its answer is verified here. What a witness says is believed only as far as its signature holds.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::time::timeout;
use veilchain::{
    hash::Hash,
    note::NoteSignature,
    proof::Plan,
    tile::Tile,
    witness::{AddCheckpoint, parse_cosignatures},
};

use super::{
    Publisher,
    port::{Cosigner, CosignerAnswer, CosignerError},
};
use crate::{
    audit::{
        model::Trail,
        port::{LogStore, SignedHead},
    },
    store::StoreError,
};

/// Longest wait for one answer of a witness.
pub const WITNESS_TIMEOUT: Duration = Duration::from_secs(1);
/// Most requests to one witness for one head: the second begins at the size that the first one learned.
const ASKS_MAX: usize = 2;
/// Furthest that the time of a cosignature may be from ours, in seconds.
pub const COSIGNATURE_SKEW_MAX_S: u64 = 300;
/// Most logs whose size at a witness is remembered; then all are forgotten, which costs a request for each.
const SIZES_MAX: usize = 65_536;

/// A witness, and what we remember of it.
pub(super) struct Peer {
    /// Its name in the policy.
    pub name: String,
    /// The way to it.
    pub cosigner: std::sync::Arc<dyn Cosigner>,
    /// Size of the latest checkpoint that it cosigned for each log, as far as we know.
    sizes: Mutex<HashMap<Trail, u64>>,
    /// Logs of which it said that it saw more than there is, since it last cosigned them.
    alarmed: Mutex<HashSet<Trail>>,
    /// It failed the last time.
    down: AtomicBool,
}

/// Why a witness did not cosign.
#[derive(Debug)]
pub(super) enum Miss {
    /// It, or the network, failed; the reason's name.
    Witness(&'static str),
    /// It saw a larger tree than this log ever had.
    Ahead { theirs: u64 },
    /// It saw a newer head than the one it was asked about.
    Stale,
    /// Our own store failed.
    Store(StoreError),
}

impl Miss {
    fn name(&self) -> &'static str {
        match self {
            Self::Witness(name) => name,
            Self::Ahead { .. } => "ahead",
            Self::Stale => "stale",
            Self::Store(_) => "store",
        }
    }
}

impl Peer {
    pub fn new(name: String, cosigner: std::sync::Arc<dyn Cosigner>) -> Self {
        Self {
            name,
            cosigner,
            sizes: Mutex::default(),
            alarmed: Mutex::default(),
            down: AtomicBool::new(false),
        }
    }

    fn sizes(&self) -> MutexGuard<'_, HashMap<Trail, u64>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size(&self, log: Trail) -> u64 {
        self.sizes().get(&log).copied().unwrap_or(0)
    }

    fn remember(&self, log: Trail, size: u64) {
        let mut sizes = self.sizes();
        if sizes.len() >= SIZES_MAX && !sizes.contains_key(&log) {
            sizes.clear();
        }
        sizes.insert(log, size);
    }

    /// The alarm: one line for each log until the witness cosigns it again, however often it says so.
    fn alarm(&self, head: &SignedHead, theirs: Option<u64>) {
        let mut alarmed = self.alarmed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(theirs) = theirs else {
            alarmed.remove(&head.log);
            return;
        };
        if alarmed.len() >= SIZES_MAX {
            alarmed.clear();
        }
        if alarmed.insert(head.log) {
            tracing::error!(
                log = %head.log,
                ours = head.size,
                theirs,
                witness = self.name,
                "a witness saw more of this log than there is here: the store was set back, or the witness is wrong"
            );
        }
    }

    /// One line when it begins to fail and one when it is back; what happens between is in the metrics.
    fn turned(&self, failure: Option<&'static str>) {
        let down = failure.is_some();
        if self.down.swap(down, Ordering::Relaxed) == down {
            return;
        }
        match failure {
            Some(why) => tracing::warn!(witness = self.name, why, "a witness does not cosign"),
            None => tracing::info!(witness = self.name, "a witness cosigns again"),
        }
    }
}

impl Publisher {
    /// Has a witness cosign a head whose note text is `text`.
    pub(super) async fn ask(
        &self,
        peer: &Peer,
        head: &SignedHead,
        text: &str,
    ) -> Result<NoteSignature, Miss> {
        let asked = self.ask_twice(peer, head, text).await;
        let answer = asked.as_ref().map_or_else(Miss::name, |_| "cosigned");
        self.watch.answered(&peer.name, answer);
        tracing::debug!(witness = peer.name, log = %head.log, size = head.size, answer, "a witness was asked");
        match &asked {
            Ok(_) => {
                peer.turned(None);
                peer.alarm(head, None);
            }
            Err(Miss::Ahead { theirs }) => peer.alarm(head, Some(*theirs)),
            Err(Miss::Witness(why)) => peer.turned(Some(why)),
            Err(_) => {}
        }
        asked
    }

    async fn ask_twice(&self, peer: &Peer, head: &SignedHead, text: &str) -> Result<NoteSignature, Miss> {
        // What it saw may be newer than this head; then it says so.
        let mut old_size = Some(peer.size(head.log)).filter(|size| *size <= head.size).unwrap_or(0);
        for _ in 0..ASKS_MAX {
            let path = consistency(&*self.logs, head.log, old_size, head.size).await.map_err(Miss::Store)?;
            let request = AddCheckpoint { old_size, path, checkpoint: head.checkpoint.to_vec() };
            let asked = peer.cosigner.add_checkpoint(Bytes::from(request.encode()));
            let answer = timeout(WITNESS_TIMEOUT, asked).await.unwrap_or(Err(CosignerError::Timeout));
            match answer.map_err(|error| self.failed(peer, &error))? {
                CosignerAnswer::Cosigned(lines) => {
                    let signature = self.verified(peer, text, &lines)?;
                    peer.remember(head.log, head.size);
                    return Ok(signature);
                }
                CosignerAnswer::Conflict { size } if size > head.size => {
                    return Err(self.larger(head.log, size).await);
                }
                // It refused the very size that it asks for.
                CosignerAnswer::Conflict { size } if size == old_size => break,
                CosignerAnswer::Conflict { size } => {
                    peer.remember(head.log, size);
                    old_size = size;
                }
                CosignerAnswer::Refused { status: 422 } => {
                    tracing::warn!(
                        witness = peer.name,
                        log = %head.log,
                        size = head.size,
                        old_size,
                        "a witness holds another tree of this log: compare its checkpoint with ours"
                    );
                    return Err(Miss::Witness("inconsistent"));
                }
                CosignerAnswer::Refused { .. } => return Err(Miss::Witness("refused")),
            }
        }
        Err(Miss::Witness("conflict"))
    }

    fn failed(&self, peer: &Peer, error: &CosignerError) -> Miss {
        tracing::debug!(witness = peer.name, error = %error, "a witness gave no answer");
        Miss::Witness(match error {
            CosignerError::Timeout => "timeout",
            CosignerError::Unreachable { .. } => "unreachable",
            CosignerError::Garbage { .. } => "garbage",
        })
    }

    /// The witness's own cosignature among the lines, if it holds and is of now. Lines of other keys are ignored.
    fn verified(&self, peer: &Peer, text: &str, lines: &[u8]) -> Result<NoteSignature, Miss> {
        let signatures = parse_cosignatures(lines).map_err(|_| Miss::Witness("garbage"))?;
        let key = peer.cosigner.key();
        let mut why = "wrong_key";
        for signature in signatures.into_iter().filter(|signature| key.signed(signature)) {
            let Ok(Some(time_s)) = key.verify(text, &signature.signature) else { continue };
            if time_s.abs_diff(self.clock.now_ms() / 1000) <= COSIGNATURE_SKEW_MAX_S {
                return Ok(signature);
            }
            why = "wrong_time";
        }
        Err(Miss::Witness(why))
    }

    /// A witness names a larger size than that of the head: either we are late with it, or we lost a part of the log.
    async fn larger(&self, log: Trail, theirs: u64) -> Miss {
        match self.logs.state(log).await {
            Ok(state) if state.as_ref().is_some_and(|state| state.size >= theirs) => Miss::Stale,
            Ok(_) => Miss::Ahead { theirs },
            Err(error) => Miss::Store(error),
        }
    }
}

/// The consistency proof between two sizes of a log, from its tiles.
pub(super) async fn consistency(
    logs: &dyn LogStore,
    log: Trail,
    old_size: u64,
    new_size: u64,
) -> Result<Vec<Hash>, StoreError> {
    let damaged = |cause: String| StoreError::Damaged { store: "log", cause };
    let plan = Plan::consistency(old_size, new_size).map_err(|error| damaged(error.to_string()))?;
    let mut tiles: HashMap<Tile, Vec<Hash>> = HashMap::new();
    for tile in plan.tiles() {
        tiles.insert(tile, logs.hashes(log, tile.level, tile.start(), tile.width).await?);
    }
    plan.build(|tile| tiles.get(&tile).map(Vec::as_slice)).map_err(|error| damaged(error.to_string()))
}
