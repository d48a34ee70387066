//! API keys as their store keeps them. No secret is in here, and no hash of one: only MACs under a key that the store does
//! not have.

use veilcore::id::{AccountId, ApiKeyId, EnvironmentId, ProjectId};
use veilsign::capability::{Actions, Resource};

use super::network::Network;
use crate::{
    audit::model::{Kind, Line, Trail},
    auth::model::Tier,
    name::Name,
};

/// Most keys of one account that are neither revoked nor expired.
pub const API_KEYS_MAX: u32 = 100;
/// Most keys of one account that are over and still listed; the oldest go.
pub const API_KEYS_OVER_MAX: u32 = 100;
/// Longest life of a key, in milliseconds.
pub const API_KEY_LIFETIME_MS_MAX: u64 = 365 * 24 * 3_600_000;
/// Longest time that two secrets of one key are good, in milliseconds.
pub const OVERLAP_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// Most networks of a scope.
pub const NETWORKS_MAX: usize = 16;
/// Most environment names of a scope.
pub const SCOPE_ENVIRONMENTS_MAX: usize = 32;

/// What an API key may be given: nothing of the account itself, of its teams or of its keys.
pub const API_KEY_ACTIONS: Actions = Actions::PROJECT_READ
    .union(Actions::PROJECT_WRITE)
    .union(Actions::PROJECT_DELETE)
    .union(Actions::PROJECT_SHARE)
    .union(Actions::AUDIT_READ)
    .union(Actions::TEAM_READ);

/// What a key may do, wherever its account may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Actions, of [`API_KEY_ACTIONS`].
    pub actions: Actions,
    /// Only this project.
    pub project: Option<ProjectId>,
    /// Only environments of these names; none means all of the place above.
    pub environments: Vec<Name>,
    /// Only from these networks; none means from anywhere.
    pub networks: Vec<Network>,
}

impl Scope {
    /// The places it covers.
    pub(crate) fn places(&self) -> Vec<Resource> {
        let Some(project) = self.project else { return vec![Resource::account()] };
        if self.environments.is_empty() {
            return vec![Resource::project(project)];
        }
        let place = |name: &Name| Resource::environment(project, name.as_str()).ok();
        self.environments.iter().filter_map(place).collect()
    }
}

/// MAC over a key's row and the hash of one of its secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verifier(pub [u8; 32]);

/// The public record of a service token's split key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// As the client made it: 125 bytes.
    pub bytes: Vec<u8>,
    /// Its fingerprint, by which access lists name it.
    pub digest: [u8; 32],
}

/// The server's share of a split key, sealed under a key that the store does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedShare(pub [u8; SEALED_SHARE_LEN]);

/// Length of a sealed share: 56 bytes and a tag.
pub const SEALED_SHARE_LEN: usize = 72;

/// What the server keeps of a service token's split key, for one generation of the API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHalf {
    /// The generation.
    pub generation: u32,
    /// The public record.
    pub record: Record,
    /// What the token's holder trusts first; the server cannot read it.
    pub trust: Vec<u8>,
    /// The server's share.
    pub share: SealedShare,
}

/// The secret before the current one, while it is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Its MAC, over the one that it had and `until_ms`.
    pub verifier: Verifier,
    /// When the key ended as it was when the MAC was made.
    pub expires_at_ms: u64,
    /// Until when it is good.
    pub until_ms: u64,
    /// Digest of its record; `None` when it opens nothing.
    pub record: Option<[u8; 32]>,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Key id, drawn by the client; never used again.
    pub id: ApiKeyId,
    /// Whose key.
    pub account: AccountId,
    /// Name to tell it by.
    pub name: Name,
    /// What it may do.
    pub scope: Scope,
    /// The key that epoch keys are wrapped to for it; `None` for a key that opens nothing, and once it is over.
    pub record: Option<Record>,
    /// How many secrets it has had, from 1.
    pub generation: u32,
    /// MAC of the current secret.
    pub verifier: Verifier,
    /// The secret before, while it is good.
    pub overlap: Option<Overlap>,
    /// Creation time.
    pub created_at_ms: u64,
    /// When it ends.
    pub expires_at_ms: u64,
    /// When it was revoked.
    pub revoked_at_ms: Option<u64>,
    /// When it was last used, as far as it was written.
    pub last_used_at_ms: Option<u64>,
}

/// What the gate asks on every request of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStanding {
    /// The key.
    pub key: ApiKey,
    /// Its account's tier now.
    pub tier: Tier,
}

impl ApiKey {
    /// Whether it is neither revoked nor expired.
    pub fn lives(&self, now_ms: u64) -> bool {
        self.revoked_at_ms.is_none() && self.expires_at_ms > now_ms
    }

    /// Digests of the records that are good now: the current secret's, and that of the one before in its overlap.
    pub fn digests(&self, now_ms: u64) -> impl Iterator<Item = [u8; 32]> {
        let overlap = self.overlap.filter(|overlap| now_ms < overlap.until_ms.min(overlap.expires_at_ms));
        let current = self.record.as_ref().map(|record| record.digest);
        current.into_iter().chain(overlap.and_then(|overlap| overlap.record))
    }
}

/// What a rotation changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextSecret {
    /// The generation that the key must have, and gets one more.
    pub generation: u32,
    /// MAC of the new secret.
    pub verifier: Verifier,
    /// The half that the server keeps of the new secret's key.
    pub half: Option<TokenHalf>,
    /// How long the secret of before stays good.
    pub overlap: Option<Overlap>,
    /// When the key ends from now on.
    pub expires_at_ms: u64,
}

/// A line of the account's trail about one of its keys. The entry's subject is the key.
pub fn line_about(kind: Kind, account: AccountId, key: ApiKeyId, generation: u32, at_ms: u64) -> Line {
    Line {
        trail: Trail::Account(account),
        kind,
        actor: account,
        key: None,
        at_ms,
        environment: Some(EnvironmentId::from_bytes(*key.as_bytes())),
        version: u64::from(generation),
        digest: None,
        by_number: false,
    }
}
