//! The publisher: shows committed heads to the witnesses, and shows a head to everybody once the policy's quorum has
//! cosigned it. Who calls us: the sequencer leaves heads in the queue; a worker runs the loop. What must never happen: a
//! checkpoint shown that the quorum has not cosigned, a cosignature that was not verified, or the sequencer waiting for a
//! witness.
//!
//! Witnesses are not trusted: each can refuse, lie or be silent, and then counts as one that did not cosign. A witness that
//! says it saw a larger tree than ours may be right, and then our store was set back and new entries would fork the log. It
//! says so without a signature, so it is an alarm and no more than that while the others make the quorum. When they do not,
//! the log is held: nothing of it is published until they do, the witness says otherwise, or it is taken out of the policy.

mod ask;
mod port;
mod queue;
mod scan;

#[cfg(test)]
mod tests;

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::{self, BoxFuture, Either},
    stream::FuturesUnordered,
};
use tokio::time::{Instant, sleep_until, timeout_at};
use veilchain::{note::Note, policy::Policy};

pub use self::{
    ask::{COSIGNATURE_SKEW_MAX_S, WITNESS_TIMEOUT},
    port::{Cosigner, CosignerAnswer, CosignerError, PublishWatch},
    queue::HEADS_MAX,
};
use self::{
    ask::{Miss, Peer},
    queue::{Job, Next, Queue},
    scan::Scan,
};
use super::{
    heads::Heads,
    model::Trail,
    port::{LogStore, SignedHead},
};
use crate::{clock::Clock, store::StoreError};

/// Most heads that are shown to the witnesses at the same time.
const PURSUED_MAX: usize = 32;
/// How long witnesses beyond the quorum are waited for.
const EXTRA_WAIT: Duration = Duration::from_millis(100);

/// Why there is no publisher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublisherError {
    /// A cosigner's key is that of no witness of the policy, or of one that has a cosigner already.
    #[error("{vkey} is not the key of a witness of the policy, or it is there twice")]
    Cosigner {
        /// The key.
        vkey: String,
    },
    /// Even if every witness that can be asked cosigns, there is no quorum.
    #[error("the policy's quorum cannot be reached: too few of its witnesses have a URL")]
    Unreachable,
}

/// How a try to publish a head ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is published.
    Published {
        /// The log.
        log: Trail,
        /// Its size.
        size: u64,
        /// How many witnesses cosigned.
        cosigned: usize,
    },
    /// Too few witnesses cosigned; it is tried again.
    BelowQuorum {
        /// The log.
        log: Trail,
        /// Its size.
        size: u64,
        /// How many witnesses cosigned so far.
        cosigned: usize,
    },
    /// A witness saw a larger tree than the log has, and the others make no quorum: the log is held.
    Ahead {
        /// The log.
        log: Trail,
        /// Its size.
        ours: u64,
        /// The size that the witness saw.
        theirs: u64,
        /// The witness.
        witness: String,
    },
    /// The log has a newer head, which takes this one's place.
    Stale {
        /// The log.
        log: Trail,
    },
    /// Our own store failed; it is tried again.
    Failed {
        /// The log.
        log: Trail,
        /// Why.
        cause: StoreError,
    },
}

/// The publisher of all logs of a deployment.
pub struct Publisher {
    heads: Arc<Heads>,
    logs: Arc<dyn LogStore>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    peers: Vec<Peer>,
    watch: Arc<dyn PublishWatch>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: Queue,
    scan: Scan,
}

enum Done {
    Pursued(Job, Next, Outcome),
    Scanned(Result<scan::Page, StoreError>),
}

impl Publisher {
    /// A publisher of the heads that come through `heads`, for the policy's quorum, with a cosigner for each witness that
    /// can be asked. At its start it also looks for heads that were left unpublished.
    ///
    /// # Errors
    /// A cosigner that the policy does not know, and a quorum that these cosigners cannot make.
    pub fn new(
        heads: Arc<Heads>,
        logs: Arc<dyn LogStore>,
        clock: Arc<dyn Clock>,
        policy: Policy,
        cosigners: Vec<Arc<dyn Cosigner>>,
        watch: Arc<dyn PublishWatch>,
    ) -> Result<Self, PublisherError> {
        let mut peers: Vec<Peer> = Vec::new();
        let mut names = Vec::new();
        for cosigner in cosigners {
            let witness = policy.witnesses().iter().find(|witness| witness.key == *cosigner.key());
            let Some(witness) = witness.filter(|witness| !names.contains(&witness.name)) else {
                return Err(PublisherError::Cosigner { vkey: cosigner.key().encode() });
            };
            names.push(witness.name.clone());
            peers.push(Peer::new(witness.name.to_string(), cosigner));
        }
        let publisher = Self { heads, logs, clock, policy, peers, watch, state: Mutex::default() };
        let all: Vec<usize> = (0..publisher.peers.len()).collect();
        if publisher.is_quorum(all.iter().copied()) {
            Ok(publisher)
        } else {
            Err(PublisherError::Unreachable)
        }
    }

    /// Takes a head in; never waits. Of each log only the newest is kept. When there are too many logs, the log is found
    /// again by a look through all of them once there is room.
    pub fn offer(&self, head: SignedHead) {
        let mut state = self.lock();
        if !state.queue.offer(head, Instant::now()) {
            state.scan.again();
        }
    }

    /// Logs whose heads wait for the quorum.
    pub fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// Logs of which a witness saw more than we have and the others make no quorum. Any at all is an alarm.
    pub fn held(&self) -> Vec<Trail> {
        self.lock().queue.held()
    }

    /// Publishes for as long as it is polled. It may be dropped at any time: what was not published is found again at the
    /// next start.
    pub async fn run(&self) {
        let mut flying: FuturesUnordered<BoxFuture<'_, Done>> = FuturesUnordered::new();
        loop {
            let wake = self.launch(&mut flying);
            let done = async {
                match flying.next().await {
                    Some(done) => done,
                    None => future::pending().await,
                }
            };
            let timer = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    None => future::pending().await,
                }
            };
            let (heads, timer, done) = (pin!(self.heads.next()), pin!(timer), pin!(done));
            let scan = pin!(self.heads.scan_asked());
            match future::select(done, future::select(heads, future::select(scan, timer))).await {
                Either::Left((done, _)) => self.land(done),
                Either::Right((Either::Left((head, _)), _)) => self.offer(head),
                Either::Right((Either::Right((Either::Left(_), _)), _)) => self.lock().scan.again(),
                Either::Right((Either::Right((Either::Right(_), _)), _)) => {}
            }
        }
    }

    /// Starts what is due and has room; gives the time of what is due next.
    fn launch<'a>(&'a self, flying: &mut FuturesUnordered<BoxFuture<'a, Done>>) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        let mut wakes = Vec::new();
        let room = state.queue.room();
        if let Some(after) = state.scan.begin(now, room) {
            flying.push(async move { Done::Scanned(self.page(after).await) }.boxed());
        } else {
            wakes.extend(state.scan.next_due(room));
        }
        while flying.len() < PURSUED_MAX
            && let Some(job) = state.queue.take(now)
        {
            flying.push(self.pursue(job).boxed());
        }
        // A full house is woken by the first that ends.
        if flying.len() < PURSUED_MAX {
            wakes.extend(state.queue.next_due());
        }
        wakes.into_iter().min()
    }

    fn land(&self, done: Done) {
        let now = Instant::now();
        match done {
            Done::Pursued(job, next, outcome) => {
                self.watch.pursued(&outcome);
                self.lock().queue.give(job, next, now);
            }
            Done::Scanned(page) => {
                let mut state = self.lock();
                for head in state.scan.end(page, now) {
                    if !state.queue.offer(head, now) {
                        state.scan.again();
                    }
                }
            }
        }
    }

    /// One try: all witnesses that have not cosigned this head yet are asked in parallel.
    async fn pursue(&self, mut job: Job) -> Done {
        let outcome = self.publish(&mut job).await;
        let next = match &outcome {
            Outcome::Published { .. } => Next::Done,
            Outcome::BelowQuorum { .. } => Next::Retry,
            Outcome::Ahead { log, ours, theirs, witness } => {
                tracing::error!(
                    %log,
                    ours,
                    theirs,
                    witness,
                    "nothing of this log is published: a witness saw more of it than there is here, and the others \
                     make no quorum"
                );
                Next::Hold
            }
            Outcome::Stale { log } => match self.unshown(*log).await {
                Ok(Some(newest)) => {
                    self.offer(newest);
                    Next::Retry
                }
                Ok(None) => Next::Done,
                Err(_) => Next::Retry,
            },
            Outcome::Failed { log, cause } => {
                tracing::warn!(%log, error = %cause, "a checkpoint was not published: the store failed");
                Next::Retry
            }
        };
        Done::Pursued(job, next, outcome)
    }

    async fn publish(&self, job: &mut Job) -> Outcome {
        let (log, size) = (job.head.log, job.head.size);
        let mut note = match Note::parse(&job.head.checkpoint) {
            Ok(note) => note,
            Err(error) => return failed(log, error.to_string()),
        };
        let behind = match self.gather(job, note.text()).await {
            Ok(behind) => behind,
            Err(cause) => return Outcome::Failed { log, cause },
        };
        let cosigned = job.cosigned.len();
        if !self.is_quorum(job.cosigned.keys().copied()) {
            return behind.unwrap_or(Outcome::BelowQuorum { log, size, cosigned });
        }
        if matches!(behind, Some(Outcome::Stale { .. })) {
            match self.unshown(log).await {
                Ok(Some(newest)) => self.offer(newest),
                Ok(None) => {}
                Err(_) => self.lock().scan.again(),
            }
        }
        for signature in job.cosigned.values() {
            if let Err(error) = note.add(signature.clone()) {
                return failed(log, error.to_string());
            }
        }
        match self.logs.publish(log, size, Bytes::from(note.encode())).await {
            Ok(()) => Outcome::Published { log, size, cosigned },
            Err(cause) => Outcome::Failed { log, cause },
        }
    }

    /// Collects cosignatures into the job until every witness has answered or, the quorum being reached, a little longer.
    /// Gives what to make of witnesses that say they saw more, should there be no quorum without them: they may be wrong.
    async fn gather(&self, job: &mut Job, text: &str) -> Result<Option<Outcome>, StoreError> {
        let Job { head, cosigned } = job;
        let missing = (0..self.peers.len()).filter(|peer| !cosigned.contains_key(peer));
        let mut asked: FuturesUnordered<_> =
            missing.map(|at| self.ask(&self.peers[at], head, text).map(move |asked| (at, asked))).collect();
        let mut enough: Option<Instant> = None;
        let mut behind = None;
        loop {
            if enough.is_none() && self.is_quorum(cosigned.keys().copied()) {
                enough = Some(Instant::now() + EXTRA_WAIT);
            }
            let answered = match enough {
                Some(until) => timeout_at(until, asked.next()).await.unwrap_or(None),
                None => asked.next().await,
            };
            let Some((at, asked)) = answered else { return Ok(behind) };
            match asked {
                Ok(signature) => drop(cosigned.insert(at, signature)),
                Err(Miss::Witness(_)) => {}
                // Only the newest head can tell whether we have too little.
                Err(Miss::Ahead { .. }) if matches!(behind, Some(Outcome::Stale { .. })) => {}
                Err(Miss::Ahead { theirs }) => {
                    let witness = self.peers[at].name.clone();
                    behind = Some(Outcome::Ahead { log: head.log, ours: head.size, theirs, witness });
                }
                Err(Miss::Stale) => behind = Some(Outcome::Stale { log: head.log }),
                Err(Miss::Store(cause)) => return Err(cause),
            }
        }
    }

    fn is_quorum(&self, peers: impl Iterator<Item = usize>) -> bool {
        let keys: Vec<_> = peers.map(|at| self.peers[at].cosigner.key()).collect();
        let witnesses = self.policy.witnesses().iter().filter(|witness| keys.contains(&&witness.key));
        self.policy.quorum_of(&witnesses.map(|witness| witness.name.as_bytes()).collect::<Vec<_>>())
    }

    // Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(log: Trail, cause: String) -> Outcome {
    Outcome::Failed { log, cause: StoreError::Damaged { store: "log", cause } }
}
