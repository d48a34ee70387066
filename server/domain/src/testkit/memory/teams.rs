use async_trait::async_trait;
use veilcore::id::{AccountId, TeamId};

use super::{MemoryStore, State};
use crate::{
    audit::model::{Line, Trail},
    name::Name,
    page::{Page, PageArgs},
    store::StoreError,
    teams::{
        model::{self, Member, Membership, Role, Seat, Team, TeamChange, TeamKey},
        port::{By, Changed, Roster},
    },
};

#[async_trait]
impl Roster for MemoryStore {
    async fn create_team(&self, team: Team, limit: u32, line: Line) -> Result<Changed, StoreError> {
        let mut state = self.begin("create_team")?;
        if !state.accounts.contains_key(&team.owner) {
            return Ok(Changed::Denied);
        }
        if state.teams.contains_key(&team.id) || state.team_named(team.owner, &team.name).is_some() {
            return Ok(Changed::Taken);
        }
        if state.teams.values().filter(|t| t.owner == team.owner).count() >= limit as usize {
            return Ok(Changed::Limit);
        }
        let seat = Seat { account: team.owner, role: Role::Owner, added_at_ms: team.created_at_ms };
        state.seats.insert((team.id, team.owner), seat);
        state.teams.insert(team.id, team);
        state.log(line);
        Ok(Changed::Done)
    }

    async fn team(&self, id: TeamId, account: AccountId) -> Result<Option<Membership>, StoreError> {
        Ok(self.begin("team")?.membership(id, account))
    }

    async fn teams(
        &self,
        account: AccountId,
        only: Option<&Name>,
        page: PageArgs<TeamKey>,
    ) -> Result<Page<Membership, TeamKey>, StoreError> {
        let state = self.begin("teams")?;
        let of_account = state.teams.keys().filter_map(|id| state.membership(*id, account));
        let mut found: Vec<_> = of_account
            .filter(|m| only.is_none_or(|only| m.team.name == *only))
            .filter(|m| page.after.as_ref().is_none_or(|after| m.key() > *after))
            .collect();
        found.sort_by_key(Membership::key);
        Ok(Page::cut(found, page.size, Membership::key))
    }

    async fn update_team(
        &self,
        id: TeamId,
        by: By,
        change: TeamChange,
        line: Line,
    ) -> Result<Changed, StoreError> {
        let mut state = self.begin("update_team")?;
        let Some(Membership { team, .. }) = state.judged(id, by) else { return Ok(Changed::Denied) };
        let name = change.name.unwrap_or(team.name);
        if state.team_named(team.owner, &name).is_some_and(|other| other != id) {
            return Ok(Changed::Taken);
        }
        if let Some(team) = state.teams.get_mut(&id) {
            team.name = name;
            team.threshold = change.threshold.unwrap_or(team.threshold);
        }
        state.log(line);
        Ok(Changed::Done)
    }

    async fn delete_team(
        &self,
        id: TeamId,
        by: By,
        line: Line,
    ) -> Result<Option<Vec<AccountId>>, StoreError> {
        let mut state = self.begin("delete_team")?;
        let Some(Membership { team, .. }) = state.judged(id, by) else { return Ok(None) };
        let members = state.seats_of(id).map(|seat| seat.account).filter(|account| *account != team.owner);
        let members: Vec<_> = members.collect();
        for member in &members {
            state.log(Line { trail: Trail::Account(*member), ..line.clone() });
        }
        state.log(line);
        state.remove_team(id);
        Ok(Some(members))
    }

    async fn add_member(
        &self,
        team: TeamId,
        by: By,
        seat: Seat,
        limit: u32,
        lines: Vec<Line>,
    ) -> Result<Changed, StoreError> {
        let mut state = self.begin("add_member")?;
        let Some(found) = state.judged(team, by) else { return Ok(Changed::Denied) };
        if !state.accounts.contains_key(&seat.account) {
            return Ok(Changed::Unknown);
        }
        if state.seats.contains_key(&(team, seat.account)) {
            return Ok(Changed::Taken);
        }
        if found.team.member_count >= limit {
            return Ok(Changed::Limit);
        }
        state.seats.insert((team, seat.account), seat);
        state.log_all(lines);
        Ok(Changed::Done)
    }

    async fn member(&self, team: TeamId, account: AccountId) -> Result<Option<Member>, StoreError> {
        let state = self.begin("member")?;
        Ok(state.seats.get(&(team, account)).map(|seat| state.shown(seat)))
    }

    async fn members(
        &self,
        team: TeamId,
        page: PageArgs<AccountId>,
    ) -> Result<Page<Member, AccountId>, StoreError> {
        let state = self.begin("members")?;
        let rest = state.seats_of(team).filter(|s| page.after.is_none_or(|after| s.account > after));
        let found = rest.map(|seat| state.shown(seat)).collect();
        Ok(Page::cut(found, page.size, |member: &Member| member.account))
    }

    async fn set_role(
        &self,
        team: TeamId,
        by: By,
        account: AccountId,
        role: Role,
        lines: Vec<Line>,
    ) -> Result<Changed, StoreError> {
        let mut state = self.begin("set_role")?;
        if state.judged(team, by).is_none() {
            return Ok(Changed::Denied);
        }
        let Some(seat) = state.seats.get_mut(&(team, account)) else { return Ok(Changed::Unknown) };
        if seat.role == Role::Owner || role == Role::Owner {
            return Ok(Changed::Owner);
        }
        seat.role = role;
        state.log_all(lines);
        Ok(Changed::Done)
    }

    async fn remove_member(
        &self,
        team: TeamId,
        by: By,
        account: AccountId,
        lines: Vec<Line>,
    ) -> Result<Changed, StoreError> {
        let mut state = self.begin("remove_member")?;
        if state.judged(team, by).is_none() {
            return Ok(Changed::Denied);
        }
        match state.seats.get(&(team, account)).map(|seat| seat.role) {
            None => return Ok(Changed::Unknown),
            Some(Role::Owner) => return Ok(Changed::Owner),
            Some(_) => state.seats.remove(&(team, account)),
        };
        state.log_all(lines);
        Ok(Changed::Done)
    }
}

impl State {
    fn team_named(&self, owner: AccountId, name: &Name) -> Option<TeamId> {
        self.teams.values().find(|t| t.owner == owner && t.name == *name).map(|t| t.id)
    }

    fn seats_of(&self, team: TeamId) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(move |((of, _), _)| *of == team).map(|(_, seat)| seat)
    }

    fn membership(&self, id: TeamId, account: AccountId) -> Option<Membership> {
        let (team, seat) = self.teams.get(&id).zip(self.seats.get(&(id, account)))?;
        let member_count = u32::try_from(self.seats_of(id).count()).unwrap_or(u32::MAX);
        Some(Membership { team: Team { member_count, ..team.clone() }, role: seat.role })
    }

    /// The team, if who asks has the role now.
    fn judged(&self, id: TeamId, by: By) -> Option<Membership> {
        self.membership(id, by.account).filter(|membership| membership.role >= by.least)
    }

    fn shown(&self, seat: &Seat) -> Member {
        let account = self.accounts.get(&seat.account);
        let display_name = account.map_or_else(String::new, |account| account.display_name.clone());
        Member { account: seat.account, display_name, role: seat.role, added_at_ms: seat.added_at_ms }
    }

    fn remove_team(&mut self, id: TeamId) {
        self.seats.retain(|(team, _), _| *team != id);
        self.teams.remove(&id);
    }

    /// Teams of this owner in which somebody else is.
    pub(super) fn peopled_teams(&self, owner: AccountId) -> usize {
        let owned = self.teams.values().filter(|team| team.owner == owner);
        owned.filter(|team| self.seats_of(team.id).count() > 1).count()
    }

    /// Takes an account out of every team and deletes its own; gives the owners of the teams it was in, each told in
    /// its trail.
    pub(super) fn leave_teams(&mut self, account: AccountId, at_ms: u64) -> Vec<AccountId> {
        let owned: Vec<_> = self.teams.values().filter(|t| t.owner == account).map(|t| t.id).collect();
        for team in owned {
            self.remove_team(team);
        }
        let seats = self.seats.keys().filter(|(_, of)| *of == account).map(|(team, _)| *team);
        let mut owners = Vec::new();
        for team in seats.collect::<Vec<_>>() {
            self.seats.remove(&(team, account));
            if let Some(owner) = self.teams.get(&team).map(|team| team.owner) {
                self.log(model::left(owner, team, account, at_ms));
                owners.push(owner);
            }
        }
        owners
    }
}
