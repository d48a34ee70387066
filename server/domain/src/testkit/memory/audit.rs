use std::ops::Bound;

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    audit::{
        model::{Event, Line, Trail},
        port::{Outbox, RECORD_MAX},
    },
    store::StoreError,
};

#[async_trait]
impl Outbox for MemoryStore {
    async fn record(&self, line: Line) -> Result<u64, StoreError> {
        Ok(self.begin("record")?.log(line))
    }

    async fn record_all(&self, lines: Vec<Line>) -> Result<Vec<u64>, StoreError> {
        if lines.len() > RECORD_MAX {
            let cause = "more lines at once than are taken".to_owned();
            return Err(StoreError::Unavailable { store: "memory", cause });
        }
        let mut state = self.begin("record")?;
        Ok(lines.into_iter().map(|line| state.log(line)).collect())
    }

    async fn pending(&self, trail: Trail, first: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let state = self.begin("pending")?;
        let Some(lines) = state.outbox.get(&trail) else { return Ok(Vec::new()) };
        let found = lines.range(first..).take(limit);
        let events: Vec<_> = found.map(|(index, line)| Event { index: *index, line: line.clone() }).collect();
        match (first..).zip(&events).find(|(expected, event)| *expected != event.index) {
            Some((expected, _)) => Err(StoreError::Damaged {
                store: "memory",
                cause: format!("line {expected} of {trail} is missing"),
            }),
            None => Ok(events),
        }
    }

    async fn waiting(&self, after: Option<Trail>, limit: usize) -> Result<Vec<Trail>, StoreError> {
        let state = self.begin("waiting")?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let trails = state.outbox.range((from, Bound::Unbounded)).filter(|(_, lines)| !lines.is_empty());
        Ok(trails.map(|(trail, _)| *trail).take(limit).collect())
    }
}
