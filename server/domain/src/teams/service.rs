//! The service of teams. One verb, one file beside this one, or a pair of them.
//!
//! What must never happen: an answer that tells a foreign team from an absent one, a team without its owner, a change
//! by somebody who lost the role before it was made.

use std::sync::Arc;

use veilcore::id::{AccountId, TeamId};
use veilsign::capability::{Actions, Resource};

use super::{
    error::TeamsError,
    model::{self, Membership, Role},
    port::{By, Roster},
};
use crate::{
    audit::model::{Kind, Line},
    auth::Caller,
    clock::{Clock, Entropy},
};

/// Teams and their members.
pub struct Teams {
    pub(super) roster: Arc<dyn Roster>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Teams {
    /// The service on its ports.
    pub fn new(roster: Arc<dyn Roster>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { roster, clock, entropy }
    }

    /// The team, if the caller is in it with at least this role. A foreign team and an absent one are refused alike, by
    /// the same step.
    pub(super) async fn entered(
        &self,
        caller: &Caller,
        id: TeamId,
        least: Role,
    ) -> Result<Membership, TeamsError> {
        let found = self.roster.team(id, caller.account).await?;
        found.filter(|membership| membership.role >= least).ok_or(TeamsError::Denied)
    }

    /// A line by the caller in the trail of the team's owner.
    pub(super) fn line(&self, caller: &Caller, owner: AccountId, team: TeamId, kind: Kind) -> Line {
        model::line(owner, kind, team, caller.account, self.clock.now_ms())
    }

    /// The lines about a member: in the trails of the team's owner and of the member. They name the member by a hash of
    /// the id, so that the owner's trail says whom it is about.
    pub(super) fn lines(
        &self,
        caller: &Caller,
        team: &Membership,
        kind: Kind,
        member: AccountId,
        role: Option<Role>,
    ) -> Vec<Line> {
        let line = |trail| Line {
            version: role.map_or(0, Role::number),
            digest: Some(model::member_digest(member)),
            ..self.line(caller, trail, team.team.id, kind)
        };
        let mut trails = vec![team.team.owner, member];
        trails.dedup();
        trails.into_iter().map(line).collect()
    }
}

/// What the roster judges the caller by once more, when the change is made.
pub(super) fn by(caller: &Caller, least: Role) -> By {
    By { account: caller.account, least }
}

/// Teams are the account's: a capability for them reaches the whole account.
pub(super) fn check_account(caller: &Caller, actions: Actions) -> Result<(), TeamsError> {
    if caller.allows(actions, &Resource::account()) { Ok(()) } else { Err(TeamsError::Denied) }
}
