//! The exit codes, documented in docs/cli.md; a script may rely on them.

use std::process::ExitCode;

use veilcloud_sdk::ErrorKind;

use crate::interrupt::Signal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Other = 1,
    Usage = 2,
    NotFound = 3,
    Auth = 4,
    Denied = 5,
    Network = 6,
    Conflict = 7,
    Integrity = 8,
    RateLimited = 9,
    /// Some of several things failed; doing the same again finishes them.
    Incomplete = 10,
    /// `run`: the program exists and cannot be run.
    CannotRun = 126,
    /// `run`: there is no such program.
    NoProgram = 127,
    Interrupted = 130,
    /// Whoever read our output went away, as for any program in a pipe.
    OutputClosed = 141,
    Terminated = 143,
}

impl Exit {
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<&ErrorKind> for Exit {
    fn from(kind: &ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Auth => Self::Auth,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::Network(_) => Self::Network,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Integrity(_) => Self::Integrity,
            ErrorKind::RateLimited { .. } => Self::RateLimited,
            _ => Self::Other,
        }
    }
}

impl From<Signal> for Exit {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupted,
            Signal::Terminate => Self::Terminated,
        }
    }
}
