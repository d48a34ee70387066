//! Password login (docs/spec/sign.md, section 2): OPAQUE-3DH of RFC 9807 over ristretto255 and SHA-512,
//! stretched with Argon2id, then the binding of a fresh holder key to the very transcript that admitted it.
//!
//! Between the client and the issuer. The issuer stores a record from which the password can only be guessed
//! by running Argon2id per guess *and* holding its own OPRF seed; it never sees the password. What must never
//! happen: an answer for an unknown address that differs in size or shape from one for a known address, or a
//! holder key admitted by a login it was not part of.

mod bind;
mod client;
mod email;
mod error;
mod server;
mod suite;

pub use bind::{Binding, bind, login_digest, verify_binding};
pub use client::{ClientLogin, ClientRegistration, LoggedIn, Registered};
pub use email::{EMAIL_LEN_MAX, EmailError, normalise_email};
pub use error::LoginError;
pub use server::{
    ServerKeys, server_login_finish, server_login_start, server_registration_finish,
    server_registration_start,
};
pub use suite::{KSF_LANES, KSF_MEMORY_KIB, KSF_PASSES, KeyExchange, Ksf, OprfCs, Suite};

/// Registration request of the client, in bytes: a blinded element.
pub const REGISTRATION_REQUEST_LEN: usize = 32;
/// Registration response of the server, in bytes: an evaluated element and the server's public key.
pub const REGISTRATION_RESPONSE_LEN: usize = 64;
/// Registration upload of the client, in bytes: public key, masking key, envelope.
pub const REGISTRATION_UPLOAD_LEN: usize = 192;
/// Record the server stores, in bytes: the upload, checked.
pub const RECORD_LEN: usize = 192;
/// First login message (client), in bytes.
pub const KE1_LEN: usize = 96;
/// Second login message (server), in bytes.
pub const KE2_LEN: usize = 320;
/// Third login message (client), in bytes.
pub const KE3_LEN: usize = 64;
/// Session key both sides end with, in bytes.
pub const SESSION_KEY_LEN: usize = 64;
/// Export key only the client ends with, in bytes. The same at registration and at every login.
pub const EXPORT_KEY_LEN: usize = 64;
/// Long-term server keys, in bytes: OPRF seed, private key, decoy public key.
pub const SERVER_KEYS_LEN: usize = 128;
/// What the server keeps between KE2 and KE3, in bytes: session key and expected MAC.
pub const LOGIN_STATE_LEN: usize = 128;
/// Longest password, in bytes.
pub const PASSWORD_LEN_MAX: usize = 1024;

#[cfg(test)]
mod tests;
