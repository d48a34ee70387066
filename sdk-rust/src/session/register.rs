//! Registration: everything the account will ever need is made here and leaves only wrapped.

use rand_core::OsRng;
use veilcloud_proto::auth::v1 as pb;
use veilcore::id::AccountId;
use veilsign::login::ClientRegistration;
use veilvault::account::{AccountRootKey, Factor, wrap};
use veilvault::identity::Identity;
use veilvault::recovery;

use super::{GENERATION, email, login_error};
use crate::client::Client;
use crate::error::Result;
use crate::secret::{Password, RecoveryCode};
use crate::times;
use crate::transport::{blocking, rpc};

/// A new account.
#[non_exhaustive]
pub struct Registered {
    /// Account id.
    pub account_id: AccountId,
    /// The code that sets a new password when the old one is lost. Shown once: without password and code nobody,
    /// not even the operator, can read what the account stored.
    pub recovery_code: RecoveryCode,
}

impl Client {
    /// Registers an account. Does not log in.
    ///
    /// # Errors
    /// [`crate::Error::Api`] with `EMAIL_TAKEN`, or `PERMISSION_DENIED` where registration is closed.
    pub async fn register(&self, address: &str, password: &Password) -> Result<Registered> {
        let address = email(address)?;
        let (registration, request) =
            ClientRegistration::start(password.expose(), &mut OsRng).map_err(login_error)?;
        let request = pb::RegisterStartRequest { email: address.clone(), registration_request: request };
        let offer: pb::RegisterStartResponse = self.call(&rpc::REGISTER_START, &request).await?;
        let known_as = address.clone();
        let done = blocking(move || registration.finish(&offer.registration_response, &known_as, &mut OsRng))
            .await
            .map_err(login_error)?;

        let account = AccountId::from_bytes(times::random_uuid().into_bytes());
        let ark = AccountRootKey::generate(&mut OsRng);
        let code = recovery::RecoveryCode::generate(&mut OsRng);
        let identity = Identity::derive(&ark, account, GENERATION);
        let wrapped = |factor: Factor<'_>| wrap(&ark, factor, &account, &mut OsRng).as_bytes().to_vec();
        let request = pb::RegisterFinishRequest {
            email: address,
            registration_upload: done.upload,
            account_id: account.to_string(),
            account_bundle: identity.account_bundle(&code.verifier()),
            password_wrap: wrapped(Factor::Password(done.export_key.expose())),
            recovery_wrap: wrapped(Factor::Recovery(&code)),
        };
        let _: pb::RegisterFinishResponse = self.call(&rpc::REGISTER_FINISH, &request).await?;
        Ok(Registered { account_id: account, recovery_code: RecoveryCode(code) })
    }
}
