//! The one place where errors become answers: `google.rpc.Status` with exactly one `ErrorInfo` on gRPC, RFC 9457
//! problem+json on REST. What must never happen: a store's own words, a secret or an e-mail in an answer, or an error
//! without a reason.

mod area;
mod problem;
mod reason;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use http::HeaderMap;
pub use problem::problem;
pub use reason::{row, word};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, FieldViolation, QuotaViolation, StatusExt};
use veilcloud_proto::common::v1::ErrorReason;

use crate::contract::{MethodInfo, Problem, Violation};

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "veilcloud";
/// Greatest message in bytes: long header lists hang some gRPC clients.
pub const MESSAGE_LEN_MAX: usize = 1024;
/// Greatest metadata value in bytes.
pub const VALUE_LEN_MAX: usize = 200;

/// An error on its way out. Boxed: it is the rare half of nearly every result here.
#[derive(Debug, Clone)]
pub struct Fault(Box<Facts>);

#[derive(Debug, Clone)]
struct Facts {
    reason: ErrorReason,
    code: Code,
    message: String,
    metadata: Vec<(&'static str, String)>,
    fields: Vec<(String, String)>,
    quota: Option<String>,
    retry_after: Option<Duration>,
    headers: HeaderMap,
    cause: Option<Cause>,
}

/// What went wrong inside, for the operator's log only.
#[derive(Debug, Clone)]
pub struct Cause(pub String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

impl Fault {
    /// An error with the reason's own code.
    pub fn new(reason: ErrorReason, message: impl Into<String>) -> Self {
        Self(Box::new(Facts {
            reason,
            code: row(reason).code,
            message: message.into(),
            metadata: Vec::new(),
            fields: Vec::new(),
            quota: None,
            retry_after: None,
            headers: HeaderMap::new(),
            cause: None,
        }))
    }

    /// Our own mistake; `cause` is logged, not told.
    pub fn internal(cause: impl Into<String>) -> Self {
        let message = "the server broke its own rule; the trace id helps its operator";
        Self::new(ErrorReason::Internal, message).cause(cause)
    }

    /// One field breaks a rule.
    pub fn field(field: impl Into<String>, rule: &str, description: impl Into<String>) -> Self {
        let (field, description) = (field.into(), description.into());
        let mut fault = Self::new(ErrorReason::FieldInvalid, format!("{field} {description}"));
        fault.0.fields.push((field.clone(), description));
        fault.with("field", field).with("rule", rule)
    }

    /// Everything that is wrong with a request's fields; `None` when nothing is.
    pub fn violations(method: &MethodInfo, violations: Vec<Violation>) -> Option<Self> {
        let first = violations.first()?;
        if let (true, Problem::MaxLen(limit)) =
            (first.number.is_some() && first.number == method.raw_body, first.problem)
        {
            return Some(Self::too_large(u64::from(limit)));
        }
        let mut fault = Self::field(first.field.clone(), first.problem.rule(), first.problem.to_string());
        fault.0.fields = violations.into_iter().map(|v| (v.field, v.problem.to_string())).collect();
        Some(fault)
    }

    /// A blob larger than this way of carrying it allows.
    pub fn too_large(limit_bytes: u64) -> Self {
        Self::new(
            ErrorReason::BlobTooLarge,
            format!("at most {limit_bytes} bytes go this way; use an upload session"),
        )
        .with("limit_bytes", limit_bytes)
    }

    /// Adds a fact.
    pub fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.0.metadata.push((key, cut(value.to_string(), VALUE_LEN_MAX)));
        self
    }

    /// Says when to come back.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Headers that go with it, on gRPC and on REST.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.0.headers = headers;
        self
    }

    /// Another code than the reason's own.
    pub fn code(mut self, code: Code) -> Self {
        self.0.code = code;
        self
    }

    /// What a `QuotaFailure` names as exhausted.
    fn quota(mut self, description: impl Into<String>) -> Self {
        self.0.quota = Some(description.into());
        self
    }

    /// What went wrong inside, for the log.
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = Some(Cause(cause.into()));
        self
    }

    /// The reason.
    pub fn reason(&self) -> ErrorReason {
        self.0.reason
    }

    /// The status as gRPC carries it.
    pub fn into_status(self) -> Status {
        let facts = *self.0;
        let metadata: HashMap<String, String> =
            facts.metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let mut details = ErrorDetails::with_error_info(word(facts.reason), DOMAIN, metadata);
        if !facts.fields.is_empty() {
            let cap = |text| cut(text, VALUE_LEN_MAX / 2);
            let fields =
                facts.fields.into_iter().map(|(field, text)| FieldViolation::new(cap(field), cap(text)));
            details.set_bad_request(fields.collect::<Vec<_>>());
        }
        if let Some(description) = facts.quota {
            details.set_quota_failure([QuotaViolation::new("account", cut(description, VALUE_LEN_MAX))]);
        }
        if let Some(after) = facts.retry_after {
            details.set_retry_info(Some(after));
        }
        let message = cut(facts.message, MESSAGE_LEN_MAX);
        let headers = MetadataMap::from_headers(facts.headers);
        let mut status = Status::with_error_details_and_metadata(facts.code, message, details, headers);
        if let Some(cause) = facts.cause {
            status.set_source(Arc::new(cause));
        }
        status
    }

    /// Gives a status that a library made a reason of ours; one that has a reason stays as it is.
    pub fn from_library(status: &Status) -> Option<Self> {
        if status.get_error_details().error_info().is_some() {
            return None;
        }
        let fault = match status.code() {
            Code::Unimplemented => Self::new(ErrorReason::MethodUnknown, "there is no such method"),
            Code::DeadlineExceeded | Code::Cancelled => {
                Self::new(ErrorReason::DeadlineExceeded, "the call took too long")
            }
            Code::OutOfRange | Code::ResourceExhausted => {
                Self::new(ErrorReason::MessageTooLarge, "the message is larger than the limit")
            }
            Code::InvalidArgument => {
                Self::new(ErrorReason::MessageMalformed, "this is not a message of this method")
            }
            code => Self::internal(format!("a library answered {code:?}: {}", status.message())),
        };
        Some(fault)
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        fault.into_status()
    }
}

/// The reason of a status; `Internal` for one that has none.
pub fn reason_of(status: &Status) -> ErrorReason {
    let details = status.get_error_details();
    let name = details.error_info().map(|info| format!("ERROR_REASON_{}", info.reason));
    name.and_then(|name| ErrorReason::from_str_name(&name)).unwrap_or(ErrorReason::Internal)
}

fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests;
