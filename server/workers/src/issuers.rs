//! The loop that keeps the issuer's keys in use in step with those at rest. Every process rereads them; the one with the
//! role `sweep` lets time do its work on them, and tells the log. What changes is the domain's rule.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use veilcloud_domain::{
    auth::issuers::{IssuerKeeper, REREAD_MS},
    store::StoreError,
};

/// Looks at the keys. The domain's [`IssuerKeeper`] is one; tests script another.
#[async_trait]
pub trait Keeper: Send + Sync {
    /// Takes over what is at rest.
    async fn reread(&self) -> Result<(), StoreError>;
    /// The same, after time did its work; tells the log.
    async fn keep(&self) -> Result<(), StoreError>;
}

#[async_trait]
impl Keeper for IssuerKeeper {
    async fn reread(&self) -> Result<(), StoreError> {
        IssuerKeeper::reread(self).await
    }

    async fn keep(&self) -> Result<(), StoreError> {
        IssuerKeeper::keep(self).await
    }
}

/// Starts the loop; it ends after `stop`, with the look in hand finished. `keeps` is for one process of a deployment.
pub fn start(keeper: Arc<dyn Keeper>, keeps: bool, stop: CancellationToken) -> JoinHandle<()> {
    metrics::describe_counter!("veilcloud_issuer_failures_total", "Looks at the issuer keys that failed.");
    tokio::spawn(async move {
        loop {
            let looked = if keeps { keeper.keep().await } else { keeper.reread().await };
            if let Err(error) = looked {
                metrics::counter!("veilcloud_issuer_failures_total").increment(1);
                tracing::warn!(%error, "the issuer keys were not looked at and will be again; those in use stay");
            }
            let pause = tokio::time::sleep(Duration::from_millis(REREAD_MS));
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count {
        kept: AtomicU32,
        reread: AtomicU32,
    }

    #[async_trait]
    impl Keeper for Count {
        async fn reread(&self) -> Result<(), StoreError> {
            self.reread.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }

        async fn keep(&self) -> Result<(), StoreError> {
            self.kept.fetch_add(1, Ordering::SeqCst);
            Err(StoreError::Full { store: "script" })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_keys_are_looked_at_every_five_seconds_also_after_a_failure() {
        let count = Arc::new(Count::default());
        for keeps in [true, false] {
            let stop = CancellationToken::new();
            let task = start(count.clone(), keeps, stop.clone());
            tokio::time::sleep(Duration::from_millis(3 * REREAD_MS + 500)).await;
            stop.cancel();
            task.await.unwrap();
        }
        assert_eq!((count.kept.load(Ordering::SeqCst), count.reread.load(Ordering::SeqCst)), (4, 4));
    }
}
