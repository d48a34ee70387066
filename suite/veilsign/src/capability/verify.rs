//! The verifier's side: bytes in, a belief out. Needs the issuer's public keys and a clock, nothing secret.

use veilcore::id::{AccountId, KeyId, SessionId};

use super::actions::Actions;
use super::body::{Block, Body, NEXT_NOBODY};
use super::chain::{Capability, block_digest, body_digest, cap_hash};
use super::grant::Grant;
use super::issuer::IssuerKeys;
use super::resource::Resource;
use super::{CLOCK_SKEW_MS, CapabilityError};
use crate::key::{PUBLIC_KEY_LEN, VerifyingKey};

/// What a verified capability says. Made by [`verify`] only, so holding one is the proof that the chain held.
/// It may be cached under `cap_hash`; ask [`Verified::check_time`] again before each use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    cap_hash: [u8; 32],
    issuer: KeyId,
    session: SessionId,
    account: AccountId,
    tenant: AccountId,
    tier: u8,
    revocation_epoch: u32,
    issued_at_ms: u64,
    not_before_ms: u64,
    last: Link,
    depth: usize,
}

/// The state of a chain after one of its links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) holder: VerifyingKey,
    pub(super) next: Option<VerifyingKey>,
    pub(super) expires_at_ms: u64,
    pub(super) grants: Vec<Grant>,
}

/// Judges a capability: size, form, issuer, every signature, every narrowing, audience and time. Revocation
/// is the caller's, who knows sessions and epochs.
pub fn verify(
    bytes: &[u8],
    issuers: &IssuerKeys,
    now_ms: u64,
    audience: &str,
) -> Result<Verified, CapabilityError> {
    let capability = Capability::decode(bytes)?;
    let body = Body::decode(&capability.body.bytes)?;
    let issuer = issuers.trusted(body.kid, now_ms).ok_or(CapabilityError::UnknownIssuer { kid: body.kid })?;
    issuer
        .key
        .verify(&body_digest(&capability.body.bytes), &capability.body.signature)
        .map_err(|_| CapabilityError::Signature { link: 0 })?;
    if body.audience != audience {
        return Err(CapabilityError::Audience);
    }
    let mut last = Link::of_body(&body)?;
    let mut parent_signature = &capability.body.signature;
    for (index, signed) in capability.blocks.iter().enumerate() {
        let number = index + 1;
        let next = last.next.ok_or(CapabilityError::Sealed { block: number })?;
        next.verify(&block_digest(parent_signature, &signed.bytes), &signed.signature)
            .map_err(|_| CapabilityError::Signature { link: number })?;
        last = link_of_block(&last, &Block::decode(&signed.bytes)?, number)?;
        parent_signature = &signed.signature;
    }
    // What a key signed ends with the trust in it, also for a verdict that is kept in a cache.
    last.expires_at_ms = last.expires_at_ms.min(issuer.not_after_ms);
    let verified = Verified {
        cap_hash: cap_hash(bytes),
        issuer: body.kid,
        session: body.session,
        account: body.account,
        tenant: body.tenant,
        tier: body.tier,
        revocation_epoch: body.revocation_epoch,
        issued_at_ms: body.issued_at_ms,
        not_before_ms: body.not_before_ms,
        last,
        depth: capability.blocks.len(),
    };
    verified.check_time(now_ms)?;
    Ok(verified)
}

impl Link {
    /// The first link. Both keys are judged here, so that no later step meets one that is not acceptable.
    pub(super) fn of_body(body: &Body) -> Result<Self, CapabilityError> {
        Ok(Self {
            holder: parsed(&body.holder_pk, 0)?,
            next: next_of(&body.next_pk, 0)?,
            expires_at_ms: body.expires_at_ms,
            grants: body.grants.clone(),
        })
    }
}

/// The link a block makes of its parent: never later, never more. As each grant is covered by one of the
/// parent's, the block's list is the intersection of the two.
pub(super) fn link_of_block(parent: &Link, block: &Block, number: usize) -> Result<Link, CapabilityError> {
    let covered = |child| parent.grants.iter().any(|grant| grant.covers(child));
    if block.expires_at_ms > parent.expires_at_ms || !block.grants.iter().all(covered) {
        return Err(CapabilityError::Widened { block: number });
    }
    Ok(Link {
        holder: parsed(&block.holder_pk, number)?,
        next: next_of(&block.next_pk, number)?,
        expires_at_ms: block.expires_at_ms,
        grants: block.grants.clone(),
    })
}

fn parsed(bytes: &[u8; PUBLIC_KEY_LEN], link: usize) -> Result<VerifyingKey, CapabilityError> {
    VerifyingKey::parse(bytes).map_err(|reason| CapabilityError::Key { link, reason })
}

fn next_of(bytes: &[u8; PUBLIC_KEY_LEN], link: usize) -> Result<Option<VerifyingKey>, CapabilityError> {
    if *bytes == NEXT_NOBODY { Ok(None) } else { parsed(bytes, link).map(Some) }
}

impl Verified {
    /// Whether a grant without conditions allows these actions at this place. Conditional grants never count
    /// here: see [`Verified::conditional`].
    pub fn allows(&self, actions: Actions, resource: &Resource) -> bool {
        self.last.grants.iter().any(|grant| !grant.is_conditional() && grant.reaches(actions, resource))
    }

    /// The grants that would allow these actions at this place if their conditions were met. A caller that
    /// can check the conditions of one of them, all of them, may act on it; any other must refuse.
    pub fn conditional(&self, actions: Actions, resource: &Resource) -> impl Iterator<Item = &Grant> {
        self.last
            .grants
            .iter()
            .filter(move |grant| grant.is_conditional() && grant.reaches(actions, resource))
    }

    /// Whether the capability is valid at that moment.
    pub fn check_time(&self, now_ms: u64) -> Result<(), CapabilityError> {
        let latest_ms = now_ms.saturating_add(CLOCK_SKEW_MS);
        if latest_ms < self.not_before_ms {
            return Err(CapabilityError::NotYet { early_ms: self.not_before_ms - now_ms });
        }
        if now_ms >= self.last.expires_at_ms {
            return Err(CapabilityError::Expired { late_ms: now_ms - self.last.expires_at_ms });
        }
        Ok(())
    }

    /// The name of the exact capability bytes.
    pub fn cap_hash(&self) -> &[u8; 32] {
        &self.cap_hash
    }

    /// The issuer key that signed.
    pub fn issuer(&self) -> KeyId {
        self.issuer
    }

    /// The session it belongs to (token_id of the body).
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The account that acts (subject of the body).
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The account that is charged.
    pub fn tenant(&self) -> AccountId {
        self.tenant
    }

    /// Rate tier.
    pub fn tier(&self) -> u8 {
        self.tier
    }

    /// The account's revocation epoch at issuance.
    pub fn revocation_epoch(&self) -> u32 {
        self.revocation_epoch
    }

    /// When the issuer signed, Unix milliseconds.
    pub fn issued_at_ms(&self) -> u64 {
        self.issued_at_ms
    }

    /// First moment after validity, Unix milliseconds: the earliest end in the chain, the issuer key's
    /// included.
    pub fn expires_at_ms(&self) -> u64 {
        self.last.expires_at_ms
    }

    /// The key that must have signed the proof: the last holder's.
    pub fn holder(&self) -> &VerifyingKey {
        &self.last.holder
    }

    /// What is granted in effect: the last link's grants, each inside its parent's.
    pub fn grants(&self) -> &[Grant] {
        &self.last.grants
    }

    /// How many blocks narrowed it.
    pub fn depth(&self) -> usize {
        self.depth
    }
}
