//! Add, list, change and remove members.

use veilcore::id::{AccountId, TeamId};
use veilsign::capability::Actions;

use super::{
    Teams,
    error::TeamsError,
    model::{MEMBERS_MAX, Member, Role, Seat},
    port::Changed,
    service::{by, check_account},
};
use crate::{
    audit::model::Kind,
    auth::Caller,
    page::{Page, PageArgs},
};

impl Teams {
    /// Puts an account into the team, as an admin or a member; for owner and admins. Nothing is opened to it by that: a
    /// key must be wrapped to it first, by a client.
    pub async fn add_member(
        &self,
        caller: &Caller,
        id: TeamId,
        account: AccountId,
        role: Role,
    ) -> Result<Member, TeamsError> {
        check_account(caller, Actions::TEAM_MANAGE)?;
        check_role(role)?;
        let team = self.entered(caller, id, Role::Admin).await?;
        let seat = Seat { account, role, added_at_ms: self.clock.now_ms() };
        let lines = self.lines(caller, &team, Kind::MemberAdd, account, Some(role));
        match self.roster.add_member(id, by(caller, Role::Admin), seat, MEMBERS_MAX, lines).await? {
            Changed::Done => self.seated(id, account).await,
            Changed::Taken => Err(TeamsError::MemberExists),
            Changed::Unknown => Err(TeamsError::AccountUnknown),
            changed => Err(refusal(changed)),
        }
    }

    /// The members of a team that the caller is in, by account.
    pub async fn members(
        &self,
        caller: &Caller,
        id: TeamId,
        page: PageArgs<AccountId>,
    ) -> Result<Page<Member, AccountId>, TeamsError> {
        check_account(caller, Actions::TEAM_READ)?;
        self.entered(caller, id, Role::Member).await?;
        Ok(self.roster.members(id, page).await?)
    }

    /// Makes a member an admin, or an admin a member; for owner and admins.
    pub async fn set_role(
        &self,
        caller: &Caller,
        id: TeamId,
        account: AccountId,
        role: Role,
    ) -> Result<Member, TeamsError> {
        check_account(caller, Actions::TEAM_MANAGE)?;
        check_role(role)?;
        let team = self.entered(caller, id, Role::Admin).await?;
        let lines = self.lines(caller, &team, Kind::MemberUpdate, account, Some(role));
        match self.roster.set_role(id, by(caller, Role::Admin), account, role, lines).await? {
            Changed::Done => self.seated(id, account).await,
            changed => Err(refusal(changed)),
        }
    }

    /// Takes a member out of the team: owner and admins anybody but the owner, a member itself. From then on it has no
    /// right that it had through the team.
    pub async fn remove_member(
        &self,
        caller: &Caller,
        id: TeamId,
        account: AccountId,
    ) -> Result<(), TeamsError> {
        check_account(caller, Actions::TEAM_MANAGE)?;
        let least = if account == caller.account { Role::Member } else { Role::Admin };
        let team = self.entered(caller, id, least).await?;
        let lines = self.lines(caller, &team, Kind::MemberRemove, account, None);
        match self.roster.remove_member(id, by(caller, least), account, lines).await? {
            Changed::Done => Ok(()),
            changed => Err(refusal(changed)),
        }
    }

    /// The member as the change left it; gone when somebody took it out meanwhile.
    async fn seated(&self, team: TeamId, account: AccountId) -> Result<Member, TeamsError> {
        self.roster.member(team, account).await?.ok_or(TeamsError::MemberUnknown)
    }
}

fn check_role(role: Role) -> Result<(), TeamsError> {
    if role < Role::Owner { Ok(()) } else { Err(TeamsError::RoleRefused) }
}

fn refusal(changed: Changed) -> TeamsError {
    match changed {
        Changed::Limit => TeamsError::MemberLimit { limit: MEMBERS_MAX },
        Changed::Unknown => TeamsError::MemberUnknown,
        Changed::Owner => TeamsError::OwnerStays,
        _ => TeamsError::Denied,
    }
}
