//! Renewing a session: a refresh token and a signature of the session's holder key buy a new capability. The client
//! draws the next token and sends its hash, so that a request whose answer was lost may be repeated as it was. A token
//! that comes again with any other next one was copied, so its session ends - but only for somebody who holds the key,
//! or anybody who saw an old token could end sessions.

use veilcore::{
    hash::{hb, sha256},
    id::AccountId,
    tag,
};
use veilsign::key::VerifyingKey;
use zeroize::Zeroizing;

use super::{Auth, SessionGrant, error::AuthError, model::Rotation};
use crate::audit::model::Kind;

impl Auth {
    /// Trades the token for a new capability and puts the token with hash `next_hash` (SHA-256) in its place.
    /// `holder_signature` covers both.
    pub async fn refresh(
        &self,
        token: [u8; 32],
        next_hash: [u8; 32],
        holder_signature: [u8; 64],
    ) -> Result<SessionGrant, AuthError> {
        let token = Zeroizing::new(token);
        let old = sha256(&token[..]);
        let holder = self.directory.holder_of(old).await?.ok_or(AuthError::RefreshInvalid)?;
        let holder = VerifyingKey::parse(&holder).map_err(|_| AuthError::RefreshInvalid)?;
        let digest = hb(tag::REFRESH, &[("token", &token[..]), ("next", &next_hash)]);
        holder.verify(&digest, &holder_signature).map_err(|_| AuthError::RefreshInvalid)?;

        // Whose session it is the store finds out in its transaction, and sets the line's account.
        let line = self.line(Kind::SessionRefresh, AccountId::from_bytes([0; 16]));
        match self.directory.rotate_refresh(old, next_hash, self.clock.now_ms(), line).await? {
            Rotation::Rotated(session) => {
                let account = self.known(session.account).await?;
                self.grant(&account, &session, None)
            }
            Rotation::Reused { .. } => Err(AuthError::RefreshReused),
            Rotation::Unknown => Err(AuthError::RefreshInvalid),
        }
    }
}
