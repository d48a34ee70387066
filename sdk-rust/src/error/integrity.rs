//! The name of each check that what a server gives has to pass. One name for one lie, so that a person can tell a
//! bad disk from a server that turns back time.

use thiserror::Error;
use veilvault::envelope::OpenError;
use veilvault::header::HeaderError;
use veilvault::seal::SealError;

/// Which check failed. Whatever it is, the data must not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum IntegrityReason {
    /// The seal or keyring seal is malformed or not signed by its author.
    #[error("the seal is not signed by its author")]
    SignatureInvalid,
    /// Sealed for another project, or the name leads to another project than before.
    #[error("this belongs to another project")]
    WrongProject,
    /// Sealed for another environment, or the name leads to another environment than before.
    #[error("this belongs to another environment")]
    WrongEnvironment,
    /// Not the version that was asked for.
    #[error("this is another version than the one asked for")]
    WrongVersion,
    /// Does not follow the version it has to follow.
    #[error("this version does not follow the one before it")]
    WrongParent,
    /// Sealed under another epoch than the server says.
    #[error("this was sealed under another epoch of the key")]
    WrongEpoch,
    /// The bytes are not the ones that were sealed.
    #[error("the bytes are not the ones that were sealed")]
    DigestMismatch,
    /// More or fewer bytes than were sealed.
    #[error("the length is not the one that was sealed")]
    LengthMismatch,
    /// The first line inside the file says something else than the seal.
    #[error("the header inside the file does not match its seal")]
    HeaderMismatch,
    /// The keyring is not the one its author made, or does not open with this account's key.
    #[error("the keyring is not the one its author made")]
    KeyringInvalid,
    /// The server shows an older version than one this machine has seen.
    #[error("the server shows an older version than it did before")]
    RolledBack,
    /// The server shows two different histories.
    #[error("the server shows another history than it did before")]
    Forked,
    /// The server shows an older epoch of the key than one this machine has seen.
    #[error("the server shows an older epoch of the key than it did before")]
    EpochRolledBack,
    /// The header of the age file is not one this platform makes.
    #[error("the file is not an age file this platform makes")]
    StanzaRefused,
    /// Sealed by an account whose key this client does not know.
    #[error("the author is not known to this client")]
    AuthorUnknown,
    /// The account keys the server gives are not the ones the password unlocks.
    #[error("the server gives out other account keys than the password unlocks")]
    IdentityMismatch,
    /// The stream ended early.
    #[error("the data ends early")]
    Truncated,
    /// The server says that bytes were deleted which this machine did not delete. No seal says so.
    #[error("the server says that its bytes were deleted, which this machine did not do")]
    Withheld,
    /// Not encrypted to the key of its epoch, or changed afterwards.
    #[error("the data was changed after it was encrypted, or is not encrypted to this key")]
    CiphertextChanged,
    /// The server does not show that this is in the project's log.
    #[error("the server does not show that this is in the log")]
    NotInLog,
    /// A proof of the log, or the checkpoint it stands on, does not hold for this entry and place.
    #[error("the proof of the log does not hold")]
    LogProofInvalid,
    /// The log is shorter than this machine has seen it.
    #[error("the server shows a shorter log than it did before")]
    LogRolledBack,
    /// The log is not the continuation of what this machine has seen of it.
    #[error("the server shows another log than it did before")]
    LogForked,
    /// The logs have another name, or are signed by another key, than at the first contact.
    #[error("the logs are signed by another key, or have another name, than before")]
    LogKeyChanged,
    /// Fewer witnesses have seen the log than the policy asks for.
    #[error("too few witnesses have seen this state of the log")]
    WitnessQuorum,
    /// The directory does not show that an account has these keys.
    #[error("the keys are not in the directory")]
    KeyNotInDirectory,
    /// The directory names other keys for this account than its owner's.
    #[error("the directory names keys of this account that are not known here")]
    KeyUnexpected,
    /// The key of this epoch was not wrapped to this account.
    #[error("the key of this epoch was not given to this account")]
    KeyNotGiven,
    /// Made by somebody who is not in the project any more: nothing is sealed to it.
    #[error("the key was made by somebody who may not write here any more")]
    KeyOutdated,
    /// An access list is not signed by somebody who may, or gives what its author does not hold.
    #[error("the access list is not one that anybody entitled has signed")]
    AccessListInvalid,
    /// The project belongs to another account, or its owner signs with another key, than before.
    #[error("the project has another owner, or its owner another key, than before")]
    OwnerChanged,
}

impl IntegrityReason {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::RolledBack | Self::Forked | Self::EpochRolledBack => {
                "do not use the data; ask the operator whether a backup was restored, and compare with another machine; \
                 forget only what you deleted elsewhere yourself"
            }
            Self::WrongProject => {
                "do not use the data; if you deleted or renamed the project elsewhere and made it anew, forget the old one"
            }
            Self::Withheld => {
                "if you deleted the content on another machine, all is well; if not, tell the operator and write it again"
            }
            Self::WrongEnvironment => {
                "do not use the data; if you deleted the environment elsewhere and made it anew, forget the old one"
            }
            Self::IdentityMismatch => {
                "do not enter secrets; ask the operator why your account's keys were replaced"
            }
            Self::Truncated | Self::LengthMismatch => {
                "try again; if it stays, tell the operator that data was lost"
            }
            Self::NotInLog => {
                "do not use the data; try once more, and if it stays, ask the operator why the version is not in the log"
            }
            Self::LogProofInvalid => {
                "do not use the data; tell the server's operator, and keep the answer as evidence if you can"
            }
            Self::LogRolledBack | Self::LogForked => {
                "do not use the data; ask the operator whether a backup was restored, and compare checkpoints with another \
                 machine or a witness: two signed ones that contradict each other prove the fault"
            }
            Self::LogKeyChanged => {
                "do not use the data; use a state directory of its own for each server, and ask the operator, by another \
                 way than this server, whether the key of the logs was changed"
            }
            Self::WitnessQuorum => {
                "wait a moment and try again; if it stays, ask the operator about the witnesses"
            }
            Self::KeyNotInDirectory => "give nothing to these keys; ask their owner and the operator",
            Self::KeyUnexpected => {
                "share nothing; if you recovered the account on another machine, say so here by trusting the key; if not, \
                 somebody has published keys in your name: tell the operator"
            }
            Self::AuthorUnknown => {
                "check that you are logged in to the right account; if the author is in the project and has new keys, its \
                 owner runs `veilcloud share sync`"
            }
            Self::KeyNotGiven => {
                "ask somebody who shares the project to run `veilcloud share sync`, with `--replace-keys` when that does not help; \
                 what is older than your share stays closed"
            }
            Self::KeyringInvalid => {
                "do not use the data; somebody who shares the project can hand the key on again with `veilcloud share sync \
                 --replace-keys`; if that does not help, tell the server's operator"
            }
            Self::KeyOutdated => {
                "give the environment a new key with `veilcloud envs rotate`, then write again"
            }
            Self::AccessListInvalid => {
                "do not use the data; ask the project's owner who is in it, by another way than this server"
            }
            Self::OwnerChanged => {
                "do not use the data; ask the project's owner, by another way than this server, whether the keys are theirs"
            }
            _ => {
                "do not use the data; tell the server's operator, and restore from your export if you have one"
            }
        }
    }

    /// Short name for machines, e.g. `rolled-back`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SignatureInvalid => "signature-invalid",
            Self::WrongProject => "wrong-project",
            Self::WrongEnvironment => "wrong-environment",
            Self::WrongVersion => "wrong-version",
            Self::WrongParent => "wrong-parent",
            Self::WrongEpoch => "wrong-epoch",
            Self::DigestMismatch => "digest-mismatch",
            Self::LengthMismatch => "length-mismatch",
            Self::HeaderMismatch => "header-mismatch",
            Self::KeyringInvalid => "keyring-invalid",
            Self::RolledBack => "rolled-back",
            Self::Forked => "forked",
            Self::EpochRolledBack => "epoch-rolled-back",
            Self::StanzaRefused => "stanza-refused",
            Self::AuthorUnknown => "author-unknown",
            Self::IdentityMismatch => "identity-mismatch",
            Self::Truncated => "truncated",
            Self::Withheld => "withheld",
            Self::CiphertextChanged => "ciphertext-changed",
            Self::NotInLog => "not-in-log",
            Self::LogProofInvalid => "log-proof-invalid",
            Self::LogRolledBack => "log-rolled-back",
            Self::LogForked => "log-forked",
            Self::LogKeyChanged => "log-key-changed",
            Self::WitnessQuorum => "witness-quorum",
            Self::KeyNotInDirectory => "key-not-in-directory",
            Self::KeyUnexpected => "key-unexpected",
            Self::KeyNotGiven => "key-not-given",
            Self::KeyOutdated => "key-outdated",
            Self::AccessListInvalid => "access-list-invalid",
            Self::OwnerChanged => "owner-changed",
        }
    }
}

impl From<SealError> for IntegrityReason {
    fn from(e: SealError) -> Self {
        match e {
            SealError::Project { .. } => Self::WrongProject,
            SealError::Environment { .. } => Self::WrongEnvironment,
            SealError::Version { .. } => Self::WrongVersion,
            SealError::Parent => Self::WrongParent,
            SealError::Digest => Self::DigestMismatch,
            SealError::Length { expected, found } if found < expected => Self::Truncated,
            SealError::Length { .. } => Self::LengthMismatch,
            SealError::Epoch { .. } => Self::WrongEpoch,
            SealError::Author { .. } | SealError::AuthorKey { .. } => Self::AuthorUnknown,
            SealError::Header => Self::HeaderMismatch,
            SealError::Recipient(_) => Self::KeyringInvalid,
            _ => Self::SignatureInvalid,
        }
    }
}

impl From<HeaderError> for IntegrityReason {
    fn from(_: HeaderError) -> Self {
        Self::HeaderMismatch
    }
}

impl IntegrityReason {
    /// Of a blob that did not open. None when the fault lies with the reader's side, not with the blob.
    pub(crate) fn of_open(e: &OpenError) -> Option<Self> {
        Some(match e {
            OpenError::Seal(e) => (*e).into(),
            OpenError::Lint(_) => Self::StanzaRefused,
            OpenError::Header(e) => (*e).into(),
            OpenError::Padding => Self::LengthMismatch,
            OpenError::NotText(_) => Self::HeaderMismatch,
            OpenError::Io(_) | OpenError::Unfinished { .. } => return None,
            _ => Self::CiphertextChanged,
        })
    }
}
