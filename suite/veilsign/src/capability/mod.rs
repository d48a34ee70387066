//! The access capability, VAC (docs/spec/sign.md, section 4): a statement of the issuer about what the holder
//! of a key may do, which the holder can narrow and pass on without asking anyone.
//!
//! The issuer signs a body; each block is signed by the key its parent names, over the parent's signature, so
//! a chain can be neither spliced nor shortened in the middle. One algorithm, no algorithm field. What must
//! never happen: a block that gives more than its parent, or a capability that is worth anything without the
//! holder's key.

mod actions;
mod body;
mod chain;
mod error;
mod grant;
mod holder;
mod issuer;
mod resource;
mod verify;

pub use actions::{Actions, UnknownAction};
pub use body::{AUDIENCE_LEN_MAX, Block, Body, NEXT_NOBODY};
pub use chain::{Capability, attenuate, cap_hash, issue, seal};
pub use error::CapabilityError;
pub use grant::{GRANTS_MAX, Grant};
pub use holder::{holds, prove_holder};
pub use issuer::{ISSUER_KEYS_MAX, IssuerKey, IssuerKeys, IssuerKeysError};
pub use resource::{RESOURCE_LEN_MAX, Resource, ResourceError, SEGMENT_LEN_MAX};
pub use verify::{Verified, verify};

/// Longest encoded capability, in bytes: it travels in a header with every request.
pub const CAPABILITY_LEN_MAX: usize = 4096;
/// Most blocks after the body.
pub const BLOCKS_MAX: usize = 3;
/// Longest life of any capability, in milliseconds (90 days: service tokens).
pub const LIFETIME_MS_MAX: u64 = 90 * 24 * 60 * 60 * 1000;
/// Longest life of a capability that a login yields, in milliseconds (15 minutes). For the issuer; verifiers
/// judge by [`LIFETIME_MS_MAX`].
pub const SESSION_LIFETIME_MS_MAX: u64 = 15 * 60 * 1000;
/// How far a verifier's clock may lag behind the issuer's before a fresh capability is refused, in
/// milliseconds. Applies to the beginning of validity only: an end is an end.
pub const CLOCK_SKEW_MS: u64 = 5_000;

#[cfg(test)]
mod tests;
