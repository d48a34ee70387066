//! Opening a session. The client proves the password by OPAQUE and brings a fresh holder key that is bound to the
//! very transcript; the server never sees the password and an unknown address gets the same answers.

use veilcore::{hash::sha256, id::AttemptId};
use veilsign::login::{Binding, server_login_finish, server_login_start, verify_binding};

use super::{
    Auth, LOGIN_ATTEMPT_MS, SessionGrant,
    error::AuthError,
    model::{Attempt, Email, SESSIONS_MAX, Session},
    service::{message, session_id},
};
use crate::{audit::model::Kind, mint};

/// The client's last message.
#[derive(Clone)]
pub struct LoginProof {
    /// OPAQUE KE3, 64 bytes.
    pub ke3: Vec<u8>,
    /// Ed25519 public key of the session.
    pub holder_pk: [u8; 32],
    /// The holder key's signature over the transcript.
    pub holder_signature: [u8; 64],
    /// MAC of the transcript under the OPAQUE session key.
    pub session_mac: [u8; 32],
}

/// An open session and what unlocks the account on the client.
pub struct Opened {
    /// Capability and refresh token.
    pub grant: SessionGrant,
    /// Signed account bundle, as registered.
    pub bundle: Vec<u8>,
    /// Root key wrapped under the password.
    pub password_wrap: Vec<u8>,
}

impl Auth {
    /// Answers KE1 with an attempt and KE2. An address without an account gets an answer of the same shape, and its
    /// attempt fails like a wrong password.
    pub async fn login_start(&self, email: &Email, ke1: &[u8]) -> Result<(AttemptId, Vec<u8>), AuthError> {
        let account = self.directory.account_by_email(email).await?;
        let record = account.as_ref().map(|a| a.record.as_slice());
        let started = server_login_start(&self.secrets.opaque, record, ke1, email.as_str(), &mut self.rng());
        let (state, ke2) = started.map_err(message)?;
        let id = AttemptId::from_bytes(mint::random(&*self.entropy));
        let record_hash = sha256(record.unwrap_or_default());
        let account = account.map(|a| a.id);
        let attempt = Attempt::Login { account, record_hash, ke1: ke1.to_vec(), ke2: ke2.clone(), state };
        self.attempts.keep(id, attempt, self.clock.now_ms().saturating_add(LOGIN_ATTEMPT_MS)).await?;
        Ok((id, ke2))
    }

    /// Opens the session. The attempt is used up whatever the outcome.
    pub async fn login_finish(&self, id: AttemptId, proof: LoginProof) -> Result<Opened, AuthError> {
        let now_ms = self.clock.now_ms();
        let taken = self.attempts.take(id, now_ms).await?;
        let Some(Attempt::Login { account, record_hash, ke1, ke2, state }) = taken else {
            return Err(AuthError::AttemptUnknown);
        };
        // A KE3 that is no KE3 is judged like a wrong one: after a fake answer neither can succeed.
        let session_key = server_login_finish(&state, &proof.ke3).map_err(|_| AuthError::LoginFailed)?;
        let binding = Binding {
            holder_pk: proof.holder_pk,
            holder_signature: proof.holder_signature,
            session_mac: proof.session_mac,
        };
        verify_binding(&binding, &session_key, &ke1, &ke2, &proof.ke3).map_err(|_| AuthError::LoginFailed)?;
        let account = account.ok_or(AuthError::LoginFailed)?;
        let account = self.directory.account(account).await?.ok_or(AuthError::LoginFailed)?;

        let refresh_token = self.draw_refresh_token();
        let session = Session {
            id: session_id(&*self.entropy),
            account: account.id,
            holder_pk: proof.holder_pk,
            refresh_hash: sha256(&refresh_token[..]),
            logged_in_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(self.settings.session_ttl_ms),
        };
        let grant = self.grant(&account, &session, Some(refresh_token))?;
        let line = self.line(Kind::SessionOpen, account.id);
        // Not if the password was changed since the login began, however shortly before now.
        if !self.directory.open_session(session, record_hash, SESSIONS_MAX, line).await? {
            return Err(AuthError::LoginFailed);
        }
        Ok(Opened { grant, bundle: account.bundle, password_wrap: account.password_wrap })
    }
}
