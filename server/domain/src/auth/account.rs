//! An account's own view of itself: show, rename, delete; and how it finds another one.

use veilvault::identity::AccountBundle;

use super::{
    Auth, Caller,
    error::AuthError,
    model::{Account, DISPLAY_NAME_LEN_MAX, Deletion, Email},
};
use crate::audit::model::Kind;

impl Auth {
    /// The caller's account.
    pub async fn me(&self, caller: &Caller) -> Result<Account, AuthError> {
        self.known(caller.account).await
    }

    /// Changes the name to show: at most 100 bytes, no control characters.
    pub async fn rename(&self, caller: &Caller, display_name: String) -> Result<Account, AuthError> {
        if display_name.len() > DISPLAY_NAME_LEN_MAX || display_name.chars().any(char::is_control) {
            return Err(AuthError::DisplayName);
        }
        let line = self.line(Kind::AccountUpdate, caller.account);
        if !self.directory.rename_account(caller.account, display_name, line).await? {
            return Err(AuthError::Revoked);
        }
        self.known(caller.account).await
    }

    /// Deletes the account with everything in it, after a fresh login and its e-mail as confirmation. It cannot be
    /// undone: nobody else has the keys. Teams with others in them are not taken from them in passing: they go first.
    pub async fn delete_account(&self, caller: &Caller, confirm: &Email) -> Result<(), AuthError> {
        self.check_fresh(caller)?;
        let account = self.known(caller.account).await?;
        if account.email != *confirm {
            return Err(AuthError::Confirmation);
        }
        // A bundle that cannot be read any more must not keep anybody from leaving.
        let generation = AccountBundle::verify(&account.bundle).map_or(0, |bundle| bundle.generation);
        let revoked = self.key_line(Kind::KeyRevoke, account.id, generation, &account.bundle);
        let lines = vec![self.line(Kind::AccountDelete, account.id), revoked];
        match self.directory.delete_account(account.id, lines).await? {
            Deletion::Done { .. } => Ok(()),
            Deletion::Unknown => Err(AuthError::Revoked),
            Deletion::OwnsTeams(teams) => Err(AuthError::OwnsTeams { teams }),
        }
    }

    /// The account with exactly this e-mail, for somebody who wants to put it into a team. That there is one is told to
    /// whoever registers with it, too; guesses are metered at the gate.
    pub async fn find(&self, caller: &Caller, email: &Email) -> Result<Account, AuthError> {
        // Whoever asks has an account still.
        self.known(caller.account).await?;
        self.directory.account_by_email(email).await?.ok_or(AuthError::UserUnknown)
    }
}
