//! Capabilities that an account has issued for other keys: for a program, a machine, another person. They say less than
//! the session that asks for them, live up to 90 days, are listed, and are revoked by name.
//!
//! What must never happen: a capability for a key that nobody showed to have, one that allows more than its account's
//! session did, one that issues others or touches the account itself, an answer about a capability that is not the asker's
//! business.

pub mod error;
mod issue;
pub mod model;
pub mod port;
mod revoke;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;

use self::port::CapabilityStore;
pub use self::{
    issue::NewCapability,
    verify::{Judged, Question, Standing},
};
use super::{issuers::Issuers, port::Directory};
use crate::{
    audit::model::{Kind, Line, Trail},
    auth::Caller,
    clock::{Clock, Entropy},
    projects::Projects,
};
use veilcore::id::{EnvironmentId, SessionId};

/// Capabilities issued for other keys.
pub struct Capabilities {
    directory: Arc<dyn Directory>,
    store: Arc<dyn CapabilityStore>,
    issuers: Arc<Issuers>,
    projects: Arc<Projects>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    audience: String,
}

impl Capabilities {
    /// The service on its ports. `audience` is the service that capabilities are for.
    pub fn new(
        directory: Arc<dyn Directory>,
        store: Arc<dyn CapabilityStore>,
        issuers: Arc<Issuers>,
        projects: Arc<Projects>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        audience: String,
    ) -> Self {
        Self { directory, store, issuers, projects, clock, entropy, audience }
    }

    /// A line of the account's trail; the entry's subject is the capability's token id, when it is about one.
    fn line(&self, caller: &Caller, kind: Kind, about: Option<SessionId>) -> Line {
        Line {
            trail: Trail::Account(caller.account),
            kind,
            actor: caller.account,
            key: None,
            at_ms: self.clock.now_ms(),
            environment: about.map(|id| EnvironmentId::from_bytes(*id.as_bytes())),
            version: 0,
            digest: None,
            by_number: false,
        }
    }
}
