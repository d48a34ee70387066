//! The service of accounts and sessions. One verb, one file beside this one; here is what they share.
//!
//! What must never happen: an answer that tells a known address from an unknown one, a session for somebody who did
//! not prove the password, a capability for a session that was ended.

use std::sync::Arc;

use veilcore::{
    hash::sha256,
    id::{AccountId, KeyId, SessionId},
};
use veilsign::{
    capability::{Actions, Body, Grant, Resource, SESSION_LIFETIME_MS_MAX},
    key::PUBLIC_KEY_LEN,
    login::LoginError,
};
use veilvault::{
    account::{FactorKind, WrappedArk},
    key::PublicKey,
};
use zeroize::Zeroizing;

use super::{
    Secrets,
    error::AuthError,
    issuers::Issuers,
    model::{Account, Session, Tier},
    port::{Attempts, Directory},
    verified::VerifiedCache,
};
use crate::{
    audit::model::{Kind, Line, Trail},
    clock::{Clock, Entropy, Rng},
    store::StoreError,
};

/// How long a login may take between its two steps, in milliseconds.
pub const LOGIN_ATTEMPT_MS: u64 = 60_000;
/// How long a recovery may take between its two steps, in milliseconds.
pub const RECOVERY_ATTEMPT_MS: u64 = 600_000;

/// What the operator decides about accounts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether new accounts may be made.
    pub registration_open: bool,
    /// Rate tier of a new account.
    pub default_tier: Tier,
    /// Bytes a new account may store.
    pub account_quota_bytes: u64,
    /// Life of a capability in milliseconds; never more than 15 minutes.
    pub capability_ttl_ms: u64,
    /// Life of a session in milliseconds, however often it is refreshed.
    pub session_ttl_ms: u64,
    /// The service that capabilities are for.
    pub audience: String,
    /// Proofs made before this moment are refused: spent ones are kept in memory, so a process that starts knows none
    /// that were spent before it. 0 where they survive a restart.
    pub proofs_not_before_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            registration_open: true,
            default_tier: Tier::Free,
            account_quota_bytes: 10 << 30,
            capability_ttl_ms: SESSION_LIFETIME_MS_MAX,
            session_ttl_ms: 30 * 24 * 3_600_000,
            audience: "veilcloud".to_owned(),
            proofs_not_before_ms: 0,
        }
    }
}

/// What a login or refresh gives the client. The refresh token is secret: no Debug.
pub struct SessionGrant {
    /// The account.
    pub account: AccountId,
    /// The capability's bytes.
    pub capability: Vec<u8>,
    /// When the capability ends.
    pub expires_at_ms: u64,
    /// The refresh token, good once. `None` after a refresh: the client drew it.
    pub refresh_token: Option<Zeroizing<[u8; 32]>>,
    /// When the session can no longer be refreshed.
    pub session_expires_at_ms: u64,
}

/// Accounts and sessions.
pub struct Auth {
    pub(super) directory: Arc<dyn Directory>,
    pub(super) attempts: Arc<dyn Attempts>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) settings: Settings,
    pub(super) issuers: Arc<Issuers>,
    pub(super) decoy_verifier: PublicKey,
    pub(super) verified: VerifiedCache,
}

impl Auth {
    /// The service on its ports.
    pub fn new(
        directory: Arc<dyn Directory>,
        attempts: Arc<dyn Attempts>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        secrets: Arc<Secrets>,
        issuers: Arc<Issuers>,
        settings: Settings,
    ) -> Self {
        let decoy_verifier = secrets.decoy_verifier();
        let verified = VerifiedCache::default();
        Self { directory, attempts, clock, entropy, secrets, settings, issuers, decoy_verifier, verified }
    }

    /// Signs a capability of the session and puts it beside the refresh token, if the client has yet to learn it.
    pub(crate) fn grant(
        &self,
        account: &Account,
        session: &Session,
        refresh_token: Option<Zeroizing<[u8; 32]>>,
    ) -> Result<SessionGrant, AuthError> {
        let now_ms = self.clock.now_ms();
        let ttl_ms = self.settings.capability_ttl_ms.min(SESSION_LIFETIME_MS_MAX);
        let expires_at_ms = now_ms.saturating_add(ttl_ms).min(session.expires_at_ms);
        let body = Body {
            // Named by whoever signs.
            kid: KeyId::of(&[0; PUBLIC_KEY_LEN]),
            session: session.id,
            account: account.id,
            tenant: account.id,
            tier: account.tier.number(),
            revocation_epoch: account.revocation_epoch,
            issued_at_ms: now_ms,
            not_before_ms: now_ms,
            expires_at_ms,
            holder_pk: session.holder_pk,
            // The holder may narrow the capability and pass it on.
            next_pk: session.holder_pk,
            grants: vec![Grant::new(Resource::account(), Actions::ALL)],
            audience: self.settings.audience.clone(),
        };
        let (signed, expires_at_ms) = self.issuers.sign(body, now_ms).map_err(|_| StoreError::Damaged {
            store: "directory",
            cause: format!("no capability can be made for session {}", session.id),
        })?;
        Ok(SessionGrant {
            account: account.id,
            capability: signed.encode(),
            expires_at_ms,
            refresh_token,
            session_expires_at_ms: session.expires_at_ms,
        })
    }

    /// 32 random bytes; the directory keeps only their hash.
    pub(super) fn draw_refresh_token(&self) -> Zeroizing<[u8; 32]> {
        let mut token = Zeroizing::new([0; 32]);
        self.entropy.fill(&mut token[..]);
        token
    }

    /// A line of the account's own trail, by the account itself.
    pub(super) fn line(&self, kind: Kind, account: AccountId) -> Line {
        Line {
            trail: Trail::Account(account),
            kind,
            actor: account,
            at_ms: self.clock.now_ms(),
            environment: None,
            version: 0,
            digest: None,
            key: None,
            by_number: false,
        }
    }

    /// The directory's line about an account's keys: their generation, and the hash of the bundle that names them.
    pub(super) fn key_line(&self, kind: Kind, account: AccountId, generation: u32, bundle: &[u8]) -> Line {
        Line {
            trail: Trail::Directory,
            version: u64::from(generation),
            digest: Some(sha256(bundle)),
            ..self.line(kind, account)
        }
    }

    /// An account that an authenticated request names; gone means that the session is over too.
    pub(super) async fn known(&self, id: AccountId) -> Result<Account, AuthError> {
        self.directory.account(id).await?.ok_or(AuthError::Revoked)
    }

    pub(super) fn rng(&self) -> Rng<'_> {
        Rng(&*self.entropy)
    }
}

/// The id of a new session.
pub(super) fn session_id(entropy: &dyn Entropy) -> SessionId {
    SessionId::from_bytes(crate::mint::random(entropy))
}

/// What the client sees of a failure inside the login protocol.
pub(super) fn message(_: LoginError) -> AuthError {
    AuthError::Message
}

/// Whether the bytes are a wrapped root key of this kind. What is in it the server cannot know.
pub(super) fn check_wrap(bytes: &[u8], kind: FactorKind) -> Result<(), AuthError> {
    match WrappedArk::from_bytes(bytes) {
        Ok(wrap) if wrap.kind() == kind => Ok(()),
        _ => Err(AuthError::Message),
    }
}
