//! Which reasons each RPC can be refused with. What the gate refuses follows from the descriptor; what the service behind it
//! refuses stands in one row for each RPC. What must never happen: a refusal that the document does not list; the tests of
//! the port compare every answer with it.

use veilcloud_proto::common::v1::ErrorReason::{self, *};

use crate::contract::MethodInfo;

/// What any request may get, whoever sends it.
const ALWAYS: &[ErrorReason] = &[
    FieldInvalid,
    MessageTooLarge,
    MessageMalformed,
    MethodUnknown,
    ContentTypeUnsupported,
    RateLimited,
    StoreUnavailable,
    DeadlineExceeded,
    Internal,
];
/// What a caller with a credential may get.
const CALLER: &[ErrorReason] = &[
    CredentialMissing,
    CredentialInvalid,
    CredentialExpired,
    CredentialRevoked,
    ServiceTokenSent,
    ProofInvalid,
    ProofStale,
    ProofReplayed,
    PermissionDenied,
];

/// The reasons of an RPC, in the order of the contract, each once.
pub fn reasons_of(method: &MethodInfo) -> Vec<ErrorReason> {
    let access = method.access;
    let mut found = ALWAYS.to_vec();
    let mut when = |applies: bool, reasons: &[ErrorReason]| {
        if applies {
            found.extend_from_slice(reasons);
        }
    };
    let field = |name: &str| method.input.get_field_by_name(name).is_some();
    when(access.session, CALLER);
    when(access.mutation, &[Draining]);
    // A read is an entry of the log, too.
    when(access.mutation || access.permission.is_some(), &[StoreFull, LogUnavailable]);
    when(access.fresh_login, &[LoginNotFresh]);
    when(method.request_id.is_some(), &[RequestIdReused]);
    when(field("page_token"), &[PageTokenInvalid]);
    when(field("log_size"), &[LogIndexUnknown, LogBehind]);
    when(field("env_name"), &[NameInvalid, EnvironmentNotFound]);
    when(field("name"), &[NameInvalid]);
    when(true, own(&method.name).unwrap_or_default());
    found.sort_unstable_by_key(|reason| *reason as i32);
    found.dedup();
    found
}

/// What the service behind the gate adds; `None` for an RPC without a row.
fn own(name: &str) -> Option<&'static [ErrorReason]> {
    let (service, method) = name.strip_prefix("veilcloud.")?.rsplit_once('.')?;
    match service.rsplit('.').next()? {
        "ServerService" | "AccessService" => of_access(method),
        "AuthService" | "UserService" => of_account(method),
        "ApiKeyService" => of_api_keys(method),
        "TeamService" => of_teams(method),
        "ProjectService" | "ShareService" => of_projects(method),
        "EnvironmentService" => of_environments(method),
        "StorageService" | "UploadService" => of_storage(method),
        "AuditService" => of_audit(method),
        _ => None,
    }
}

fn of_access(method: &str) -> Option<&'static [ErrorReason]> {
    Some(match method {
        "IssueCapability" => &[LoginNotFresh, CapabilityLimit, HolderInvalid],
        "RevokeCapability" => &[LoginNotFresh, CapabilityUnknown],
        "GetServerInfo" | "ListPermissions" | "VerifyCapability" | "ListCapabilities" | "ListIssuers"
        | "ExplainAccess" => &[],
        _ => return None,
    })
}

fn of_account(method: &str) -> Option<&'static [ErrorReason]> {
    Some(match method {
        "RegisterStart" => &[PermissionDenied, EmailTaken, LoginMessageInvalid],
        "RegisterFinish" => &[PermissionDenied, EmailTaken, LoginMessageInvalid, AccountBundleInvalid],
        "LoginStart" => &[LoginMessageInvalid],
        "LoginFinish" => &[LoginFailed, AttemptUnknown, LoginMessageInvalid],
        "Refresh" => &[RefreshInvalid, RefreshReused],
        "RecoverStart" => &[RecoveryFailed, LoginMessageInvalid],
        "RecoverFinish" => &[RecoveryFailed, AttemptUnknown, LoginMessageInvalid, AccountBundleInvalid],
        "ChangePasswordStart" | "ChangePasswordFinish" => &[AttemptUnknown, LoginMessageInvalid],
        "DeleteMe" => &[TeamHasMembers],
        "FindUser" => &[UserUnknown],
        "Logout" | "GetMe" | "UpdateMe" => &[],
        _ => return None,
    })
}

fn of_api_keys(method: &str) -> Option<&'static [ErrorReason]> {
    Some(match method {
        "CreateApiKey" => &[ApiKeyTaken, ApiKeyLimit, KeyRecordInvalid],
        "RotateApiKey" => &[ApiKeyUnknown, ApiKeyRotated, KeyRecordInvalid],
        "GetOwnApiKey" => &[ApiKeyNeeded, ApiKeyUnknown],
        "RevokeApiKey" => &[ApiKeyUnknown],
        "ListApiKeys" => &[],
        _ => return None,
    })
}

fn of_teams(method: &str) -> Option<&'static [ErrorReason]> {
    Some(match method {
        "CreateTeam" => &[TeamNameTaken, TeamLimit],
        "UpdateTeam" => &[TeamNameTaken],
        "AddMember" => &[UserUnknown, MemberExists, MemberLimit],
        "UpdateMember" | "RemoveMember" => &[MemberUnknown, TeamOwnerStays],
        "ListTeams" | "GetTeam" | "DeleteTeam" | "ListMembers" => &[],
        _ => return None,
    })
}

fn of_projects(method: &str) -> Option<&'static [ErrorReason]> {
    Some(match method {
        "CreateProject" => &[ProjectNameTaken, ProjectLimit],
        "UpdateProject" => &[ProjectNameTaken],
        "ShareProject" => &[AccessListInvalid, AccessListStale, ShareLimit],
        "UnshareProject" => &[AccessListInvalid, AccessListStale, ShareUnknown],
        "PutAccessList" => &[AccessListInvalid, AccessListStale],
        "GetAccessList" => &[AccessListUnknown],
        "ListProjects" | "GetProject" | "DeleteProject" | "ListShares" => &[],
        _ => return None,
    })
}

fn of_environments(method: &str) -> Option<&'static [ErrorReason]> {
    Some(match method {
        "CreateEnvironment" => &[EnvironmentExists, EnvironmentLimit, KeyringInvalid, AccessListStale],
        "CloneEnvironment" => &[
            EnvironmentNotFound,
            EnvironmentExists,
            EnvironmentLimit,
            VersionNotFound,
            BlobNotFound,
            KeyringInvalid,
            AccessListStale,
        ],
        "RotateEnvironmentKey" => &[EnvironmentNotFound, EpochStale, KeyringInvalid, AccessListStale],
        "AddKeyring" => &[EnvironmentNotFound, EpochStale, KeyringInvalid, KeyringExists, AccessListStale],
        "GetKeyring" => &[EnvironmentNotFound, EpochStale],
        "UnlockKeyring" => {
            &[EnvironmentNotFound, EpochStale, ApiKeyNeeded, ApiKeyOpensNothing, KeyringNotAdded]
        }
        "GetEnvironment" | "DeleteEnvironment" => &[EnvironmentNotFound],
        "ListEnvironments" => &[],
        _ => return None,
    })
}

fn of_storage(method: &str) -> Option<&'static [ErrorReason]> {
    Some(match method {
        "PutBlob" => &[
            PreconditionRequired,
            EtagMismatch,
            EpochStale,
            RotationDue,
            SealInvalid,
            DigestMismatch,
            StanzaRefused,
            BlobTooLarge,
            QuotaExceeded,
        ],
        "GetBlob" | "ReadBlob" | "StatBlob" => {
            &[BlobNotFound, VersionNotFound, RangeNotSatisfiable, BlobTooLarge]
        }
        "DeleteBlob" => &[BlobNotFound, PreconditionRequired, EtagMismatch],
        "StartUpload" => &[
            PreconditionRequired,
            EtagMismatch,
            EpochStale,
            RotationDue,
            SealInvalid,
            BlobTooLarge,
            UploadLimit,
            QuotaExceeded,
        ],
        "PutChunk" => &[UploadNotFound, ChunkInvalid, BlobTooLarge, QuotaExceeded],
        "GetUpload" | "AbortUpload" => &[UploadNotFound],
        "CommitUpload" => &[
            UploadNotFound,
            UploadIncomplete,
            EtagMismatch,
            EpochStale,
            RotationDue,
            SealInvalid,
            DigestMismatch,
            StanzaRefused,
            QuotaExceeded,
        ],
        "ListBlobs" | "ListVersions" => &[],
        _ => return None,
    })
}

fn of_audit(method: &str) -> Option<&'static [ErrorReason]> {
    Some(match method {
        "GetProof" | "GetAccountProof" => &[LogIndexUnknown, LogBehind],
        "VerifyProof" => &[LogProofInvalid, LogPolicyInvalid],
        "GetLogFile" | "GetAccountLogFile" | "GetDirectoryFile" => &[LogFileUnknown],
        "GetAccountKey" => &[AccountKeyUnknown, LogIndexUnknown, LogBehind],
        "GetLog" | "GetAccountLog" => &[LogBehind],
        "ListEvents" | "ListAccountEvents" | "ExportEvents" | "ExportAccountEvents" | "CreateLogToken" => &[],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contract::METHODS;

    #[test]
    fn every_rpc_has_its_row() {
        let without: BTreeSet<&str> =
            METHODS.values().map(|method| method.name.as_str()).filter(|name| own(name).is_none()).collect();
        assert!(without.is_empty(), "say in server/api/src/rest/openapi/outcome.rs what refuses {without:?}");
    }

    #[test]
    fn every_reason_is_some_answer() {
        // What only the paths beside the RPCs answer.
        let beside = [LogTokenInvalid, Unspecified];
        let said: BTreeSet<i32> =
            METHODS.values().flat_map(reasons_of).chain(beside).map(|reason| reason as i32).collect();
        let unsaid: Vec<ErrorReason> = (0..1000)
            .filter_map(|n| ErrorReason::try_from(n).ok())
            .filter(|r| !said.contains(&(*r as i32)))
            .collect();
        assert!(
            unsaid.is_empty(),
            "no RPC answers {unsaid:?}: name them in server/api/src/rest/openapi/outcome.rs"
        );
    }

    #[test]
    fn the_gate_adds_what_the_descriptor_says() {
        let of = |path: &str| reasons_of(&METHODS[path]);
        let login = of("/veilcloud.auth.v1.AuthService/LoginStart");
        assert!(!login.contains(&CredentialMissing) && login.contains(&RateLimited));
        let list = of("/veilcloud.projects.v1.ProjectService/ListProjects");
        assert!(list.contains(&PageTokenInvalid) && !list.contains(&Draining));
        let put = of("/veilcloud.storage.v1.StorageService/PutBlob");
        assert!(
            put.contains(&Draining) && put.contains(&RequestIdReused) && put.contains(&EnvironmentNotFound)
        );
        assert!(put.is_sorted_by_key(|reason| *reason as i32));
    }
}
