//! Recovery (docs/spec/vault.md, section 3): the printed code opens its copy of the root key and signs for a new
//! password. Stored data is not touched, because the root key stays the same.

use rand_core::OsRng;
use veilcloud_proto::auth::v1 as pb;
use veilcore::id::{AccountId, AttemptId};
use veilsign::login::ClientRegistration;
use veilvault::account::{Factor, WrappedArk, unwrap, wrap};
use veilvault::identity::Identity;
use veilvault::recovery::{self, CHALLENGE_LEN, RecoveryStatement};

use super::{GENERATION, email, login_error};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::secret::{Password, RecoveryCode};
use crate::times;
use crate::transport::{blocking, rpc};

impl Client {
    /// Sets a new password with the recovery code. The code is used up: the new one that comes back takes its place.
    /// Every session of the account ends; log in afterwards.
    ///
    /// # Errors
    /// [`Error::WrongRecoveryCode`], also when there is no such account.
    pub async fn recover(
        &self,
        address: &str,
        code: &RecoveryCode,
        password: &Password,
    ) -> Result<RecoveryCode> {
        let address = email(address)?;
        let (registration, request) =
            ClientRegistration::start(password.expose(), &mut OsRng).map_err(login_error)?;
        let request = pb::RecoverStartRequest { email: address.clone(), registration_request: request };
        let offer: pb::RecoverStartResponse = self.call(&rpc::RECOVER_START, &request).await?;

        let account: AccountId = times::id(&offer.account_id, &rpc::RECOVER_START)?;
        let attempt: AttemptId = times::id(&offer.attempt_id, &rpc::RECOVER_START)?;
        let challenge: [u8; CHALLENGE_LEN] =
            offer.challenge.try_into().map_err(|_| Error::BadAnswer { rpc: rpc::RECOVER_START.path })?;
        // For an unknown address the server invents a copy, which no code opens either.
        let wrapped = WrappedArk::from_bytes(&offer.recovery_wrap).map_err(|_| Error::WrongRecoveryCode)?;
        let ark =
            unwrap(&wrapped, Factor::Recovery(&code.0), &account).map_err(|_| Error::WrongRecoveryCode)?;

        let known_as = address.clone();
        let done = blocking(move || registration.finish(&offer.registration_response, &known_as, &mut OsRng))
            .await
            .map_err(login_error)?;
        let next = recovery::RecoveryCode::generate(&mut OsRng);
        let bundle = Identity::derive(&ark, account, GENERATION).account_bundle(&next.verifier());
        let signature = code.0.sign_recovery(&RecoveryStatement {
            attempt,
            challenge: &challenge,
            upload: &done.upload,
            bundle: &bundle,
        });
        let wrapped = |factor: Factor<'_>| wrap(&ark, factor, &account, &mut OsRng).as_bytes().to_vec();
        let request = pb::RecoverFinishRequest {
            attempt_id: offer.attempt_id,
            recovery_signature: signature.to_vec(),
            registration_upload: done.upload,
            account_bundle: bundle,
            password_wrap: wrapped(Factor::Password(done.export_key.expose())),
            recovery_wrap: wrapped(Factor::Recovery(&next)),
        };
        let answer: Result<pb::RecoverFinishResponse> = self.call(&rpc::RECOVER_FINISH, &request).await;
        answer.map_err(|e| if e.is("RECOVERY_FAILED") { Error::WrongRecoveryCode } else { e })?;
        self.forget_session_of(account).await?;
        Ok(RecoveryCode(next))
    }

    /// The sessions of this account have ended; one that is kept here is of no more use.
    async fn forget_session_of(&self, account: AccountId) -> Result<()> {
        match self.stored_session().await {
            Ok(Some(session)) if session.account() == account => self.forget_session().await,
            _ => Ok(()),
        }
    }
}
