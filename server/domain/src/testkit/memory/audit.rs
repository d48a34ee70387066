use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    audit::{
        model::{Event, Trail},
        port::Outbox,
    },
    page::{Page, PageArgs},
    store::StoreError,
};

#[async_trait]
impl Outbox for MemoryStore {
    async fn events(&self, trail: Trail, page: PageArgs<u64>) -> Result<Page<Event, u64>, StoreError> {
        let state = self.begin("events")?;
        let lines = state.trails.get(&trail).map_or(&[][..], |lines| lines);
        let events = (0u64..).zip(lines).filter(|(index, _)| page.after.is_none_or(|after| *index > after));
        let events = events.map(|(index, line)| Event { index, line: line.clone() });
        Ok(Page::cut(events.take(page.size + 1).collect(), page.size, |event| event.index))
    }
}
