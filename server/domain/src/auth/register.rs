//! Making an account. The server gets an OPAQUE record, public keys and two wrapped copies of a root key that it
//! cannot open; it never gets the password, the code or the root key.

use veilcore::id::AccountId;
use veilsign::login::{server_registration_finish, server_registration_start};
use veilvault::{account::FactorKind, identity::AccountBundle};

use super::{
    Auth,
    error::AuthError,
    model::{Account, Email},
    service::{check_wrap, message},
};
use crate::audit::model::Kind;

/// Generation of the keys of a new account.
const FIRST_GENERATION: u32 = 1;

/// Everything the server keeps of a new account.
#[derive(Clone)]
pub struct Registration {
    /// Address to log in with.
    pub email: Email,
    /// Random id that the client chose.
    pub account: AccountId,
    /// OPAQUE registration upload, 192 bytes.
    pub upload: Vec<u8>,
    /// Signed account bundle.
    pub bundle: Vec<u8>,
    /// Root key wrapped under the password, 74 bytes.
    pub password_wrap: Vec<u8>,
    /// Root key wrapped under the recovery code, 74 bytes.
    pub recovery_wrap: Vec<u8>,
}

impl Auth {
    /// Answers the blinded password of a new account; 64 bytes. Does not look whether the address is taken.
    pub async fn register_start(&self, email: &Email, request: &[u8]) -> Result<Vec<u8>, AuthError> {
        self.check_open()?;
        server_registration_start(&self.secrets.opaque, request, email.as_str()).map_err(message)
    }

    /// Creates the account.
    pub async fn register_finish(&self, new: Registration) -> Result<AccountId, AuthError> {
        self.check_open()?;
        let bundle = AccountBundle::verify(&new.bundle).map_err(|_| AuthError::Bundle)?;
        if bundle.account != new.account || bundle.generation != FIRST_GENERATION {
            return Err(AuthError::Bundle);
        }
        check_wrap(&new.password_wrap, FactorKind::Password)?;
        check_wrap(&new.recovery_wrap, FactorKind::Recovery)?;
        let account = Account {
            id: new.account,
            email: new.email,
            display_name: String::new(),
            tier: self.settings.default_tier,
            record: server_registration_finish(&new.upload).map_err(message)?,
            bundle: new.bundle,
            password_wrap: new.password_wrap,
            recovery_wrap: new.recovery_wrap,
            revocation_epoch: 0,
            quota_bytes: self.settings.account_quota_bytes,
            created_at_ms: self.clock.now_ms(),
            // The store gives it.
            key_index: None,
        };
        let id = account.id;
        let published = self.key_line(Kind::KeyPublish, id, bundle.generation, &account.bundle);
        let lines = vec![self.line(Kind::AccountCreate, id), published];
        let created = self.directory.create_account(account, lines).await?;
        if created { Ok(id) } else { Err(AuthError::EmailTaken) }
    }

    fn check_open(&self) -> Result<(), AuthError> {
        if self.settings.registration_open { Ok(()) } else { Err(AuthError::RegistrationClosed) }
    }
}
