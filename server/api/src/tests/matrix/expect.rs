//! What each cell must be answered, from the annotation and from who may do what in the standard world. Nothing here knows a
//! single RPC.

use veilsign::capability::{Actions, Resource};

use super::{callers::Asker, place::Place, send::Ask};

/// Whose ids a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Own,
    Foreign,
    Random,
}

pub const WHOSE: [Whose; 3] = [Whose::Own, Whose::Foreign, Whose::Random];

/// Every reason that refuses somebody rather than something.
pub const REFUSALS: [&str; 7] = [
    "CREDENTIAL_MISSING",
    "CREDENTIAL_INVALID",
    "CREDENTIAL_REVOKED",
    "CREDENTIAL_EXPIRED",
    "PROOF_INVALID",
    "PERMISSION_DENIED",
    "LOGIN_NOT_FRESH",
];

/// Why this must be refused; `None` when it passes.
pub fn refusal(asker: Asker, whose: Whose, ask: &Ask, template: &str, place: &Place) -> Option<&'static str> {
    let access = ask.method.access;
    if !access.session {
        return None;
    }
    match asker {
        Asker::Nobody => return Some("CREDENTIAL_MISSING"),
        Asker::WrongAudience => return Some("CREDENTIAL_INVALID"),
        Asker::Revoked => return Some("CREDENTIAL_REVOKED"),
        Asker::Expired => return Some("CREDENTIAL_EXPIRED"),
        _ => {}
    }
    let denied = Some("PERMISSION_DENIED");
    if asker.is_key() && !access.keys {
        return denied;
    }
    let (allowed, at) = asker.allowance(ask, place);
    if let Some(needed) = access.permission {
        let project = ask.method.resource.map(|_| Resource::project(target(whose, place)));
        if !allowed.contains(needed) || !at.covers(&project.clone().unwrap_or_else(Resource::account)) {
            return denied;
        }
        if project.is_some() {
            return (!role(asker, whose).contains(needed)).then_some("PERMISSION_DENIED");
        }
    }
    // What the annotation judges on the account alone, the service judges on the object.
    if template.contains("$team_id") {
        let manages = access.permission == Some(Actions::TEAM_MANAGE);
        let in_it = match asker {
            Asker::Teammate | Asker::Reader => !manages,
            Asker::Stranger | Asker::KeyOfStranger => false,
            _ => true,
        };
        return (!in_it || whose != Whose::Own).then_some("PERMISSION_DENIED");
    }
    let mine = is_owner(asker) && whose == Whose::Own;
    for (id, unknown) in [("$api_key_id", "API_KEY_UNKNOWN"), ("$token_id", "CAPABILITY_UNKNOWN")] {
        if template.contains(id) {
            return (!mine).then_some(unknown);
        }
    }
    None
}

fn target(whose: Whose, place: &Place) -> veilcore::id::ProjectId {
    let ids = match whose {
        Whose::Own => &place.own,
        Whose::Foreign => &place.foreign,
        Whose::Random => &place.random,
    };
    ids["project_id"].parse().expect("an id")
}

fn is_owner(asker: Asker) -> bool {
    !matches!(asker, Asker::Stranger | Asker::Teammate | Asker::Reader | Asker::KeyOfStranger)
}

/// What the asker's account may do in the project.
fn role(asker: Asker, whose: Whose) -> Actions {
    match asker {
        _ if whose != Whose::Own => Actions::NONE,
        Asker::Reader => Actions::PROJECT_READ,
        asker if is_owner(asker) => Actions::ALL,
        _ => Actions::NONE,
    }
}
