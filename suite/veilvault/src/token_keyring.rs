//! Token keyrings (docs/spec/vault.md, section 13): the key of an epoch for a service token, whose own key is split
//! between the *token's holder* and the *server*. It is an age file with one threshold stanza; a *member* who has the key
//! of the epoch makes it and signs it, the server helps to open it, the holder opens it. What must never happen: the
//! server helping with another file, epoch or token than the one it was asked about and means itself, or the holder
//! taking a key that no author vouches for.

use std::cell::RefCell;
use std::collections::HashSet;

use age::secrecy::ExposeSecret;
use age::{DecryptError, EncryptError};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use rand_core::CryptoRngCore;
use thiserror::Error;
use veilcore::hash::{frame, hb};
use veilcore::id::{ApiKeyId, EnvironmentId, ProjectId};
use veilcore::tag;
use veilkey::ciphertext::{Ciphertext, CiphertextError};
use veilkey::combine::{CombineError, Combiner};
use veilkey::key::KeyRecord;
use veilkey::partial::{PartialDecryption, PartialError, Request};
use veilkey::share::SecretShare;
use zeroize::Zeroizing;

use crate::agefile::{self, FileError};
use crate::epoch::EpochKey;
use crate::header::HeaderError;
use crate::identity::Identity;
use crate::key::Recipient;
use crate::keyring::{self, KEYRING_LEN_MAX, Keyring, KeyringError, KeyringSubject};
use crate::lint::{LintError, Policy, TDH2_STANZA, lint};
use crate::seal::{ExpectedKeyring, KeyringSeal, SealError};
use crate::token::{self, TokenError};

/// Longest token keyring, in bytes.
pub const TOKEN_KEYRING_LEN_MAX: usize = KEYRING_LEN_MAX;
/// Length of what the token's machine draws for each unlock, in bytes.
pub const UNLOCK_NONCE_LEN: usize = 32;

/// Why a token keyring was refused, was not helped with, or did not open.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TokenKeyringError {
    /// The seal, or the file measured by it, is not the one expected.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A longer file than any keyring.
    #[error("keyring of {found} bytes is over the limit of {TOKEN_KEYRING_LEN_MAX}")]
    TooLong {
        /// Its length, in bytes.
        found: usize,
    },
    /// The header of the age file is not acceptable.
    #[error(transparent)]
    Lint(#[from] LintError),
    /// The stanza was not made for this token, project, environment, epoch and key, or was altered.
    #[error("keyring does not open for this token: {0}")]
    Stanza(#[from] CiphertextError),
    /// The record or the share is not this token's.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The server's part is wrong: made for something else, with another share, or altered.
    #[error("the server answered the unlock wrongly: {0}")]
    Answer(PartialError),
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

/// Which key of which environment a token keyring holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPlace {
    /// Project of the environment.
    pub project: ProjectId,
    /// Environment whose key it is.
    pub environment: EnvironmentId,
    /// Epoch of the key, from 1.
    pub epoch: u32,
    /// Public half of the epoch's key.
    pub recipient: Recipient,
}

/// What opens a token keyring.
#[derive(Clone, Copy)]
pub struct Unlock<'a> {
    /// The token's share.
    pub share: &'a SecretShare,
    /// What was drawn for this unlock and sent with the question.
    pub nonce: &'a [u8; UNLOCK_NONCE_LEN],
    /// The server's part, as it came.
    pub answer: &'a [u8],
}

/// A token keyring whose stanza was found right for its place and its token. Not opened.
#[derive(Debug, Clone)]
pub struct TokenKeyring {
    place: TokenPlace,
    api_key: ApiKeyId,
    record: KeyRecord,
    label: Vec<u8>,
    ciphertext: Ciphertext,
}

/// Wraps an epoch key for the token with this record and signs the result.
///
/// # Errors
/// [`TokenKeyringError::Token`]: not the record of a token.
pub fn seal_token_keyring(
    key: &EpochKey,
    subject: &KeyringSubject,
    record: &KeyRecord,
    author: &Identity,
    rng: &mut impl CryptoRngCore,
) -> Result<Keyring, TokenKeyringError> {
    let (api_key, _) = token::place_of(record)?;
    let draft = keyring::draft(key, subject, author);
    let label = TokenPlace::of(&draft).label(api_key);
    let recipient = ToToken { record, label, rng: RefCell::new(rng) };
    Ok(keyring::seal_to([&recipient as &dyn age::Recipient].into_iter(), key, draft, author))
}

/// Judges a token keyring without opening it: length, lint, seal, stanza. The server calls it before it stores one, with
/// the record of the API key; the client before it opens one.
///
/// # Errors
/// [`TokenKeyringError`] by name of the condition.
pub fn check_token_keyring(
    file: &[u8],
    seal: &[u8],
    expected: &ExpectedKeyring<'_>,
    record: &KeyRecord,
) -> Result<(KeyringSeal, TokenKeyring), TokenKeyringError> {
    check_len(file)?;
    let seal = KeyringSeal::check(seal, file, expected)?;
    let keyring = TokenKeyring::read(file, &TokenPlace::of(&seal), record)?;
    Ok((seal, keyring))
}

/// Opens a token keyring with the token's share and the server's answer, after [`check_token_keyring`].
///
/// # Errors
/// [`TokenKeyringError`] by name of the condition; [`TokenKeyringError::Answer`] blames the server.
pub fn open_token_keyring(
    file: &[u8],
    seal: &[u8],
    expected: &ExpectedKeyring<'_>,
    record: &KeyRecord,
    unlock: &Unlock<'_>,
    rng: &mut impl CryptoRngCore,
) -> Result<EpochKey, TokenKeyringError> {
    let (seal, keyring) = check_token_keyring(file, seal, expected, record)?;
    let opener = FileKeyOnce(keyring.combine(unlock, rng)?);
    let plaintext = agefile::open_with(file, Policy::TOKEN_KEYRING, &opener).map_err(|e| match e {
        FileError::Lint(e) => TokenKeyringError::Lint(e),
        _ => TokenKeyringError::Changed,
    })?;
    Ok(keyring::key_in(&plaintext, &seal)?)
}

impl TokenKeyring {
    /// Reads a file that was checked when it was stored, and checks its stanza under what is known of its place now. For
    /// the server, each time before it helps: it needs neither the author's key nor the seal.
    ///
    /// # Errors
    /// [`TokenKeyringError::TooLong`], [`TokenKeyringError::Lint`], [`TokenKeyringError::Token`],
    /// [`TokenKeyringError::Stanza`].
    pub fn read(file: &[u8], place: &TokenPlace, record: &KeyRecord) -> Result<Self, TokenKeyringError> {
        check_len(file)?;
        let (api_key, _) = token::place_of(record)?;
        let ciphertext = stanza(file)?;
        let label = place.label(api_key);
        ciphertext.verify(record.key(), &label)?;
        Ok(Self { place: place.clone(), api_key, record: record.clone(), label, ciphertext })
    }

    /// The server's part of the answer to an unlock, made with its share for this nonce and no other.
    ///
    /// # Errors
    /// [`TokenKeyringError::Token`]: the share is not the server's, or not this token's.
    pub fn answer(
        &self,
        share: &SecretShare,
        nonce: &[u8; UNLOCK_NONCE_LEN],
        rng: &mut impl CryptoRngCore,
    ) -> Result<PartialDecryption, TokenKeyringError> {
        if !token::is_servers(share.index()) {
            return Err(TokenError::OtherShare.into());
        }
        self.part(share, nonce, rng)
    }

    fn part(
        &self,
        share: &SecretShare,
        nonce: &[u8; UNLOCK_NONCE_LEN],
        rng: &mut impl CryptoRngCore,
    ) -> Result<PartialDecryption, TokenKeyringError> {
        let verified = self.ciphertext.verify(self.record.key(), &self.label)?;
        share
            .decrypt(&verified, &self.record, &self.request(nonce), rng)
            .map_err(|_| TokenError::OtherShare.into())
    }

    /// The age file key, from the token's own part and the server's.
    fn combine(
        &self,
        unlock: &Unlock<'_>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Zeroizing<Vec<u8>>, TokenKeyringError> {
        let answer = PartialDecryption::parse(unlock.answer).map_err(TokenKeyringError::Answer)?;
        let own = self.part(unlock.share, unlock.nonce, rng)?;
        let verified = self.ciphertext.verify(self.record.key(), &self.label)?;
        let blamed = |e| match e {
            CombineError::Partial(e) => TokenKeyringError::Answer(e),
            // Our own part was first: the server gave one in our name.
            CombineError::Duplicate { index } => TokenKeyringError::Answer(PartialError::BadProof { index }),
            _ => TokenKeyringError::Changed,
        };
        let mut combiner = Combiner::new(verified, &self.record, self.request(unlock.nonce))
            .map_err(|_| TokenKeyringError::Token(TokenError::OtherToken))?;
        combiner.add(own).map_err(blamed)?;
        combiner.add(answer).map_err(blamed)?;
        combiner.open().map_err(blamed)
    }

    /// What the parts are an answer to. Nothing is sealed to the requester: one part opens nothing without the other, so
    /// its place is taken by what makes this unlock another than the next.
    fn request(&self, nonce: &[u8; UNLOCK_NONCE_LEN]) -> Request {
        let id = hb(
            tag::TOKEN_UNLOCK,
            &[
                ("project", self.place.project.as_bytes()),
                ("environment", self.place.environment.as_bytes()),
                ("epoch", &self.place.epoch.to_be_bytes()),
                ("api_key", self.api_key.as_bytes()),
            ],
        );
        Request { id, requester: *nonce }
    }
}

impl TokenPlace {
    /// The place that a seal names.
    pub fn of(seal: &KeyringSeal) -> Self {
        Self {
            project: seal.project,
            environment: seal.environment,
            epoch: seal.epoch,
            recipient: seal.recipient.clone(),
        }
    }

    /// The label under which the stanza is made and helped with.
    fn label(&self, api_key: ApiKeyId) -> Vec<u8> {
        frame(
            tag::TOKEN_KEYRING,
            &[
                ("project", self.project.as_bytes()),
                ("environment", self.environment.as_bytes()),
                ("epoch", &self.epoch.to_be_bytes()),
                ("recipient", self.recipient.as_bytes()),
                ("api_key", api_key.as_bytes()),
            ],
        )
    }
}

impl From<KeyringError> for TokenKeyringError {
    fn from(e: KeyringError) -> Self {
        match e {
            KeyringError::Header(e) => Self::Header(e),
            KeyringError::NoKey => Self::NoKey,
            KeyringError::OtherKey => Self::OtherKey,
            _ => Self::Changed,
        }
    }
}

fn check_len(file: &[u8]) -> Result<(), TokenKeyringError> {
    match file.len() {
        found if found > TOKEN_KEYRING_LEN_MAX => Err(TokenKeyringError::TooLong { found }),
        _ => Ok(()),
    }
}

/// The threshold stanza of a file. The lint has made sure that there is one; age reads it out.
fn stanza(file: &[u8]) -> Result<Ciphertext, TokenKeyringError> {
    lint(file, Policy::TOKEN_KEYRING)?;
    let found = Found::default();
    let decryptor = age::Decryptor::new_buffered(file).map_err(|_| TokenKeyringError::Changed)?;
    // Never opens: it only looks.
    let _ = decryptor.decrypt(std::iter::once(&found as &dyn age::Identity));
    let body = found.0.into_inner().ok_or(LintError::NoTdh2)?;
    Ok(Ciphertext::parse(&body)?)
}

/// An age recipient: a token's record, and the label its stanza is made under.
struct ToToken<'a, R> {
    record: &'a KeyRecord,
    label: Vec<u8>,
    rng: RefCell<&'a mut R>,
}

impl<R: CryptoRngCore> age::Recipient for ToToken<'_, R> {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let rng = &mut **self.rng.borrow_mut();
        let ciphertext = Ciphertext::encrypt(self.record.key(), &self.label, file_key.expose_secret(), rng)
            .expect("a file key is 16 bytes, and the label is far below its limit");
        let stanza = Stanza { tag: TDH2_STANZA.to_owned(), args: Vec::new(), body: ciphertext.encode() };
        // A label of its own: with another kind of recipient beside it, the server's share would not be needed.
        Ok((vec![stanza], HashSet::from([TDH2_STANZA.to_owned()])))
    }
}

/// Keeps the body of the threshold stanza and opens nothing.
#[derive(Default)]
struct Found(RefCell<Option<Vec<u8>>>);

impl age::Identity for Found {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag == TDH2_STANZA {
            *self.0.borrow_mut() = Some(stanza.body.clone());
        }
        None
    }
}

/// The file key that the parts gave, for the one file they were made for.
struct FileKeyOnce(Zeroizing<Vec<u8>>);

impl age::Identity for FileKeyOnce {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let key = <&[u8; FILE_KEY_BYTES]>::try_from(&self.0[..]).ok();
        (stanza.tag == TDH2_STANZA)
            .then(|| key.ok_or(DecryptError::DecryptionFailed))
            .map(|key| key.map(|key| FileKey::init_with_mut(|room| room.copy_from_slice(key))))
    }
}

#[cfg(test)]
mod tests;
