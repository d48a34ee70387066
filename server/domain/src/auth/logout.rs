//! Ending sessions. From the moment it returns, no capability of an ended session counts.

use super::{Auth, Caller, error::AuthError, model::Ending};
use crate::audit::model::Kind;

impl Auth {
    /// Ends the caller's session, or all of the account's.
    pub async fn logout(&self, caller: &Caller, everywhere: bool) -> Result<(), AuthError> {
        let ending = match caller.session() {
            _ if everywhere => Ending::All,
            Some(session) => Ending::One(session),
            // An API key ends no session.
            None => return Err(AuthError::Missing),
        };
        let line = self.line(Kind::SessionEnd, caller.account);
        Ok(self.directory.end_sessions(caller.account, ending, line).await?)
    }
}
