//! Issued capabilities as their store keeps them. The capability itself is not kept: whoever asked for it has it.

use veilcore::id::{AccountId, KeyId, SessionId};
use veilsign::capability::{Actions, GRANTS_MAX, Grant};

use crate::name::Name;

/// Most issued capabilities of one account that are neither revoked nor over.
pub const CAPABILITIES_MAX: u32 = 100;
/// How long one lives if nothing is said, in milliseconds.
pub const LIFETIME_MS_DEFAULT: u64 = 3_600_000;

/// What an issued capability may do: what is done in a project, and nothing to the account, its keys or its teams.
pub const ISSUABLE: Actions = Actions::PROJECT_READ
    .union(Actions::PROJECT_WRITE)
    .union(Actions::PROJECT_DELETE)
    .union(Actions::PROJECT_SHARE)
    .union(Actions::AUDIT_READ);

/// One issued capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Token id: what its every use is looked up by.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// Name to tell it by.
    pub name: Name,
    /// Key that it was issued for.
    pub holder_pk: [u8; 32],
    /// What it may do, without conditions.
    pub grants: Vec<Grant>,
    /// Issuer key that signed it.
    pub kid: KeyId,
    /// When it was issued.
    pub issued_at_ms: u64,
    /// When it ends.
    pub expires_at_ms: u64,
    /// Whether it was revoked.
    pub is_revoked: bool,
}

/// Grants without conditions as text for a store: `<bits> <place>`, one a line.
pub fn grants_to_text(grants: &[Grant]) -> String {
    let line = |grant: &Grant| format!("{} {}", grant.actions.bits(), grant.resource);
    grants.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Reads [`grants_to_text`] back.
pub fn grants_from_text(text: &str) -> Option<Vec<Grant>> {
    let line = |line: &str| {
        let (bits, place) = line.split_once(' ')?;
        let actions = Actions::from_bits(bits.parse().ok()?)?;
        Some(Grant::new(place.parse().ok()?, actions))
    };
    let grants: Vec<Grant> = text.split('\n').map(line).collect::<Option<_>>()?;
    (grants.len() <= GRANTS_MAX).then_some(grants)
}
