//! Getting an account back with the printed code. The code opens the client's copy of the root key and signs one
//! statement; the server checks the signature against the verifier in the account's own bundle. No stored data is
//! touched: the root key, and with it the identity, stays the same.
//!
//! An unknown address is answered with values derived from a secret, always the same for one address.

use veilcore::{
    hash::sha256,
    id::{AccountId, AttemptId},
};
use veilsign::login::{server_registration_finish, server_registration_start};
use veilvault::{
    account::FactorKind,
    identity::AccountBundle,
    recovery::{RecoveryStatement, verify_recovery},
};

use super::{
    Auth, RECOVERY_ATTEMPT_MS,
    error::AuthError,
    model::{Account, Attempt, Email, Ending, NewCredentials, NewRecovery},
    service::{check_wrap, message},
};
use crate::{audit::model::Kind, mint, store::StoreError};

/// What the server offers to somebody who says to hold the code.
#[derive(Clone)]
pub struct RecoveryOffer {
    /// Names the attempt; good for ten minutes and one use.
    pub attempt: AttemptId,
    /// Random challenge to sign.
    pub challenge: [u8; 32],
    /// OPAQUE registration response for the new password, 64 bytes.
    pub response: Vec<u8>,
    /// Root key wrapped under the code, 74 bytes.
    pub recovery_wrap: Vec<u8>,
    /// The account that the wrap is bound to.
    pub account: AccountId,
}

/// The proof of the code, and what takes the place of password and code.
#[derive(Clone)]
pub struct RecoveryProof {
    /// Attempt of the offer.
    pub attempt: AttemptId,
    /// Signature of the old code's key.
    pub signature: [u8; 64],
    /// OPAQUE registration upload of the new password, 192 bytes.
    pub upload: Vec<u8>,
    /// Signed account bundle with the new code's verifier.
    pub bundle: Vec<u8>,
    /// Root key wrapped under the new password.
    pub password_wrap: Vec<u8>,
    /// Root key wrapped under the new code.
    pub recovery_wrap: Vec<u8>,
}

impl Auth {
    /// Begins a recovery.
    pub async fn recover_start(&self, email: &Email, request: &[u8]) -> Result<RecoveryOffer, AuthError> {
        let account = self.directory.account_by_email(email).await?;
        let response =
            server_registration_start(&self.secrets.opaque, request, email.as_str()).map_err(message)?;
        // Made for known addresses too, so that both take the same steps.
        let fake_account = self.secrets.fake_account(email);
        let fake_wrap = self.secrets.fake_recovery_wrap(email);
        let mut challenge = [0; 32];
        self.entropy.fill(&mut challenge);
        let attempt = AttemptId::from_bytes(mint::random(&*self.entropy));
        let kept = Attempt::Recover { account: account.as_ref().map(|a| a.id), challenge };
        self.attempts.keep(attempt, kept, self.clock.now_ms().saturating_add(RECOVERY_ATTEMPT_MS)).await?;
        let (account, recovery_wrap) = match account {
            Some(account) => (account.id, account.recovery_wrap),
            None => (fake_account, fake_wrap),
        };
        Ok(RecoveryOffer { attempt, challenge, response, recovery_wrap, account })
    }

    /// Puts the new password and code in force and ends every session.
    pub async fn recover_finish(&self, proof: RecoveryProof) -> Result<(), AuthError> {
        // Form first: it says nothing about the account, and a mistake here does not cost the attempt.
        let bundle = AccountBundle::verify(&proof.bundle).map_err(|_| AuthError::Bundle)?;
        check_wrap(&proof.password_wrap, FactorKind::Password)?;
        check_wrap(&proof.recovery_wrap, FactorKind::Recovery)?;
        let record = server_registration_finish(&proof.upload).map_err(message)?;

        let taken = self.attempts.take(proof.attempt, self.clock.now_ms()).await?;
        let Some(Attempt::Recover { account, challenge }) = taken else {
            return Err(AuthError::AttemptUnknown);
        };
        let account = match account {
            Some(id) => self.directory.account(id).await?,
            None => None,
        };
        let current = account.as_ref().map(current_bundle).transpose()?;
        let verifier = current.as_ref().map_or(&self.decoy_verifier, |b| &b.recovery_verifier);
        let statement = RecoveryStatement {
            attempt: proof.attempt,
            challenge: &challenge,
            upload: &proof.upload,
            bundle: &proof.bundle,
        };
        verify_recovery(verifier, &statement, &proof.signature).map_err(|_| AuthError::RecoveryFailed)?;
        let (Some(account), Some(current)) = (account, current) else {
            return Err(AuthError::RecoveryFailed);
        };
        if !same_identity(&bundle, &current) {
            return Err(AuthError::Bundle);
        }
        let replaced = self.key_line(Kind::KeyReplace, account.id, bundle.generation, &proof.bundle);
        let lines = vec![self.line(Kind::AccountRecover, account.id), replaced];
        let new = NewCredentials {
            record,
            password_wrap: proof.password_wrap,
            recovery: Some(NewRecovery { bundle: proof.bundle, wrap: proof.recovery_wrap }),
        };
        // A code is good once: the record is another after a recovery that won.
        let record_hash = sha256(&account.record);
        let replaced =
            self.directory.replace_credentials(account.id, record_hash, new, Ending::All, lines).await?;
        if replaced { Ok(()) } else { Err(AuthError::RecoveryFailed) }
    }
}

fn current_bundle(account: &Account) -> Result<AccountBundle, StoreError> {
    AccountBundle::verify(&account.bundle).map_err(|error| StoreError::Damaged {
        store: "directory",
        cause: format!("bundle of account {}: {error}", account.id),
    })
}

// Everything but the recovery verifier: a recovery does not change who somebody is, or what is sealed to the old keys
// would be lost.
fn same_identity(new: &AccountBundle, current: &AccountBundle) -> bool {
    new.account == current.account
        && new.generation == current.generation
        && new.public_key == current.public_key
        && new.recipient == current.recipient
}
