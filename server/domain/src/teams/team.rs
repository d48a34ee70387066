//! Create, list, show, change and delete teams.

use veilcore::id::TeamId;
use veilsign::capability::Actions;

use super::{
    Teams,
    error::TeamsError,
    model::{MEMBERS_MAX, Membership, Role, TEAMS_MAX, Team, TeamChange, TeamKey},
    port::Changed,
    service::{by, check_account},
};
use crate::{
    audit::model::Kind,
    auth::Caller,
    mint,
    name::Name,
    page::{Page, PageArgs},
};

impl Teams {
    /// Creates a team of the caller's, with nobody else in it.
    pub async fn create(
        &self,
        caller: &Caller,
        name: Name,
        threshold: u32,
    ) -> Result<Membership, TeamsError> {
        check_account(caller, Actions::TEAM_MANAGE)?;
        check_threshold(threshold)?;
        let team = Team {
            id: TeamId::from_bytes(mint::ordered(&*self.clock, &*self.entropy)),
            name: name.clone(),
            owner: caller.account,
            threshold,
            created_at_ms: self.clock.now_ms(),
            member_count: 1,
        };
        let line = self.line(caller, caller.account, team.id, Kind::TeamCreate);
        match self.roster.create_team(team.clone(), TEAMS_MAX, line).await? {
            Changed::Done => Ok(Membership { team, role: Role::Owner }),
            Changed::Limit => Err(TeamsError::TeamLimit { limit: TEAMS_MAX }),
            changed => Err(refusal(changed, &name)),
        }
    }

    /// The teams that the caller is in, by name; with `only`, those of that name.
    pub async fn list(
        &self,
        caller: &Caller,
        only: Option<&Name>,
        page: PageArgs<TeamKey>,
    ) -> Result<Page<Membership, TeamKey>, TeamsError> {
        check_account(caller, Actions::TEAM_READ)?;
        Ok(self.roster.teams(caller.account, only, page).await?)
    }

    /// A team that the caller is in.
    pub async fn get(&self, caller: &Caller, id: TeamId) -> Result<Membership, TeamsError> {
        check_account(caller, Actions::TEAM_READ)?;
        self.entered(caller, id, Role::Member).await
    }

    /// Changes name or threshold; for owner and admins.
    pub async fn update(
        &self,
        caller: &Caller,
        id: TeamId,
        change: TeamChange,
    ) -> Result<Membership, TeamsError> {
        check_account(caller, Actions::TEAM_MANAGE)?;
        check_threshold(change.threshold.unwrap_or(0))?;
        let found = self.entered(caller, id, Role::Admin).await?;
        let name = change.name.clone().unwrap_or(found.team.name);
        let line = self.line(caller, found.team.owner, id, Kind::TeamUpdate);
        match self.roster.update_team(id, by(caller, Role::Admin), change, line).await? {
            Changed::Done => self.entered(caller, id, Role::Member).await,
            changed => Err(refusal(changed, &name)),
        }
    }

    /// Deletes the team; only its owner may. What it was shared with, it has no more.
    pub async fn delete(&self, caller: &Caller, id: TeamId) -> Result<(), TeamsError> {
        check_account(caller, Actions::TEAM_MANAGE)?;
        let found = self.entered(caller, id, Role::Owner).await?;
        let line = self.line(caller, found.team.owner, id, Kind::TeamDelete);
        let deleted = self.roster.delete_team(id, by(caller, Role::Owner), line).await?;
        deleted.map(drop).ok_or(TeamsError::Denied)
    }
}

fn check_threshold(threshold: u32) -> Result<(), TeamsError> {
    if threshold <= MEMBERS_MAX { Ok(()) } else { Err(TeamsError::Threshold { limit: MEMBERS_MAX }) }
}

fn refusal(changed: Changed, name: &Name) -> TeamsError {
    match changed {
        Changed::Taken => TeamsError::NameTaken { name: name.to_string() },
        _ => TeamsError::Denied,
    }
}
