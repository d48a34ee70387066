//! Every reason with its gRPC code, its HTTP status and its title. One row each; the compiler misses none.

use tonic::Code;
use veilcloud_proto::common::v1::ErrorReason;

/// What a reason means on each protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// gRPC code.
    pub code: Code,
    /// HTTP status.
    pub http: u16,
    /// Short title, the same for every occurrence (RFC 9457).
    pub title: &'static str,
}

/// A reason's word, without the enum's prefix: `ETAG_MISMATCH`.
pub fn word(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

/// A reason's row.
pub fn row(reason: ErrorReason) -> Row {
    use ErrorReason as R;
    let (code, http, title) = match reason {
        R::FieldInvalid => (Code::InvalidArgument, 400, "A field breaks its rule"),
        R::MessageTooLarge => (Code::ResourceExhausted, 413, "The message is too large"),
        R::MessageMalformed => (Code::InvalidArgument, 400, "The message is malformed"),
        R::MethodUnknown => (Code::Unimplemented, 404, "There is no such method or path"),
        R::ContentTypeUnsupported => (Code::Unimplemented, 415, "The content type is not supported"),
        R::RequestIdReused => (Code::AlreadyExists, 409, "The request id was used before"),
        R::PageTokenInvalid => (Code::InvalidArgument, 400, "The page token is not valid"),
        R::RateLimited => (Code::ResourceExhausted, 429, "Too many requests"),
        R::QuotaExceeded => (Code::ResourceExhausted, 507, "The storage quota is used up"),
        R::StoreUnavailable => (Code::Unavailable, 503, "The store is unavailable"),
        R::StoreFull => (Code::ResourceExhausted, 507, "The store is full"),
        R::Draining => (Code::Unavailable, 503, "The server is shutting down"),
        R::Unspecified | R::Internal => (Code::Internal, 500, "Internal error"),
        R::DeadlineExceeded => (Code::DeadlineExceeded, 504, "The request took too long"),

        R::CredentialMissing => (Code::Unauthenticated, 401, "A credential is needed"),
        R::CredentialInvalid => (Code::Unauthenticated, 401, "The capability is not valid"),
        R::CredentialExpired => (Code::Unauthenticated, 401, "The capability expired"),
        R::CredentialRevoked => (Code::Unauthenticated, 401, "The session was ended"),
        R::ProofInvalid => (Code::Unauthenticated, 401, "The proof does not match the request"),
        R::ProofStale => (Code::Unauthenticated, 401, "The proof's time is off"),
        R::ProofReplayed => (Code::Unauthenticated, 401, "The proof was used before"),
        R::LoginFailed => (Code::Unauthenticated, 401, "E-mail or password is wrong"),
        R::AttemptUnknown => (Code::FailedPrecondition, 409, "The attempt is unknown or over"),
        R::EmailTaken => (Code::AlreadyExists, 409, "The e-mail is registered"),
        R::RefreshInvalid => (Code::Unauthenticated, 401, "The refresh token is not valid"),
        R::RefreshReused => (Code::Unauthenticated, 401, "The refresh token was used before"),
        R::RecoveryFailed => (Code::Unauthenticated, 401, "E-mail or recovery code is wrong"),
        R::LoginNotFresh => (Code::FailedPrecondition, 403, "A fresh login is needed"),
        R::AccountBundleInvalid => (Code::InvalidArgument, 400, "The account bundle is not valid"),
        R::LoginMessageInvalid => (Code::InvalidArgument, 400, "The login message is not well formed"),

        R::PermissionDenied => (Code::PermissionDenied, 403, "Permission denied"),
        R::ProjectNameTaken => (Code::AlreadyExists, 409, "The project name is taken"),
        R::ProjectLimit => (Code::ResourceExhausted, 409, "Too many projects"),
        R::EnvironmentNotFound => (Code::NotFound, 404, "There is no such environment"),
        R::EnvironmentExists => (Code::AlreadyExists, 409, "The environment exists"),
        R::EnvironmentLimit => (Code::ResourceExhausted, 409, "Too many environments"),
        R::NameInvalid => (Code::InvalidArgument, 400, "The name is not valid"),
        R::AccessListInvalid => (Code::InvalidArgument, 400, "The access list is not valid"),
        R::AccessListStale => (Code::Aborted, 409, "There is a newer access list"),
        R::AccessListUnknown => (Code::NotFound, 404, "There is no such access list"),
        R::ShareUnknown => (Code::NotFound, 404, "The project is not shared with this team"),
        R::ShareLimit => (Code::ResourceExhausted, 409, "Too many shares"),
        R::KeyringExists => (Code::AlreadyExists, 409, "The key was wrapped before"),

        R::BlobNotFound => (Code::NotFound, 404, "The environment holds no version"),
        R::VersionNotFound => (Code::NotFound, 404, "There is no such version"),
        R::PreconditionRequired => (Code::FailedPrecondition, 428, "A precondition is required"),
        R::EtagMismatch => (Code::Aborted, 412, "Somebody wrote in between"),
        R::EpochStale => (Code::FailedPrecondition, 409, "The key was rotated"),
        R::SealInvalid => (Code::InvalidArgument, 400, "The seal is not valid"),
        R::DigestMismatch => (Code::InvalidArgument, 400, "The digest does not match"),
        R::StanzaRefused => (Code::InvalidArgument, 400, "The age file is refused"),
        R::BlobTooLarge => (Code::InvalidArgument, 413, "The blob is too large"),
        R::UploadNotFound => (Code::NotFound, 404, "There is no such upload"),
        R::UploadIncomplete => (Code::FailedPrecondition, 409, "Chunks are missing"),
        R::ChunkInvalid => (Code::InvalidArgument, 400, "The chunk is not valid"),
        R::RangeNotSatisfiable => (Code::OutOfRange, 416, "The range lies outside the blob"),
        R::KeyringInvalid => (Code::InvalidArgument, 400, "The keyring is not valid"),
        R::UploadLimit => (Code::ResourceExhausted, 409, "Too many unfinished uploads"),
        R::RotationDue => (Code::FailedPrecondition, 409, "The key has to be rotated"),

        R::LogUnavailable => (Code::Unavailable, 503, "The log could not take the event yet"),
        R::LogIndexUnknown => (Code::NotFound, 404, "The log holds no such leaf"),
        R::LogFileUnknown => (Code::NotFound, 404, "The log has no such file"),
        R::LogBehind => (Code::Unavailable, 503, "No witnessed checkpoint covers the leaf yet"),
        R::LogProofInvalid => (Code::InvalidArgument, 422, "The proof does not hold"),
        R::LogPolicyInvalid => (Code::InvalidArgument, 400, "The policy is not well formed"),
        R::LogTokenInvalid => (Code::Unauthenticated, 401, "The token is not good for this log"),
        R::TeamNameTaken => (Code::AlreadyExists, 409, "The team name is taken"),
        R::TeamLimit => (Code::ResourceExhausted, 409, "Too many teams"),
        R::MemberLimit => (Code::ResourceExhausted, 409, "Too many members"),
        R::MemberExists => (Code::AlreadyExists, 409, "The account is a member already"),
        R::MemberUnknown => (Code::NotFound, 404, "The account is not a member"),
        R::TeamOwnerStays => (Code::FailedPrecondition, 409, "The owner stays in the team"),
        R::TeamHasMembers => (Code::FailedPrecondition, 409, "The account owns a team with others in it"),
        R::UserUnknown => (Code::NotFound, 404, "There is no such account"),

        R::AccountKeyUnknown => (Code::NotFound, 404, "The directory has no such keys"),

        R::ApiKeyLimit => (Code::ResourceExhausted, 409, "Too many API keys"),
        R::ApiKeyUnknown => (Code::NotFound, 404, "There is no such API key"),
        R::ApiKeyTaken => (Code::AlreadyExists, 409, "The key id is taken"),
        R::ApiKeyRotated => (Code::Aborted, 409, "The key was rotated in between"),
        R::ServiceTokenSent => (Code::Unauthenticated, 401, "A whole service token was sent"),
        R::ApiKeyNeeded => (Code::PermissionDenied, 403, "The call is for an API key"),
        R::ApiKeyOpensNothing => (Code::FailedPrecondition, 409, "The API key opens no keyrings"),
        R::KeyringNotAdded => (Code::NotFound, 404, "Nothing was wrapped for this API key"),
        R::CapabilityLimit => (Code::ResourceExhausted, 409, "Too many issued capabilities"),
        R::CapabilityUnknown => (Code::NotFound, 404, "There is no such issued capability"),
        R::HolderInvalid => (Code::InvalidArgument, 400, "The holder key was not proved"),
        R::KeyRecordInvalid => (Code::InvalidArgument, 400, "The key's record is not valid"),
    };
    Row { code, http, title }
}
