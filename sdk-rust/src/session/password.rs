//! Change of the password: the root key is wrapped anew, nothing else changes.

use rand_core::OsRng;
use veilcloud_proto::auth::v1 as pb;
use veilsign::login::ClientRegistration;
use veilvault::account::{Factor, wrap};

use super::login_error;
use crate::client::Client;
use crate::error::Result;
use crate::secret::Password;
use crate::transport::{blocking, rpc};

impl Client {
    /// Replaces the password. Logs in with the old one first, since the server demands a fresh login; all other
    /// sessions of the account end, the new one stays. The recovery code stays good.
    ///
    /// # Errors
    /// [`crate::Error::WrongPassword`] for the old password, or what the server says.
    pub async fn change_password(&self, email: &str, old: &Password, new: &Password) -> Result<()> {
        let (registration, request) =
            ClientRegistration::start(new.expose(), &mut OsRng).map_err(login_error)?;
        let (session, ark) = self.open_session(email, old).await?;
        let request = pb::ChangePasswordStartRequest { registration_request: request };
        let offer: pb::ChangePasswordStartResponse = self.call(&rpc::CHANGE_PASSWORD_START, &request).await?;
        let known_as = session.email.clone();
        let done = blocking(move || registration.finish(&offer.registration_response, &known_as, &mut OsRng))
            .await
            .map_err(login_error)?;
        let factor = Factor::Password(done.export_key.expose());
        let request = pb::ChangePasswordFinishRequest {
            password_wrap: wrap(&ark, factor, &session.account(), &mut OsRng).as_bytes().to_vec(),
            registration_upload: done.upload,
        };
        let _: pb::ChangePasswordFinishResponse = self.call(&rpc::CHANGE_PASSWORD_FINISH, &request).await?;
        Ok(())
    }
}
