//! The verdicts on an access list.

use thiserror::Error;
use veilcore::canon::DecodeError;
use veilcore::id::{AccountId, KeyId, ProjectId};

use super::{ACCESS_ENTRIES_MAX, ACCESS_LIST_LEN_MAX, Principal};
use crate::key::InvalidSignature;

/// Why an access list was refused: one variant for each thing that can be amiss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Not the bytes of an access list, or of a version this build does not know.
    #[error("not an access list: {0}")]
    Malformed(#[from] DecodeError),
    /// Not signed by the author's key.
    #[error("access list is not signed by the author")]
    Signature(#[from] InvalidSignature),
    /// About another project.
    #[error("access list of project {found}, expected {expected}")]
    Project {
        /// The project asked for.
        expected: ProjectId,
        /// The project in the list.
        found: ProjectId,
    },
    /// Another number than the one expected: an old list served again, or a gap.
    #[error("access list has number {found}, expected {expected}")]
    Number {
        /// The number expected.
        expected: u64,
        /// The number in the list.
        found: u64,
    },
    /// Does not follow the list it should follow, or names a parent without having one.
    #[error("access list names another list before it")]
    Parent,
    /// Signed by another account.
    #[error("access list by account {found}, expected {expected}")]
    Author {
        /// The account expected.
        expected: AccountId,
        /// The account in the list.
        found: AccountId,
    },
    /// Names another signing key than the one that signed it.
    #[error("access list names signing key {found}, signed with {expected}")]
    AuthorKey {
        /// The key that checks the signature.
        expected: KeyId,
        /// The key named in the list.
        found: KeyId,
    },
    /// More entries than a list may have.
    #[error("access list of {found} entries, at most {ACCESS_ENTRIES_MAX} are allowed")]
    Entries {
        /// Entries found or announced.
        found: usize,
    },
    /// An entry does not come after the one before it, or repeats its principal and team.
    #[error("entry {index} of the access list is out of order or there twice")]
    Order {
        /// Which entry, from 0.
        index: usize,
    },
    /// An entry gives nothing, or an action that no list can give.
    #[error("entry {index} of the access list has actions {found:#x}, which is nothing a list can give")]
    Actions {
        /// Which entry, from 0.
        index: usize,
        /// Its bits.
        found: u64,
    },
    /// An account is named through no team, which 16 zero bytes mean, or an API key through one.
    #[error("entry {index} of the access list names a team that cannot be")]
    Team {
        /// Which entry, from 0.
        index: usize,
    },
    /// An account's entry names environments, or an API key's too many, one twice, or in another order than theirs.
    #[error("entry {index} of the access list names environments that it cannot")]
    Environments {
        /// Which entry, from 0.
        index: usize,
    },
    /// More bytes than a list may have.
    #[error("access list of {found} bytes, at most {ACCESS_LIST_LEN_MAX} are allowed")]
    TooLong {
        /// Its length, in bytes.
        found: usize,
    },
    /// Two entries of one principal name two keys.
    #[error("entry {index} of the access list names another key than the entry before it")]
    Key {
        /// The second of the two, from 0.
        index: usize,
    },
    /// The author is neither the owner nor let share by the list before.
    #[error("account {author} may not sign the next access list")]
    MayNotShare {
        /// Who signed.
        author: AccountId,
    },
    /// The author gives what he does not hold himself.
    #[error("access list gives {principal} actions {actions:#x}, which its author does not hold")]
    Exceeds {
        /// To whom.
        principal: Principal,
        /// The bits in excess.
        actions: u64,
    },
}
