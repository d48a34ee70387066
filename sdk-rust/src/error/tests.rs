use super::*;
use crate::transport::Failure;
use crate::transport::fake::refusal;

fn api(reason: &str) -> Error {
    match refusal("UNKNOWN", reason, None) {
        Failure::Api(e) => Error::Api(e),
        Failure::Network(_) => unreachable!("a refusal is of the server"),
    }
}

/// Every reason of the contract, without its prefix.
fn reasons() -> Vec<String> {
    let reasons =
        veilcloud_proto::POOL.get_enum_by_name("veilcloud.common.v1.ErrorReason").expect("in the contract");
    let names = reasons.values().map(|value| value.name().trim_start_matches("ERROR_REASON_").to_owned());
    names.filter(|name| name != "UNSPECIFIED").collect()
}

#[test]
fn every_reason_of_the_contract_has_a_remedy() {
    for reason in reasons() {
        assert!(!api(&reason).remedy().is_empty(), "{reason}");
    }
}

#[test]
fn reasons_are_sorted_by_what_the_caller_can_do() {
    for (reason, kind) in [
        ("CREDENTIAL_EXPIRED", ErrorKind::Auth),
        ("LOGIN_NOT_FRESH", ErrorKind::Auth),
        ("PERMISSION_DENIED", ErrorKind::Denied),
        ("QUOTA_EXCEEDED", ErrorKind::Denied),
        ("ENVIRONMENT_NOT_FOUND", ErrorKind::NotFound),
        ("VERSION_NOT_FOUND", ErrorKind::NotFound),
        ("ETAG_MISMATCH", ErrorKind::Conflict),
        ("PROJECT_NAME_TAKEN", ErrorKind::Conflict),
        ("TEAM_NAME_TAKEN", ErrorKind::Conflict),
        ("TEAM_LIMIT", ErrorKind::Denied),
        ("USER_UNKNOWN", ErrorKind::NotFound),
        ("FIELD_INVALID", ErrorKind::Usage),
        ("RATE_LIMITED", ErrorKind::RateLimited { retry_after: None }),
        ("STORE_FULL", ErrorKind::Server),
        ("INTERNAL", ErrorKind::Server),
        ("A_REASON_OF_TOMORROW", ErrorKind::Server),
    ] {
        assert_eq!(api(reason).kind(), kind, "{reason}");
    }
}

#[test]
fn every_cause_on_the_way_has_a_remedy_of_its_own() {
    let failures = [
        NetworkError::Dns { host: "host".into() },
        NetworkError::Refused { address: "host:1".into() },
        NetworkError::Unreachable { address: "host:1".into(), detail: "no route".into() },
        NetworkError::Tls(TlsFailure::Expired),
        NetworkError::Tls(TlsFailure::UnknownCa),
        NetworkError::Tls(TlsFailure::WrongName),
        NetworkError::Tls(TlsFailure::Version),
        NetworkError::Tls(TlsFailure::NotTls),
        NetworkError::Alpn,
        NetworkError::Timeout { after: Duration::from_secs(1) },
        NetworkError::Proxy { status: 502 },
        NetworkError::Lost { detail: "reset".into() },
    ];
    let remedies: std::collections::BTreeSet<_> = failures.iter().map(NetworkError::remedy).collect();
    assert_eq!(remedies.len(), failures.len());
}
