//! The one writer. Every change is a job in a bounded queue; the writer's thread takes all jobs that wait, runs each
//! inside a savepoint of one transaction, commits once, and then answers. So sixteen callers share one fsync, and a job
//! that fails undoes only itself. Jobs run in the order in which they were queued, and a job's failure is told before the
//! next one runs. What must never happen: `run` answering before its commit is on the disk, or a cache that says
//! something else than the disk after the answer.

use std::{
    cell::{Cell, RefCell},
    fs::File,
    sync::Arc,
    thread,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use veilcloud_domain::{
    audit::model::{Line, Trail},
    store::StoreError,
};

use super::fault::{Fault, Outcome, STORE, is_io_failure, store_error};
use crate::outbox::{self, Outgoing};

/// Most jobs that wait for the writer; further callers wait for a place.
pub(crate) const QUEUE_MAX: usize = 1024;
/// Most jobs in one transaction.
pub(crate) const BATCH_MAX: usize = 256;

type Effect = Box<dyn FnOnce() + Send>;

/// A job: first run, then told whether its change is on the disk. Dropped untold when the writer has stopped.
pub(crate) trait Change: Send {
    /// Makes the change in the open transaction.
    fn run(&mut self, tx: &Tx<'_>) -> Outcome<()>;
    /// Answers the caller.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Packed<T, F, D> {
    change: Option<F>,
    value: Option<T>,
    done: D,
}

impl<T, F, D> Change for Packed<T, F, D>
where
    T: Send,
    F: FnOnce(&Tx<'_>) -> Outcome<T> + Send,
    D: FnOnce(Result<T, StoreError>) + Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> Outcome<()> {
        if let Some(change) = self.change.take() {
            self.value = Some(change(tx)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Packed { value, done, .. } = *self;
        done(committed.and_then(|()| value.ok_or_else(gone)));
    }
}

enum Job {
    Change(Box<dyn Change>),
    /// Checkpoint the log and leave.
    Close(oneshot::Sender<()>),
}

/// What a job sees: the open transaction.
pub(crate) struct Tx<'a> {
    /// The connection; its transaction is open.
    pub conn: &'a Connection,
    /// The outbox: its key, and what of it is in memory.
    pub outgoing: &'a Arc<Outgoing>,
    effects: RefCell<Vec<Effect>>,
    empties_log: Cell<bool>,
}

impl Tx<'_> {
    /// Has the write-ahead log emptied after the commit and before the answer, so that what this job overwrote is in no file
    /// any more. While a read of before goes on, that waits for the end of the read, at most five seconds; after them it
    /// is tried again with each batch.
    pub fn empty_log(&self) {
        self.empties_log.set(true);
    }

    /// Adds an audit line at the end of its trail, in this transaction; gives its index, which becomes its leaf.
    pub fn log(&self, line: &Line) -> Outcome<u64> {
        let index = outbox::append(self.conn, &self.outgoing.key, line)?;
        self.remember(line.trail, index, vec![line.clone()]);
        Ok(index)
    }

    /// Keeps lines that this transaction adds in memory too, once they are committed.
    pub fn remember(&self, trail: Trail, first: u64, lines: Vec<Line>) {
        let outgoing = self.outgoing.clone();
        self.after(move || outgoing.recent.add(trail, first, lines));
    }

    /// Removes the lines that the log has now.
    pub fn taken(&self, trail: Trail, size: u64) -> Outcome<()> {
        outbox::taken(self.conn, trail, size)?;
        let outgoing = self.outgoing.clone();
        self.after(move || outgoing.recent.taken(trail, size));
        Ok(())
    }

    /// Takes back what this job did so far.
    pub fn start_over(&self) -> Outcome<()> {
        self.undo_after(0);
        self.conn.prepare_cached("ROLLBACK TO job")?.execute([])?;
        Ok(())
    }

    /// How many effects wait, for [`Tx::undo_after`].
    pub fn effects(&self) -> usize {
        self.effects.borrow().len()
    }

    /// Drops the effects that were added since there were `count`: what they follow from was rolled back.
    pub fn undo_after(&self, count: usize) {
        self.effects.borrow_mut().truncate(count);
    }

    /// Adds audit lines, each at the end of its trail; gives the index of the last one in the directory.
    pub fn log_all(&self, lines: &[Line]) -> Outcome<Option<u64>> {
        let mut in_directory = None;
        for line in lines {
            let index = self.log(line)?;
            if line.trail == Trail::Directory {
                in_directory = Some(index);
            }
        }
        Ok(in_directory)
    }

    /// Has `effect` run after the commit and before the answer. Dropped when the job or the commit fails.
    pub fn after(&self, effect: impl FnOnce() + Send + 'static) {
        self.effects.borrow_mut().push(Box::new(effect));
    }
}

/// A place in the writer's queue.
pub(crate) struct Place<'a>(mpsc::Permit<'a, Job>);

impl Place<'_> {
    /// Queues a job.
    pub fn send(self, change: Box<dyn Change>) {
        self.0.send(Job::Change(change));
    }
}

/// Sends jobs to the writer.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the writer's thread on its connection. It ends after [`Writer::close`], or when every `Writer` is dropped,
    /// and holds the folder's `lock` until then.
    pub fn start(conn: Connection, outgoing: Arc<Outgoing>, lock: Arc<File>) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        thread::Builder::new().name("veilcloud-writer".to_owned()).spawn(move || {
            work(conn, &outgoing, queue);
            drop(lock);
        })?;
        Ok(Self { jobs })
    }

    /// Runs a change; when this returns `Ok`, it is durable and visible.
    pub async fn run<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Outcome<T> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        self.jobs.send(pack(change, move |outcome| drop(tell.send(outcome)))).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }

    /// Queues a change without waiting for its commit. `done` runs after the commit, or with the failure.
    pub async fn cast<F>(
        &self,
        change: F,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), StoreError>
    where
        F: FnOnce(&Tx<'_>) -> Outcome<()> + Send + 'static,
    {
        self.jobs.send(pack(change, done)).await.map_err(|_| gone())
    }

    /// Waits for a place in the queue. Who holds one queues a job without waiting.
    pub async fn place(&self) -> Result<Place<'_>, StoreError> {
        self.jobs.reserve().await.map(Place).map_err(|_| gone())
    }

    /// Commits all that waits, checkpoints the log, and ends the thread. Later jobs are refused.
    pub async fn close(&self) {
        let (tell, told) = oneshot::channel();
        if self.jobs.send(Job::Close(tell)).await.is_ok() {
            // An error means that the thread is gone already.
            let _ = told.await;
        }
    }

    /// True while the writer takes jobs.
    pub fn is_running(&self) -> bool {
        !self.jobs.is_closed()
    }
}

pub(crate) fn gone() -> StoreError {
    StoreError::Unavailable { store: STORE, cause: "the writer has stopped".to_owned() }
}

fn pack<T, F>(change: F, done: impl FnOnce(Result<T, StoreError>) + Send + 'static) -> Job
where
    T: Send + 'static,
    F: FnOnce(&Tx<'_>) -> Outcome<T> + Send + 'static,
{
    Job::Change(Box::new(Packed { change: Some(change), value: None, done }))
}

fn work(conn: Connection, outgoing: &Arc<Outgoing>, mut queue: mpsc::Receiver<Job>) {
    let owes_empty = Cell::new(false);
    while let Some(first) = queue.blocking_recv() {
        let mut batch = Vec::new();
        let mut closing = None;
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Change(run) => batch.push(run),
                Job::Close(tell) => closing = Some(tell),
            }
            let room = closing.is_none() && batch.len() < BATCH_MAX;
            next = if room { queue.try_recv().ok() } else { None };
        }
        let sound = commit_all(&conn, outgoing, &owes_empty, batch);
        if let Some(tell) = closing {
            queue.close();
            checkpoint(&conn);
            drop(conn);
            // Nobody may be waiting any more.
            let _ = tell.send(());
            return;
        }
        if !sound {
            // After a failed fsync nobody knows what the disk holds. Going on could acknowledge a change on top of a
            // lost one, so writing ends here, readiness says so, and a restart reads what is really there.
            tracing::error!(
                store = STORE,
                "writing stopped after an I/O error: check the disk, then restart"
            );
            return;
        }
    }
    checkpoint(&conn);
}

/// Moves the log into the database and cuts it to nothing. `false` when a read kept it from that.
fn checkpoint(conn: &Connection) -> bool {
    match conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)) {
        Ok(busy) => busy == 0,
        Err(error) => {
            tracing::warn!(store = STORE, %error, "the log was not checkpointed: the next start does it");
            false
        }
    }
}

/// Runs jobs in as few transactions as SQLite lets us: one, unless an error takes the whole transaction away. False when
/// an I/O error forbids to go on.
fn commit_all(
    conn: &Connection,
    outgoing: &Arc<Outgoing>,
    owes_empty: &Cell<bool>,
    batch: Vec<Box<dyn Change>>,
) -> bool {
    let mut rest = batch.into_iter();
    loop {
        if rest.len() == 0 {
            return true;
        }
        if !commit_some(conn, outgoing, owes_empty, &mut rest) {
            return false;
        }
    }
}

/// Runs jobs in one transaction until all are run or SQLite rolls it back. False when an I/O error forbids to go on.
fn commit_some(
    conn: &Connection,
    outgoing: &Arc<Outgoing>,
    owes_empty: &Cell<bool>,
    rest: &mut std::vec::IntoIter<Box<dyn Change>>,
) -> bool {
    let mut ready: Vec<(Box<dyn Change>, Vec<Effect>)> = Vec::new();
    if let Err(error) = conn.execute_batch("BEGIN IMMEDIATE") {
        // A job must not run outside a transaction.
        return fail(rest, &error);
    }
    for mut job in rest.by_ref() {
        match step(conn, outgoing, job.as_mut()) {
            Ok((effects, empties_log)) => {
                owes_empty.set(owes_empty.get() || empties_log);
                ready.push((job, effects));
            }
            Err(Fault::Sql(error)) if conn.is_autocommit() => {
                // A full disk, for one, makes SQLite roll back everything: nobody before this job is committed either.
                job.answer(Err(store_error(&error)));
                return fail(ready.into_iter().map(|(job, _)| job), &error);
            }
            Err(fault) => job.answer(Err(fault.into())),
        }
    }
    if let Err(error) = conn.execute_batch("COMMIT") {
        if !conn.is_autocommit() {
            // The error of the commit is the one that counts.
            let _ = conn.execute_batch("ROLLBACK");
        }
        return fail(ready.into_iter().map(|(job, _)| job), &error);
    }
    if owes_empty.get() {
        owes_empty.set(!checkpoint(conn));
    }
    for (job, effects) in ready {
        effects.into_iter().for_each(|effect| effect());
        job.answer(Ok(()));
    }
    true
}

/// Runs one job in its savepoint; gives what to do after the commit, and whether the log is to be emptied.
fn step(conn: &Connection, outgoing: &Arc<Outgoing>, job: &mut dyn Change) -> Outcome<(Vec<Effect>, bool)> {
    conn.prepare_cached("SAVEPOINT job")?.execute([])?;
    let tx = Tx { conn, outgoing, effects: RefCell::new(Vec::new()), empties_log: Cell::new(false) };
    let outcome = job.run(&tx);
    if outcome.is_err() && !conn.is_autocommit() {
        conn.prepare_cached("ROLLBACK TO job")?.execute([])?;
    }
    if !conn.is_autocommit() {
        conn.prepare_cached("RELEASE job")?.execute([])?;
    }
    outcome.map(|()| (tx.effects.into_inner(), tx.empties_log.get()))
}

fn fail(jobs: impl IntoIterator<Item = Box<dyn Change>>, error: &rusqlite::Error) -> bool {
    for job in jobs {
        job.answer(Err(store_error(error)));
    }
    !is_io_failure(error)
}
