//! What teams need from outside.

use async_trait::async_trait;
use veilcore::id::{AccountId, TeamId};

use super::model::{Member, Membership, Role, Seat, Team, TeamChange, TeamKey};
use crate::{
    audit::model::Line,
    name::Name,
    page::{Page, PageArgs},
    store::StoreError,
};

/// What a change of a team met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is done.
    Done,
    /// There is no such team, or who asks is not in it, or not with this role.
    Denied,
    /// The owner has a team of this name, or the account is in the team already.
    Taken,
    /// The account owns, or the team has, as many as it may.
    Limit,
    /// There is no such account, or it is not in the team.
    Unknown,
    /// It concerns the owner, who stays as they are.
    Owner,
}

/// Who asks for a change: an account, and the role that it must have in the team when the change is made, or a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// Who asks.
    pub account: AccountId,
    /// Least role.
    pub least: Role,
}

/// Teams and who is in them. Every change judges [`By`] in its own transaction: whoever lost a role a moment before
/// changes nothing with it. A change that is not done writes no line.
#[async_trait]
pub trait Roster: Send + Sync {
    /// Creates a team with its owner in it, unless the owner has one of this name or owns `limit` of them.
    async fn create_team(&self, team: Team, limit: u32, line: Line) -> Result<Changed, StoreError>;
    /// A team and the role of this account in it; `None` when the account is not in it or there is none.
    async fn team(&self, id: TeamId, account: AccountId) -> Result<Option<Membership>, StoreError>;
    /// Teams that an account is in, by name and id; with `only`, those of this name.
    async fn teams(
        &self,
        account: AccountId,
        only: Option<&Name>,
        page: PageArgs<TeamKey>,
    ) -> Result<Page<Membership, TeamKey>, StoreError>;
    /// Changes name or threshold.
    async fn update_team(
        &self,
        id: TeamId,
        by: By,
        change: TeamChange,
        line: Line,
    ) -> Result<Changed, StoreError>;
    /// Deletes a team. The line is for its owner; each other member's trail gets the same. Gives those members; `None`
    /// when nothing was deleted.
    async fn delete_team(&self, id: TeamId, by: By, line: Line)
    -> Result<Option<Vec<AccountId>>, StoreError>;
    /// Puts an account into a team that has fewer than `limit` members.
    async fn add_member(
        &self,
        team: TeamId,
        by: By,
        seat: Seat,
        limit: u32,
        lines: Vec<Line>,
    ) -> Result<Changed, StoreError>;
    /// A member.
    async fn member(&self, team: TeamId, account: AccountId) -> Result<Option<Member>, StoreError>;
    /// Members of a team, by account.
    async fn members(
        &self,
        team: TeamId,
        page: PageArgs<AccountId>,
    ) -> Result<Page<Member, AccountId>, StoreError>;
    /// Gives a member another role; never the owner, and never the owner's.
    async fn set_role(
        &self,
        team: TeamId,
        by: By,
        account: AccountId,
        role: Role,
        lines: Vec<Line>,
    ) -> Result<Changed, StoreError>;
    /// Takes a member out of a team; never the owner.
    async fn remove_member(
        &self,
        team: TeamId,
        by: By,
        account: AccountId,
        lines: Vec<Line>,
    ) -> Result<Changed, StoreError>;
}
