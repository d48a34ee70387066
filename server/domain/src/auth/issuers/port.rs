//! Where the issuer's keys are kept. Private halves are in them, so this is no table: the composition root keeps a file.

use async_trait::async_trait;

use super::{Issuer, Keyset};
use crate::store::StoreError;

/// The issuer's keys at rest. Several processes may change them; each change is alone.
#[async_trait]
pub trait IssuerStore: Send + Sync {
    /// The keys as they are now.
    async fn keyset(&self) -> Result<Keyset, StoreError>;
    /// Lets time do its work on them ([`Keyset::turn`]) and gives what they are then.
    async fn turn(&self, now_ms: u64) -> Result<Keyset, StoreError>;
    /// Notes where the log has the record of a key ([`Keyset::logged`]) and gives what they are then.
    async fn logged(&self, issuer: &Issuer, leaf: u64) -> Result<Keyset, StoreError>;
}
