//! Every error reason: its meaning and remedy from the contract's comments, its codes from the one table of the server.

use serde_json::{Map, Value, json};
use tonic::Code;
use veilcloud_proto::{POOL, common::v1::ErrorReason};

use super::docs::Docs;
use crate::status::{row, word};

/// What begins the second half of a reason's comment.
const REMEDY: &str = "Remedy:";
/// What begins the names of a reason's facts in its comment.
const METADATA: &str = "Metadata:";

/// One reason.
pub struct Reason {
    /// Its word, for example `ETAG_MISMATCH`.
    pub word: &'static str,
    /// What happened.
    pub meaning: String,
    /// What to do.
    pub remedy: String,
    /// Names of its facts.
    pub metadata: Vec<String>,
    /// Title of a problem.
    pub title: &'static str,
    /// Name of the gRPC code.
    pub grpc: &'static str,
    /// HTTP status.
    pub http: u16,
}

/// Every reason, in the order of the contract.
pub fn reasons() -> Vec<Reason> {
    let docs = Docs::read();
    let list = POOL.get_enum_by_name("veilcloud.common.v1.ErrorReason").expect("the contract has reasons");
    let known = list.values().filter_map(|value| {
        let reason = ErrorReason::try_from(value.number()).ok().filter(|r| *r != ErrorReason::Unspecified)?;
        let comment = docs.of(value.full_name());
        let (meaning, remedy) = comment.split_once(REMEDY).unwrap_or((comment, ""));
        let row = row(reason);
        Some(Reason {
            word: word(reason),
            meaning: meaning.trim().to_owned(),
            remedy: sentence(remedy.trim()),
            metadata: facts(meaning),
            title: row.title,
            grpc: grpc_name(row.code),
            http: row.http,
        })
    });
    known.collect()
}

/// The table as it stands in the document.
pub fn table() -> Value {
    let rows = reasons().into_iter().map(|reason| {
        let row = json!({
            "title": reason.title,
            "http": reason.http,
            "grpc": reason.grpc,
            "meaning": reason.meaning,
            "remedy": reason.remedy,
            "metadata": reason.metadata,
        });
        (reason.word.to_owned(), row)
    });
    Value::Object(rows.collect::<Map<_, _>>())
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `Metadata: field, rule.` in a comment.
fn facts(meaning: &str) -> Vec<String> {
    let named = meaning.split_once(METADATA).map_or("", |(_, rest)| rest);
    let named = named.split('.').next().unwrap_or_default();
    named.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// The code as gRPC spells it.
fn grpc_name(code: Code) -> &'static str {
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
    use super::*;

    #[test]
    fn every_reason_says_what_happened_and_what_to_do() {
        let reasons = reasons();
        assert!(reasons.len() > 50);
        for reason in &reasons {
            assert!(!reason.meaning.is_empty() && !reason.remedy.is_empty(), "{}", reason.word);
            assert!((400..600).contains(&reason.http), "{}", reason.word);
            let plain = |name: &String| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(reason.metadata.iter().all(plain), "{}: {:?}", reason.word, reason.metadata);
        }
        let stale = reasons.iter().find(|reason| reason.word == "PROOF_STALE").unwrap();
        assert_eq!(stale.metadata, ["skew_ms", "limit_ms"]);
        assert_eq!((stale.grpc, stale.http), ("UNAUTHENTICATED", 401));
        assert!(stale.remedy.starts_with("Set the clock"));
    }
}
