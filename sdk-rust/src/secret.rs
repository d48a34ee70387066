//! What a person types and must not be printed.

use veilvault::recovery;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// A password, wiped on drop. Any bytes from 1 to 1024; it never leaves this machine.
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Clone for Password {
    fn clone(&self) -> Self {
        Self(Zeroizing::new(self.0.to_vec()))
    }
}

impl From<String> for Password {
    /// Takes the string's memory over, so that no copy stays behind.
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text.into_bytes()))
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

impl From<Vec<u8>> for Password {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// A recovery code: 128 random bits on paper that set a new password when the old one is lost.
///
/// ```
/// use veilcloud_sdk::RecoveryCode;
/// assert!(RecoveryCode::parse("not a code").is_err());
/// ```
#[derive(Clone)]
pub struct RecoveryCode(pub(crate) recovery::RecoveryCode);

impl RecoveryCode {
    /// Reads a typed code; case, spaces and hyphens do not matter.
    ///
    /// # Errors
    /// [`Error::Invalid`] says where the typing error is, never what was typed.
    pub fn parse(text: &str) -> Result<Self> {
        recovery::RecoveryCode::parse(text).map(Self).map_err(|e| Error::invalid("recovery code", e))
    }

    /// The text to print and keep: six groups. Wiped when dropped.
    pub fn expose_text(&self) -> Zeroizing<String> {
        self.0.to_text()
    }
}

impl std::str::FromStr for RecoveryCode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}
