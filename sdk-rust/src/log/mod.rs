//! The server's logs as a client meets them (docs/spec/chain.md): whose log, by which name, signed by whom, and how far
//! it was seen. A server can sign anything; what it cannot do unnoticed is to show two machines, or one machine twice,
//! two logs of one name. What must never happen: an answer that is used before its leaf was shown to be in a log that
//! continues the one seen before.

mod claim;
mod files;
pub(crate) mod kinds;
mod pins;
mod prove;
mod trust;
mod walk;

use std::fmt;

use veilcore::id::{AccountId, ProjectId};

pub(crate) use claim::{Claim, actor_of, decode_entry, key_of};
pub(crate) use files::{Contradiction, Files, Newest};
pub(crate) use pins::{Alarm, LogPins, LogRecord};
pub(crate) use prove::{ASKS_MAX, Asked, BEHIND_WAIT, BEHIND_WAITS_MAX, Leaf, Settled, never_settled};
pub(crate) use trust::Trust;
pub(crate) use walk::{STEP_MAX, Walk};

use crate::error::{Error, IntegrityReason};

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum LogId {
    /// A project's.
    Project(ProjectId),
    /// An account's own.
    Account(AccountId),
    /// Which keys accounts have, and which keys sign the logs.
    Directory,
}

impl LogId {
    /// What every entry of this log names.
    pub(crate) fn bytes(self) -> [u8; 16] {
        match self {
            Self::Project(id) => *id.as_bytes(),
            Self::Account(id) => *id.as_bytes(),
            Self::Directory => [0; 16],
        }
    }

    /// The log with this end of an origin.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let log = match text.split_once('/') {
            Some(("project", id)) => Self::Project(id.parse().ok()?),
            Some(("account", id)) => Self::Account(id.parse().ok()?),
            None if text == "directory" => Self::Directory,
            _ => return None,
        };
        // One log has one name.
        (log.to_string() == text).then_some(log)
    }
}

/// The end of its origin.
impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(id) => write!(f, "project/{id}"),
            Self::Account(id) => write!(f, "account/{id}"),
            Self::Directory => f.write_str("directory"),
        }
    }
}

/// Which check of a log failed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: IntegrityReason,
    pub(crate) cause: String,
}

impl Fault {
    pub(crate) fn new(reason: IntegrityReason, cause: impl ToString) -> Self {
        Self { reason, cause: cause.to_string() }
    }

    /// A proof, or what it stands on, that does not hold.
    pub(crate) fn invalid(cause: impl ToString) -> Self {
        Self::new(IntegrityReason::LogProofInvalid, cause)
    }

    pub(crate) fn into_error(self, subject: impl fmt::Display) -> Error {
        Error::integrity(self.reason, format!("{subject} ({})", self.cause))
    }
}

#[cfg(test)]
pub(crate) mod tests;
