//! A refusal of the server: canonical gRPC code, reason of the catalogue, facts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::ErrorKind;

/// A refusal of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiError {
    /// Canonical gRPC code as text, e.g. `FAILED_PRECONDITION`.
    pub code: &'static str,
    /// Reason from the catalogue (`docs/errors`), e.g. `ETAG_MISMATCH`; empty when the answer carried none.
    pub reason: String,
    /// The server's sentence.
    pub message: String,
    /// Facts that belong to the reason.
    pub metadata: BTreeMap<String, String>,
    /// The server's name for this request.
    pub trace_id: Option<String>,
    /// When to come back, if the server said so.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() { f.write_str(self.code) } else { f.write_str(&self.message) }
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    pub(super) fn kind(&self) -> ErrorKind {
        match self.reason.as_str() {
            "RATE_LIMITED" => ErrorKind::RateLimited { retry_after: self.retry_after },
            "CREDENTIAL_MISSING" | "CREDENTIAL_INVALID" | "CREDENTIAL_EXPIRED" | "CREDENTIAL_REVOKED"
            | "PROOF_INVALID" | "PROOF_STALE" | "PROOF_REPLAYED" | "LOGIN_FAILED" | "ATTEMPT_UNKNOWN"
            | "REFRESH_INVALID" | "REFRESH_REUSED" | "RECOVERY_FAILED" | "LOGIN_NOT_FRESH"
            | "LOG_TOKEN_INVALID" => ErrorKind::Auth,
            "PERMISSION_DENIED" | "QUOTA_EXCEEDED" | "PROJECT_LIMIT" | "ENVIRONMENT_LIMIT"
            | "UPLOAD_LIMIT" | "API_KEY_LIMIT" | "TEAM_LIMIT" | "MEMBER_LIMIT" | "SHARE_LIMIT" => {
                ErrorKind::Denied
            }
            "ENVIRONMENT_NOT_FOUND"
            | "BLOB_NOT_FOUND"
            | "VERSION_NOT_FOUND"
            | "UPLOAD_NOT_FOUND"
            | "USER_UNKNOWN"
            | "MEMBER_UNKNOWN"
            | "API_KEY_UNKNOWN"
            | "SHARE_UNKNOWN"
            | "ACCESS_LIST_UNKNOWN"
            | "LOG_INDEX_UNKNOWN"
            | "LOG_FILE_UNKNOWN"
            | "ACCOUNT_KEY_UNKNOWN" => ErrorKind::NotFound,
            "ETAG_MISMATCH"
            | "EPOCH_STALE"
            | "ROTATION_DUE"
            | "ACCESS_LIST_STALE"
            | "KEYRING_EXISTS"
            | "ENVIRONMENT_EXISTS"
            | "PROJECT_NAME_TAKEN"
            | "EMAIL_TAKEN"
            | "API_KEY_TAKEN"
            | "API_KEY_ROTATED"
            | "TEAM_NAME_TAKEN"
            | "MEMBER_EXISTS"
            | "TEAM_OWNER_STAYS"
            | "TEAM_HAS_MEMBERS"
            | "REQUEST_ID_REUSED"
            | "PRECONDITION_REQUIRED" => ErrorKind::Conflict,
            "FIELD_INVALID"
            | "NAME_INVALID"
            | "MESSAGE_TOO_LARGE"
            | "BLOB_TOO_LARGE"
            | "RANGE_NOT_SATISFIABLE"
            | "PAGE_TOKEN_INVALID"
            | "LOG_PROOF_INVALID"
            | "LOG_POLICY_INVALID" => ErrorKind::Usage,
            "" => self.kind_of_code(),
            _ => ErrorKind::Server,
        }
    }

    /// For answers without a reason of ours: another service, or a proxy that speaks gRPC.
    fn kind_of_code(&self) -> ErrorKind {
        match self.code {
            "INVALID_ARGUMENT" | "OUT_OF_RANGE" => ErrorKind::Usage,
            "NOT_FOUND" => ErrorKind::NotFound,
            "ALREADY_EXISTS" | "ABORTED" | "FAILED_PRECONDITION" => ErrorKind::Conflict,
            "PERMISSION_DENIED" => ErrorKind::Denied,
            "UNAUTHENTICATED" => ErrorKind::Auth,
            "RESOURCE_EXHAUSTED" => ErrorKind::RateLimited { retry_after: self.retry_after },
            _ => ErrorKind::Server,
        }
    }

    pub(super) fn remedy(&self) -> &'static str {
        match self.reason.as_str() {
            "RATE_LIMITED" => "wait for the time the server names, then try again",
            "QUOTA_EXCEEDED" => "delete what is no longer needed, or ask the operator for more room",
            "PROJECT_LIMIT" | "ENVIRONMENT_LIMIT" => "delete one that is no longer needed",
            "API_KEY_LIMIT" => "revoke an API key that is no longer used",
            "API_KEY_UNKNOWN" => "look at the account's API keys",
            "API_KEY_TAKEN" => "try again: another id is drawn",
            "API_KEY_ROTATED" => "look who rotates the key, then rotate with its generation now",
            "UPLOAD_LIMIT" => "finish the uploads that were begun, or wait a day until they are forgotten",
            "STORE_UNAVAILABLE" | "DRAINING" | "DEADLINE_EXCEEDED" => "try again in a moment",
            "STORE_FULL" => "tell the server's operator that its disk is full",
            "CREDENTIAL_MISSING" | "CREDENTIAL_INVALID" | "CREDENTIAL_EXPIRED" | "CREDENTIAL_REVOKED"
            | "REFRESH_INVALID" => "log in again",
            "REFRESH_REUSED" => {
                "log in again; if no other program of yours uses this session, change the password: a copy of it \
                 may be in other hands"
            }
            "PROOF_INVALID" => "check that no proxy rewrites requests between this machine and the server",
            "PROOF_STALE" => "set this machine's clock (turn on NTP), then try again",
            "PROOF_REPLAYED" => "try again; if it happens often, something between repeats requests",
            "LOGIN_FAILED" => "check e-mail and password; the recovery code sets a new password",
            "RECOVERY_FAILED" => "check e-mail and recovery code against the printed sheet",
            "ATTEMPT_UNKNOWN" => "start again from the beginning, and finish within a minute",
            "LOGIN_NOT_FRESH" => "log in again, then repeat this within five minutes",
            "EMAIL_TAKEN" => "log in with this e-mail, or register another one",
            "PERMISSION_DENIED" => "check that you are logged in to the account that owns the project",
            "TEAM_LIMIT" => "delete a team that is no longer needed",
            "MEMBER_LIMIT" => "remove members, or share with a second team",
            "MEMBER_EXISTS" => "nothing is to be done; `veilcloud teams role` changes what they may do",
            "MEMBER_UNKNOWN" => "look at the members of the team and check who is meant",
            "TEAM_OWNER_STAYS" => "delete the team instead",
            "TEAM_HAS_MEMBERS" => "delete your teams or remove their members first, then the account",
            "USER_UNKNOWN" => "check the address; the person may have to register first",
            "PROJECT_NAME_TAKEN" | "TEAM_NAME_TAKEN" | "ENVIRONMENT_EXISTS" => "choose another name",
            "ENVIRONMENT_NOT_FOUND" => "list the project's environments and check the spelling",
            "BLOB_NOT_FOUND" => "store something first, or roll back to an earlier version",
            "VERSION_NOT_FOUND" => "look at the history for the versions there are",
            "ETAG_MISMATCH" => "read the newest version, merge your change into it, and write again",
            "ACCESS_LIST_UNKNOWN" => "ask for a list that there is",
            "KEYRING_EXISTS" => "nothing is to be done; they can open it",
            "EPOCH_STALE" => "try again: the key was rotated meanwhile",
            "BLOB_TOO_LARGE" | "MESSAGE_TOO_LARGE" => "split what is stored into smaller environments",
            "UPLOAD_NOT_FOUND" => "start the upload again",
            "NAME_INVALID" | "FIELD_INVALID" => "correct the argument that the message names",
            "LOG_UNAVAILABLE" => {
                "look whether the change is there before you repeat it, and tell the server's operator"
            }
            "LOG_INDEX_UNKNOWN" => "list the events and ask for one that is there",
            "LOG_FILE_UNKNOWN" | "LOG_BEHIND" => "try again in a moment",
            "LOG_PROOF_INVALID" => "compare the file and the policy with their source",
            "LOG_POLICY_INVALID" => "correct the policy as c2sp.org/tlog-policy says",
            "LOG_TOKEN_INVALID" => "make a new token",
            "ACCOUNT_KEY_UNKNOWN" => {
                "check the account's id; an account that was deleted has no keys any more"
            }
            "INTERNAL" => "send the trace id to the server's operator",
            _ => "try again; if it stays, send the trace id to the server's operator",
        }
    }
}
