use std::collections::BTreeSet;

use veilcloud_domain::{
    audit::error::AuditError,
    auth::{api_keys::error::ApiKeyError, capabilities::error::CapabilitiesError, error::AuthError},
    name::NameInvalid,
    projects::error::ProjectsError,
    storage::{
        error::StorageError,
        model::{Digest, Etag},
    },
    store::StoreError,
    teams::error::TeamsError,
};
use veilcloud_proto::POOL;

use super::*;

fn text() -> String {
    "x".to_owned()
}

fn stores() -> Vec<StoreError> {
    vec![
        StoreError::Unavailable { store: "catalog", cause: "SECRET CAUSE".to_owned() },
        StoreError::Full { store: "blobs" },
        StoreError::Unlogged { cause: "SECRET CAUSE".to_owned() },
        StoreError::Damaged { store: "blobs", cause: "SECRET CAUSE".to_owned() },
    ]
}

/// Every variant of every area's errors.
fn area_faults() -> Vec<Fault> {
    use {
        ApiKeyError as K, AuditError as L, AuthError as A, ProjectsError as P, StorageError as S,
        TeamsError as T,
    };
    let auth = [
        A::Missing,
        A::Invalid,
        A::Expired,
        A::Revoked,
        A::Two,
        A::Network,
        A::ServiceToken,
        A::Proof,
        A::Stale { skew_ms: 61_000, limit_ms: 60_000 },
        A::Replayed,
        A::LoginFailed,
        A::AttemptUnknown,
        A::EmailTaken,
        A::RefreshInvalid,
        A::RefreshReused,
        A::RecoveryFailed,
        A::NotFresh,
        A::RegistrationClosed,
        A::Bundle,
        A::Message,
        A::Confirmation,
        A::OwnsTeams { teams: 1 },
        A::UserUnknown,
        A::Mask { field: text() },
        A::DisplayName,
    ];
    let projects = [
        P::Denied,
        P::Name(NameInvalid),
        P::NameTaken { name: text() },
        P::ProjectLimit { limit: 1 },
        P::EnvironmentNotFound { name: text() },
        P::EnvironmentExists { name: text() },
        P::EnvironmentLimit { limit: 1 },
        P::VersionNotFound { version: 2, current: 1 },
        P::Keyring { check: text() },
        P::EpochStale { current: 1 },
        P::AccessList { check: text() },
        P::AccessListStale { current: 1 },
        P::AccessListUnknown { number: 2, current: 1 },
        P::Permissions,
        P::ShareUnknown,
        P::ShareLimit { limit: 1 },
        P::KeyringExists,
        P::KeyringNotAdded,
        P::Mask { field: text() },
    ];
    let storage = [
        S::Projects(P::Denied),
        S::BlobNotFound,
        S::VersionNotFound { version: 2, current: 1 },
        S::PreconditionRequired,
        S::PreconditionInvalid { text: text() },
        S::EtagMismatch { current: None },
        S::EtagMismatch { current: Some(Etag::of(7, Digest([1; 32]))) },
        S::EpochStale { current: 1 },
        S::RotationDue { current: 1 },
        S::Seal { check: text() },
        S::DigestMismatch,
        S::Stanza { check: text() },
        S::TooLarge { limit_bytes: 1 },
        S::Quota { quota_bytes: 1, used_bytes: 1 },
        S::OwnersQuota,
        S::UploadNotFound,
        S::UploadLimit { limit: 1 },
        S::UploadIncomplete { missing_count: 1, first_missing: 0 },
        S::Chunk { check: text() },
        S::Range { length: 1 },
    ];
    let teams = [
        T::Denied,
        T::Name(NameInvalid),
        T::NameTaken { name: text() },
        T::TeamLimit { limit: 1 },
        T::MemberLimit { limit: 1 },
        T::AccountUnknown,
        T::MemberExists,
        T::MemberUnknown,
        T::OwnerStays,
        T::RoleRefused,
        T::Threshold { limit: 1 },
        T::Mask { field: text() },
    ];
    let keys = [
        K::Taken,
        K::Limit { limit: 1 },
        K::Unknown,
        K::Rotated { generation: 2 },
        K::Record { check: "share" },
        K::NoKey,
        K::OpensNothing,
        K::Scope { field: "scope.permissions", rule: "names at least one" },
    ];
    let audit = [
        L::Projects(P::Denied),
        L::Index { index: 9, size: 2 },
        L::Behind { index: 1 },
        L::File,
        L::Proof { check: text() },
        L::Policy { check: text() },
        L::Token,
        L::KeyUnknown,
    ];
    let mut all: Vec<Fault> = auth.into_iter().map(Fault::from).collect();
    all.extend(projects.into_iter().map(Fault::from));
    all.extend(storage.into_iter().map(Fault::from));
    all.extend(teams.into_iter().map(Fault::from));
    all.extend(keys.into_iter().map(Fault::from));
    all.extend(capabilities().into_iter().map(Fault::from));
    all.extend(audit.into_iter().map(Fault::from));
    all.extend(stores().into_iter().map(|e| Fault::from(L::Store(e))));
    all.extend(stores().into_iter().map(|e| Fault::from(AuthError::Store(e))));
    all.extend(stores().into_iter().map(|e| Fault::from(ApiKeyError::Store(e))));
    all.extend(stores().into_iter().map(|e| Fault::from(ProjectsError::Store(e))));
    all.extend(stores().into_iter().map(|e| Fault::from(StorageError::Store(e))));
    all.extend(stores().into_iter().map(|e| Fault::from(TeamsError::Store(e))));
    all
}

fn capabilities() -> Vec<CapabilitiesError> {
    use CapabilitiesError as C;
    let mut all = vec![
        C::Denied,
        C::Limit { limit: 100 },
        C::Unknown,
        C::Holder,
        C::Field { field: "ttl_seconds", rule: "is at least 1 and at most 90 days" },
        C::Auth(AuthError::NotFresh),
        C::Projects(ProjectsError::Denied),
    ];
    all.extend(stores().into_iter().map(C::Store));
    all
}

/// Reasons that the gate and REST give themselves; their own tests make each of them happen.
const DOOR: [ErrorReason; 9] = [
    ErrorReason::FieldInvalid,
    ErrorReason::MessageTooLarge,
    ErrorReason::MessageMalformed,
    ErrorReason::MethodUnknown,
    ErrorReason::ContentTypeUnsupported,
    ErrorReason::RequestIdReused,
    ErrorReason::PageTokenInvalid,
    ErrorReason::RateLimited,
    ErrorReason::Draining,
];

fn reasons() -> impl Iterator<Item = ErrorReason> {
    let list = POOL.get_enum_by_name("veilcloud.common.v1.ErrorReason").expect("an enum");
    let numbers: Vec<i32> = list.values().map(|v| v.number()).filter(|n| *n != 0).collect();
    numbers.into_iter().map(|n| ErrorReason::try_from(n).expect("generated"))
}

#[test]
fn every_reason_is_given_by_somebody() {
    let mut given: BTreeSet<i32> = area_faults().iter().map(|f| f.reason() as i32).collect();
    given.extend(DOOR.iter().map(|r| *r as i32));
    given.insert(ErrorReason::DeadlineExceeded as i32);
    let missing: Vec<_> = reasons().filter(|r| !given.contains(&(*r as i32))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn only_our_own_mistakes_are_internal() {
    for fault in area_faults() {
        let damaged = fault.0.message.contains("broke its own rule");
        assert_eq!(fault.reason() == ErrorReason::Internal, damaged, "{fault:?}");
        assert!(!fault.0.message.contains("an error without a reason"));
    }
}

#[test]
fn every_row_fits_both_protocols() {
    for reason in reasons() {
        let row = row(reason);
        assert!((400..600).contains(&row.http), "{reason:?}");
        assert_ne!(row.code, Code::Unknown);
        assert!(word(reason).len() <= 63 && !word(reason).starts_with("ERROR"));
        let server_side = matches!(row.code, Code::Internal | Code::Unavailable | Code::DeadlineExceeded);
        assert_eq!(row.http >= 500 && row.http != 507, server_side, "{reason:?}");
    }
}

#[test]
fn a_status_carries_one_reason_and_never_the_cause() {
    for fault in area_faults() {
        let reason = fault.reason();
        let status = fault.into_status();
        let details = status.get_error_details();
        let info = details.error_info().expect("every error has a reason");
        assert_eq!((info.domain.as_str(), info.reason.as_str()), (DOMAIN, word(reason)));
        assert_eq!(reason_of(&status), reason);
        let response: http::Response<axum::body::Body> = problem(&status, "trace", None);
        let sent = format!("{} {:?} {:?}", status.message(), status.details(), response.headers());
        assert!(!sent.contains("SECRET") && !String::from_utf8_lossy(status.details()).contains("SECRET"));
        assert!(status.message().len() <= MESSAGE_LEN_MAX && status.details().len() <= 4096);
    }
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let status = Fault::field("é".repeat(5000), "max_len", "ü".repeat(5000)).into_status();
    assert!(status.message().len() <= MESSAGE_LEN_MAX && status.details().len() < 4096);
}

#[test]
fn a_retry_says_when_on_both_protocols() {
    let status = Fault::from(stores().remove(0)).into_status();
    assert_eq!(
        status.get_error_details().retry_info().and_then(|r| r.retry_delay),
        Some(Duration::from_secs(1))
    );
    let response = problem(&status, "trace", None);
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
}

#[test]
fn headers_repeat_what_http_wants_there() {
    let range = problem(&Fault::from(StorageError::Range { length: 9 }).into_status(), "t", None);
    assert_eq!(
        (range.status().as_u16(), range.headers()["content-range"].to_str().unwrap()),
        (416, "bytes */9")
    );
    let missing = problem(&Fault::from(AuthError::Missing).into_status(), "t", None);
    assert!(missing.headers()["www-authenticate"].to_str().unwrap().starts_with("Veil"));
    let current = Some(Etag::of(7, Digest([1; 32])));
    let mismatch = problem(&Fault::from(StorageError::EtagMismatch { current }).into_status(), "t", None);
    assert_eq!(mismatch.status().as_u16(), 412);
    assert!(mismatch.headers()["etag"].to_str().unwrap().starts_with("\"v7-"));
}

#[test]
fn a_library_status_gets_a_reason() {
    let fault = |status: Status| Fault::from_library(&status).map(|f| f.reason());
    assert_eq!(fault(Status::unimplemented("x")), Some(ErrorReason::MethodUnknown));
    assert_eq!(fault(Status::new(Code::Unknown, "x")), Some(ErrorReason::Internal));
    assert_eq!(fault(Fault::from(AuthError::Proof).into_status()), None);
}
