//! Lines of no change, written together: whoever comes while the writer is busy waits in one list, and one job takes the
//! whole list. Each trail's lines follow each other in the order in which they came. What must never happen: a caller
//! that nobody answers, or an index for a line that is not on the disk.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use veilcloud_domain::{
    audit::model::{Line, Trail},
    store::StoreError,
};

use super::{
    insert, next_index,
    pack::{PACK_MAX, pack},
};
use crate::db::{
    Tx,
    fault::Outcome,
    writer::{Change, Writer, gone},
};

/// Most lines that wait to be recorded; further callers wait for room.
pub(crate) const LINES_MAX: usize = 16_384;

type Answer = Result<Vec<u64>, StoreError>;

/// A caller's lines.
struct Waiting {
    lines: Vec<Line>,
    tell: oneshot::Sender<Answer>,
    _room: OwnedSemaphorePermit,
}

/// The list. When it is not empty, a job that takes it is on its way.
#[derive(Clone, Default)]
struct List(Arc<Mutex<Vec<Waiting>>>);

impl List {
    // A push and a take leave it whole.
    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<Waiting> {
        mem::take(&mut *self.lock())
    }
}

/// Records lines.
pub(crate) struct Recorder {
    writer: Writer,
    list: List,
    room: Arc<Semaphore>,
}

impl Recorder {
    /// Records through this writer.
    pub fn new(writer: Writer) -> Self {
        Self { writer, list: List::default(), room: Arc::new(Semaphore::new(LINES_MAX)) }
    }

    /// Writes lines, at most [`LINES_MAX`], all or none; gives their indexes. Durable when it returns. Dropped before, the
    /// lines may be written all the same, whole.
    pub async fn record(&self, lines: Vec<Line>) -> Answer {
        let permits = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let room = self.room.clone().acquire_many_owned(permits).await.map_err(|_| gone())?;
        let (tell, told) = oneshot::channel();
        self.join(Waiting { lines, tell, _room: room }).await?;
        told.await.map_err(|_| gone())?
    }

    async fn join(&self, waiting: Waiting) -> Result<(), StoreError> {
        {
            let mut list = self.list.lock();
            if !list.is_empty() {
                list.push(waiting);
                return Ok(());
            }
        }
        // The place comes first: between list and job nobody waits, so that no list is left without its job.
        let place = self.writer.place().await?;
        let mut list = self.list.lock();
        let first = list.is_empty();
        list.push(waiting);
        drop(list);
        if first {
            place.send(Box::new(Recording { list: self.list.clone(), ran: false, taken: Vec::new() }));
        }
        Ok(())
    }
}

/// The job: takes the list, however long it is by now.
struct Recording {
    list: List,
    /// It has taken the list: what is in there now waits for another job.
    ran: bool,
    /// Callers, with what they are told once it is committed.
    taken: Vec<(Waiting, Answer)>,
}

impl Change for Recording {
    fn run(&mut self, tx: &Tx<'_>) -> Outcome<()> {
        self.ran = true;
        let taken = self.list.take();
        let written = write(tx, &taken);
        let (answers, fault) = match written {
            Ok(indexes) => (indexes.into_iter().map(Ok).collect(), None),
            Err(fault) => (taken.iter().map(|_| Err(gone())).collect::<Vec<_>>(), Some(fault)),
        };
        self.taken = taken.into_iter().zip(answers).collect();
        match fault {
            // The whole transaction is gone: everybody is told by the commit that does not come.
            Some(fault) if tx.conn.is_autocommit() => Err(fault),
            Some(_) => self.one_by_one(tx),
            None => Ok(()),
        }
    }

    fn answer(mut self: Box<Self>, committed: Result<(), StoreError>) {
        if !mem::replace(&mut self.ran, true) {
            self.taken = self.list.take().into_iter().map(|waiting| (waiting, Err(gone()))).collect();
        }
        for (waiting, answer) in self.taken.drain(..) {
            // Nobody may be waiting any more.
            let _ = waiting.tell.send(committed.clone().and(answer));
        }
    }
}

impl Recording {
    /// What fails for one caller must not fail for the others.
    fn one_by_one(&mut self, tx: &Tx<'_>) -> Outcome<()> {
        tx.start_over()?;
        for (waiting, answer) in &mut self.taken {
            let effects = tx.effects();
            tx.conn.prepare_cached("SAVEPOINT caller")?.execute([])?;
            *answer = match write(tx, std::slice::from_ref(waiting)) {
                Ok(mut indexes) => Ok(indexes.pop().unwrap_or_default()),
                Err(fault) if tx.conn.is_autocommit() => return Err(fault),
                Err(fault) => {
                    tx.undo_after(effects);
                    tx.conn.prepare_cached("ROLLBACK TO caller")?.execute([])?;
                    Err(fault.into())
                }
            };
            tx.conn.prepare_cached("RELEASE caller")?.execute([])?;
        }
        Ok(())
    }
}

impl Drop for Recording {
    /// Dropped untold, the writer has stopped: whoever waits learns it by their channel.
    fn drop(&mut self) {
        if !self.ran {
            drop(self.list.take());
        }
    }
}

/// Writes the lines of these callers, trail by trail, in rows as full as they get; gives each caller's indexes.
fn write(tx: &Tx<'_>, waiting: &[Waiting]) -> Outcome<Vec<Vec<u64>>> {
    let mut trails: Vec<(Trail, Vec<&Line>)> = Vec::new();
    let mut places: HashMap<Trail, usize> = HashMap::new();
    for line in waiting.iter().flat_map(|waiting| &waiting.lines) {
        let place = *places.entry(line.trail).or_insert_with(|| {
            trails.push((line.trail, Vec::new()));
            trails.len() - 1
        });
        trails[place].1.push(line);
    }
    let mut next = Vec::with_capacity(trails.len());
    for (trail, lines) in &trails {
        let first = next_index(tx.conn, *trail)?;
        let mut index = first;
        for lines in lines.chunks(PACK_MAX) {
            let row = pack(lines);
            let mac = tx.outgoing.key.mac(*trail, index, &row);
            insert(tx.conn, *trail, index, lines.len(), &row, &mac)?;
            index += lines.len() as u64;
        }
        tx.remember(*trail, first, lines.iter().map(|line| (*line).clone()).collect());
        next.push(first);
    }
    let mut index = |line: &Line| {
        let next = &mut next[places[&line.trail]];
        *next += 1;
        *next - 1
    };
    Ok(waiting.iter().map(|waiting| waiting.lines.iter().map(&mut index).collect()).collect())
}
