//! What a change of shares did, and what of it is still to be done. One thing that fails stops no other: whoever is being
//! shut out is shut out of all that can be.

use veilcore::id::AccountId;

use super::ExposureReport;
use crate::error::{Error, ErrorKind};

/// What a change of shares did.
#[derive(Debug)]
#[non_exhaustive]
pub struct ShareOutcome {
    /// Number of the newest access list; 0 while there is none.
    pub access_list: u64,
    /// Accounts that may do something they could not before.
    pub added: Vec<AccountId>,
    /// Accounts that lost something, or have other keys by now.
    pub removed: Vec<AccountId>,
    /// Keys that were handed on to people who did not have them.
    pub keys_added: u64,
    /// Environments that got a new key, by name.
    pub rotated: Vec<String>,
    /// Content that was sealed to a new key and had been written by somebody who is not in the project any more. It is
    /// signed by this account now: look at it.
    pub vouched: Vec<Vouched>,
    /// What those who were removed could open.
    pub exposure: Option<ExposureReport>,
    /// What failed. Doing the same again finishes it.
    pub unfinished: Vec<Unfinished>,
}

impl ShareOutcome {
    /// Whether nothing is left to do.
    pub fn is_complete(&self) -> bool {
        self.unfinished.is_empty()
    }
}

/// Content that this account has signed in place of somebody who left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vouched {
    /// Name of the environment.
    pub environment: String,
    /// The version whose content it is.
    pub version: u64,
    /// Who wrote that version.
    pub author_id: AccountId,
}

/// A step that failed while others went on.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unfinished {
    /// Name of the environment; None when it concerns the whole project.
    pub environment: Option<String>,
    /// What was to be done: `list`, `new-key`, `hand-on` or `exposure`.
    pub step: &'static str,
    /// Why it was not.
    pub error: Error,
}

impl Unfinished {
    pub(super) fn of(environment: &str, step: &'static str, error: Error) -> Self {
        Self { environment: Some(environment.to_owned()), step, error }
    }

    pub(super) fn whole(step: &'static str, error: Error) -> Self {
        Self { environment: None, step, error }
    }
}

/// Whether whatever is tried next would fail alike: nobody is logged in, or the server is away.
pub(super) fn is_hopeless(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::Network(_) | ErrorKind::Auth | ErrorKind::RateLimited { .. })
}

/// What was done, or None and a note of what was not; an error that ends everything.
pub(super) fn noted<T>(
    done: Result<T, Error>,
    unfinished: &mut Vec<Unfinished>,
    note: impl FnOnce(Error) -> Unfinished,
) -> Result<Option<T>, Error> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(e) if is_hopeless(&e) => Err(e),
        Err(e) => {
            let left = note(e);
            // What is looked at twice fails twice, and is one thing to see to.
            let same = |known: &Unfinished| {
                (&known.environment, known.step) == (&left.environment, left.step)
                    && known.error.to_string() == left.error.to_string()
            };
            if !unfinished.iter().any(same) {
                unfinished.push(left);
            }
            Ok(None)
        }
    }
}
