//! Step 6, replay: the proof is spent. It is the last thing before the service, so that a refused request keeps it.

use veilcloud_domain::auth::error::AuthError;

use super::{Call, Gate};
use crate::status::Fault;

impl Gate {
    /// Spends the call's proof, once.
    pub(super) async fn spend(&self, call: &Call) -> Result<(), Fault> {
        // A bearer has no proof: nothing of it is good only once.
        let Some(spend) = call.caller.as_ref().and_then(|caller| caller.spend()) else { return Ok(()) };
        let now_ms = self.services.clock.now_ms();
        match self.services.nullifiers.spend(spend.nullifier, spend.until_ms, now_ms).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AuthError::Replayed.into()),
            Err(error) if call.method.access.mutation => Err(error.into()),
            // A read shown twice inside its window changes nothing; a change may not be made twice.
            Err(error) => {
                tracing::warn!(%error, "nullifiers are unavailable; a read was let through");
                Ok(())
            }
        }
    }
}
