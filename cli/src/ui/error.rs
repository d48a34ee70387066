//! One failure, told the same way everywhere: what, why, what to do, and the server's name for the request.

use std::io;

use serde_json::json;
use veilcloud_sdk::{Error, ErrorKind, IntegrityReason};

use super::exit::Exit;
use super::output::{escaped, plain, say};
use super::style;
use crate::interrupt::Signal;

/// Why a command ended without doing what it was asked. Holds no secret.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// Upper-case name for programs; the server's own where it gave one.
    pub reason: String,
    pub message: String,
    pub remedy: Option<String>,
    pub trace_id: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, reason: &str, message: impl Into<String>) -> Self {
        Self { exit, reason: reason.to_owned(), message: message.into(), remedy: None, trace_id: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "USAGE", message)
    }

    pub fn local(action: &str, fault: &io::Error) -> Self {
        Self::new(Exit::Other, "LOCAL", format!("cannot {action}: {fault}"))
    }

    /// Standard output did not take the answer.
    pub fn output(fault: &io::Error) -> Self {
        match fault.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::OutputClosed, "OUTPUT_CLOSED", "output was closed"),
            _ => Self::local("write to standard output", fault),
        }
    }

    pub fn interrupted(signal: Signal) -> Self {
        let failure =
            Self::new(signal.into(), "INTERRUPTED", "interrupted; no unfinished file was left behind");
        failure.try_this("run the same command again: an upload goes on where it stopped")
    }

    #[must_use]
    pub fn try_this(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Tells it on standard error.
    pub fn show(&self, json: bool) {
        // A reader that went away wants no explanation, and a pipeline ends this way every day.
        if self.exit == Exit::OutputClosed {
            return;
        }
        if json {
            let error = json!({ "error": {
                "reason": self.reason,
                "message": self.message,
                "remedy": self.remedy,
                "exit_code": self.exit.code(),
                "trace_id": self.trace_id,
            }});
            say(&escaped(&error.to_string()));
            return;
        }
        say(&format!("{} {}", style::red("error:"), plain(&self.message)));
        say(&format!("  reason: {}", plain(&self.reason)));
        if let Some(remedy) = &self.remedy {
            say(&format!("  try: {}", plain(remedy)));
        }
        if let Some(trace_id) = &self.trace_id {
            say(&format!("  trace: {}", plain(trace_id)));
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = error.kind();
        let reason = match (error.reason(), &kind) {
            (Some(reason), _) if !reason.is_empty() => reason.to_owned(),
            (_, ErrorKind::Integrity(reason)) => reason.name().replace('-', "_").to_uppercase(),
            _ => local_reason(&error, &kind).to_owned(),
        };
        let remedy = remedy_of(&error);
        Self {
            exit: Exit::from(&kind),
            reason,
            message: error.to_string(),
            remedy: Some(remedy),
            trace_id: error.trace_id().map(str::to_owned),
        }
    }
}

/// The SDK speaks to programmers; where the command line has a command for it, name the command.
fn remedy_of(error: &Error) -> String {
    match error {
        Error::NotLoggedIn => "veilcloud login".to_owned(),
        Error::OtherEndpoint { .. } => {
            "veilcloud login, or a --config-dir of its own for each server".to_owned()
        }
        Error::Integrity { reason: IntegrityReason::WrongEnvironment, .. } => {
            format!("{} (veilcloud envs forget)", error.remedy())
        }
        Error::Integrity { reason: IntegrityReason::WrongProject, .. } => {
            format!("{} (veilcloud projects forget)", error.remedy())
        }
        Error::Integrity { reason: IntegrityReason::RolledBack, .. } => {
            format!("{} (veilcloud envs forget)", error.remedy())
        }
        Error::Integrity { reason: IntegrityReason::KeyUnexpected, .. } => {
            format!("{} (veilcloud account trust-key)", error.remedy())
        }
        Error::Integrity { reason: IntegrityReason::LogKeyChanged, .. } => {
            format!("{} (--config-dir)", error.remedy())
        }
        Error::Network { .. } => {
            format!(
                "{}; veilcloud doctor looks at each step",
                error.remedy().replace("ca_certificate_pem", "--ca-cert")
            )
        }
        _ => error.remedy().to_owned(),
    }
}

fn local_reason(error: &Error, kind: &ErrorKind) -> &'static str {
    match (error, kind) {
        (Error::NotLoggedIn, _) => "NOT_LOGGED_IN",
        (Error::OtherEndpoint { .. }, _) => "OTHER_ENDPOINT",
        (Error::WrongPassword, _) => "WRONG_PASSWORD",
        (Error::WrongRecoveryCode, _) => "WRONG_RECOVERY_CODE",
        (_, ErrorKind::Usage) => "USAGE",
        (_, ErrorKind::NotFound) => "NOT_FOUND",
        (_, ErrorKind::Auth) => "AUTH",
        (_, ErrorKind::Denied) => "DENIED",
        (_, ErrorKind::Network(_)) => "NETWORK",
        (_, ErrorKind::Conflict) => "CONFLICT",
        (_, ErrorKind::RateLimited { .. }) => "RATE_LIMITED",
        (_, ErrorKind::Server) => "SERVER",
        _ => "LOCAL",
    }
}
