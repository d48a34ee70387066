//! Keyrings: start the next epoch with one, and what is checked of each. The server cannot open a keyring; it checks that the file is an
//! age file of bounded size and that the author sealed it for this environment and epoch.

use veilcore::id::EnvironmentId;
use veilkey::key::KeyRecord;
use veilsign::capability::Actions;
use veilvault::{
    lint::{LintError, Policy, lint},
    seal::{ExpectedKeyring, KeyringSeal, SealError},
    token_keyring::{TokenKeyringError, check_token_keyring},
};

use super::{
    ProjectAccess, Projects,
    access::KeyringRefusal,
    environment::not_found,
    error::ProjectsError,
    model::{Environment, KEYRING_FILE_MAX, Keyring},
};
use crate::{
    audit::model::{Kind, Line},
    name::Name,
    store::StoreError,
};

impl Projects {
    /// Starts the next epoch. From then on a version sealed to the old key is refused.
    pub async fn rotate_key(
        &self,
        access: &ProjectAccess,
        name: &Name,
        keyring: Keyring,
    ) -> Result<Environment, ProjectsError> {
        let environment = self.environment_for(access, Actions::PROJECT_WRITE, name).await?;
        let stale = |current| ProjectsError::EpochStale { current };
        let next = environment.epoch.checked_add(1).ok_or(stale(environment.epoch))?;
        if keyring.epoch != next {
            return Err(stale(environment.epoch));
        }
        self.check_keyring(access, environment.id, next, &keyring).await?;
        let line = self.line_at(access, Kind::KeyRotate, environment.id);
        let line = Line { version: u64::from(next), ..line };
        let rotated = self.keyrings.rotate(environment.id, keyring, line).await?;
        rotated.map_err(|refusal| refused(refusal, name))?;
        self.environment_for(access, Actions::PROJECT_WRITE, name).await
    }

    /// The keyring of an epoch that everybody of its list finds themselves in.
    pub(super) async fn whole_keyring(
        &self,
        environment: &Environment,
        epoch: u32,
    ) -> Result<Keyring, ProjectsError> {
        let keyring = self.keyrings.keyring(environment.id, epoch).await?;
        keyring.ok_or_else(|| damaged(environment.id, epoch, "is not there"))
    }

    /// Whether the keyring is one for this epoch, sealed by the caller.
    pub(super) async fn check_keyring(
        &self,
        access: &ProjectAccess,
        environment: EnvironmentId,
        epoch: u32,
        keyring: &Keyring,
    ) -> Result<KeyringSeal, ProjectsError> {
        check_shape(epoch, keyring)?;
        lint(&keyring.file, Policy::KEYRING).map_err(|e| refused_by(lint_check(&e)))?;
        let author = access.actor();
        let author_key = self.author_key(author).await?;
        let project = access.project();
        let expected = ExpectedKeyring { project, environment, epoch, author, author_key: &author_key };
        let seal = KeyringSeal::check(&keyring.seal, &keyring.file, &expected);
        check_list(keyring, seal.map_err(|e| refused_by(seal_check(&e)))?)
    }

    /// Whether the keyring is one for this epoch and for the service token with this record, sealed by the caller.
    pub(super) async fn check_token_keyring(
        &self,
        access: &ProjectAccess,
        environment: EnvironmentId,
        record: &KeyRecord,
        keyring: &Keyring,
    ) -> Result<KeyringSeal, ProjectsError> {
        check_shape(keyring.epoch, keyring)?;
        let author = access.actor();
        let author_key = self.author_key(author).await?;
        let (project, epoch) = (access.project(), keyring.epoch);
        let expected = ExpectedKeyring { project, environment, epoch, author, author_key: &author_key };
        let checked = check_token_keyring(&keyring.file, &keyring.seal, &expected, record);
        let (seal, _) = checked.map_err(|e| refused_by(token_check(&e)))?;
        check_list(keyring, seal)
    }
}

fn refused_by(check: &str) -> ProjectsError {
    ProjectsError::Keyring { check: check.to_owned() }
}

fn check_shape(epoch: u32, keyring: &Keyring) -> Result<(), ProjectsError> {
    if keyring.epoch != epoch {
        return Err(refused_by("epoch"));
    }
    if keyring.file.len() > KEYRING_FILE_MAX { Err(refused_by("size")) } else { Ok(()) }
}

/// The author signs which list the keyring is for; whether that is the newest is judged by the store.
fn check_list(keyring: &Keyring, seal: KeyringSeal) -> Result<KeyringSeal, ProjectsError> {
    if seal.access_list == keyring.access_list { Ok(seal) } else { Err(refused_by("access_list")) }
}

/// The word for the check that a token keyring failed, for a machine to read.
fn token_check(error: &TokenKeyringError) -> &'static str {
    match error {
        TokenKeyringError::Seal(error) => seal_check(error),
        TokenKeyringError::Lint(error) => lint_check(error),
        TokenKeyringError::TooLong { .. } => "size",
        TokenKeyringError::Stanza(_) => "stanza",
        TokenKeyringError::Token(_) => "token",
        _ => "keyring",
    }
}

/// A store's refusal in the caller's words.
pub(super) fn refused(refusal: KeyringRefusal, name: &Name) -> ProjectsError {
    match refusal {
        KeyringRefusal::Gone => not_found(name),
        KeyringRefusal::Epoch(current) => ProjectsError::EpochStale { current },
        KeyringRefusal::Denied => ProjectsError::Denied,
        KeyringRefusal::List(current) => ProjectsError::AccessListStale { current },
        KeyringRefusal::Exists => ProjectsError::KeyringExists,
    }
}

pub(super) fn damaged(environment: EnvironmentId, epoch: u32, what: &str) -> ProjectsError {
    let cause = format!("the keyring of epoch {epoch} of environment {environment} {what}");
    StoreError::Damaged { store: "keyrings", cause }.into()
}

/// The word for the check that an age file failed, for a machine to read.
pub(crate) fn lint_check(error: &LintError) -> &'static str {
    match error {
        LintError::NeedMore => "header_incomplete",
        LintError::Version => "age_version",
        LintError::TooManyStanzas { .. } => "stanza_count",
        LintError::HeaderTooLong => "header_length",
        LintError::Scrypt { .. } => "passphrase_stanza",
        LintError::NoX25519 => "no_x25519_stanza",
        LintError::TooManyX25519 { .. } => "x25519_stanza_count",
        LintError::Foreign { .. } => "foreign_stanza",
        LintError::Stanza { .. } => "stanza_malformed",
        LintError::NoTdh2 => "no_tdh2_stanza",
        LintError::TooManyTdh2 { .. } => "tdh2_stanza_count",
        LintError::Mac => "header_mac_malformed",
        _ => "header",
    }
}

/// The word for the check that a seal failed, for a machine to read.
pub(crate) fn seal_check(error: &SealError) -> &'static str {
    match error {
        SealError::Malformed(_) => "format",
        SealError::Signature(_) => "signature",
        SealError::Project { .. } => "project",
        SealError::Environment { .. } => "environment",
        SealError::Version { .. } => "version",
        SealError::Parent => "parent",
        SealError::Digest => "digest",
        SealError::Length { .. } => "length",
        SealError::Epoch { .. } => "epoch",
        SealError::Author { .. } => "author",
        SealError::AuthorKey { .. } => "author_key",
        SealError::Header => "header",
        SealError::Recipient(_) => "recipient",
        _ => "seal",
    }
}
