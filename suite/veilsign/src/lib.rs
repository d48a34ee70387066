//! Access to VeilCloud (docs/spec/sign.md): a password login that never shows the server the password, a
//! capability bound to a key the client holds, and a proof of that key with every request.
//!
//! The parties: a *client* with a password and a fresh holder key, an *issuer* that signs capabilities, and a
//! *verifier* that needs nothing secret. [`login`] runs between client and issuer, [`capability`] is what the
//! issuer hands out, [`proof`] is what the client shows, [`nullifier`] is what the verifier remembers so that
//! nothing is shown twice.
//!
//! What must never happen: a capability used without the holder's key, a holder or delegate widening what was
//! granted, a proof accepted for another request than the one it was made for.
//!
//! ```
//! use rand_core::{OsRng, RngCore};
//! use veilcore::id::{AccountId, SessionId};
//! use veilsign::capability::{self, Actions, Body, Grant, IssuerKey, IssuerKeys, Resource};
//! use veilsign::{key::SigningKey, proof};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // After a login the issuer states what the holder of the fresh key may do ...
//! let (issuer, holder) = (SigningKey::generate(&mut OsRng), SigningKey::generate(&mut OsRng));
//! let now_ms = 1_800_000_000_000;
//! let account = AccountId::from_bytes([7; 16]);
//! let body = Body {
//!     kid: issuer.verifying_key().key_id(),
//!     session: SessionId::from_bytes([1; 16]),
//!     account,
//!     tenant: account,
//!     tier: 0,
//!     revocation_epoch: 0,
//!     issued_at_ms: now_ms,
//!     not_before_ms: now_ms,
//!     expires_at_ms: now_ms + capability::SESSION_LIFETIME_MS_MAX,
//!     holder_pk: *holder.verifying_key().as_bytes(),
//!     next_pk: *holder.verifying_key().as_bytes(),
//!     grants: vec![Grant::new(Resource::account(), Actions::PROJECT_READ | Actions::PROJECT_WRITE)],
//!     audience: "veilcloud".to_owned(),
//! };
//! let cap = capability::issue(&issuer, &body)?.encode();
//!
//! // ... the holder proves its key with each request ...
//! let mut nonce = [0; 16];
//! OsRng.fill_bytes(&mut nonce);
//! let target = "GET /v1/projects";
//! let pop = proof::prove(&holder, &cap, target, b"", now_ms, nonce)?;
//!
//! // ... and the verifier judges both with public keys and a clock.
//! let key = IssuerKey { key: issuer.verifying_key(), not_before_ms: 0, not_after_ms: u64::MAX };
//! let verified = capability::verify(&cap, &IssuerKeys::new(&[key])?, now_ms, "veilcloud")?;
//! let nullifier = proof::verify(&pop, &verified, target, &proof::body_hash(b""), now_ms)?;
//! assert!(verified.allows(Actions::PROJECT_READ, &"p".parse()?));
//! assert!(!verified.allows(Actions::PROJECT_DELETE, &"p".parse()?));
//! // The caller now stores the nullifier; finding it there already means a replay.
//! # let _ = nullifier;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod api_key;
pub mod capability;
pub mod key;
pub mod login;
pub mod nullifier;
pub mod proof;
pub mod service_token;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod vectors;
