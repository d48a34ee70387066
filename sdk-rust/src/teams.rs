//! Teams: people whom projects are shared with. The server keeps who is in one, so what it says about teams is believed
//! no further than for showing it: that somebody may open something is said by a project's signed access list alone.

use std::str::FromStr;

use time::OffsetDateTime;
use veilcloud_proto::teams::v1 as pb;
use veilcore::id::{AccountId, TeamId};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::projects::{PAGE_SIZE, PAGES_MAX};
use crate::times;
use crate::transport::rpc::{self, Rpc};

/// A group of people, as somebody in it sees it. Its name is visible to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Team {
    /// Team id.
    pub id: TeamId,
    /// Name, unique among the teams of its owner.
    pub name: String,
    /// Account that created it.
    pub owner_id: AccountId,
    /// Members that open something together; 0 for none.
    pub threshold: u32,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// Number of members, the owner among them.
    pub member_count: u32,
    /// What this account may do in it.
    pub role: TeamRole,
}

/// What a member may do in a team. Greater is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TeamRole {
    /// Sees the team and who is in it, and may leave.
    Member,
    /// Manages the members and the name, too.
    Admin,
    /// Deletes it, too. Exactly one, for ever.
    Owner,
}

impl TeamRole {
    /// The role's name: `owner`, `admin` or `member`.
    pub fn as_str(self) -> &'static str {
        match self {
            TeamRole::Member => "member",
            TeamRole::Admin => "admin",
            TeamRole::Owner => "owner",
        }
    }
}

impl FromStr for TeamRole {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "member" => Ok(TeamRole::Member),
            "admin" => Ok(TeamRole::Admin),
            "owner" => Ok(TeamRole::Owner),
            _ => Err(Error::Invalid { what: "role", why: "it is owner, admin or member".to_owned() }),
        }
    }
}

/// Somebody in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TeamMember {
    /// Account id.
    pub account_id: AccountId,
    /// Name to show; chosen by the account, so it proves nothing.
    pub display_name: String,
    /// What they may do in the team.
    pub role: TeamRole,
    /// When they were put into it.
    pub added_at: OffsetDateTime,
}

/// The teams that the account is in; see [`Client::teams`].
#[derive(Clone)]
pub struct Teams {
    client: Client,
}

impl Teams {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Creates a team with nobody else in it. Names match `[a-z0-9][a-z0-9._-]{0,62}` without `..`.
    ///
    /// # Errors
    /// [`Error::Api`] with `TEAM_NAME_TAKEN`, `TEAM_LIMIT` or `FIELD_INVALID`.
    pub async fn create(&self, name: &str) -> Result<Team> {
        let request =
            pb::CreateTeamRequest { name: name.to_owned(), threshold: 0, request_id: times::request_id() };
        let answer: pb::CreateTeamResponse = self.client.call(&rpc::CREATE_TEAM, &request).await?;
        read(answer.team, &rpc::CREATE_TEAM)
    }

    /// All teams that the account is in, by name.
    ///
    /// # Errors
    /// What the server says.
    pub async fn list(&self) -> Result<Vec<Team>> {
        self.pages("").await
    }

    /// A team by its id.
    ///
    /// # Errors
    /// [`Error::Api`] with `PERMISSION_DENIED`, also when there is none: the server does not say which.
    pub async fn get(&self, id: TeamId) -> Result<Team> {
        let request = pb::GetTeamRequest { team_id: id.to_string() };
        let answer: pb::GetTeamResponse = self.client.call(&rpc::GET_TEAM, &request).await?;
        same(read(answer.team, &rpc::GET_TEAM)?, id, &rpc::GET_TEAM)
    }

    /// The team of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] when there are several, by different owners.
    pub async fn by_name(&self, name: &str) -> Result<Team> {
        let mut found = self.pages(name).await?;
        found.retain(|team| team.name == name);
        match (found.pop(), found.len()) {
            (Some(team), 0) => Ok(team),
            (None, _) => Err(Error::NotFound { what: "team", name: name.to_owned() }),
            (Some(_), more) => {
                let why = format!("{} teams that you are in are called {name}: use the id of one", more + 1);
                Err(Error::Invalid { what: "team", why })
            }
        }
    }

    /// Renames a team.
    ///
    /// # Errors
    /// [`Error::Api`] with `TEAM_NAME_TAKEN`, `FIELD_INVALID` or `PERMISSION_DENIED`.
    pub async fn rename(&self, team: TeamId, name: &str) -> Result<Team> {
        let request = pb::UpdateTeamRequest {
            team_id: team.to_string(),
            name: name.to_owned(),
            threshold: 0,
            update_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
            request_id: times::request_id(),
        };
        let answer: pb::UpdateTeamResponse = self.client.call(&rpc::UPDATE_TEAM, &request).await?;
        same(read(answer.team, &rpc::UPDATE_TEAM)?, team, &rpc::UPDATE_TEAM)
    }

    /// Deletes a team; only its owner may. Everybody in it loses at once what was shared with it.
    ///
    /// # Errors
    /// [`Error::Api`] with `PERMISSION_DENIED`.
    pub async fn delete(&self, team: TeamId) -> Result<()> {
        let request = pb::DeleteTeamRequest { team_id: team.to_string(), request_id: times::request_id() };
        let _: pb::DeleteTeamResponse = self.client.call(&rpc::DELETE_TEAM, &request).await?;
        Ok(())
    }

    /// Everybody in a team, by account.
    ///
    /// # Errors
    /// What the server says.
    pub async fn members(&self, team: TeamId) -> Result<Vec<TeamMember>> {
        let mut members = Vec::new();
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let team_id = team.to_string();
            let request = pb::ListMembersRequest { team_id, page_size: PAGE_SIZE, page_token };
            let answer: pb::ListMembersResponse = self.client.call(&rpc::LIST_MEMBERS, &request).await?;
            for found in answer.members {
                members.push(member(Some(found), &rpc::LIST_MEMBERS)?);
            }
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(members);
            }
        }
        Err(Error::BadAnswer { rpc: rpc::LIST_MEMBERS.path })
    }

    /// Puts an account into a team, as an admin or a member. That opens nothing to it yet.
    ///
    /// # Errors
    /// [`Error::Api`] with `MEMBER_EXISTS`, `MEMBER_LIMIT`, `USER_UNKNOWN` or `PERMISSION_DENIED`.
    pub async fn add(&self, team: TeamId, account: AccountId, role: TeamRole) -> Result<TeamMember> {
        let request = pb::AddMemberRequest {
            team_id: team.to_string(),
            account_id: account.to_string(),
            role: role.as_str().to_owned(),
            request_id: times::request_id(),
        };
        let answer: pb::AddMemberResponse = self.client.call(&rpc::ADD_MEMBER, &request).await?;
        self.about(answer.member, account, &rpc::ADD_MEMBER)
    }

    /// Makes a member an admin, or an admin a member.
    ///
    /// # Errors
    /// [`Error::Api`] with `MEMBER_UNKNOWN`, `TEAM_OWNER_STAYS` or `PERMISSION_DENIED`.
    pub async fn set_role(&self, team: TeamId, account: AccountId, role: TeamRole) -> Result<TeamMember> {
        let request = pb::UpdateMemberRequest {
            team_id: team.to_string(),
            account_id: account.to_string(),
            role: role.as_str().to_owned(),
            update_mask: Some(prost_types::FieldMask { paths: vec!["role".to_owned()] }),
            request_id: times::request_id(),
        };
        let answer: pb::UpdateMemberResponse = self.client.call(&rpc::UPDATE_MEMBER, &request).await?;
        self.about(answer.member, account, &rpc::UPDATE_MEMBER)
    }

    /// Takes somebody out of a team, or leaves it. The server refuses them from then on; the keys that they have seen they
    /// still have, until those are rotated.
    ///
    /// # Errors
    /// [`Error::Api`] with `MEMBER_UNKNOWN`, `TEAM_OWNER_STAYS` or `PERMISSION_DENIED`.
    pub async fn remove(&self, team: TeamId, account: AccountId) -> Result<()> {
        let request = pb::RemoveMemberRequest {
            team_id: team.to_string(),
            account_id: account.to_string(),
            request_id: times::request_id(),
        };
        let _: pb::RemoveMemberResponse = self.client.call(&rpc::REMOVE_MEMBER, &request).await?;
        Ok(())
    }

    fn about(&self, answer: Option<pb::Member>, account: AccountId, rpc: &'static Rpc) -> Result<TeamMember> {
        let member = member(answer, rpc)?;
        if member.account_id == account { Ok(member) } else { Err(Error::BadAnswer { rpc: rpc.path }) }
    }

    async fn pages(&self, name: &str) -> Result<Vec<Team>> {
        let mut teams = Vec::new();
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let request = pb::ListTeamsRequest { page_size: PAGE_SIZE, page_token, name: name.to_owned() };
            let answer: pb::ListTeamsResponse = self.client.call(&rpc::LIST_TEAMS, &request).await?;
            for team in answer.teams {
                teams.push(read(Some(team), &rpc::LIST_TEAMS)?);
            }
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(teams);
            }
        }
        // A list without an end is a server that makes us work for nothing.
        Err(Error::BadAnswer { rpc: rpc::LIST_TEAMS.path })
    }
}

fn same(team: Team, id: TeamId, rpc: &'static Rpc) -> Result<Team> {
    if team.id == id { Ok(team) } else { Err(Error::BadAnswer { rpc: rpc.path }) }
}

fn read(team: Option<pb::Team>, rpc: &'static Rpc) -> Result<Team> {
    let team = times::present(team, rpc)?;
    Ok(Team {
        id: times::id(&team.team_id, rpc)?,
        name: times::name(team.name, rpc)?,
        owner_id: times::id(&team.owner_id, rpc)?,
        threshold: team.threshold,
        created_at: times::required(team.created_at, rpc)?,
        member_count: team.member_count,
        role: role(&team.role, rpc)?,
    })
}

fn member(member: Option<pb::Member>, rpc: &'static Rpc) -> Result<TeamMember> {
    let member = times::present(member, rpc)?;
    Ok(TeamMember {
        account_id: times::id(&member.account_id, rpc)?,
        display_name: member.display_name,
        role: role(&member.role, rpc)?,
        added_at: times::required(member.added_at, rpc)?,
    })
}

fn role(text: &str, rpc: &'static Rpc) -> Result<TeamRole> {
    text.parse().map_err(|_| Error::BadAnswer { rpc: rpc.path })
}

#[cfg(test)]
mod tests;
