//! What can go wrong, for whoever has to act on it: [`Error::kind`] says what sort of trouble it is,
//! [`Error::remedy`] what to do about it. No error contains a secret, and none contains content.

mod api;
mod integrity;
mod network;

use std::io;
use std::time::Duration;

use thiserror::Error;

pub use api::ApiError;
pub use integrity::IntegrityReason;
pub use network::{NetworkError, TlsFailure};

/// Result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. Match on [`Error::kind`]; the variants are for those who want the facts.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused, with a reason from its catalogue.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// This machine's clock is too far from the server's for its proofs to be accepted.
    #[error("this machine's clock is {skew_ms} ms away from the server's, {limit_ms} ms are allowed")]
    ClockSkew {
        /// Server's time less ours, in milliseconds: positive when our clock is behind.
        skew_ms: i64,
        /// What the server allows, in milliseconds.
        limit_ms: u64,
    },
    /// The server was not reached, or the connection broke.
    #[error("cannot reach {endpoint}: {source}")]
    Network {
        /// The endpoint the client was built with.
        endpoint: String,
        /// What happened on the way.
        source: NetworkError,
    },
    /// What the server gave is not what was stored. Do not use it.
    #[error("{subject}: {reason}")]
    Integrity {
        /// Which check failed.
        reason: IntegrityReason,
        /// What was being read.
        subject: String,
    },
    /// Nobody is logged in, or the session has ended.
    #[error("not logged in")]
    NotLoggedIn,
    /// The stored session belongs to another server; its token is not sent here.
    #[error("the session belongs to {session}, not to {endpoint}")]
    OtherEndpoint {
        /// Endpoint of the session.
        session: String,
        /// Endpoint of this client.
        endpoint: String,
    },
    /// The password does not belong to the account, or there is no such account. Nobody can tell which.
    #[error("wrong password, or no such account")]
    WrongPassword,
    /// The recovery code does not belong to the account, or there is no such account. Nobody can tell which.
    #[error("wrong recovery code, or no such account")]
    WrongRecoveryCode,
    /// There is no project or environment of this name.
    #[error("there is no {what} called {name}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Somebody wrote in between: the newest version is not the one the write was to replace.
    #[error("the newest version is {}, not the one expected", current.as_deref().unwrap_or("none"))]
    Conflict {
        /// Entity tag of the newest version; None while there is none.
        current: Option<String>,
    },
    /// An argument that cannot be right.
    #[error("{what}: {why}")]
    Invalid {
        /// Which argument.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The file changed while it was read.
    #[error("{path} changed while it was being stored")]
    FileChanged {
        /// The file.
        path: String,
    },
    /// The server answered outside its own contract.
    #[error("the server's answer to {rpc} is not well formed")]
    BadAnswer {
        /// Which call.
        rpc: &'static str,
    },
    /// Something on this machine: a file, a directory, memory.
    #[error("cannot {action}: {source}")]
    Local {
        /// What was tried.
        action: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Sort of trouble. The command line makes its exit codes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call was made wrongly.
    Usage,
    /// There is no such thing.
    NotFound,
    /// Who calls is not known well enough: log in (again).
    Auth,
    /// The caller may not do this, or a limit of the account is reached.
    Denied,
    /// The server was not reached.
    Network(NetworkError),
    /// Somebody else was faster, or the name is taken.
    Conflict,
    /// The server's data failed a check.
    Integrity(IntegrityReason),
    /// Too many requests.
    RateLimited {
        /// When to come back, if the server said so.
        retry_after: Option<Duration>,
    },
    /// The server's own trouble.
    Server,
    /// This machine's trouble.
    Local,
}

impl Error {
    /// Sort of trouble.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Api(e) => e.kind(),
            Error::ClockSkew { .. }
            | Error::NotLoggedIn
            | Error::OtherEndpoint { .. }
            | Error::WrongPassword
            | Error::WrongRecoveryCode => ErrorKind::Auth,
            Error::Network { source, .. } => ErrorKind::Network(source.clone()),
            Error::Integrity { reason, .. } => ErrorKind::Integrity(*reason),
            Error::NotFound { .. } => ErrorKind::NotFound,
            Error::Conflict { .. } => ErrorKind::Conflict,
            Error::Invalid { .. } => ErrorKind::Usage,
            Error::BadAnswer { .. } => ErrorKind::Server,
            Error::FileChanged { .. } | Error::Local { .. } => ErrorKind::Local,
        }
    }

    /// What to do about it, as one sentence.
    pub fn remedy(&self) -> &str {
        match self {
            Error::Api(e) => e.remedy(),
            Error::ClockSkew { .. } => "set this machine's clock (turn on NTP), then try again",
            Error::Network { source, .. } => source.remedy(),
            Error::Integrity { reason, .. } => reason.remedy(),
            Error::NotLoggedIn => "log in",
            Error::OtherEndpoint { .. } => {
                "use a state directory of its own for each server, or log in to this one"
            }
            Error::WrongPassword => "check e-mail and password; the recovery code sets a new password",
            Error::WrongRecoveryCode => "check e-mail and recovery code against the printed sheet",
            Error::NotFound { .. } => "list what there is and check the spelling",
            Error::Conflict { .. } => "read the newest version, merge your change into it, and write again",
            Error::Invalid { .. } => "correct the argument",
            Error::FileChanged { .. } => "let whatever writes to the file finish, then try again",
            Error::BadAnswer { .. } => "check that client and server are of the same version",
            Error::Local { .. } => "check that the path exists, is writable, and that the disk has room",
        }
    }

    /// The reason the server gave, e.g. `ETAG_MISMATCH`; see `docs/errors`.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Error::Api(e) => Some(&e.reason),
            Error::ClockSkew { .. } => Some("PROOF_STALE"),
            _ => None,
        }
    }

    /// Whether the server may have done what was asked although no answer says so: the request may have arrived, and
    /// what came back decides nothing.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Error::Api(e) => e.kind() == ErrorKind::Server,
            Error::Network { source, .. } => source.may_have_arrived(),
            Error::BadAnswer { .. } => true,
            _ => false,
        }
    }

    /// The server's name for this request, for its operator.
    pub fn trace_id(&self) -> Option<&str> {
        match self {
            Error::Api(e) => e.trace_id.as_deref(),
            _ => None,
        }
    }

    pub(crate) fn is(&self, reason: &str) -> bool {
        self.reason() == Some(reason)
    }

    pub(crate) fn integrity(reason: IntegrityReason, subject: impl Into<String>) -> Self {
        Error::Integrity { reason, subject: subject.into() }
    }

    pub(crate) fn invalid(what: &'static str, why: impl ToString) -> Self {
        Error::Invalid { what, why: why.to_string() }
    }

    pub(crate) fn local(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Error::Local { action, source }
    }
}

#[cfg(test)]
mod tests;
