//! From a gRPC status with google.rpc details to our own error. Nothing of tonic gets past this file and `native`.

use std::collections::BTreeMap;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::Failure;
use crate::error::{ApiError, Error, NetworkError};

/// The error domain of this platform.
const DOMAIN: &str = "veilcloud";
/// Metadata that names a request for the server's operator.
const TRACE_HEADER: &str = "veil-trace-id";
/// Longest text that is taken from an answer, in bytes.
const TEXT_LEN_MAX: usize = 2048;
/// Most facts that are taken from an answer.
const FACTS_MAX: usize = 16;

/// What the server said.
pub(crate) fn refusal(status: &Status) -> Failure {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == DOMAIN);
    let mut metadata: BTreeMap<String, String> = info
        .map(|info| info.metadata.iter().take(FACTS_MAX).map(|(k, v)| (cut(k), cut(v))).collect())
        .unwrap_or_default();
    if let Some(first) = details.bad_request().and_then(|bad| bad.field_violations.first()) {
        metadata.entry("field".to_owned()).or_insert_with(|| cut(&first.field));
        metadata.entry("rule".to_owned()).or_insert_with(|| cut(&first.description));
    }
    let trace_id = details
        .request_info()
        .map(|info| info.request_id.as_str())
        .filter(|id| !id.is_empty())
        .or_else(|| status.metadata().get(TRACE_HEADER).and_then(|value| value.to_str().ok()))
        .map(cut);
    Failure::Api(Box::new(ApiError {
        code: code_name(status.code()),
        reason: info.map(|info| cut(&info.reason)).unwrap_or_default(),
        message: cut(status.message()),
        metadata,
        trace_id,
        retry_after: details.retry_info().and_then(|info| info.retry_delay),
    }))
}

impl Failure {
    /// The error for the caller.
    pub(crate) fn into_error(self, endpoint: &str) -> Error {
        match self {
            Failure::Network(source) => Error::Network { endpoint: endpoint.to_owned(), source },
            Failure::Api(e) if e.reason == "PROOF_STALE" => {
                let fact = |key: &str| e.metadata.get(key);
                Error::ClockSkew {
                    skew_ms: fact("skew_ms").and_then(|v| v.parse().ok()).unwrap_or_default(),
                    limit_ms: fact("limit_ms")
                        .and_then(|v| v.parse().ok())
                        .unwrap_or(veilsign::proof::WINDOW_MS),
                }
            }
            Failure::Api(e) => Error::Api(e),
        }
    }
}

impl From<NetworkError> for Failure {
    fn from(e: NetworkError) -> Self {
        Failure::Network(e)
    }
}

fn cut(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .scan(0, |len, c| {
            *len += c.len_utf8();
            (*len <= TEXT_LEN_MAX).then_some(c)
        })
        .collect()
}

pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic_types::ErrorDetails;

    use super::*;
    use crate::error::ErrorKind;

    fn error(code: Code, details: ErrorDetails) -> Error {
        refusal(&Status::with_error_details(code, "a sentence", details)).into_error("https://host")
    }

    fn info(reason: &str, facts: &[(&str, &str)]) -> ErrorDetails {
        let facts: Vec<(String, String)> =
            facts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ErrorDetails::with_error_info(reason, DOMAIN, std::collections::HashMap::from_iter(facts))
    }

    #[test]
    fn reason_facts_and_trace_come_through() {
        let mut details = info("ETAG_MISMATCH", &[("current_version", "7")]);
        details.set_request_info("trace-1", "");
        let e = error(Code::Aborted, details);
        assert_eq!(e.kind(), ErrorKind::Conflict);
        assert_eq!(e.reason(), Some("ETAG_MISMATCH"));
        assert_eq!(e.trace_id(), Some("trace-1"));
        let Error::Api(api) = e else { panic!("an API error") };
        assert_eq!(api.metadata["current_version"], "7");
        assert_eq!((api.code, api.message.as_str()), ("ABORTED", "a sentence"));
    }

    #[test]
    fn a_stale_proof_says_how_far_the_clock_is_off() {
        let e = error(
            Code::Unauthenticated,
            info("PROOF_STALE", &[("skew_ms", "-90000"), ("limit_ms", "60000")]),
        );
        assert!(matches!(e, Error::ClockSkew { skew_ms: -90_000, limit_ms: 60_000 }));
        assert!(e.remedy().contains("clock"));
        assert_eq!(e.kind(), ErrorKind::Auth);
    }

    #[test]
    fn a_rate_limit_says_when_to_come_back() {
        let mut details = info("RATE_LIMITED", &[]);
        details.set_retry_info(Some(Duration::from_secs(9)));
        let kind = error(Code::ResourceExhausted, details).kind();
        assert_eq!(kind, ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(9)) });
    }

    #[test]
    fn a_reason_of_another_domain_is_not_ours() {
        let details =
            ErrorDetails::with_error_info("ETAG_MISMATCH", "elsewhere", std::collections::HashMap::new());
        let e = error(Code::NotFound, details);
        assert_eq!(e.reason(), Some(""));
        assert_eq!(e.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn text_of_an_answer_is_bounded_and_shows_no_control_characters() {
        let text = format!("\x1b[31m{}", "ä".repeat(4000));
        let shown = cut(&text);
        assert!(shown.len() <= TEXT_LEN_MAX && shown.starts_with("[31mä"));
    }
}
