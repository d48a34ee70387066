//! What issued capabilities need from outside.

use async_trait::async_trait;
use veilcore::id::{AccountId, SessionId};

use super::model::Issued;
use crate::{
    audit::model::Line,
    page::{Page, PageArgs},
    store::StoreError,
};

/// What the issuing of a capability met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuing {
    /// It is done.
    Done,
    /// The account has as many as it may.
    Limit,
    /// The session that asked for it is over.
    Gone,
}

/// Issued capabilities. Each stands beside the sessions of its account: [`crate::auth::port::Directory::standing`] says
/// whether it is live, it ends with what ends all sessions, and goes when it is long over or with its account. It has no
/// refresh token, is no fresh login, and does not count as one of the account's sessions.
#[async_trait]
pub trait CapabilityStore: Send + Sync {
    /// Keeps a new one with its audit line, unless the session `by` of its account is not live or the account has `limit`
    /// of them that are neither revoked nor over when it is issued.
    async fn issue(
        &self,
        issued: Issued,
        by: SessionId,
        limit: u32,
        line: Line,
    ) -> Result<Issuing, StoreError>;
    /// Those of an account by token id.
    async fn issued(
        &self,
        account: AccountId,
        page: PageArgs<SessionId>,
    ) -> Result<Page<Issued, SessionId>, StoreError>;
    /// Revokes one; effective for every `standing` asked after it returns. `false`, and nothing changes, when the account
    /// has no such one or it was revoked before.
    async fn revoke(&self, account: AccountId, id: SessionId, line: Line) -> Result<bool, StoreError>;
}
