//! API keys as their store keeps them. No secret is in here, and no hash of one: only MACs under a key that the store does
//! not have.

use veilcore::id::{AccountId, ApiKeyId, ProjectId};
use veilsign::capability::{Actions, Resource};

use super::network::Network;
use crate::{auth::model::Tier, name::Name};

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

/// The secret before the current one, while it is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Its MAC.
    pub verifier: Verifier,
    /// When the key ended as it was when the MAC was made.
    pub expires_at_ms: u64,
    /// Until when it is good.
    pub until_ms: u64,
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
    /// Public key that epoch keys are wrapped to for it.
    pub public_key: Option<[u8; 32]>,
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

/// What a rotation changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextSecret {
    /// The generation that the key must have, and gets one more.
    pub generation: u32,
    /// MAC of the new secret.
    pub verifier: Verifier,
    /// Public key of the new secret.
    pub public_key: Option<[u8; 32]>,
    /// How long the secret of before stays good.
    pub overlap: Option<Overlap>,
    /// When the key ends from now on.
    pub expires_at_ms: u64,
}
