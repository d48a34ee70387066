//! Accounts and sessions: who somebody is, and what proves it.

mod account;
pub mod api_keys;
mod authenticate;
mod caller;
pub mod capabilities;
mod credential;
pub mod error;
pub mod issuers;
mod login;
mod logout;
pub mod model;
mod password;
pub mod permissions;
pub mod port;
mod recover;
mod refresh;
mod register;
mod secrets;
mod service;
pub mod sliding;
#[cfg(test)]
mod tests;
mod verified;

pub use caller::{Caller, FRESH_LOGIN_MS, Spend};
pub use credential::{CREDENTIAL_LEN, Credential, Credentials};
pub use login::{LoginProof, Opened};
pub use recover::{RecoveryOffer, RecoveryProof};
pub use register::Registration;
pub use secrets::{SECRETS_LEN, Secrets, SecretsInvalid};
pub use service::{Auth, LOGIN_ATTEMPT_MS, RECOVERY_ATTEMPT_MS, SessionGrant, Settings};
