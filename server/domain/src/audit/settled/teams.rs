use async_trait::async_trait;
use veilcore::id::{AccountId, TeamId};

use super::{Settled, all, one};
use crate::{
    audit::model::{Line, Trail},
    name::Name,
    page::{Page, PageArgs},
    store::StoreError,
    teams::{
        model::{Member, Membership, Role, Seat, Team, TeamChange, TeamKey},
        port::{By, Changed, Roster},
    },
};

#[async_trait]
impl Roster for Settled<dyn Roster> {
    async fn create_team(&self, team: Team, limit: u32, line: Line) -> Result<Changed, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let changed = self.port.create_team(team, limit, line).await?;
        self.settle(changed == Changed::Done, trails).await?;
        Ok(changed)
    }

    async fn team(&self, id: TeamId, account: AccountId) -> Result<Option<Membership>, StoreError> {
        self.port.team(id, account).await
    }

    async fn teams(
        &self,
        account: AccountId,
        only: Option<&Name>,
        page: PageArgs<TeamKey>,
    ) -> Result<Page<Membership, TeamKey>, StoreError> {
        self.port.teams(account, only, page).await
    }

    async fn update_team(
        &self,
        id: TeamId,
        by: By,
        change: TeamChange,
        line: Line,
    ) -> Result<Changed, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let changed = self.port.update_team(id, by, change, line).await?;
        self.settle(changed == Changed::Done, trails).await?;
        Ok(changed)
    }

    async fn delete_team(
        &self,
        id: TeamId,
        by: By,
        line: Line,
    ) -> Result<Option<Vec<AccountId>>, StoreError> {
        let mut trails = one(&line);
        self.log.check()?;
        let deleted = self.port.delete_team(id, by, line).await?;
        // Only the store knew who was in it when it went.
        trails.extend(deleted.iter().flatten().copied().map(Trail::Account));
        self.settle(deleted.is_some(), trails).await?;
        Ok(deleted)
    }

    async fn add_member(
        &self,
        team: TeamId,
        by: By,
        seat: Seat,
        limit: u32,
        lines: Vec<Line>,
    ) -> Result<Changed, StoreError> {
        let trails = all(&lines);
        self.log.check()?;
        let changed = self.port.add_member(team, by, seat, limit, lines).await?;
        self.settle(changed == Changed::Done, trails).await?;
        Ok(changed)
    }

    async fn member(&self, team: TeamId, account: AccountId) -> Result<Option<Member>, StoreError> {
        self.port.member(team, account).await
    }

    async fn members(
        &self,
        team: TeamId,
        page: PageArgs<AccountId>,
    ) -> Result<Page<Member, AccountId>, StoreError> {
        self.port.members(team, page).await
    }

    async fn set_role(
        &self,
        team: TeamId,
        by: By,
        account: AccountId,
        role: Role,
        lines: Vec<Line>,
    ) -> Result<Changed, StoreError> {
        let trails = all(&lines);
        self.log.check()?;
        let changed = self.port.set_role(team, by, account, role, lines).await?;
        self.settle(changed == Changed::Done, trails).await?;
        Ok(changed)
    }

    async fn remove_member(
        &self,
        team: TeamId,
        by: By,
        account: AccountId,
        lines: Vec<Line>,
    ) -> Result<Changed, StoreError> {
        let trails = all(&lines);
        self.log.check()?;
        let changed = self.port.remove_member(team, by, account, lines).await?;
        self.settle(changed == Changed::Done, trails).await?;
        Ok(changed)
    }
}
