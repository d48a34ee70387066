//! Recovery (docs/spec/vault.md, section 3): the printed code opens its copy of the root key and signs for a new
//! password. Stored data is not touched, because the root key stays the same.

use std::io;

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
    /// Every session of the account ends; log in afterwards. When the answer is lost the old code may be spent and the
    /// new one unseen: [`Client::recover_with`] gives it out before.
    ///
    /// # Errors
    /// As [`Client::recover_with`].
    pub async fn recover(
        &self,
        address: &str,
        code: &RecoveryCode,
        password: &Password,
    ) -> Result<RecoveryCode> {
        self.recover_with(address, code, password, |_| Ok(())).await
    }

    /// Sets a new password with the recovery code, as [`Client::recover`]. `keep` gets the new code before the server is
    /// asked to put it in force; when it fails, nothing is asked. After an error with [`Error::outcome_unknown`] either
    /// code may be the good one, and both have to be kept; after any other error the new one is worth nothing.
    ///
    /// # Errors
    /// [`Error::WrongRecoveryCode`], also when there is no such account; [`Error::Local`] when `keep` fails.
    pub async fn recover_with(
        &self,
        address: &str,
        code: &RecoveryCode,
        password: &Password,
        keep: impl FnOnce(&RecoveryCode) -> io::Result<()>,
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
        let next = RecoveryCode(recovery::RecoveryCode::generate(&mut OsRng));
        let bundle = Identity::derive(&ark, account, GENERATION).account_bundle(&next.0.verifier());
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
            recovery_wrap: wrapped(Factor::Recovery(&next.0)),
        };
        self.know_own_bundle(account, &request.account_bundle).await?;
        keep(&next).map_err(Error::local("keep the new recovery code"))?;
        // Once: a second try would be told that the first has used the attempt up.
        let answer: Result<pb::RecoverFinishResponse> = self.call_once(&rpc::RECOVER_FINISH, &request).await;
        answer.map_err(|e| if e.is("RECOVERY_FAILED") { Error::WrongRecoveryCode } else { e })?;
        // The recovery is done, whether or not this works: the server refuses the session from now on.
        let _ = self.forget_session_of(account).await;
        Ok(next)
    }

    /// The sessions of this account have ended; one that is kept here is of no more use.
    async fn forget_session_of(&self, account: AccountId) -> Result<()> {
        let _guard = self.lock_state().await?;
        match self.stored_session().await {
            Ok(Some(session)) if session.account() == account => self.forget_session_locked().await,
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use prost::Message;
    use veilvault::account::AccountRootKey;

    use super::super::register::tests::{blinded, lost};
    use super::*;
    use crate::transport::fake::{Fake, message};

    #[tokio::test]
    async fn the_new_code_is_with_its_owner_before_the_old_one_is_spent() {
        let account = AccountId::from_bytes([0xa1; 16]);
        let old = RecoveryCode(recovery::RecoveryCode::generate(&mut OsRng));
        let ark = AccountRootKey::generate(&mut OsRng);
        let wrapped = wrap(&ark, Factor::Recovery(&old.0), &account, &mut OsRng).as_bytes().to_vec();
        let kept: Arc<Mutex<Option<RecoveryCode>>> = Arc::default();
        let seen = Arc::clone(&kept);
        let fake = Fake::answering(move |call| match call.path.rsplit('/').next().unwrap_or_default() {
            "RecoverStart" => {
                let request = pb::RecoverStartRequest::decode(call.body.clone()).expect("a request");
                message(&pb::RecoverStartResponse {
                    attempt_id: times::random_uuid().to_string(),
                    challenge: vec![7; CHALLENGE_LEN],
                    registration_response: blinded(&request.registration_request, &request.email),
                    recovery_wrap: wrapped.clone(),
                    account_id: account.to_string(),
                })
            }
            _ => {
                let request = pb::RecoverFinishRequest::decode(call.body.clone()).expect("a request");
                let code = seen.lock().expect("held").clone().expect("kept before this was sent");
                let copy = WrappedArk::from_bytes(&request.recovery_wrap).expect("a copy");
                assert!(
                    unwrap(&copy, Factor::Recovery(&code.0), &account).is_ok_and(|open| open.ct_eq(&ark))
                );
                Err(lost())
            }
        });
        let builder = Client::builder().endpoint("https://host.example");
        let client = builder.build_with(fake.clone()).expect("a client");
        let keep = |code: &RecoveryCode| {
            *kept.lock().expect("held") = Some(code.clone());
            Ok(())
        };
        let e = client.recover_with("ada@example.org", &old, &"new password".into(), keep).await;
        assert!(e.err().expect("lost").outcome_unknown());
        assert_eq!(fake.calls().len(), 2, "the attempt is good once");
    }
}
