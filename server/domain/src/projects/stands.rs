//! A change is judged twice: at the gate, so that nothing is done for somebody who may not, and here, in the transaction
//! that makes it, by the line that it leaves in the trail. Between the two somebody may have been removed from a team, or
//! a key revoked. Reads and unlocks change nothing and are not asked about here: an unlock looks again after its line is
//! written.
//!
//! What must never happen: a line of a project that says somebody did what they might not do at that moment.

use veilcore::id::{AccountId, ProjectId};
use veilsign::capability::Actions;

use super::access::AccessFacts;
use crate::audit::model::{Kind, Line, Trail};

/// What has to be held for a change that leaves a line of some kind.
enum Needs {
    /// Nothing: the project is only made by it.
    Nothing,
    /// The project.
    Ownership,
    /// All of one of these.
    OneOf(&'static [Actions]),
}

/// Whether the one whom a line names, with the API key that it names, may do what it says now. A store asks before it
/// makes the change, in the same transaction, and makes none when the answer is no.
pub fn stands<F: AccessFacts>(line: &Line, facts: &mut F) -> Result<bool, F::Error> {
    if let Some(key) = line.key
        && !facts.key_lives(key, line.actor, line.at_ms)?
    {
        return Ok(false);
    }
    let Trail::Project(project) = line.trail else { return Ok(true) };
    let needs = match needs(line.kind) {
        Some(Needs::Nothing) => return Ok(true),
        Some(needs) => needs,
        None => return Ok(false),
    };
    let Some(rights) = facts.rights(project, line.actor)? else { return Ok(false) };
    Ok(match needs {
        Needs::Nothing => true,
        Needs::Ownership => rights.owner == line.actor,
        Needs::OneOf(sets) => sets.iter().any(|actions| rights.actions.contains(*actions)),
    })
}

/// Whether the account may do this in the project now, for a change that leaves no line.
pub fn may<F: AccessFacts>(
    project: ProjectId,
    account: AccountId,
    actions: Actions,
    facts: &mut F,
) -> Result<bool, F::Error> {
    let rights = facts.rights(project, account)?;
    Ok(rights.is_some_and(|rights| rights.actions.contains(actions)))
}

/// `None` for what happens in no project.
fn needs(kind: Kind) -> Option<Needs> {
    const READ: Actions = Actions::PROJECT_READ;
    const WRITE: Actions = Actions::PROJECT_WRITE;
    const SHARE: Actions = Actions::PROJECT_SHARE;
    /// Who may read hands on what they can open, if they may write or share.
    const HANDS_ON: &[Actions] = &[READ.union(WRITE), READ.union(SHARE)];
    Some(match kind {
        Kind::ProjectCreate => Needs::Nothing,
        Kind::ProjectUpdate => Needs::Ownership,
        Kind::EnvironmentCreate | Kind::EnvironmentClone | Kind::KeyRotate | Kind::BlobPut => {
            Needs::OneOf(&[WRITE])
        }
        Kind::ProjectDelete | Kind::EnvironmentDelete | Kind::BlobDelete => {
            Needs::OneOf(&[Actions::PROJECT_DELETE])
        }
        Kind::KeyringAdd => Needs::OneOf(HANDS_ON),
        Kind::Share | Kind::Unshare | Kind::AccessList => Needs::OneOf(&[SHARE]),
        _ => return None,
    })
}
