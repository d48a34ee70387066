//! What the audit trail needs from outside. Lines are written by the other areas' ports, in their transactions.

use async_trait::async_trait;

use super::model::{Event, Trail};
use crate::{
    page::{Page, PageArgs},
    store::StoreError,
};

/// Reads committed lines.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Lines of a trail, oldest first, each with its MAC checked: a row that was edited is [`StoreError::Damaged`].
    async fn events(&self, trail: Trail, page: PageArgs<u64>) -> Result<Page<Event, u64>, StoreError>;
}
