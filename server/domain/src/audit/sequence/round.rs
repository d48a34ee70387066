//! One round: take logs from the pool, read their lines, stage, sign, commit, answer.

use futures_util::{StreamExt, stream};
use veilchain::range::CompactRange;

use super::{
    super::{
        model::Trail,
        pool::{Taken, unavailable},
        port::{Extension, Lost, SignedHead, StageId},
        reader::damaged,
        tail::{Growth, Mark},
    },
    LOGS_PER_BATCH, LogsLost, Parts, Sequencer,
    tails::Slot,
};
use crate::store::StoreError;

/// Logs that are read at the same time.
const READS_AT_ONCE: usize = 16;

/// What a round did.
#[derive(Debug, Default)]
pub struct Round {
    /// Logs that were extended.
    pub logs: usize,
    /// Leaves that were added.
    pub leaves: usize,
    /// Logs that have more lines than the batch had room for.
    pub cut: usize,
    /// Logs that could not be read or extended; the others went on.
    pub refused: Vec<(Trail, StoreError)>,
    /// Why the batch as a whole failed, if it did.
    pub failed: Option<StoreError>,
}

/// A log in the round, with those who wait for it.
struct Member {
    taken: Taken,
    slot: Slot,
    /// It has more lines than it may add.
    cut: bool,
    range: CompactRange,
    to: Mark,
}

impl Member {
    fn log(&self) -> Trail {
        self.taken.trail
    }
}

impl Sequencer {
    /// Extends the logs that wait, as far as one batch goes, and answers those who wait for them. An error is the last:
    /// the sequencer has lost the logs. Must not be dropped before it is done: the waiters would be told that it stopped.
    pub async fn round(&mut self) -> Result<Round, LogsLost> {
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        let mut round = Round::default();
        let taken = self.pool().take(LOGS_PER_BATCH.min(self.batch_leaves));
        if taken.is_empty() {
            return Ok(round);
        }
        let (members, batch) = self.read(taken, &mut round).await;
        if members.is_empty() {
            return Ok(round);
        }
        let leaves = batch.iter().map(|extension| extension.entries.len()).sum();
        match self.write(members, batch, &mut round).await? {
            Ok(logs) => (round.logs, round.leaves) = (logs, leaves),
            Err(error) => round.failed = Some(error),
        }
        self.pool().note_round(round.failed.is_none());
        Ok(round)
    }

    /// Reads the lines of the logs and what they make of them. Logs without lines and logs that fail are answered here.
    async fn read(&mut self, taken: Vec<Taken>, round: &mut Round) -> (Vec<Member>, Vec<Extension>) {
        // As many lines for each: a log with very many does not keep the others waiting.
        let room = (self.batch_leaves / taken.len()).max(1);
        let parts = &self.parts;
        let tails = &mut self.tails;
        let reads: Vec<_> = taken
            .into_iter()
            .map(|taken| {
                let slot = tails.take(taken.trail);
                read_one(parts.clone(), taken, slot, room)
            })
            .collect();
        let mut reads = stream::iter(reads).buffered(READS_AT_ONCE);
        let (mut members, mut batch) = (Vec::new(), Vec::new());
        while let Some((taken, slot, read)) = reads.next().await {
            match read {
                Ok((signed_at_ms, growth)) => {
                    self.newest_ms = self.newest_ms.max(signed_at_ms);
                    let Some(growth) = growth else {
                        self.tails.put(taken.trail, slot);
                        taken.answer(&Ok(()));
                        continue;
                    };
                    let cut = growth.extension.entries.len() >= room;
                    let (extension, range, to) = growth.into_parts();
                    batch.push(extension);
                    members.push(Member { taken, slot, cut, range, to });
                }
                Err(error) => {
                    // Read again next time: what is in memory may be what is wrong.
                    self.tails.put(taken.trail, Slot { tail: None, ..slot });
                    round.refused.push((taken.trail, error.clone()));
                    taken.answer(&Err(error));
                }
            }
        }
        (members, batch)
    }

    /// Stages, signs and commits; gives how many logs were extended.
    async fn write(
        &mut self,
        mut members: Vec<Member>,
        batch: Vec<Extension>,
        round: &mut Round,
    ) -> Result<Result<usize, StoreError>, LogsLost> {
        let (heads, stage) = match self.stage_and_sign(&mut members, batch).await {
            Ok(staged) => staged,
            Err(error) => {
                self.give_up(members, &error);
                return Ok(Err(error));
            }
        };
        match self.parts.store.commit(self.epoch, stage, heads.clone()).await {
            Ok(Ok(())) => {
                let logs = members.len();
                for (member, head) in members.into_iter().zip(heads) {
                    self.committed(member, head, round);
                }
                Ok(Ok(logs))
            }
            Ok(Err(lost)) => Err(self.lose_with(members, lost)),
            Err(error) => {
                let logs = self.look_again(members, heads, &error).await;
                if logs == 0 {
                    return Ok(Err(error));
                }
                // The logs have the batch, and still something went wrong that an operator must hear of.
                round.failed = Some(error);
                Ok(Ok(logs))
            }
        }
    }

    /// Nothing is signed before it is durable, and nothing at a time before one that was signed at.
    async fn stage_and_sign(
        &mut self,
        members: &mut [Member],
        batch: Vec<Extension>,
    ) -> Result<(Vec<SignedHead>, StageId), StoreError> {
        // A clock that went back is met before the disk is written to, and again, for it may go back meanwhile.
        self.now_ms().await?;
        let stage = self.parts.store.stage(&batch).await?;
        drop(batch);
        let signed_at_ms = self.now_ms().await?;
        self.newest_ms = signed_at_ms;
        let publish = self.parts.heads.is_none();
        let mut heads = Vec::with_capacity(members.len());
        for member in members {
            let log = member.taken.trail;
            let Mark { size, root } = member.to;
            let tail = member.slot.tail.as_ref().ok_or_else(|| damaged(log, "its edge was not read"))?;
            let checkpoint =
                tail.signer().sign(size, root).map_err(|error| damaged(log, &error.to_string()))?;
            member.slot.promise(member.to);
            let edge = member.range.edge().to_vec();
            heads.push(SignedHead { log, size, root, checkpoint, publish, signed_at_ms, edge });
        }
        Ok((heads, stage))
    }

    fn committed(&mut self, member: Member, head: SignedHead, round: &mut Round) {
        let Member { taken, mut slot, cut, range, to } = member;
        slot.settle(to);
        slot.tail = slot.tail.take().map(|tail| tail.grown(range, to));
        self.tails.put(taken.trail, slot);
        self.hand_on(head);
        if cut {
            round.cut += 1;
            self.pool().put_back(taken);
        } else {
            taken.answer(&Ok(()));
        }
    }

    /// The outcome of the commit is not known, so each log is asked: nothing is assumed. Gives how many have their lines.
    async fn look_again(
        &mut self,
        members: Vec<Member>,
        heads: Vec<SignedHead>,
        error: &StoreError,
    ) -> usize {
        let mut found = 0;
        for (member, head) in members.into_iter().zip(heads) {
            let log = member.log();
            let Member { taken, mut slot, cut, to, .. } = member;
            slot.tail = None;
            let state = self.parts.store.state(log).await;
            let there = matches!(state, Ok(Some(state)) if state.size == to.size && state.root == to.root);
            if there {
                found += 1;
                slot.settle(to);
                self.hand_on(head);
            } else if let Some(heads) = &self.parts.heads {
                // It may have happened all the same; then its head is found by a look through the logs.
                heads.scan_again();
            }
            self.tails.put(log, slot);
            match (there, cut) {
                (true, true) => self.pool().put_back(taken),
                (true, false) => taken.answer(&Ok(())),
                (false, _) => taken.answer(&Err(error.clone())),
            }
        }
        found
    }

    /// Nothing happened: the next round begins from the lock rows.
    fn give_up(&mut self, members: Vec<Member>, error: &StoreError) {
        for Member { taken, slot, .. } in members {
            self.tails.put(taken.trail, Slot { tail: None, ..slot });
            taken.answer(&Err(error.clone()));
        }
    }

    fn lose_with(&mut self, members: Vec<Member>, lost: Lost) -> LogsLost {
        let lost = self.lose(lost);
        let error = unavailable(lost.to_string());
        self.give_up(members, &error);
        lost
    }

    fn hand_on(&self, head: SignedHead) {
        if let Some(heads) = &self.parts.heads {
            heads.put(head);
        }
    }
}

type Read = Result<(u64, Option<Growth>), StoreError>;

/// Reads one log's edge and lines.
async fn read_one(parts: Parts, taken: Taken, mut slot: Slot, room: usize) -> (Taken, Slot, Read) {
    let read = read_lines(&parts, taken.trail, &mut slot, room).await;
    (taken, slot, read)
}

async fn read_lines(parts: &Parts, log: Trail, slot: &mut Slot, room: usize) -> Read {
    let Parts { store, outbox, keys, .. } = parts;
    let signed_at_ms = slot.load(&**store, keys, log).await?;
    let tail = slot.tail.as_ref().ok_or_else(|| damaged(log, "its edge was not read"))?;
    let lines = outbox.pending(log, tail.at().size, room).await?;
    if lines.is_empty() {
        return Ok((signed_at_ms, None));
    }
    Ok((signed_at_ms, Some(tail.grow(log, &lines, slot.signed)?)))
}
