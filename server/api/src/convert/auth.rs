//! Accounts and sessions.

use veilcloud_domain::auth::{
    LoginProof, RecoveryOffer, RecoveryProof, Registration, SessionGrant, model::Account,
};
use veilcloud_proto::auth::v1 as pb;

use super::{array, email, id, timestamp};
use crate::status::Fault;

/// A registration.
pub fn registration(request: pb::RegisterFinishRequest) -> Result<Registration, Fault> {
    Ok(Registration {
        email: email("email", &request.email)?,
        account: id("account_id", &request.account_id)?,
        upload: request.registration_upload,
        bundle: request.account_bundle,
        password_wrap: request.password_wrap,
        recovery_wrap: request.recovery_wrap,
    })
}

/// The last message of a login.
pub fn login_proof(request: pb::LoginFinishRequest) -> Result<LoginProof, Fault> {
    Ok(LoginProof {
        holder_pk: array("holder_public_key", &request.holder_public_key)?,
        holder_signature: array("holder_signature", &request.holder_signature)?,
        session_mac: array("session_mac", &request.session_mac)?,
        ke3: request.ke3,
    })
}

/// The last message of a recovery.
pub fn recovery_proof(request: pb::RecoverFinishRequest) -> Result<RecoveryProof, Fault> {
    Ok(RecoveryProof {
        attempt: id("attempt_id", &request.attempt_id)?,
        signature: array("recovery_signature", &request.recovery_signature)?,
        upload: request.registration_upload,
        bundle: request.account_bundle,
        password_wrap: request.password_wrap,
        recovery_wrap: request.recovery_wrap,
    })
}

/// A session as its client keeps it.
pub fn session(grant: SessionGrant) -> pb::Session {
    pb::Session {
        account_id: grant.account.to_string(),
        capability: grant.capability,
        expires_at: timestamp(grant.expires_at_ms),
        refresh_token: grant.refresh_token.map(|token| token.to_vec()).unwrap_or_default(),
        session_expires_at: timestamp(grant.session_expires_at_ms),
    }
}

/// The answer to a begun recovery.
pub fn recovery_offer(offer: RecoveryOffer) -> pb::RecoverStartResponse {
    pb::RecoverStartResponse {
        attempt_id: offer.attempt.to_string(),
        challenge: offer.challenge.to_vec(),
        registration_response: offer.response,
        recovery_wrap: offer.recovery_wrap,
        account_id: offer.account.to_string(),
    }
}

/// An account as its owner sees it.
pub fn user(account: Account, used_bytes: u64) -> pb::User {
    pb::User {
        account_id: account.id.to_string(),
        email: account.email.as_str().to_owned(),
        display_name: account.display_name,
        tier: account.tier.as_str().to_owned(),
        account_bundle: account.bundle,
        used_bytes,
        quota_bytes: account.quota_bytes,
        created_at: timestamp(account.created_at_ms),
    }
}
