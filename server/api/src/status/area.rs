//! Each area's errors as faults.

use std::time::Duration;

use veilcloud_domain::{
    audit::error::AuditError,
    auth::{api_keys::error::ApiKeyError, capabilities::error::CapabilitiesError, error::AuthError},
    name::NameInvalid,
    projects::{error::ProjectsError, unlock::UnlockError},
    storage::error::StorageError,
    store::StoreError,
    teams::error::TeamsError,
};
use veilcloud_proto::common::v1::ErrorReason as R;

use super::Fault;

/// When to ask again for a leaf that no witness has seen yet.
const WITNESS_RETRY: Duration = Duration::from_secs(2);
/// When to try again after a store could not answer.
const STORE_RETRY: Duration = Duration::from_secs(1);

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable { .. } => {
                Self::new(R::StoreUnavailable, "the store cannot answer now; nothing was changed")
                    .retry_after(STORE_RETRY)
                    .cause(error.to_string())
            }
            StoreError::Unlogged { .. } => {
                let text = "the change was made, but the log could not take its event yet";
                Self::new(R::LogUnavailable, text).retry_after(STORE_RETRY).cause(error.to_string())
            }
            StoreError::Full { .. } => {
                Self::new(R::StoreFull, "the store is full; nothing was changed").cause(error.to_string())
            }
            _ => Self::internal(error.to_string()),
        }
    }
}

impl From<NameInvalid> for Fault {
    fn from(error: NameInvalid) -> Self {
        Self::new(R::NameInvalid, error.to_string())
    }
}

impl From<AuthError> for Fault {
    fn from(error: AuthError) -> Self {
        let text = error.to_string();
        match error {
            AuthError::Missing => Self::new(R::CredentialMissing, text),
            AuthError::Invalid => Self::new(R::CredentialInvalid, text),
            AuthError::Expired => Self::new(R::CredentialExpired, text),
            AuthError::Revoked => Self::new(R::CredentialRevoked, text),
            AuthError::Two => Self::new(R::CredentialInvalid, text),
            AuthError::ServiceToken => Self::new(R::ServiceTokenSent, text),
            AuthError::Network => Self::new(R::PermissionDenied, text),
            AuthError::Proof => Self::new(R::ProofInvalid, text),
            AuthError::Stale { skew_ms, limit_ms } => {
                Self::new(R::ProofStale, text).with("skew_ms", skew_ms).with("limit_ms", limit_ms)
            }
            AuthError::Replayed => Self::new(R::ProofReplayed, text),
            AuthError::LoginFailed => Self::new(R::LoginFailed, text),
            AuthError::AttemptUnknown => Self::new(R::AttemptUnknown, text),
            AuthError::EmailTaken => Self::new(R::EmailTaken, text),
            AuthError::RefreshInvalid => Self::new(R::RefreshInvalid, text),
            AuthError::RefreshReused => Self::new(R::RefreshReused, text),
            AuthError::RecoveryFailed => Self::new(R::RecoveryFailed, text),
            AuthError::RegistrationClosed => Self::new(R::PermissionDenied, text),
            AuthError::NotFresh => Self::new(R::LoginNotFresh, text),
            AuthError::Bundle => Self::new(R::AccountBundleInvalid, text),
            AuthError::Message => Self::new(R::LoginMessageInvalid, text),
            AuthError::Confirmation => {
                Self::field("confirm_email", "confirmation", "is not the account's e-mail")
            }
            AuthError::OwnsTeams { teams } => Self::new(R::TeamHasMembers, text).with("teams", teams),
            AuthError::UserUnknown => Self::new(R::UserUnknown, text),
            AuthError::Mask { field } => mask(&field),
            AuthError::DisplayName => {
                Self::field("display_name", "format", "has at most 100 bytes and no control characters")
            }
            AuthError::Store(error) => error.into(),
            error => Self::internal(format!("an error without a reason: {error}")),
        }
    }
}

impl From<ApiKeyError> for Fault {
    fn from(error: ApiKeyError) -> Self {
        let text = error.to_string();
        match error {
            ApiKeyError::Taken => Self::new(R::ApiKeyTaken, text),
            ApiKeyError::Limit { limit } => Self::new(R::ApiKeyLimit, text).with("limit", limit),
            ApiKeyError::Denied => Self::new(R::PermissionDenied, text),
            ApiKeyError::Unknown => Self::new(R::ApiKeyUnknown, text),
            ApiKeyError::Rotated { generation } => {
                Self::new(R::ApiKeyRotated, text).with("generation", generation)
            }
            ApiKeyError::Record { check } => Self::new(R::KeyRecordInvalid, text).with("check", check),
            ApiKeyError::NoKey => Self::new(R::ApiKeyNeeded, text),
            ApiKeyError::OpensNothing => Self::new(R::ApiKeyOpensNothing, text),
            ApiKeyError::Scope { field, rule } => Self::field(field, "scope", rule),
            ApiKeyError::Store(error) => error.into(),
            error => Self::internal(format!("an error without a reason: {error}")),
        }
    }
}

impl From<CapabilitiesError> for Fault {
    fn from(error: CapabilitiesError) -> Self {
        let text = error.to_string();
        match error {
            CapabilitiesError::Denied => Self::new(R::PermissionDenied, text),
            CapabilitiesError::Limit { limit } => Self::new(R::CapabilityLimit, text).with("limit", limit),
            CapabilitiesError::Unknown => Self::new(R::CapabilityUnknown, text),
            CapabilitiesError::Holder => Self::new(R::HolderInvalid, text),
            CapabilitiesError::Field { field, rule } => Self::field(field, "grant", rule),
            CapabilitiesError::Auth(error) => error.into(),
            CapabilitiesError::Projects(error) => error.into(),
            CapabilitiesError::Store(error) => error.into(),
            error => Self::internal(format!("an error without a reason: {error}")),
        }
    }
}

impl From<ProjectsError> for Fault {
    fn from(error: ProjectsError) -> Self {
        let text = error.to_string();
        match error {
            ProjectsError::Denied => Self::new(R::PermissionDenied, text),
            ProjectsError::Name(error) => error.into(),
            ProjectsError::NameTaken { .. } => Self::new(R::ProjectNameTaken, text),
            ProjectsError::ProjectLimit { limit } => Self::new(R::ProjectLimit, text).with("limit", limit),
            ProjectsError::EnvironmentNotFound { .. } => Self::new(R::EnvironmentNotFound, text),
            ProjectsError::EnvironmentExists { .. } => Self::new(R::EnvironmentExists, text),
            ProjectsError::EnvironmentLimit { limit } => {
                Self::new(R::EnvironmentLimit, text).with("limit", limit)
            }
            ProjectsError::VersionNotFound { version, current } => {
                Self::new(R::VersionNotFound, text).with("version", version).with("current_version", current)
            }
            ProjectsError::Keyring { check } => Self::new(R::KeyringInvalid, text).with("check", check),
            ProjectsError::EpochStale { current } => {
                Self::new(R::EpochStale, text).with("current_epoch", current)
            }
            ProjectsError::AccessList { check } => Self::new(R::AccessListInvalid, text).with("check", check),
            ProjectsError::AccessListStale { current } => {
                Self::new(R::AccessListStale, text).with("current_number", current)
            }
            ProjectsError::AccessListUnknown { number, current } => {
                Self::new(R::AccessListUnknown, text).with("number", number).with("current_number", current)
            }
            ProjectsError::Permissions => Self::field("permissions", "format", text),
            ProjectsError::ShareUnknown => Self::new(R::ShareUnknown, text),
            ProjectsError::ShareLimit { limit } => Self::new(R::ShareLimit, text).with("limit", limit),
            ProjectsError::KeyringExists => Self::new(R::KeyringExists, text),
            ProjectsError::KeyringNotAdded => Self::new(R::KeyringNotAdded, text),
            ProjectsError::Mask { field } => mask(&field),
            ProjectsError::Store(error) => error.into(),
            error => Self::internal(format!("an error without a reason: {error}")),
        }
    }
}

impl From<UnlockError> for Fault {
    fn from(error: UnlockError) -> Self {
        match error {
            UnlockError::Key(error) => error.into(),
            UnlockError::Projects(error) => error.into(),
            error => Self::internal(format!("an error without a reason: {error}")),
        }
    }
}

impl From<TeamsError> for Fault {
    fn from(error: TeamsError) -> Self {
        let text = error.to_string();
        match error {
            TeamsError::Denied => Self::new(R::PermissionDenied, text),
            TeamsError::Name(error) => error.into(),
            TeamsError::NameTaken { .. } => Self::new(R::TeamNameTaken, text),
            TeamsError::TeamLimit { limit } => Self::new(R::TeamLimit, text).with("limit", limit),
            TeamsError::MemberLimit { limit } => Self::new(R::MemberLimit, text).with("limit", limit),
            TeamsError::AccountUnknown => Self::new(R::UserUnknown, text),
            TeamsError::MemberExists => Self::new(R::MemberExists, text),
            TeamsError::MemberUnknown => Self::new(R::MemberUnknown, text),
            TeamsError::OwnerStays => Self::new(R::TeamOwnerStays, text),
            TeamsError::RoleRefused => Self::field("role", "format", "must be admin or member"),
            TeamsError::Threshold { limit } => {
                Self::field("threshold", "max_value", format!("must be at most {limit}"))
            }
            TeamsError::Mask { field } => mask(&field),
            TeamsError::Store(error) => error.into(),
            error => Self::internal(format!("an error without a reason: {error}")),
        }
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        let text = error.to_string();
        match error {
            StorageError::Projects(error) => error.into(),
            StorageError::BlobNotFound => Self::new(R::BlobNotFound, text),
            StorageError::VersionNotFound { version, current } => {
                Self::new(R::VersionNotFound, text).with("version", version).with("current_version", current)
            }
            StorageError::PreconditionRequired => Self::new(R::PreconditionRequired, text),
            StorageError::PreconditionInvalid { .. } => Self::field(
                "if_match",
                "format",
                "must be an entity tag of this platform, and if_none_match \"*\"",
            ),
            StorageError::EtagMismatch { current } => {
                let fault = Self::new(R::EtagMismatch, text);
                let tag = current.map(|tag| tag.to_string()).unwrap_or_default();
                fault.with("current_etag", tag).with("current_version", current.map_or(0, |tag| tag.version))
            }
            StorageError::EpochStale { current } => {
                Self::new(R::EpochStale, text).with("current_epoch", current)
            }
            StorageError::RotationDue { current } => {
                Self::new(R::RotationDue, text).with("current_epoch", current)
            }
            StorageError::Seal { check } => Self::new(R::SealInvalid, text).with("check", check),
            StorageError::DigestMismatch => Self::new(R::DigestMismatch, text),
            StorageError::Stanza { check } => Self::new(R::StanzaRefused, text).with("check", check),
            StorageError::TooLarge { limit_bytes } => {
                Self::new(R::BlobTooLarge, text).with("limit_bytes", limit_bytes)
            }
            StorageError::Quota { quota_bytes, used_bytes } => Self::new(R::QuotaExceeded, text.clone())
                .with("quota_bytes", quota_bytes)
                .with("used_bytes", used_bytes)
                .quota(text),
            StorageError::OwnersQuota => Self::new(R::QuotaExceeded, text.clone()).quota(text),
            StorageError::UploadNotFound => Self::new(R::UploadNotFound, text),
            StorageError::UploadLimit { limit } => Self::new(R::UploadLimit, text).with("limit", limit),
            StorageError::UploadIncomplete { missing_count, first_missing } => {
                Self::new(R::UploadIncomplete, text)
                    .with("missing_count", missing_count)
                    .with("first_missing", first_missing)
            }
            StorageError::Chunk { check } => Self::new(R::ChunkInvalid, text).with("check", check),
            StorageError::Range { length } => Self::new(R::RangeNotSatisfiable, text).with("length", length),
            StorageError::Store(error) => error.into(),
            error => Self::internal(format!("an error without a reason: {error}")),
        }
    }
}

impl From<AuditError> for Fault {
    fn from(error: AuditError) -> Self {
        let text = error.to_string();
        match error {
            AuditError::Projects(error) => error.into(),
            AuditError::Index { index, size } => {
                Self::new(R::LogIndexUnknown, text).with("index", index).with("log_size", size)
            }
            AuditError::Behind { .. } => Self::new(R::LogBehind, text).retry_after(WITNESS_RETRY),
            AuditError::File => Self::new(R::LogFileUnknown, text),
            AuditError::Proof { check } => Self::new(R::LogProofInvalid, text).with("check", check),
            AuditError::Policy { check } => Self::new(R::LogPolicyInvalid, text).with("check", check),
            AuditError::Token => Self::new(R::LogTokenInvalid, text),
            AuditError::KeyUnknown => Self::new(R::AccountKeyUnknown, text),
            AuditError::Store(error) => error.into(),
            error => Self::internal(format!("an error without a reason: {error}")),
        }
    }
}

fn mask(field: &str) -> Fault {
    Fault::field("update_mask", "mask", format!("names {field:.40}, which cannot be changed"))
}
