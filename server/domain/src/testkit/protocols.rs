//! A person's side of the protocols, password stretching included: about a third of a second for each that has a
//! password in it.

use veilcore::id::AttemptId;
use veilsign::login::{ClientLogin, ClientRegistration, bind};
use veilvault::{
    account::{Factor, WrappedArk, unwrap, wrap},
    identity::Identity,
    recovery::{RecoveryCode, RecoveryStatement},
};
use zeroize::Zeroizing;

use super::Person;
use crate::{
    auth::{Auth, Caller, LoginProof, Opened, RecoveryProof, Registration, error::AuthError},
    clock::Rng,
};

impl Person {
    /// Everything the server keeps of this person, made with the first half of a registration.
    pub async fn registration(&self, auth: &Auth) -> Result<Registration, AuthError> {
        let mut rng = Rng(&self.entropy);
        let started = ClientRegistration::start(self.password.as_bytes(), &mut rng);
        let (state, request) = started.expect("a password of a test can be blinded");
        let response = auth.register_start(&self.email, &request).await?;
        let done = state.finish(&response, self.email.as_str(), &mut rng).map_err(|_| AuthError::Message)?;
        Ok(Registration {
            email: self.email.clone(),
            account: self.account,
            upload: done.upload,
            bundle: self.bundle(),
            password_wrap: self.wrapped(Factor::Password(done.export_key.expose())),
            recovery_wrap: self.wrapped(Factor::Recovery(&self.code)),
        })
    }

    /// Registers the account.
    pub async fn register(&self, auth: &Auth) -> Result<(), AuthError> {
        let registration = self.registration(auth).await?;
        auth.register_finish(registration).await.map(drop)
    }

    /// Logs in with the password in force, keeps the session, and checks that what comes back unlocks the account.
    pub async fn login(&mut self, auth: &Auth) -> Result<(), AuthError> {
        let password = self.password.clone();
        let (opened, export_key) = self.login_with(auth, &password).await?;
        let wrapped = WrappedArk::from_bytes(&opened.password_wrap).expect("the server gives a wrap");
        let ark = unwrap(&wrapped, Factor::Password(&export_key), &self.account);
        assert!(ark.expect("the password opens it").ct_eq(&self.ark), "the root key stays the same");
        self.grant = Some(opened.grant);
        Ok(())
    }

    /// Runs a login with any password; gives the export key besides.
    pub async fn login_with(
        &self,
        auth: &Auth,
        password: &str,
    ) -> Result<(Opened, Zeroizing<[u8; 64]>), AuthError> {
        let (attempt, proof, export_key) = self.login_proof(auth, password).await?;
        Ok((auth.login_finish(attempt, proof).await?, export_key))
    }

    /// The first half of a login: the attempt and the message that would finish it. A client cannot make one with a
    /// wrong password: that is [`AuthError::LoginFailed`] here already.
    pub async fn login_proof(
        &self,
        auth: &Auth,
        password: &str,
    ) -> Result<(AttemptId, LoginProof, Zeroizing<[u8; 64]>), AuthError> {
        let mut rng = Rng(&self.entropy);
        let started = ClientLogin::start(password.as_bytes(), &mut rng);
        let (state, ke1) = started.expect("a password of a test can be blinded");
        let (attempt, ke2) = auth.login_start(&self.email, &ke1).await?;
        let done = state.finish(&ke2, self.email.as_str(), &mut rng).map_err(|_| AuthError::LoginFailed)?;
        let bound = bind(&self.holder, &done.session_key, &ke1, &ke2, &done.ke3);
        let proof = LoginProof {
            ke3: done.ke3,
            holder_pk: bound.holder_pk,
            holder_signature: bound.holder_signature,
            session_mac: bound.session_mac,
        };
        Ok((attempt, proof, Zeroizing::new(*done.export_key.expose())))
    }

    /// The proof that would finish a recovery with this code, a new password and a new code. Fails as a client does
    /// when the code does not open what the server offers.
    pub async fn recovery(
        &self,
        auth: &Auth,
        code: &RecoveryCode,
        password: &str,
        new_code: &RecoveryCode,
    ) -> Result<RecoveryProof, AuthError> {
        let mut rng = Rng(&self.entropy);
        let started = ClientRegistration::start(password.as_bytes(), &mut rng);
        let (state, request) = started.expect("a password of a test can be blinded");
        let offer = auth.recover_start(&self.email, &request).await?;
        let wrapped = WrappedArk::from_bytes(&offer.recovery_wrap).expect("the server gives a wrap");
        let opened = unwrap(&wrapped, Factor::Recovery(code), &offer.account);
        let ark = opened.map_err(|_| AuthError::RecoveryFailed)?;
        let done =
            state.finish(&offer.response, self.email.as_str(), &mut rng).map_err(|_| AuthError::Message)?;
        let identity = Identity::derive(&ark, offer.account, 1);
        let bundle = identity.account_bundle(&new_code.verifier());
        let statement = RecoveryStatement {
            attempt: offer.attempt,
            challenge: &offer.challenge,
            upload: &done.upload,
            bundle: &bundle,
        };
        let signature = code.sign_recovery(&statement);
        let rewrap = |factor: Factor<'_>| {
            wrap(&ark, factor, &offer.account, &mut Rng(&self.entropy)).as_bytes().to_vec()
        };
        Ok(RecoveryProof {
            attempt: offer.attempt,
            signature,
            password_wrap: rewrap(Factor::Password(done.export_key.expose())),
            recovery_wrap: rewrap(Factor::Recovery(new_code)),
            upload: done.upload,
            bundle,
        })
    }

    /// Recovers the account with the code in force; password and code are new from then on.
    pub async fn recover(&mut self, auth: &Auth, password: &str) -> Result<(), AuthError> {
        let new_code = RecoveryCode::generate(&mut Rng(&self.entropy));
        let proof = self.recovery(auth, &self.code, password, &new_code).await?;
        auth.recover_finish(proof).await?;
        self.code = new_code;
        self.password = password.to_owned();
        self.grant = None;
        Ok(())
    }

    /// Changes the password of the session.
    pub async fn change_password(
        &mut self,
        auth: &Auth,
        caller: &Caller,
        password: &str,
    ) -> Result<(), AuthError> {
        let mut rng = Rng(&self.entropy);
        let started = ClientRegistration::start(password.as_bytes(), &mut rng);
        let (state, request) = started.expect("a password of a test can be blinded");
        let response = auth.change_password_start(caller, &request).await?;
        let done = state.finish(&response, self.email.as_str(), &mut rng).map_err(|_| AuthError::Message)?;
        let wrap = self.wrapped(Factor::Password(done.export_key.expose()));
        auth.change_password_finish(caller, done.upload, wrap).await?;
        self.password = password.to_owned();
        Ok(())
    }
}
