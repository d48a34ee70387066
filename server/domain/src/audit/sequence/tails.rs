//! What the sequencer remembers of logs, bounded. Forgetting a log costs reading its edge again.

use std::collections::HashMap;

use super::super::{
    model::Trail,
    port::LogStore,
    reader::damaged,
    signer::LogKeys,
    tail::{Mark, Tail},
};
use crate::store::StoreError;

/// Most logs whose edge is kept in memory.
pub const TAILS_MAX: usize = 4_096;

/// What is known of a log.
#[derive(Default)]
pub(super) struct Slot {
    /// Its edge, unless it has to be read again.
    pub(super) tail: Option<Tail>,
    /// The greatest head that this process knows to be committed.
    pub(super) committed: Option<Mark>,
    /// A head that this process signed without learning whether it was committed.
    pub(super) signed: Option<Mark>,
}

impl Slot {
    /// Reads the edge if it is not known, and holds it against what this process knows; gives besides when the checkpoint
    /// that was read had been signed, 0 when none was read.
    pub(super) async fn load(
        &mut self,
        store: &dyn LogStore,
        keys: &LogKeys,
        log: Trail,
    ) -> Result<u64, StoreError> {
        if self.tail.is_some() {
            return Ok(0);
        }
        let (tail, signed_at_ms) = Tail::load(store, keys, log).await?;
        let at = tail.at();
        if let Some(known) = self.committed
            && (at.size < known.size || (at.size == known.size && at.root != known.root))
        {
            let cause = format!("it has {} leaves and had {}: the store went back", at.size, known.size);
            return Err(damaged(log, &cause));
        }
        if self.signed.is_some_and(|signed| signed.size == at.size && signed.root != at.root) {
            return Err(damaged(log, "another head of this size was signed"));
        }
        self.settle(at);
        self.tail = Some(tail);
        Ok(signed_at_ms)
    }

    /// Notes a head that is committed.
    pub(super) fn settle(&mut self, at: Mark) {
        self.committed = Some(at);
        self.signed = self.signed.filter(|signed| signed.size > at.size);
    }

    /// Notes a head that is about to be signed.
    pub(super) fn promise(&mut self, head: Mark) {
        if self.signed.is_none_or(|signed| signed.size < head.size) {
            self.signed = Some(head);
        }
    }
}

/// The slots of the logs that were used last.
#[derive(Default)]
pub(super) struct Tails {
    slots: HashMap<Trail, (u64, Slot)>,
    uses: u64,
}

impl Tails {
    /// Takes what is known of a log; who takes it puts it back.
    pub(super) fn take(&mut self, log: Trail) -> Slot {
        self.slots.remove(&log).map(|(_, slot)| slot).unwrap_or_default()
    }

    /// Puts it back, as the one used last. When there are too many, an eighth goes: those not used for longest.
    pub(super) fn put(&mut self, log: Trail, slot: Slot) {
        self.uses += 1;
        self.slots.insert(log, (self.uses, slot));
        if self.slots.len() > TAILS_MAX {
            let mut uses: Vec<_> = self.slots.values().map(|(used, _)| *used).collect();
            let (_, oldest_kept, _) = uses.select_nth_unstable(TAILS_MAX / 8);
            let oldest_kept = *oldest_kept;
            self.slots.retain(|_, (used, _)| *used >= oldest_kept);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}
