//! Teams and their members as the roster keeps them.

use std::str::FromStr;

use veilcore::id::{AccountId, EnvironmentId, TeamId};

use crate::{
    audit::model::{Kind, Line, Trail},
    name::Name,
};

/// Most teams that one account owns. How many it is in is not bounded: others put it there.
pub const TEAMS_MAX: u32 = 100;
/// Most members of one team, its owner among them.
pub const MEMBERS_MAX: u32 = 250;

/// A group of people whom projects are shared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Team id, version 7.
    pub id: TeamId,
    /// Name, unique among the teams of its owner.
    pub name: Name,
    /// Who created it.
    pub owner: AccountId,
    /// How many members open something together, at most [`MEMBERS_MAX`]; 0 for none.
    pub threshold: u32,
    /// Creation time.
    pub created_at_ms: u64,
    /// Number of members, the owner among them; kept by the roster.
    pub member_count: u32,
}

/// What a member may do in a team. Greater is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees the team and who is in it, and may leave.
    Member,
    /// Manages the members and the name, too.
    Admin,
    /// Deletes it, too. Exactly one, for ever.
    Owner,
}

impl Role {
    /// The role's name: `owner`, `admin`, `member`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    /// The role's number in an audit line.
    pub fn number(self) -> u64 {
        match self {
            Self::Owner => 1,
            Self::Admin => 2,
            Self::Member => 3,
        }
    }
}

/// The text names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is owner, admin or member")]
pub struct RoleInvalid;

impl FromStr for Role {
    type Err = RoleInvalid;

    fn from_str(text: &str) -> Result<Self, RoleInvalid> {
        match text {
            "owner" => Ok(Self::Owner),
            "admin" => Ok(Self::Admin),
            "member" => Ok(Self::Member),
            _ => Err(RoleInvalid),
        }
    }
}

/// A team, as one who is in it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The team.
    pub team: Team,
    /// The role of who asked.
    pub role: Role,
}

impl Membership {
    /// Where a list of teams goes on after this one.
    pub fn key(&self) -> TeamKey {
        (self.team.name.clone(), self.team.id)
    }
}

/// Order of a list of teams: names are unique for each owner only.
pub type TeamKey = (Name, TeamId);

/// Somebody in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub account: AccountId,
    /// Name to show.
    pub display_name: String,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub added_at_ms: u64,
}

/// A new member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// Who.
    pub account: AccountId,
    /// What they may do; not the owner's role.
    pub role: Role,
    /// Since when.
    pub added_at_ms: u64,
}

/// What of a team is to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TeamChange {
    /// New name.
    pub name: Option<Name>,
    /// New threshold.
    pub threshold: Option<u32>,
}

/// A team's id where an audit line names what it is about: the entry's subject, whatever kind of thing it is.
pub(crate) fn subject(team: TeamId) -> EnvironmentId {
    EnvironmentId::from_bytes(*team.as_bytes())
}

/// A line about a team in the trail of its owner, or of somebody else whom it concerns.
pub(crate) fn line(trail: AccountId, kind: Kind, team: TeamId, actor: AccountId, at_ms: u64) -> Line {
    Line {
        trail: Trail::Account(trail),
        kind,
        actor,
        at_ms,
        environment: Some(subject(team)),
        version: 0,
        digest: None,
        key: None,
        by_number: false,
    }
}

/// The line in the trail of a team's owner when a member's account is deleted.
pub fn left(owner: AccountId, team: TeamId, account: AccountId, at_ms: u64) -> Line {
    let about = member_digest(account);
    Line { digest: Some(about), ..line(owner, Kind::MemberRemove, team, account, at_ms) }
}

/// How a line names the member that it is about: SHA-256 of the account's id.
pub(crate) fn member_digest(account: AccountId) -> [u8; 32] {
    veilcore::hash::sha256(account.as_bytes())
}
