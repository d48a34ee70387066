//! Keyrings (docs/spec/vault.md, section 11): the file in which the members of an environment find the key of an
//! epoch. It is an age file to all of them whose plaintext is itself an age identity file, so with stock `age` two
//! commands lead from a member's key to the content. What must never happen: a key being taken from a keyring that
//! no author vouches for, or that belongs to another environment or epoch.

use std::io::Write;

use thiserror::Error;
use veilcore::hash::sha256;
use veilcore::id::{EnvironmentId, ProjectId};

use crate::agefile::{self, FileError};
use crate::agekey::SECRET_TEXT_LEN;
use crate::epoch::EpochKey;
use crate::header::{HEADER_LINE_LEN, HeaderError, HeaderLine};
use crate::identity::Identity;
use crate::key::Recipient;
use crate::lint::{HEADER_LEN_MAX, KEYRING_STANZAS_MAX, LintError, Policy, lint};
use crate::seal::{ExpectedKeyring, KEYRING_SEAL_LEN, KeyringSeal, NO_DIGEST, SealError};

/// Most members of one keyring: one stanza each, and one is age's grease.
pub const MEMBERS_MAX: usize = KEYRING_STANZAS_MAX - 1;
/// Length of a keyring's plaintext: header line, secret key, newline.
const PLAINTEXT_LEN: usize = HEADER_LINE_LEN + SECRET_TEXT_LEN + 1;
/// Longest keyring file, in bytes: header, nonce, one chunk.
pub const KEYRING_LEN_MAX: usize = HEADER_LEN_MAX + 16 + PLAINTEXT_LEN + 16;

/// Why a keyring was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyringSealingError {
    /// Nobody could open it, or more than [`MEMBERS_MAX`].
    #[error("a keyring has 1 to {MEMBERS_MAX} members, not {found}")]
    Members {
        /// How many were given.
        found: usize,
    },
}

/// Why a keyring was refused or did not open.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The seal, or the file measured by it, is not the one expected.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A longer file than any keyring.
    #[error("keyring of {found} bytes is over the limit of {KEYRING_LEN_MAX}")]
    TooLong {
        /// Its length, in bytes.
        found: usize,
    },
    /// The header of the age file is not acceptable.
    #[error(transparent)]
    Lint(#[from] LintError),
    /// The keyring has no stanza for this identity.
    #[error("this identity is not a member of the keyring")]
    NotAMember,
    /// The age file was changed after it was made.
    #[error("the keyring was changed")]
    Changed,
    /// The first line does not say what the seal says.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// What follows the first line is not one secret key.
    #[error("the keyring does not hold an epoch key")]
    NoKey,
    /// The key inside is not the one that blobs are encrypted to.
    #[error("the keyring holds another key than its seal names")]
    OtherKey,
}

/// What a new keyring is sealed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyringSubject {
    /// Project of the environment.
    pub project: ProjectId,
    /// Environment whose key it is.
    pub environment: EnvironmentId,
    /// Epoch of the key, from 1.
    pub epoch: u32,
    /// Number of the access list that says whom it is for, 0 while there is none.
    pub access_list: u64,
    /// The author's clock, milliseconds since 1970.
    pub created_at_ms: u64,
}

/// A keyring file with its seal.
#[derive(Clone)]
pub struct Keyring {
    /// The age file.
    pub file: Vec<u8>,
    /// The seal, to be stored beside it.
    pub seal: [u8; KEYRING_SEAL_LEN],
}

/// Wraps an epoch key for `members` and signs the result. The author is a member only if listed.
///
/// # Errors
/// [`KeyringSealingError::Members`].
pub fn seal_keyring(
    key: &EpochKey,
    subject: &KeyringSubject,
    members: &[Recipient],
    author: &Identity,
) -> Result<Keyring, KeyringSealingError> {
    if members.is_empty() || members.len() > MEMBERS_MAX {
        return Err(KeyringSealingError::Members { found: members.len() });
    }
    Ok(seal_to(members.iter().map(Recipient::as_age), key, draft(key, subject, author), author))
}

/// The seal of a keyring, but for the digest of the file.
pub(crate) fn draft(key: &EpochKey, subject: &KeyringSubject, author: &Identity) -> KeyringSeal {
    KeyringSeal {
        project: subject.project,
        environment: subject.environment,
        epoch: subject.epoch,
        access_list: subject.access_list,
        recipient: key.recipient().clone(),
        digest: NO_DIGEST,
        author: author.account(),
        author_key: author.key_id(),
        created_at_ms: subject.created_at_ms,
    }
}

/// Makes the file for recipients of one kind, and finishes the seal.
pub(crate) fn seal_to<'a>(
    recipients: impl Iterator<Item = &'a dyn age::Recipient>,
    key: &EpochKey,
    draft: KeyringSeal,
    author: &Identity,
) -> Keyring {
    let mut file = Vec::new();
    let mut stream = age::Encryptor::with_recipients(recipients)
        .expect("recipients of one kind mix with each other")
        .wrap_output(&mut file)
        .expect("a vector takes what is written");
    let secret = key.secret_text();
    for part in [&draft.header_line().render()[..], secret.as_bytes(), b"\n"] {
        stream.write_all(part).expect("a vector takes what is written");
    }
    stream.finish().expect("a vector takes what is written");
    let seal = KeyringSeal { digest: sha256(&file), ..draft }.sign(author.signing_key());
    Keyring { file, seal }
}

/// Judges a keyring without opening it: length, lint, seal. The server calls it before it stores one.
///
/// # Errors
/// [`KeyringError`] by name of the condition.
pub fn check_keyring(
    file: &[u8],
    seal: &[u8],
    expected: &ExpectedKeyring<'_>,
) -> Result<KeyringSeal, KeyringError> {
    if file.len() > KEYRING_LEN_MAX {
        return Err(KeyringError::TooLong { found: file.len() });
    }
    let seal = KeyringSeal::check(seal, file, expected)?;
    lint(file, Policy::KEYRING)?;
    Ok(seal)
}

/// Opens a keyring as a member, after [`check_keyring`].
///
/// # Errors
/// [`KeyringError`] by name of the condition.
pub fn open_keyring(
    file: &[u8],
    seal: &[u8],
    expected: &ExpectedKeyring<'_>,
    member: &Identity,
) -> Result<EpochKey, KeyringError> {
    let seal = check_keyring(file, seal, expected)?;
    let plaintext =
        agefile::open_with(file, Policy::KEYRING, member.age_key().as_age()).map_err(|e| match e {
            FileError::Lint(e) => KeyringError::Lint(e),
            FileError::NotForThisKey => KeyringError::NotAMember,
            _ => KeyringError::Changed,
        })?;
    key_in(&plaintext, &seal)
}

/// The key in the plaintext of a keyring with this seal.
pub(crate) fn key_in(plaintext: &[u8], seal: &KeyringSeal) -> Result<EpochKey, KeyringError> {
    let (line, secret) = plaintext.split_first_chunk::<HEADER_LINE_LEN>().ok_or(HeaderError::Malformed)?;
    HeaderLine::parse(line)?.matches(&seal.header_line())?;
    let key = secret
        .strip_suffix(b"\n")
        .and_then(|text| std::str::from_utf8(text).ok())
        .and_then(EpochKey::from_secret_text)
        .ok_or(KeyringError::NoKey)?;
    if *key.recipient() != seal.recipient {
        return Err(KeyringError::OtherKey);
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
