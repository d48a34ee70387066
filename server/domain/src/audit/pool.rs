//! Who waits for which log. Requests come in from many tasks; the sequencer takes logs out, oldest first, with everybody
//! who waits for them. What must never happen: a waiter that nobody answers.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout_at},
};

use super::{model::Trail, reader::LOG};
use crate::store::StoreError;

/// Most callers that wait for logs at the same time.
pub const WAITERS_MAX: usize = 16_384;
/// Most logs that are queued without a waiter. Lines of further ones are found in the outbox.
pub const NOTED_MAX: usize = 16_384;
/// Longest time that a line without a waiter stays behind.
pub const READ_DELAY: Duration = Duration::from_millis(250);

/// Batches in a row that fail before no change is begun any more: what cannot be logged is not done. The lines that wait
/// are tried again meanwhile, and the first batch that goes well ends it.
pub const FAILED_ROUNDS_MAX: u32 = 3;

/// What a waiter is told.
pub(super) type Answer = Result<(), StoreError>;

/// A log that the sequencer takes, with its waiters.
pub(super) struct Taken {
    pub(super) trail: Trail,
    pub(super) waiters: Vec<oneshot::Sender<Answer>>,
}

impl Taken {
    /// Tells everybody. Whoever went away meanwhile is not told.
    pub(super) fn answer(self, answer: &Answer) {
        for waiter in self.waiters {
            let _ = waiter.send(answer.clone());
        }
    }
}

/// Whether the pool takes callers.
enum Gate {
    Open,
    /// The sequencer ends: who is in is served, nobody comes in.
    Draining,
    /// The sequencer is over.
    Closed(String),
}

struct Waiting {
    waiters: Vec<oneshot::Sender<Answer>>,
    /// When the log is due; the past once somebody waits.
    due: Instant,
}

struct State {
    trails: HashMap<Trail, Waiting>,
    /// Logs to take now, oldest first.
    due: VecDeque<Trail>,
    /// Logs to take later, in the order of their times. One that became due earlier is still here and is skipped.
    later: VecDeque<(Instant, Trail)>,
    waiters: usize,
    gate: Gate,
    /// Batches in a row that failed.
    failed_rounds: u32,
}

/// The logs that have something to do.
pub(super) struct Pool {
    state: Mutex<State>,
    changed: Notify,
}

impl Default for Pool {
    fn default() -> Self {
        let state = State {
            trails: HashMap::new(),
            due: VecDeque::new(),
            later: VecDeque::new(),
            waiters: 0,
            gate: Gate::Open,
            failed_rounds: 0,
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }
}

impl Pool {
    /// Joins those who wait for a log.
    pub(super) fn join(&self, trail: Trail) -> Result<oneshot::Receiver<Answer>, StoreError> {
        let mut state = self.lock();
        state.check_gate()?;
        if state.waiters >= WAITERS_MAX {
            return Err(unavailable("too many callers wait for it"));
        }
        let (sender, receiver) = oneshot::channel();
        state.waiters += 1;
        state.queue(Taken { trail, waiters: vec![sender] });
        drop(state);
        self.changed.notify_one();
        Ok(receiver)
    }

    /// Queues a log without a waiter, to be taken after [`READ_DELAY`] or with the next waiter.
    pub(super) fn note(&self, trail: Trail) {
        let mut state = self.lock();
        if state.check_gate().is_err() || state.later.len() >= NOTED_MAX {
            return;
        }
        let due = Instant::now() + READ_DELAY;
        if let Entry::Vacant(vacant) = state.trails.entry(trail) {
            vacant.insert(Waiting { waiters: Vec::new(), due });
            state.later.push_back((due, trail));
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Queues logs without waiters, to be taken now. Gives `false` when there are too many.
    pub(super) fn queue(&self, trails: &[Trail]) -> bool {
        let mut state = self.lock();
        if state.trails.len() >= NOTED_MAX + WAITERS_MAX {
            return false;
        }
        for trail in trails {
            state.queue(Taken { trail: *trail, waiters: Vec::new() });
        }
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Returns when there is a log to take.
    pub(super) async fn ready(&self) {
        loop {
            let changed = self.changed.notified();
            let next = self.lock().next();
            match next {
                Some(due) if due <= Instant::now() => return,
                Some(due) => drop(timeout_at(due, changed).await),
                None => changed.await,
            }
        }
    }

    /// Takes at most `limit` logs, those that wait longest first.
    pub(super) fn take(&self, limit: usize) -> Vec<Taken> {
        let mut state = self.lock();
        state.ripen(Instant::now());
        let mut taken = Vec::new();
        while taken.len() < limit
            && let Some(trail) = state.due.pop_front()
        {
            let waiting = state.trails.remove(&trail);
            let waiters = waiting.map(|waiting| waiting.waiters).unwrap_or_default();
            state.waiters -= waiters.len();
            taken.push(Taken { trail, waiters });
        }
        taken
    }

    /// Puts a log back that needs another turn; its waiters are not counted as new ones.
    pub(super) fn put_back(&self, taken: Taken) {
        let mut state = self.lock();
        if let Err(error) = state.check_closed() {
            drop(state);
            return taken.answer(&Err(error));
        }
        state.waiters += taken.waiters.len();
        state.queue(taken);
        drop(state);
        self.changed.notify_one();
    }

    /// From now on nobody is let in; who waits is still served.
    pub(super) fn drain(&self) {
        let mut state = self.lock();
        if matches!(state.gate, Gate::Open) {
            state.gate = Gate::Draining;
        }
        // Nothing is put off any more.
        let now = Instant::now();
        let later = std::mem::take(&mut state.later);
        for (due, trail) in later {
            let state = &mut *state;
            if let Some(waiting) = state.trails.get_mut(&trail).filter(|waiting| waiting.due == due) {
                // Or whoever queues the log next takes it for one that is still put off, and it is taken twice.
                waiting.due = waiting.due.min(now);
                state.due.push_back(trail);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The sequencer is over: tells everybody who waits, and everybody who comes.
    pub(super) fn close(&self, cause: String) {
        let mut state = self.lock();
        if !matches!(state.gate, Gate::Closed(_)) {
            state.gate = Gate::Closed(cause.clone());
        }
        let trails = std::mem::take(&mut state.trails);
        state.due.clear();
        state.later.clear();
        state.waiters = 0;
        drop(state);
        let answer = Err(unavailable(cause));
        for (trail, waiting) in trails {
            Taken { trail, waiters: waiting.waiters }.answer(&answer);
        }
    }

    /// Whether a change may be begun: the sequencer takes callers, and its batches go well.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let state = self.lock();
        state.check_gate()?;
        if state.failed_rounds >= FAILED_ROUNDS_MAX {
            return Err(unavailable(format!("its last {} batches failed", state.failed_rounds)));
        }
        Ok(())
    }

    /// A batch went well, or did not.
    pub(super) fn note_round(&self, went_well: bool) {
        let mut state = self.lock();
        state.failed_rounds = if went_well { 0 } else { state.failed_rounds.saturating_add(1) };
    }

    /// Whether nobody waits and nothing is queued.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().trails.is_empty()
    }

    // The state is whole between two statements that can panic: none of them can.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check_gate(&self) -> Result<(), StoreError> {
        match &self.gate {
            Gate::Open => Ok(()),
            Gate::Draining => Err(unavailable("it is shutting down")),
            Gate::Closed(cause) => Err(unavailable(cause.as_str())),
        }
    }

    fn check_closed(&self) -> Result<(), StoreError> {
        match &self.gate {
            Gate::Closed(cause) => Err(unavailable(cause.as_str())),
            _ => Ok(()),
        }
    }

    /// Makes a log due now and adds its waiters.
    fn queue(&mut self, taken: Taken) {
        let now = Instant::now();
        match self.trails.entry(taken.trail) {
            Entry::Occupied(mut occupied) => {
                let waiting = occupied.get_mut();
                waiting.waiters.extend(taken.waiters);
                if waiting.due > now {
                    waiting.due = now;
                    self.due.push_back(taken.trail);
                }
            }
            Entry::Vacant(vacant) => {
                vacant.insert(Waiting { waiters: taken.waiters, due: now });
                self.due.push_back(taken.trail);
            }
        }
    }

    /// Moves what was put off until now to what is due.
    fn ripen(&mut self, now: Instant) {
        while let Some((due, trail)) = self.later.front().copied().filter(|(due, _)| *due <= now) {
            self.later.pop_front();
            // Another time means that somebody waited for it meanwhile: then it is due already, or was taken.
            if self.trails.get(&trail).is_some_and(|waiting| waiting.due == due) {
                self.due.push_back(trail);
            }
        }
    }

    /// When the next log is due.
    fn next(&mut self) -> Option<Instant> {
        let now = Instant::now();
        self.ripen(now);
        if self.due.is_empty() { self.later.front().map(|(due, _)| *due) } else { Some(now) }
    }
}

pub(super) fn unavailable(cause: impl Into<String>) -> StoreError {
    StoreError::Unavailable { store: LOG, cause: cause.into() }
}
