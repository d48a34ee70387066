//! Teams and their members.

use veilcloud_domain::teams::{
    error::TeamsError,
    model::{Member, Membership, Role, TeamChange},
};
use veilcloud_proto::teams::v1 as pb;

use super::{name, timestamp};
use crate::status::Fault;

/// A team, as the caller sees it.
pub fn team(membership: Membership) -> pb::Team {
    let Membership { team, role } = membership;
    pb::Team {
        team_id: team.id.to_string(),
        name: team.name.to_string(),
        owner_id: team.owner.to_string(),
        threshold: team.threshold,
        created_at: timestamp(team.created_at_ms),
        member_count: team.member_count,
        role: role.as_str().to_owned(),
    }
}

/// A member.
pub fn member(member: Member) -> pb::Member {
    pb::Member {
        account_id: member.account.to_string(),
        display_name: member.display_name,
        role: member.role.as_str().to_owned(),
        added_at: timestamp(member.added_at_ms),
    }
}

/// A role; empty means a member.
pub fn role(text: &str) -> Result<Role, Fault> {
    if text.is_empty() {
        return Ok(Role::Member);
    }
    text.parse().map_err(|_| TeamsError::RoleRefused.into())
}

/// What an update names; without a mask the name is meant.
pub fn change(request: &pb::UpdateTeamRequest) -> Result<TeamChange, Fault> {
    let mask = request.update_mask.as_ref().map(|mask| mask.paths.as_slice()).unwrap_or_default();
    if mask.is_empty() {
        return Ok(TeamChange { name: Some(name(&request.name)?), threshold: None });
    }
    let mut change = TeamChange::default();
    for path in mask {
        match path.as_str() {
            "name" => change.name = Some(name(&request.name)?),
            "threshold" => change.threshold = Some(request.threshold),
            other => return Err(TeamsError::Mask { field: other.to_owned() }.into()),
        }
    }
    Ok(change)
}
