//! API keys: credentials of an account for programs that cannot prove a key of their own with every request. The client
//! draws id and secret (docs/spec/sign.md, section 8); the server learns the secret only when it is used as a bearer, and
//! keeps a MAC.
//!
//! What must never happen: a key that does more than its account may do now, a key that manages keys, teams or the account,
//! a revoked secret that this node still believes, an answer that tells a wrong secret from an unknown id.

mod authenticate;
pub mod error;
pub mod half;
mod known;
mod manage;
pub mod model;
pub mod network;
pub mod port;
#[cfg(test)]
mod tests;
mod used;
mod verifier;

use std::sync::Arc;

pub use self::{
    half::{NewToken, ServerHalf},
    manage::{NewApiKey, NewSecret},
    verifier::Pepper,
};
use self::{known::Known, model::ApiKey, port::ApiKeyStore, used::Used};
use crate::clock::Clock;

/// API keys.
pub struct ApiKeys {
    store: Arc<dyn ApiKeyStore>,
    clock: Arc<dyn Clock>,
    pepper: Pepper,
    /// A key that nobody has: compared with when an id is unknown.
    decoy: ApiKey,
    used: Used,
    known: Known,
}

impl ApiKeys {
    /// The service on its ports.
    pub fn new(store: Arc<dyn ApiKeyStore>, clock: Arc<dyn Clock>, pepper: Pepper) -> Self {
        let decoy = authenticate::decoy();
        Self { store, clock, pepper, decoy, used: Used::default(), known: Known::default() }
    }
}
