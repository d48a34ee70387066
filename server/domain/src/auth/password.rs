//! Changing the password of a session that logged in a moment ago. The root key is wrapped anew under the new
//! password; nothing that is stored is touched. All other sessions end: one of them may be why it is changed.

use veilcore::hash::sha256;
use veilsign::login::{server_registration_finish, server_registration_start};
use veilvault::account::FactorKind;

use super::{
    Auth, Caller,
    error::AuthError,
    model::{Ending, NewCredentials},
    service::{check_wrap, message},
};
use crate::audit::model::Kind;

impl Auth {
    /// Answers the blinded new password; 64 bytes.
    pub async fn change_password_start(&self, caller: &Caller, request: &[u8]) -> Result<Vec<u8>, AuthError> {
        self.check_fresh(caller)?;
        let account = self.known(caller.account).await?;
        server_registration_start(&self.secrets.opaque, request, account.email.as_str()).map_err(message)
    }

    /// Puts the new password in force.
    pub async fn change_password_finish(
        &self,
        caller: &Caller,
        upload: Vec<u8>,
        password_wrap: Vec<u8>,
    ) -> Result<(), AuthError> {
        self.check_fresh(caller)?;
        check_wrap(&password_wrap, FactorKind::Password)?;
        let record = server_registration_finish(&upload).map_err(message)?;
        let record_hash = sha256(&self.known(caller.account).await?.record);
        let new = NewCredentials { record, password_wrap, recovery: None };
        let ending = Ending::AllBut(caller.session().ok_or(AuthError::NotFresh)?);
        let lines = vec![self.line(Kind::PasswordChange, caller.account)];
        let replaced =
            self.directory.replace_credentials(caller.account, record_hash, new, ending, lines).await?;
        if replaced { Ok(()) } else { Err(AuthError::Revoked) }
    }

    pub(super) fn check_fresh(&self, caller: &Caller) -> Result<(), AuthError> {
        if caller.is_fresh(self.clock.now_ms()) { Ok(()) } else { Err(AuthError::NotFresh) }
    }
}
