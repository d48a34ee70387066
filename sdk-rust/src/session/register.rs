//! Registration: everything the account will ever need is made here and leaves only wrapped.

use std::io;

use rand_core::OsRng;
use veilcloud_proto::auth::v1 as pb;
use veilcore::id::AccountId;
use veilsign::login::ClientRegistration;
use veilvault::account::{AccountRootKey, Factor, wrap};
use veilvault::identity::Identity;
use veilvault::recovery;

use super::{GENERATION, email, login_error};
use crate::client::Client;
use crate::error::{Error, Result};
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
    /// Registers an account. Does not log in. When the answer is lost there may be an account whose recovery code nobody
    /// has seen: [`Client::register_with`] gives it out before.
    ///
    /// # Errors
    /// As [`Client::register_with`].
    pub async fn register(&self, address: &str, password: &Password) -> Result<Registered> {
        self.register_with(address, password, |_| Ok(())).await
    }

    /// Registers an account. Does not log in. `keep` gets the recovery code before the server is asked for the account;
    /// when it fails, nothing is asked. After an error with [`Error::outcome_unknown`] the account may exist, and the
    /// code has to be kept; after any other error it is worth nothing.
    ///
    /// # Errors
    /// [`Error::Api`] with `EMAIL_TAKEN`, or `PERMISSION_DENIED` where registration is closed; [`Error::Local`] when
    /// `keep` fails.
    pub async fn register_with(
        &self,
        address: &str,
        password: &Password,
        keep: impl FnOnce(&RecoveryCode) -> io::Result<()>,
    ) -> Result<Registered> {
        let address = email(address)?;
        // The first contact: name and keys of the logs are kept from here on.
        self.meet().await?;
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
        let code = RecoveryCode(recovery::RecoveryCode::generate(&mut OsRng));
        let identity = Identity::derive(&ark, account, GENERATION);
        let wrapped = |factor: Factor<'_>| wrap(&ark, factor, &account, &mut OsRng).as_bytes().to_vec();
        let request = pb::RegisterFinishRequest {
            email: address,
            registration_upload: done.upload,
            account_id: account.to_string(),
            account_bundle: identity.account_bundle(&code.0.verifier()),
            password_wrap: wrapped(Factor::Password(done.export_key.expose())),
            recovery_wrap: wrapped(Factor::Recovery(&code.0)),
        };
        self.know_own_bundle(account, &request.account_bundle).await?;
        keep(&code).map_err(Error::local("keep the recovery code"))?;
        // Once: a second try would be told EMAIL_TAKEN by the first.
        let _: pb::RegisterFinishResponse = self.call_once(&rpc::REGISTER_FINISH, &request).await?;
        Ok(Registered { account_id: account, recovery_code: code })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use prost::Message;
    use veilsign::login::{ServerKeys, server_registration_start};
    use veilvault::identity::AccountBundle;

    use super::*;
    use crate::error::{IntegrityReason, NetworkError};
    use crate::log::LogId;
    use crate::log::tests::served::ServedLog;
    use crate::transport::Failure;
    use crate::transport::fake::{Fake, message, refusal};

    type Answer = Result<Bytes, Failure>;

    /// What a server answers a blinded password with.
    pub(in crate::session) fn blinded(request: &[u8], email: &str) -> Vec<u8> {
        server_registration_start(&ServerKeys::generate(&mut OsRng), request, email).expect("32 bytes")
    }

    pub(in crate::session) fn lost() -> Failure {
        Failure::Network(NetworkError::Lost { detail: String::new() })
    }

    fn client(fake: &Fake) -> Client {
        Client::builder().endpoint("https://host.example").build_with(fake.clone()).expect("a client")
    }

    /// A server that gives this answer to the last step.
    fn server(finish: impl Fn(&pb::RegisterFinishRequest) -> Answer + Send + 'static) -> Fake {
        Fake::answering(move |call| match call.path.rsplit('/').next().unwrap_or_default() {
            "RegisterStart" => {
                let request = pb::RegisterStartRequest::decode(call.body.clone()).expect("a request");
                let registration_response = blinded(&request.registration_request, &request.email);
                message(&pb::RegisterStartResponse { registration_response })
            }
            "GetServerInfo" => message(&ServedLog::new(LogId::Directory).server_info()),
            _ => finish(&pb::RegisterFinishRequest::decode(call.body.clone()).expect("a request")),
        })
    }

    #[tokio::test]
    async fn the_code_is_with_its_owner_before_the_server_is_asked_and_the_server_is_asked_once() {
        let kept: Arc<Mutex<Option<RecoveryCode>>> = Arc::default();
        let seen = Arc::clone(&kept);
        let fake = server(move |request| {
            let bundle = AccountBundle::verify(&request.account_bundle).expect("a bundle");
            let code = seen.lock().expect("held").clone().expect("kept before this was sent");
            assert_eq!(bundle.recovery_verifier, code.0.verifier());
            Err(lost())
        });
        let keep = |code: &RecoveryCode| {
            *kept.lock().expect("held") = Some(code.clone());
            Ok(())
        };
        let e = client(&fake).register_with("ada@example.org", &"password".into(), keep).await;
        assert!(e.err().expect("lost").outcome_unknown());
        let finishes = fake.calls().iter().filter(|call| call.path.ends_with("RegisterFinish")).count();
        assert_eq!(finishes, 1, "a second try would meet the first");
    }

    #[tokio::test]
    async fn a_code_that_cannot_be_kept_makes_no_account() {
        let fake = server(|_| panic!("nothing is asked for"));
        let keep = |_: &RecoveryCode| Err(io::Error::from(io::ErrorKind::StorageFull));
        let e = client(&fake).register_with("ada@example.org", &"password".into(), keep).await;
        assert!(matches!(e, Err(Error::Local { .. })));
    }

    #[tokio::test]
    async fn a_server_whose_logs_changed_their_name_learns_nothing() {
        let mut name = "host.example";
        let fake = Fake::answering(move |call| match call.path.rsplit('/').next().unwrap_or_default() {
            "GetServerInfo" => {
                let info =
                    ServedLog { name: name.to_owned(), ..ServedLog::new(LogId::Directory) }.server_info();
                name = "other.example";
                message(&info)
            }
            _ => Err(refusal("ALREADY_EXISTS", "EMAIL_TAKEN", None)),
        });
        let client = client(&fake);
        let first = client.register("ada@example.org", &"password".into()).await.err().expect("refused");
        assert!(first.is("EMAIL_TAKEN"));
        fake.calls();
        let again = client.register("ada@example.org", &"password".into()).await.err().expect("refused");
        assert!(matches!(again, Error::Integrity { reason: IntegrityReason::LogKeyChanged, .. }));
        assert_eq!(fake.calls().len(), 1);
    }

    #[tokio::test]
    async fn a_refusal_is_no_doubt() {
        let fake = server(|_| Err(refusal("ALREADY_EXISTS", "EMAIL_TAKEN", None)));
        let e = client(&fake).register("ada@example.org", &"password".into()).await.err().expect("refused");
        assert!(e.is("EMAIL_TAKEN") && !e.outcome_unknown());
    }
}
