//! Saying what a capability is worth, to those whose business it is: its account, and whoever may share every project
//! that it reaches. For everybody else a good one, a bad one and noise are one and the same.

use std::collections::BTreeSet;

use veilcore::id::{AccountId, KeyId, ProjectId, SessionId};
use veilsign::capability::{Actions, Capability, CapabilityError, Grant, Resource, Verified};

use super::{Capabilities, error::CapabilitiesError};
use crate::{auth::Caller, projects::error::ProjectsError};

/// What is asked about a capability.
#[derive(Debug, Clone)]
pub struct Question {
    /// Its bytes.
    pub capability: Vec<u8>,
    /// Whether it allows this at this place; `None` asks only whether it is good.
    pub act: Option<(Actions, Resource)>,
}

/// What a good capability says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The account that acts.
    pub account: AccountId,
    /// Token id.
    pub id: SessionId,
    /// Issuer key that signed it.
    pub kid: KeyId,
    /// Key that must sign each request.
    pub holder_pk: [u8; 32],
    /// When it ends.
    pub expires_at_ms: u64,
    /// What is granted in effect.
    pub grants: Vec<Grant>,
    /// How often it was narrowed.
    pub depth: usize,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It is good now, and allows what was asked.
    Active(Box<Standing>),
    /// It is not; one word says why, or `unknown` when it is not the asker's business.
    Inactive(&'static str),
}

/// The word for what is not the asker's business.
const UNKNOWN: &str = "unknown";

impl Capabilities {
    /// Judges a capability. No proof is needed, and none is spent.
    pub async fn verify(&self, caller: &Caller, question: Question) -> Result<Judged, CapabilitiesError> {
        let now_ms = self.clock.now_ms();
        let verdict = self.issuers.verify(&question.capability, now_ms, &self.audience);
        let verified = match verdict {
            Ok(verified) => verified,
            // Whoever says that it is their own is told what is wrong with the bytes, and nothing about anybody else.
            Err(error) if self.says_it_is_of(&question.capability, caller.account) => {
                return Ok(Judged::Inactive(word(&error)));
            }
            Err(_) => return Ok(Judged::Inactive(UNKNOWN)),
        };
        let own = verified.account() == caller.account;
        if !own && !self.reaches_only_shared(caller, &verified).await? {
            return Ok(Judged::Inactive(UNKNOWN));
        }
        let standing = self.directory.standing(verified.account(), verified.session()).await?;
        if !standing.is_some_and(|s| s.live && s.revocation_epoch == verified.revocation_epoch()) {
            return Ok(Judged::Inactive("revoked"));
        }
        if question.act.is_some_and(|(actions, place)| !verified.allows(actions, &place)) {
            return Ok(Judged::Inactive("permission"));
        }
        Ok(Judged::Active(Box::new(Standing {
            account: verified.account(),
            id: verified.session(),
            kid: verified.issuer(),
            holder_pk: *verified.holder().as_bytes(),
            expires_at_ms: verified.expires_at_ms(),
            grants: verified.grants().to_vec(),
            depth: verified.depth(),
        })))
    }

    /// Whether the bytes name this account. Nothing that is told for it is secret from whoever could write them.
    fn says_it_is_of(&self, capability: &[u8], account: AccountId) -> bool {
        let body = Capability::decode(capability).and_then(|capability| capability.body_unverified());
        body.is_ok_and(|body| body.account == account)
    }

    /// Whether every grant lies in a project that the caller may share.
    async fn reaches_only_shared(
        &self,
        caller: &Caller,
        verified: &Verified,
    ) -> Result<bool, CapabilitiesError> {
        let projects: Option<BTreeSet<ProjectId>> =
            verified.grants().iter().map(|grant| project_of(&grant.resource)).collect();
        let Some(projects) = projects else { return Ok(false) };
        for project in projects {
            match self.projects.authorize(caller, project, Actions::PROJECT_SHARE).await {
                // Not one environment of it: what is judged may reach further.
                Ok(access) if access.check_gives(Actions::PROJECT_SHARE).is_ok() => {}
                Ok(_) | Err(ProjectsError::Denied) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

/// The project that a place is in.
pub(super) fn project_of(place: &Resource) -> Option<ProjectId> {
    let mut segments = place.as_str().split('/');
    (segments.next()? == "p").then_some(())?;
    segments.next()?.parse().ok()
}

fn word(error: &CapabilityError) -> &'static str {
    match error {
        CapabilityError::UnknownIssuer { .. } => "issuer",
        CapabilityError::Signature { .. } => "signature",
        CapabilityError::NotYet { .. } => "not_yet",
        CapabilityError::Expired { .. } => "expired",
        CapabilityError::Audience => "audience",
        CapabilityError::Widened { .. } => "widened",
        CapabilityError::Sealed { .. } => "sealed",
        CapabilityError::TooDeep { .. } => "depth",
        CapabilityError::Key { .. } => "key",
        _ => "malformed",
    }
}
