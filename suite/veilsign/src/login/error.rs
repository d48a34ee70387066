//! Why a login or a registration failed.

use thiserror::Error;

/// Login and registration failures. A wrong password and an unknown account are one variant on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The password does not belong to the account, or there is no such account. Nobody can tell which.
    #[error("wrong password, or no such account")]
    WrongPassword,
    /// A message or stored value does not have the bytes the protocol demands.
    #[error("{message} is not well formed")]
    Malformed {
        /// Which one, by its name in the spec.
        message: &'static str,
    },
    /// The password is empty or over the limit.
    #[error("a password has 1 to {max} bytes, not {len}")]
    PasswordLength {
        /// Length found, in bytes.
        len: usize,
        /// Longest allowed, in bytes.
        max: usize,
    },
    /// The holder key was not part of this login.
    #[error("holder key is not bound to this login")]
    Binding,
    /// Argon2id could not run, e.g. for want of memory.
    #[error("key stretching failed")]
    KeyStretching,
}
