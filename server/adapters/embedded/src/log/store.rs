//! The log store. One desk: whoever stages, commits or fences holds it until the disk has answered, even when the caller
//! stopped waiting, so that no frame is written over while it is being committed.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::{Mutex, OwnedMutexGuard, oneshot},
    task,
};
use veilchain::hash::Hash;
use veilcloud_domain::{
    audit::{
        model::Trail,
        port::{Extension, LogState, LogStore, Lost, SignedHead, StageId},
    },
    store::StoreError,
};

use super::{
    batch::{Claim, Plan},
    damaged,
    head::{Head, Mark},
    read::{self, Range},
    recover, rows,
    segments::{Placed, Position, Segments, Unwritten, unwritten},
    unavailable,
};
use crate::{
    cache::Cache,
    db::{
        Db, Tx,
        fault::{Fault, Outcome},
    },
};

/// The logs.
pub(crate) struct SegmentLogs {
    pub db: Db,
    pub segments: Arc<Segments>,
    pub head: Arc<Head>,
    pub desk: Arc<Mutex<Desk>>,
    /// Lock rows as they are committed.
    states: Arc<Cache<Trail, LogState>>,
}

/// Most lock rows that are kept in memory, of about 1 KiB each.
const STATES_MAX: usize = 4_096;

/// What is known of the end of the segments.
#[derive(Default)]
pub(crate) struct Desk {
    /// The committed end; unknown at the start, and after a commit of which it is not known whether it happened.
    committed: Option<Position>,
    /// The batch that waits for its commit.
    staged: Option<Staged>,
    /// Batches staged so far.
    stages: u64,
    /// Why nothing is written any more. After a failed sync nobody knows what the disk holds.
    broken: Option<String>,
}

struct Staged {
    id: StageId,
    from: Position,
    to: Position,
    blocks: Vec<Placed>,
    claims: Vec<Claim>,
}

type Held = OwnedMutexGuard<Desk>;

#[async_trait]
impl LogStore for SegmentLogs {
    async fn fence(&self) -> Result<u64, StoreError> {
        let mut desk = self.desk.clone().lock_owned().await;
        let (segments, head) = (self.segments.clone(), self.head.clone());
        let (tell, told) = oneshot::channel();
        let epoch = self
            .db
            .write(move |tx| {
                let (epoch, committed) = rows::sequencer(tx.conn)?;
                recover::check(&segments, &head, epoch, committed).map_err(Fault::Store)?;
                let epoch = rows::raise_epoch(tx.conn)?;
                tx.after(move || {
                    desk.committed = Some(committed);
                    // Nobody may be waiting any more.
                    let _ = tell.send(head.write(Mark { frame: committed.frame, epoch }));
                });
                Ok(epoch)
            })
            .await?;
        marked(told).await?;
        Ok(epoch)
    }

    async fn state(&self, log: Trail) -> Result<Option<LogState>, StoreError> {
        self.states.get(&log, self.db.read(move |conn| rows::state(conn, log))).await
    }

    async fn stage(&self, batch: &[Extension]) -> Result<StageId, StoreError> {
        let plan = Plan::new(batch)?;
        let mut desk = self.desk.clone().lock_owned().await;
        desk.staged = None;
        if let Some(cause) = &desk.broken {
            return Err(unavailable(cause.clone()));
        }
        let committed = match desk.committed {
            Some(committed) => committed,
            // The writer says, not a reader: behind every commit that may still be on its way, and not at all when a
            // commit failed and may yet turn out to have happened.
            None => self.db.write(|tx| Ok(rows::sequencer(tx.conn)?.1)).await?,
        };
        desk.committed = Some(committed);
        let segments = self.segments.clone();
        let written = task::spawn_blocking(move || write(&segments, desk, committed, plan)).await;
        written.map_err(|_| unavailable("the write was cut off"))?
    }

    async fn commit(
        &self,
        epoch: u64,
        stage: StageId,
        heads: Vec<SignedHead>,
    ) -> Result<Result<(), Lost>, StoreError> {
        let mut desk = self.desk.clone().lock_owned().await;
        let staged = desk.staged.take_if(|staged| staged.id == stage);
        // Until the writer says that it has happened, it is not known whether it has.
        desk.committed = None;
        let (head, states) = (self.head.clone(), self.states.clone());
        let (tell, told) = oneshot::channel();
        let outcome = self
            .db
            .write(move |tx| {
                let (newest, committed) = rows::sequencer(tx.conn)?;
                if epoch != newest || epoch == 0 {
                    desk.staged = desk.staged.take().or(staged);
                    return Ok(Err(Lost::Fenced));
                }
                let Some(staged) = staged else {
                    return Err(Fault::Store(damaged("no such batch is staged".to_owned())));
                };
                if let Err(lost) = commit(tx, committed, &staged, &heads)? {
                    return Ok(Err(lost));
                }
                tx.after(move || {
                    heads.iter().for_each(|head| states.forget(&head.log));
                    desk.committed = Some(staged.to);
                    // Nobody may be waiting any more.
                    let _ = tell.send(head.write(Mark { frame: staged.to.frame, epoch }));
                });
                Ok(Ok(()))
            })
            .await;
        if outcome.is_err() {
            // Whether it has happened is not known: whoever looks next must see the rows.
            self.states.forget_all();
        }
        let outcome = outcome?;
        if outcome.is_ok() {
            marked(told).await?;
        }
        Ok(outcome)
    }

    async fn publish(&self, log: Trail, size: u64, checkpoint: Bytes) -> Result<(), StoreError> {
        let states = self.states.clone();
        let publish = move |tx: &Tx<'_>| {
            tx.after(move || states.forget(&log));
            rows::publish(tx.conn, log, size, &checkpoint)
        };
        let known = self.db.write(publish).await?;
        if known {
            Ok(())
        } else {
            Err(damaged(format!("{log} has no {size} leaves to show a checkpoint of")))
        }
    }

    async fn entries(&self, log: Trail, first: u64, count: u16) -> Result<Vec<Bytes>, StoreError> {
        let range = Range { log, level: 0, first, count };
        self.gather(range, move |segments, blocks| read::entries(segments, range, blocks)).await
    }

    async fn hashes(&self, log: Trail, level: u8, first: u64, count: u16) -> Result<Vec<Hash>, StoreError> {
        let range = Range { log, level, first, count };
        self.gather(range, move |segments, blocks| read::hashes(segments, range, blocks)).await
    }

    async fn logs(&self, after: Option<Trail>, limit: usize) -> Result<Vec<Trail>, StoreError> {
        self.db.read(move |conn| rows::logs(conn, after, limit)).await
    }
}

impl SegmentLogs {
    /// The logs over the segments of a data folder.
    pub fn new(db: Db, segments: Segments) -> Self {
        let head = Head::new(segments.folder());
        Self {
            db,
            segments: Arc::new(segments),
            head: Arc::new(head),
            desk: Arc::default(),
            states: Arc::new(Cache::new(STATES_MAX)),
        }
    }

    /// Finds the blocks with a reader and gives it back before the files are read.
    async fn gather<T, F>(&self, range: Range, take: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Segments, &[Placed]) -> Result<T, StoreError> + Send + 'static,
    {
        let blocks = self.db.read(move |conn| read::blocks(conn, range)).await?;
        let segments = self.segments.clone();
        let taken = task::spawn_blocking(move || take(&segments, &blocks)).await;
        taken.map_err(|_| unavailable("the read was cut off"))?
    }
}

/// Writes a planned batch behind what is committed.
fn write(
    segments: &Segments,
    mut desk: Held,
    committed: Position,
    plan: Plan,
) -> Result<StageId, StoreError> {
    let from = committed.rolled();
    let (bytes, blocks, claims) = plan.into_frame(from.frame);
    if let Err(error) = segments.write(from, &bytes) {
        if let Unwritten::Broken(cause) = &error {
            tracing::error!(store = super::STORE, %cause, "the logs are not written any more: check the disk, then restart");
            desk.broken = Some(format!("an earlier write failed ({cause}): check the disk, then restart"));
        }
        return Err(unwritten(&error));
    }
    desk.stages += 1;
    let id = StageId(desk.stages);
    let place = |(block, at)| Placed { block, segment: from.segment, offset: from.offset + at };
    desk.staged = Some(Staged {
        id,
        from,
        to: from.behind(bytes.len() as u64),
        blocks: blocks.into_iter().map(place).collect(),
        claims,
    });
    Ok(id)
}

/// One head for each claim, in order, at the size that the batch leads to.
fn fits(claims: &[Claim], heads: &[SignedHead]) -> bool {
    let same = |(claim, head): (&Claim, &SignedHead)| claim.log == head.log && claim.new_size == head.size;
    claims.len() == heads.len() && claims.iter().zip(heads).all(same)
}

/// Everything is compared before anything is written.
fn commit(
    tx: &Tx<'_>,
    committed: Position,
    staged: &Staged,
    heads: &[SignedHead],
) -> Outcome<Result<(), Lost>> {
    if !fits(&staged.claims, heads) {
        return Err(Fault::Store(damaged("the heads are not those of the staged batch".to_owned())));
    }
    if committed.rolled() != staged.from {
        return Err(Fault::Unavailable("another batch was committed where this one is staged"));
    }
    for claim in &staged.claims {
        if rows::size_and_root(tx.conn, claim.log)? != (claim.old_size, claim.old_root) {
            return Ok(Err(Lost::Moved(claim.log)));
        }
    }
    for placed in &staged.blocks {
        rows::insert_block(tx.conn, placed)?;
    }
    for head in heads {
        rows::put_head(tx.conn, head)?;
        tx.taken(head.log, head.size)?;
    }
    rows::set_position(tx.conn, staged.to)?;
    Ok(Ok(()))
}

/// Whether the head file was written. The commit has happened either way, but its caller must not go on as if nothing
/// were wrong: from here on a database that is taken back might not be noticed.
async fn marked(told: oneshot::Receiver<std::io::Result<()>>) -> Result<(), StoreError> {
    let written = told.await.map_err(|_| unavailable("the writer has stopped"))?;
    written.map_err(|error| unavailable(format!("the head file was not written: {error}")))
}
