//! Sessions: from password or recovery code to a capability and a holder key, and on from there. The password, the
//! root key and the holder key stay on this machine; what must never happen is one of them in a message.

pub(crate) mod current;
mod login;
mod password;
pub(crate) mod proof;
mod record;
mod recover;
mod register;
mod renew;

use time::OffsetDateTime;
use veilcore::id::AccountId;
use veilcore::secret::Secret;
use veilsign::key::SigningKey;
use veilsign::login::{LoginError, normalise_email};
use veilvault::identity::Identity;

use crate::error::{Error, Result};

pub use register::Registered;

/// Generation of the identity keys. There is no way yet to change to another.
const GENERATION: u32 = 1;

/// An open session with its secrets.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) email: String,
    pub(crate) endpoint: String,
    pub(crate) identity: Identity,
    pub(crate) holder: SigningKey,
    pub(crate) capability: Vec<u8>,
    pub(crate) expires_at_ms: u64,
    pub(crate) refresh_token: Secret<32>,
    /// The token that is to follow, from before a renewal is sent until its answer is there.
    pub(crate) pending_refresh: Option<Secret<32>>,
    pub(crate) session_expires_at_ms: u64,
}

impl Session {
    pub(crate) fn account(&self) -> AccountId {
        self.identity.account()
    }

    pub(crate) fn info(&self) -> SessionInfo {
        SessionInfo {
            account_id: self.account(),
            email: self.email.clone(),
            endpoint: self.endpoint.clone(),
            capability_expires_at: crate::times::from_ms(self.expires_at_ms),
            session_expires_at: crate::times::from_ms(self.session_expires_at_ms),
        }
    }
}

/// Who is logged in where, and until when. Contains no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The account.
    pub account_id: AccountId,
    /// E-mail it logged in with.
    pub email: String,
    /// Server of the session.
    pub endpoint: String,
    /// When the current capability ends; it is renewed by itself.
    pub capability_expires_at: OffsetDateTime,
    /// When the session ends and the password is needed again.
    pub session_expires_at: OffsetDateTime,
}

/// The one form of an e-mail address.
fn email(text: &str) -> Result<String> {
    normalise_email(text).map_err(|e| Error::invalid("e-mail", e))
}

/// The error of a login or registration step on this side.
fn login_error(e: LoginError) -> Error {
    match e {
        LoginError::WrongPassword => Error::WrongPassword,
        LoginError::PasswordLength { .. } => Error::invalid("password", e),
        LoginError::KeyStretching => Error::Local {
            action: "stretch the password".to_owned(),
            source: std::io::Error::new(std::io::ErrorKind::OutOfMemory, e),
        },
        _ => Error::BadAnswer { rpc: "login" },
    }
}

#[cfg(test)]
pub(crate) mod tests;
