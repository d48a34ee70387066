//! Keeps the keys in use in step with those at rest, announces the next one in time, and tells the log of each change.

use std::sync::Arc;

use veilcore::id::AccountId;

use super::{Issuers, Keyset, port::IssuerStore};
use crate::{
    audit::{
        model::{Kind, Line, Trail},
        port::Outbox,
    },
    clock::Clock,
    store::StoreError,
};

/// Pause between two looks at the keys, in milliseconds. A revoked key is believed for at most this long, and a look.
pub const REREAD_MS: u64 = 5_000;

/// The work of one process on the keys.
pub struct IssuerKeeper {
    issuers: Arc<Issuers>,
    store: Arc<dyn IssuerStore>,
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
}

impl IssuerKeeper {
    /// The keeper of these keys.
    pub fn new(
        issuers: Arc<Issuers>,
        store: Arc<dyn IssuerStore>,
        outbox: Arc<dyn Outbox>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { issuers, store, outbox, clock }
    }

    /// Takes over what is at rest. Every process does this.
    pub async fn reread(&self) -> Result<(), StoreError> {
        let keyset = self.store.keyset().await?;
        self.adopt(keyset)
    }

    /// Takes over what is at rest after time did its work on it, and tells the log what it does not know yet. One process
    /// does this; should two, the log has a record twice, which says nothing new.
    pub async fn keep(&self) -> Result<(), StoreError> {
        let now_ms = self.clock.now_ms();
        let keyset = match self.store.turn(now_ms).await {
            Ok(keyset) => keyset,
            Err(error) => {
                // What cannot be changed can be read: a full disk must not keep a revoked key believed.
                self.reread().await?;
                return Err(error);
            }
        };
        // First: what was revoked is not believed while the log is slow.
        self.adopt(keyset.clone())?;
        for issuer in keyset.iter().filter(|issuer| issuer.leaf.is_none()) {
            let line = Line {
                trail: Trail::Directory,
                kind: Kind::IssuerKey,
                actor: AccountId::from_bytes([0; 16]),
                at_ms: now_ms,
                environment: None,
                version: 0,
                digest: Some(issuer.public.digest()),
                key: None,
                by_number: false,
            };
            let leaf = self.outbox.record(line).await?;
            let keyset = self.store.logged(issuer, leaf).await?;
            self.adopt(keyset)?;
        }
        Ok(())
    }

    fn adopt(&self, keyset: Keyset) -> Result<(), StoreError> {
        let damaged = |error: super::KeysetError| StoreError::Damaged {
            store: "issuer keys",
            cause: error.to_string(),
        };
        self.issuers.replace(keyset).map_err(damaged)
    }
}
