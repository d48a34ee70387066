use std::collections::HashSet;

use async_trait::async_trait;
use veilcore::id::{AccountId, SessionId};

use super::{MemoryStore, SessionRow};
use crate::{
    audit::model::Line,
    auth::{
        capabilities::{
            model::Issued,
            port::{CapabilityStore, Issuing},
        },
        model::Session,
    },
    page::{Page, PageArgs},
    store::StoreError,
};

#[async_trait]
impl CapabilityStore for MemoryStore {
    async fn issue(
        &self,
        issued: Issued,
        by: SessionId,
        limit: u32,
        line: Line,
    ) -> Result<Issuing, StoreError> {
        let mut state = self.begin("issue")?;
        let asks = state.sessions.get(&by).filter(|row| row.live && row.session.account == issued.account);
        if asks.is_none() {
            return Ok(Issuing::Gone);
        }
        let rows = state.sessions.values().filter(|row| row.live && row.session.account == issued.account);
        let own = rows.filter(|row| row.issued.is_some() && row.session.expires_at_ms > issued.issued_at_ms);
        if own.count() >= limit as usize {
            return Ok(Issuing::Limit);
        }
        let session = Session {
            id: issued.id,
            account: issued.account,
            holder_pk: issued.holder_pk,
            refresh_hash: [0; 32],
            logged_in_at_ms: 0,
            expires_at_ms: issued.expires_at_ms,
        };
        let row = SessionRow { session, live: true, tokens: HashSet::new(), issued: Some(issued) };
        state.sessions.insert(row.session.id, row);
        state.log(line);
        Ok(Issuing::Done)
    }

    async fn issued(
        &self,
        account: AccountId,
        page: PageArgs<SessionId>,
    ) -> Result<Page<Issued, SessionId>, StoreError> {
        let state = self.begin("issued")?;
        let rows = state.sessions.values().filter(|row| row.session.account == account);
        let own = rows.filter_map(|row| Some(Issued { is_revoked: !row.live, ..row.issued.clone()? }));
        let after = own.filter(|issued| page.after.is_none_or(|after| issued.id > after));
        Ok(Page::cut(after.take(page.size + 1).collect(), page.size, |issued: &Issued| issued.id))
    }

    async fn revoke(&self, account: AccountId, id: SessionId, line: Line) -> Result<bool, StoreError> {
        let mut state = self.begin("revoke")?;
        let row = state.sessions.get_mut(&id).filter(|row| row.session.account == account);
        let Some(row) = row.filter(|row| row.live && row.issued.is_some()) else { return Ok(false) };
        row.live = false;
        state.log(line);
        Ok(true)
    }
}
