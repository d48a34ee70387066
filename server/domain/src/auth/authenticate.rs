//! Who makes this request: capability, proof and standing, in that order. Called by the gate for every request of a
//! session. The gate then spends the nullifier; until it has, the proof may have been seen before.

use std::sync::Arc;

use veilsign::{
    capability::{self, CAPABILITY_LEN_MAX, CapabilityError, Verified},
    nullifier,
    proof::{self, PROOF_LEN_MAX, ProofError, WINDOW_MS},
};

use super::{
    Auth, Caller,
    caller::{Authority, SessionAuthority, Spend},
    error::AuthError,
};

impl Auth {
    /// The caller of a request to `target` whose body hashes to `body_hash`.
    ///
    /// Errors say no more than what the client can act on: expired, revoked, clock off.
    pub async fn authenticate(
        &self,
        cap: &[u8],
        proof: &[u8],
        target: &str,
        body_hash: [u8; 32],
    ) -> Result<Caller, AuthError> {
        if cap.is_empty() || proof.is_empty() {
            return Err(AuthError::Missing);
        }
        let now_ms = self.clock.now_ms();
        let verified = self.verify_capability(cap, now_ms)?;
        if proof.len() > PROOF_LEN_MAX {
            return Err(AuthError::Proof);
        }
        let nullifier = proof::verify(proof, &verified, target, &body_hash, now_ms).map_err(refused_proof)?;
        self.check_made_in_this_life(proof, now_ms)?;
        let standing = self.directory.standing(verified.account(), verified.session()).await?;
        let standing = standing
            .filter(|s| s.live && s.revocation_epoch == verified.revocation_epoch())
            .ok_or(AuthError::Revoked)?;
        let session = SessionAuthority {
            session: verified.session(),
            logged_in_at_ms: standing.logged_in_at_ms,
            spend: Spend { nullifier, until_ms: now_ms.saturating_add(nullifier::REMEMBER_MS) },
            verified: verified.clone(),
        };
        Ok(Caller {
            account: verified.account(),
            tier: standing.tier,
            authority: Authority::Session(Arc::new(session)),
        })
    }

    // A proof from before the process started may have been spent then, and nobody here would know.
    fn check_made_in_this_life(&self, proof: &[u8], now_ms: u64) -> Result<(), AuthError> {
        let start_ms = self.settings.proofs_not_before_ms;
        let made_ms = proof::made_at_ms(proof).map_err(refused_proof)?;
        if made_ms >= start_ms {
            return Ok(());
        }
        let limit_ms = now_ms.saturating_sub(start_ms);
        Err(AuthError::Stale { skew_ms: now_ms.saturating_sub(made_ms), limit_ms })
    }

    fn verify_capability(&self, cap: &[u8], now_ms: u64) -> Result<Arc<Verified>, AuthError> {
        if cap.len() > CAPABILITY_LEN_MAX {
            return Err(AuthError::Invalid);
        }
        let known = self.verified.get(&capability::cap_hash(cap), now_ms);
        // What was remembered is worth as much as the key that signed it is now.
        if let Some(verified) = known.filter(|known| self.issuers.trusts(known.issuer(), now_ms)) {
            verified.check_time(now_ms).map_err(refused_capability)?;
            return Ok(verified);
        }
        let verified = self.issuers.verify(cap, now_ms, &self.settings.audience);
        let verified = Arc::new(verified.map_err(refused_capability)?);
        self.verified.put(verified.clone(), now_ms);
        Ok(verified)
    }
}

fn refused_capability(error: CapabilityError) -> AuthError {
    match error {
        CapabilityError::Expired { .. } => AuthError::Expired,
        _ => AuthError::Invalid,
    }
}

fn refused_proof(error: ProofError) -> AuthError {
    match error {
        ProofError::Stale { skew_ms } => {
            AuthError::Stale { skew_ms: skew_ms.unsigned_abs(), limit_ms: WINDOW_MS }
        }
        ProofError::Expired => AuthError::Expired,
        _ => AuthError::Proof,
    }
}
