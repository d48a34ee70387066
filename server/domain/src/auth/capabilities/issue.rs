//! Issuing: the server signs for another key what the session itself might have narrowed its own capability to, and more
//! long-lived.

use veilcore::id::SessionId;
use veilsign::{
    capability::{
        Actions, Body, GRANTS_MAX, Grant, LIFETIME_MS_MAX, Resource, SESSION_LIFETIME_MS_MAX, cap_hash, holds,
    },
    key::VerifyingKey,
};

use super::{
    Capabilities,
    error::CapabilitiesError,
    model::{CAPABILITIES_MAX, ISSUABLE, Issued},
    port::Issuing,
};
use crate::{
    audit::model::{Kind, Line},
    auth::{Caller, error::AuthError},
    mint,
    name::Name,
    store::StoreError,
};

/// First segment of the places that can be given.
const PROJECTS: &str = "p/";

/// A capability as it is asked for.
#[derive(Debug, Clone)]
pub struct NewCapability {
    /// Name to tell it by.
    pub name: Name,
    /// Key that it is for.
    pub holder_pk: [u8; 32],
    /// The key's signature over account and request.
    pub possession: [u8; 64],
    /// Names the request.
    pub request_id: [u8; 16],
    /// What it may do.
    pub grants: Vec<Grant>,
    /// How long it lives.
    pub lifetime_ms: u64,
}

impl Capabilities {
    /// Issues a capability; gives its bytes, too. One that lives longer than a session's needs a fresh login.
    pub async fn issue(
        &self,
        caller: &Caller,
        new: NewCapability,
    ) -> Result<(Issued, Vec<u8>), CapabilitiesError> {
        let by = caller.session().ok_or(CapabilitiesError::Denied)?;
        // What was issued issues nothing: it never has this.
        if !caller.allows(Actions::KEY_MANAGE, &Resource::account()) {
            return Err(CapabilitiesError::Denied);
        }
        let now_ms = self.clock.now_ms();
        check(&new)?;
        if !new.grants.iter().all(|grant| caller.allows(grant.actions, &grant.resource)) {
            return Err(CapabilitiesError::Denied);
        }
        // A capability that was narrowed ends when it says so, and so does what it gives.
        let ends_ms = now_ms.saturating_add(new.lifetime_ms);
        if caller.ends_at_ms().is_some_and(|end_ms| ends_ms > end_ms) {
            return Err(CapabilitiesError::Denied);
        }
        if new.lifetime_ms > SESSION_LIFETIME_MS_MAX && !caller.is_fresh(now_ms) {
            return Err(AuthError::NotFresh.into());
        }
        let holder = VerifyingKey::parse(&new.holder_pk).map_err(|_| CapabilitiesError::Holder)?;
        holds(&holder, caller.account, &new.request_id, &new.possession)
            .map_err(|_| CapabilitiesError::Holder)?;

        let account = self.directory.account(caller.account).await?.ok_or(AuthError::Revoked)?;
        let id = SessionId::from_bytes(mint::random(&*self.entropy));
        let body = Body {
            // Named by whoever signs.
            kid: holder.key_id(),
            session: id,
            account: account.id,
            tenant: account.id,
            tier: account.tier.number(),
            revocation_epoch: account.revocation_epoch,
            issued_at_ms: now_ms,
            not_before_ms: now_ms,
            expires_at_ms: ends_ms,
            holder_pk: new.holder_pk,
            // The holder may narrow it and pass it on.
            next_pk: new.holder_pk,
            grants: new.grants.clone(),
            audience: self.audience.clone(),
        };
        let (signed, expires_at_ms) = self.issuers.sign(body, now_ms).map_err(|error| {
            StoreError::Damaged { store: "issuer keys", cause: format!("nothing can be signed: {error}") }
        })?;
        let kid = signed.body_unverified().map(|body| body.kid).map_err(|_| CapabilitiesError::Denied)?;
        let bytes = signed.encode();
        let issued = Issued {
            id,
            account: account.id,
            name: new.name,
            holder_pk: new.holder_pk,
            grants: new.grants,
            kid,
            issued_at_ms: now_ms,
            expires_at_ms,
            is_revoked: false,
        };
        let line = self.line(caller, Kind::CapabilityIssue, Some(id));
        let line = Line { digest: Some(cap_hash(&bytes)), ..line };
        match self.store.issue(issued.clone(), by, CAPABILITIES_MAX, line).await? {
            Issuing::Done => Ok((issued, bytes)),
            Issuing::Limit => Err(CapabilitiesError::Limit { limit: CAPABILITIES_MAX }),
            Issuing::Gone => Err(AuthError::Revoked.into()),
        }
    }
}

fn check(new: &NewCapability) -> Result<(), CapabilitiesError> {
    let refuse = |field, rule| Err(CapabilitiesError::Field { field, rule });
    if new.lifetime_ms == 0 || new.lifetime_ms > LIFETIME_MS_MAX {
        return refuse("ttl_seconds", "is at least 1 and at most 90 days");
    }
    if new.grants.is_empty() || new.grants.len() > GRANTS_MAX {
        return refuse("grants", "has 1 to 16 grants");
    }
    for grant in &new.grants {
        if grant.actions.is_empty() || !grant.actions.is_subset_of(ISSUABLE) || grant.is_conditional() {
            return refuse(
                "grants.permissions",
                "names at least one of project:read, project:write, project:delete, project:share, audit:read",
            );
        }
        if !grant.resource.as_str().starts_with(PROJECTS) {
            return refuse("grants.project_id", "names a project");
        }
    }
    Ok(())
}
