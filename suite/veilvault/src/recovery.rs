//! The recovery code (docs/spec/vault.md, section 3): 16 random bytes on paper that open one wrapped copy of the
//! root key and sign one statement. The server knows only the public key of that signature. What must never
//! happen: a code that was mistyped being tried, or a code being sent anywhere.

use ed25519_dalek::{Signer, SigningKey};
use rand_core::CryptoRngCore;
use thiserror::Error;
use veilcore::hash::hb;
use veilcore::id::AttemptId;
use veilcore::secret::Secret;
use veilcore::tag;
use zeroize::Zeroizing;

use crate::kdf::derive;
use crate::key::{InvalidSignature, PublicKey, SIGNATURE_LEN};

/// Random bytes of a code.
pub const RECOVERY_CODE_LEN: usize = 16;
/// Length of the challenge the server draws when a recovery starts, in bytes.
pub const CHALLENGE_LEN: usize = 32;

/// Bytes of the checksum that follows them in the text.
const CHECKSUM_LEN: usize = 2;
/// Characters of the text without hyphens: 144 bits in groups of 5, the last one padded with a zero bit.
const SYMBOLS: usize = 29;
/// Characters between two hyphens.
const GROUP: usize = 5;
/// Length of the text as it is printed: six groups, five hyphens.
pub const RECOVERY_TEXT_LEN: usize = SYMBOLS + SYMBOLS / GROUP;
/// Longest input that is looked at, in bytes: a code with generous spacing.
const INPUT_MAX: usize = 256;
/// Crockford's alphabet: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why a text is not a recovery code. Never repeats what was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecoveryCodeError {
    /// A character that no code contains.
    #[error("character {position} does not occur in recovery codes")]
    Character {
        /// Which character of the input, from 1.
        position: usize,
    },
    /// Too few or too many characters.
    #[error("a recovery code has {SYMBOLS} letters and digits, not {found}")]
    Length {
        /// How many were found, hyphens and spaces not counted.
        found: usize,
    },
    /// Every character is possible and the check digits do not fit: something was mistyped.
    #[error("the recovery code has a typing error")]
    Checksum,
}

/// A recovery code: 128 random bits. Shown once, when the account is made.
#[derive(Clone)]
pub struct RecoveryCode(Secret<RECOVERY_CODE_LEN>);

impl RecoveryCode {
    /// Draws a new code.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        Self(Secret::fill(|room| rng.fill_bytes(room)))
    }

    /// Takes over bytes that are already a code, e.g. pinned ones.
    pub fn from_secret(secret: Secret<RECOVERY_CODE_LEN>) -> Self {
        Self(secret)
    }

    /// Reads a typed code. Case, white space and hyphens do not matter; I and L are read as 1, O as 0.
    ///
    /// # Errors
    /// [`RecoveryCodeError`] says what to look at, never what was typed.
    pub fn parse(text: &str) -> Result<Self, RecoveryCodeError> {
        if text.len() > INPUT_MAX {
            return Err(RecoveryCodeError::Length { found: text.chars().count() });
        }
        let mut symbols = Zeroizing::new([0u8; SYMBOLS]);
        let mut found = 0;
        for (position, typed) in (1..).zip(text.chars()) {
            if typed.is_whitespace() || is_hyphen(typed) {
                continue;
            }
            let value = symbol(typed).ok_or(RecoveryCodeError::Character { position })?;
            if let Some(room) = symbols.get_mut(found) {
                *room = value;
            }
            found += 1;
        }
        if found != SYMBOLS {
            return Err(RecoveryCodeError::Length { found });
        }
        decode(&symbols)
    }

    /// The text to print: six groups of Crockford base32, e.g. `8XDPV-…`. Wiped when dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        let bytes = self.with_checksum();
        let mut text = Zeroizing::new(String::with_capacity(RECOVERY_TEXT_LEN));
        for i in 0..SYMBOLS {
            if i > 0 && i % GROUP == 0 {
                text.push('-');
            }
            let value = (i * 5..i * 5 + 5).fold(0, |acc, at| acc << 1 | bit(&bytes[..], at));
            text.push(char::from(ALPHABET[usize::from(value)]));
        }
        text
    }

    /// Public key of the code's signature: what the server stores to judge a recovery.
    pub fn verifier(&self) -> PublicKey {
        self.signing_key().verifying_key().into()
    }

    /// Signs the statement that finishes a recovery.
    pub fn sign_recovery(&self, statement: &RecoveryStatement<'_>) -> [u8; SIGNATURE_LEN] {
        self.signing_key().sign(&statement.digest()).to_bytes()
    }

    pub(crate) fn expose(&self) -> &[u8; RECOVERY_CODE_LEN] {
        self.0.expose()
    }

    fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(derive(self.expose(), &[], tag::RECOVERY_SIGN, &[]).expose())
    }

    fn with_checksum(&self) -> Zeroizing<[u8; RECOVERY_CODE_LEN + CHECKSUM_LEN]> {
        let digest = hb(tag::RECOVERY_CODE, &[("code", self.expose())]);
        let mut bytes = Zeroizing::new([0; RECOVERY_CODE_LEN + CHECKSUM_LEN]);
        bytes[..RECOVERY_CODE_LEN].copy_from_slice(self.expose());
        bytes[RECOVERY_CODE_LEN..].copy_from_slice(&digest[..CHECKSUM_LEN]);
        bytes
    }
}

/// What the signature that finishes a recovery covers: this attempt, and exactly the new login and identity.
#[derive(Clone, Copy)]
pub struct RecoveryStatement<'a> {
    /// The attempt the server opened.
    pub attempt: AttemptId,
    /// The challenge it drew for it.
    pub challenge: &'a [u8; CHALLENGE_LEN],
    /// The OPAQUE registration upload of the new password, as sent.
    pub upload: &'a [u8],
    /// The account bundle, as sent.
    pub bundle: &'a [u8],
}

impl RecoveryStatement<'_> {
    fn digest(&self) -> [u8; 32] {
        hb(
            tag::RECOVER,
            &[
                ("attempt_id", self.attempt.as_bytes()),
                ("challenge", self.challenge),
                ("upload", self.upload),
                ("bundle", self.bundle),
            ],
        )
    }
}

/// Server side: whether the holder of the recovery code signed this statement.
///
/// # Errors
/// [`InvalidSignature`].
pub fn verify_recovery(
    verifier: &PublicKey,
    statement: &RecoveryStatement<'_>,
    signature: &[u8; SIGNATURE_LEN],
) -> Result<(), InvalidSignature> {
    verifier.verify(&statement.digest(), signature)
}

fn decode(symbols: &[u8; SYMBOLS]) -> Result<RecoveryCode, RecoveryCodeError> {
    let mut bytes = Zeroizing::new([0u8; RECOVERY_CODE_LEN + CHECKSUM_LEN]);
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = (i * 8..i * 8 + 8).fold(0, |acc, at| acc << 1 | symbols[at / 5] >> (4 - at % 5) & 1);
    }
    let code = RecoveryCode(
        Secret::from_slice(&bytes[..RECOVERY_CODE_LEN]).expect("the slice has the length of a code"),
    );
    // The padding bit is part of the text, so it must be the zero we print.
    let padding = symbols[SYMBOLS - 1] & 1;
    if padding != 0 || code.with_checksum()[..] != bytes[..] {
        return Err(RecoveryCodeError::Checksum);
    }
    Ok(code)
}

fn symbol(typed: char) -> Option<u8> {
    let upper = match typed.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    };
    ALPHABET.iter().position(|c| char::from(*c) == upper).and_then(|at| u8::try_from(at).ok())
}

/// The hyphen we print, and those a word processor puts in its place.
fn is_hyphen(typed: char) -> bool {
    matches!(typed, '-' | '\u{2010}'..='\u{2015}')
}

/// Bit `at` of `bytes`, most significant first; zero past the end.
fn bit(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1)
}

#[cfg(test)]
mod tests;
