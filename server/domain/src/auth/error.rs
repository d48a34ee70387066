//! What can be wrong with a login, a credential or a request's proof.

use crate::store::StoreError;

/// Why an account or session verb refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// No capability or proof came along.
    #[error("this call needs a session: no capability or proof was sent")]
    Missing,
    /// The capability is not ours or was altered.
    #[error("the capability is not valid")]
    Invalid,
    /// The capability's time is over.
    #[error("the capability expired")]
    Expired,
    /// The session ended.
    #[error("the session was ended")]
    Revoked,
    /// Two credentials came along.
    #[error("a request has a session's capability and proof, or an API key, not both")]
    Two,
    /// A whole service token came along, with the share that never leaves its holder.
    #[error("a whole service token was sent: send the API key inside it, and rotate the token")]
    ServiceToken,
    /// The API key is not for this address.
    #[error("this API key is not for the address it was used from")]
    Network,
    /// The proof does not match the request.
    #[error("the proof of possession does not match this request")]
    Proof,
    /// The proof's time is too far off.
    #[error("the proof is {skew_ms} ms away from the server's clock, more than {limit_ms} ms")]
    Stale {
        /// Distance of the clocks.
        skew_ms: u64,
        /// Greatest distance.
        limit_ms: u64,
    },
    /// The proof was used before.
    #[error("the proof was used before")]
    Replayed,
    /// E-mail or password is wrong.
    #[error("e-mail or password is wrong")]
    LoginFailed,
    /// The attempt is unknown, finished or too old.
    #[error("this attempt is unknown, finished or too old: start again")]
    AttemptUnknown,
    /// The operator takes no new accounts.
    #[error("this server takes no new accounts")]
    RegistrationClosed,
    /// The e-mail is registered.
    #[error("this e-mail is registered already")]
    EmailTaken,
    /// The refresh token is no good.
    #[error("the refresh token is not valid: log in again")]
    RefreshInvalid,
    /// The refresh token was used before.
    #[error("the refresh token was used before: the session is ended")]
    RefreshReused,
    /// E-mail or recovery code is wrong.
    #[error("e-mail or recovery code is wrong")]
    RecoveryFailed,
    /// The login is too old for this.
    #[error("this needs a login within the last five minutes")]
    NotFresh,
    /// The account bundle is wrong.
    #[error("the account bundle is not signed by its own key or names another account")]
    Bundle,
    /// A protocol message is not well formed.
    #[error("a message of the login protocol is not well formed")]
    Message,
    /// The e-mail typed as confirmation is not the account's.
    #[error("the confirmation is not the account's e-mail")]
    Confirmation,
    /// The account owns teams with others in them.
    #[error("the account owns {teams} teams with other members: delete them, or remove the members, first")]
    OwnsTeams {
        /// How many.
        teams: u32,
    },
    /// Nobody has this e-mail.
    #[error("there is no account with this e-mail")]
    UserUnknown,
    /// A field of an update is unknown.
    #[error("update_mask names {field}, which cannot be changed")]
    Mask {
        /// The field.
        field: String,
    },
    /// The display name is too long or has control characters.
    #[error("a display name has at most 100 bytes and no control characters")]
    DisplayName,
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
