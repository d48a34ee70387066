use async_trait::async_trait;
use veilcore::id::{AccountId, SessionId};

use super::{Settled, one};
use crate::{
    audit::model::Line,
    auth::capabilities::{
        model::Issued,
        port::{CapabilityStore, Issuing},
    },
    page::{Page, PageArgs},
    store::StoreError,
};

#[async_trait]
impl CapabilityStore for Settled<dyn CapabilityStore> {
    async fn issue(
        &self,
        issued: Issued,
        by: SessionId,
        limit: u32,
        line: Line,
    ) -> Result<Issuing, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let issuing = self.port.issue(issued, by, limit, line).await?;
        self.settle(issuing == Issuing::Done, trails).await?;
        Ok(issuing)
    }

    async fn issued(
        &self,
        account: AccountId,
        page: PageArgs<SessionId>,
    ) -> Result<Page<Issued, SessionId>, StoreError> {
        self.port.issued(account, page).await
    }

    async fn revoke(&self, account: AccountId, id: SessionId, line: Line) -> Result<bool, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let revoked = self.port.revoke(account, id, line).await?;
        self.settle(revoked, trails).await?;
        Ok(revoked)
    }
}
