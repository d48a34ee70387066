//! Login and logout (docs/spec/sign.md, section 2). The client proves the password without showing it, binds a fresh
//! holder key to that very proof, and unlocks its keys with what only the password gives. What must never happen: the
//! identity that a server offers being taken for the account's own.

use std::sync::Arc;

use rand_core::OsRng;
use veilcloud_proto::auth::v1 as pb;
use veilcore::secret::Secret;
use veilsign::key::SigningKey;
use veilsign::login::{ClientLogin, bind};
use veilvault::account::{AccountRootKey, Factor, WrappedArk, unwrap};
use veilvault::identity::{AccountBundle, Identity};

use super::{Session, email, login_error};
use crate::account::Account;
use crate::client::Client;
use crate::error::{Error, ErrorKind, IntegrityReason, Result};
use crate::secret::Password;
use crate::times;
use crate::transport::{blocking, rpc};

impl Client {
    /// Logs in and keeps the session. A session that was there before is replaced, not ended.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], also when there is no such account; [`Error::Integrity`] if the server gives out
    /// other keys than the password unlocks, if its logs have another name or key than before, or if its directory names
    /// keys of this account that are not known here. The session is open then, and nothing is wrapped to any key. That the
    /// directory cannot be read right now is no error: it is read before the next key is wrapped.
    pub async fn login(&self, email: &str, password: &Password) -> Result<Account> {
        // Before the password is used: a server that has changed its name learns nothing.
        let (_, shown) = self.meet().await?;
        self.open_session(email, password).await?;
        self.follow_at_login(&shown).await?;
        self.account().await
    }

    /// Follows the directory, and refuses keys of the logs that the server names and the directory does not.
    pub(crate) async fn follow_at_login(&self, shown: &[[u8; 32]]) -> Result<()> {
        match self.directory().follow().await {
            Ok(_) => self.known_log_keys(shown).await,
            // Nothing is lost: what was not followed is followed before anything is wrapped (`Client::own_key`).
            Err(e) if is_passing(&e) => {
                tracing::warn!(error = %e, "the directory was not followed; it will be before the next key is used");
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// Ends this session, or every session of the account, on the server and here. The session is forgotten here
    /// even if the server is not reached; it then ends there by itself.
    ///
    /// # Errors
    /// [`Error::NotLoggedIn`], or what the server says.
    pub async fn logout(&self, everywhere: bool) -> Result<()> {
        let answer: Result<pb::LogoutResponse> =
            self.call(&rpc::LOGOUT, &pb::LogoutRequest { everywhere }).await;
        match answer {
            Err(e @ (Error::NotLoggedIn | Error::OtherEndpoint { .. })) => Err(e),
            answer => {
                self.forget_session().await?;
                answer.map(|_| ())
            }
        }
    }

    /// Logs in; gives the session and the root key, which the caller drops as soon as it can.
    pub(crate) async fn open_session(
        &self,
        address: &str,
        password: &Password,
    ) -> Result<(Arc<Session>, AccountRootKey)> {
        let address = email(address)?;
        let (login, ke1) = ClientLogin::start(password.expose(), &mut OsRng).map_err(login_error)?;
        let request = pb::LoginStartRequest { email: address.clone(), ke1: ke1.clone() };
        let offer: pb::LoginStartResponse = self.call(&rpc::LOGIN_START, &request).await?;
        let ke2 = offer.ke2.clone();
        let known_as = address.clone();
        let done = blocking(move || login.finish(&ke2, &known_as, &mut OsRng)).await.map_err(login_error)?;

        let holder = SigningKey::generate(&mut OsRng);
        let binding = bind(&holder, &done.session_key, &ke1, &offer.ke2, &done.ke3);
        let request = pb::LoginFinishRequest {
            attempt_id: offer.attempt_id,
            ke3: done.ke3,
            holder_public_key: binding.holder_pk.to_vec(),
            holder_signature: binding.holder_signature.to_vec(),
            session_mac: binding.session_mac.to_vec(),
        };
        let answer: Result<pb::LoginFinishResponse> = self.call(&rpc::LOGIN_FINISH, &request).await;
        let answer = answer.map_err(|e| if e.is("LOGIN_FAILED") { Error::WrongPassword } else { e })?;
        let granted = times::present(answer.session, &rpc::LOGIN_FINISH)?;
        let (identity, ark) =
            unlock(&granted.account_id, &answer.account_bundle, &answer.password_wrap, &done.export_key)?;
        let refresh_token = times::present(Secret::from_slice(&granted.refresh_token), &rpc::LOGIN_FINISH)?;
        let session = Arc::new(self.session_of(granted, refresh_token, address, identity, holder)?);
        let guard = self.lock_state().await?;
        self.inner().keys.clear();
        self.inner().own_key.clear();
        self.adopt(Arc::clone(&session)).await?;
        drop(guard);
        Ok((session, ark))
    }

    /// The session of a grant, after login, where the server draws the refresh token, or renewal, where this client does.
    pub(super) fn session_of(
        &self,
        granted: pb::Session,
        refresh_token: Secret<32>,
        email: String,
        identity: Identity,
        holder: SigningKey,
    ) -> Result<Session> {
        let rpc = &rpc::REFRESH;
        Ok(Session {
            email,
            endpoint: self.inner().endpoint.clone(),
            identity,
            holder,
            capability: granted.capability,
            expires_at_ms: times::required_ms(granted.expires_at, rpc)?,
            refresh_token,
            pending_refresh: None,
            session_expires_at_ms: times::required_ms(granted.session_expires_at, rpc)?,
        })
    }
}

/// Whether it says nothing about what the server showed: it could not be asked, or not now.
fn is_passing(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::RateLimited { .. } | ErrorKind::Network(_) | ErrorKind::Server)
}

/// From the server's copies to the account's keys. The password has been proved by now, so whatever does not fit is
/// the server's doing.
fn unlock(
    account_id: &str,
    bundle: &[u8],
    password_wrap: &[u8],
    export_key: &Secret<64>,
) -> Result<(Identity, AccountRootKey)> {
    let mismatch = || Error::integrity(IntegrityReason::IdentityMismatch, "the account's keys");
    let account = times::id(account_id, &rpc::LOGIN_FINISH)?;
    let bundle = AccountBundle::verify(bundle).map_err(|_| mismatch())?;
    let wrapped = WrappedArk::from_bytes(password_wrap).map_err(|_| mismatch())?;
    let ark = unwrap(&wrapped, Factor::Password(export_key.expose()), &account).map_err(|_| mismatch())?;
    let identity = Identity::derive(&ark, account, bundle.generation);
    bundle.matches(&identity).map_err(|_| mismatch())?;
    Ok((identity, ark))
}

#[cfg(test)]
mod tests {
    use veilcore::id::AccountId;
    use veilvault::account::wrap;
    use veilvault::recovery::RecoveryCode;

    use super::*;

    const EXPORT_KEY: [u8; 64] = [7; 64];

    fn account() -> AccountId {
        AccountId::from_bytes([0xa1; 16])
    }

    fn copies(account: AccountId, ark: &AccountRootKey) -> (Vec<u8>, Vec<u8>) {
        let code = RecoveryCode::generate(&mut OsRng);
        let bundle = Identity::derive(ark, account, 1).account_bundle(&code.verifier());
        let wrapped = wrap(ark, Factor::Password(&EXPORT_KEY), &account, &mut OsRng);
        (bundle, wrapped.as_bytes().to_vec())
    }

    fn refused(result: Result<(Identity, AccountRootKey)>) -> bool {
        matches!(result, Err(Error::Integrity { reason: IntegrityReason::IdentityMismatch, .. }))
    }

    #[test]
    fn the_keys_of_the_account_are_unlocked() {
        let ark = AccountRootKey::generate(&mut OsRng);
        let (bundle, wrapped) = copies(account(), &ark);
        let id = account().to_string();
        let (identity, unlocked) =
            unlock(&id, &bundle, &wrapped, &Secret::new(EXPORT_KEY)).expect("everything fits");
        assert!(unlocked.ct_eq(&ark));
        assert_eq!(identity.account(), account());
    }

    #[test]
    fn keys_that_the_server_put_in_their_place_are_refused() {
        let ark = AccountRootKey::generate(&mut OsRng);
        let (bundle, wrapped) = copies(account(), &ark);
        let (other_bundle, other_wrap) = copies(account(), &AccountRootKey::generate(&mut OsRng));
        let other_account = AccountId::from_bytes([0xb0; 16]);
        let id = account().to_string();
        let key = || Secret::new(EXPORT_KEY);
        assert!(refused(unlock(&id, &other_bundle, &wrapped, &key())));
        assert!(refused(unlock(&id, &bundle, &other_wrap, &key())));
        assert!(refused(unlock(&other_account.to_string(), &bundle, &wrapped, &key())));
        assert!(refused(unlock(&id, &bundle[1..], &wrapped, &key())));
        assert!(refused(unlock(&id, &bundle, &wrapped[1..], &key())));
        assert!(refused(unlock(&id, &bundle, &wrapped, &Secret::new([8; 64]))));
    }
}
