//! What accounts and sessions need from outside.

use async_trait::async_trait;
use veilcore::id::{AccountId, ApiKeyId, AttemptId, SessionId};
use veilsign::nullifier::Nullifier;

use super::model::{Account, Attempt, Deletion, Email, Ending, NewCredentials, Rotation, Session, Standing};
use crate::{audit::model::Line, store::StoreError};

/// People and their sessions.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Creates the account unless its e-mail or id is taken (`false`), with its audit lines: all of them in the same
    /// transaction, whatever their trails. [`Account::key_index`] is from then on the index of the directory's line, if
    /// one is among them.
    async fn create_account(&self, account: Account, lines: Vec<Line>) -> Result<bool, StoreError>;
    /// The account with this e-mail.
    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError>;
    /// The account with this id.
    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError>;
    /// Changes the display name; `false` when there is no such account.
    async fn rename_account(
        &self,
        id: AccountId,
        display_name: String,
        line: Line,
    ) -> Result<bool, StoreError>;
    /// Replaces the credentials and ends the sessions named, in one transaction. A recovery revokes the account's API keys,
    /// too, each with a line ([`crate::auth::api_keys::model::line_about`]) at the time of the first line: whoever takes
    /// an account back does not know who made them. `false`, and nothing changes, when there
    /// is no such account, when its record does not hash to `record_hash` (SHA-256) any more, or when the session that
    /// `ending` spares is not live: whoever proved something against the old record came too late. A directory's line
    /// among the lines becomes the account's newest.
    async fn replace_credentials(
        &self,
        id: AccountId,
        record_hash: [u8; 32],
        new: NewCredentials,
        ending: Ending,
        lines: Vec<Line>,
    ) -> Result<bool, StoreError>;
    /// Deletes the account, its sessions, projects, environments, versions, uploads and the teams in which it is alone,
    /// and takes it out of the others, with its audit lines. The owner of each team that it was in gets a line, too:
    /// [`crate::teams::model::left`] at the time of the first line. Nothing changes while the account owns a team with
    /// somebody else in it. Bytes go with the next sweep.
    async fn delete_account(&self, id: AccountId, lines: Vec<Line>) -> Result<Deletion, StoreError>;
    /// Opens a session, if there is such an account and its record hashes to `record_hash` (SHA-256), which the login was
    /// proven against; otherwise `false`. Of the account's live sessions at most `limit` stay, this one among them: the
    /// oldest end, each with a line of the kind [`crate::audit::model::Kind::SessionEnd`] besides.
    async fn open_session(
        &self,
        session: Session,
        record_hash: [u8; 32],
        limit: u32,
        line: Line,
    ) -> Result<bool, StoreError>;
    /// Trades the token with hash `old` for the one with hash `new`, once. The same trade again, while `new` is still the
    /// session's current token, gives the same answer and changes nothing, not even the trail. Any other use of an `old`
    /// that was traded before revokes the session, and the line is then of the kind
    /// [`crate::audit::model::Kind::SessionReuse`]. A `new` that any session has or had is refused as unknown. Only the
    /// store knows whose session it is: it sets the line's trail and actor.
    /// A token whose session has another holder key than `holder_pk` proves is the caller's to check: see `holder_of`.
    async fn rotate_refresh(
        &self,
        old: [u8; 32],
        new: [u8; 32],
        now_ms: u64,
        line: Line,
    ) -> Result<Rotation, StoreError>;
    /// The holder key of the session that has or had the token with this hash.
    async fn holder_of(&self, refresh_hash: [u8; 32]) -> Result<Option<[u8; 32]>, StoreError>;
    /// How a session stands now. Asked on every request: must be answered from memory when asked again.
    async fn standing(&self, account: AccountId, session: SessionId) -> Result<Option<Standing>, StoreError>;
    /// Ends sessions; effective for every `standing` asked after it returns.
    async fn end_sessions(&self, account: AccountId, ending: Ending, line: Line) -> Result<(), StoreError>;
}

/// Half-finished protocol runs. Bounded: when it is full, the oldest goes.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Keeps an attempt until `expires_at_ms`.
    async fn keep(&self, id: AttemptId, attempt: Attempt, expires_at_ms: u64) -> Result<(), StoreError>;
    /// Takes the attempt, once; `None` when it is unknown, taken or expired.
    async fn take(&self, id: AttemptId, now_ms: u64) -> Result<Option<Attempt>, StoreError>;
}

/// A window of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Tokens in the window.
    pub limit: u32,
    /// Length of the window in seconds.
    pub seconds: u32,
}

/// What is left of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The window.
    pub window: Window,
    /// Tokens that can be taken now.
    pub left: u32,
    /// When every token is back, if none is taken meanwhile.
    pub reset_after_ms: u64,
}

/// What the meter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The tokens were taken.
    Granted {
        /// The window with the fewest tokens left; `None` without windows.
        tightest: Option<Left>,
    },
    /// A window has too few tokens; none were taken.
    Refused {
        /// The window that refused, with what is left of it: less than was asked for.
        left: Left,
        /// When to try again.
        retry_after_ms: u64,
    },
}

/// How the keys of guarded windows begin: those that bound guesses of a secret.
pub const GUARD: &str = "guard:";

/// Takes tokens from a caller's tier. In no span of a window's length are more taken than its limit.
#[async_trait]
pub trait Meter: Send + Sync {
    /// Takes `cost` tokens from every window of `key`, or from none. A bounded store may forget windows when it is full,
    /// but never one whose key begins with [`GUARD`]: rather it fails as full, and the guess is not let through.
    async fn take(&self, key: &str, cost: u32, windows: &[Window], now_ms: u64) -> Result<Taken, StoreError>;
}

/// Spends each request proof once within its window.
#[async_trait]
pub trait Nullifiers: Send + Sync {
    /// True when the nullifier is fresh; it is spent from then on until `expires_at_ms`.
    async fn spend(&self, nullifier: Nullifier, expires_at_ms: u64, now_ms: u64) -> Result<bool, StoreError>;
}

/// Names a request that may be repeated: who, by which API key if by one, which method, which `request_id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Account of the caller.
    pub account: AccountId,
    /// The API key that asked; `None` for a session. Keys of one account get nothing of each other's answers.
    pub api_key: Option<ApiKeyId>,
    /// Full method name.
    pub method: String,
    /// The caller's `request_id`.
    pub request_id: [u8; 16],
}

/// What is known of a repeated request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nobody used this id; it is the caller's to answer now.
    Fresh,
    /// Another call with this id is being answered right now.
    Busy,
    /// It was answered; this is the answer.
    Answered(Vec<u8>),
    /// It was used with other content.
    OtherContent,
}

/// Remembers the answers of requests that carry a `request_id`, for 24 hours.
#[async_trait]
pub trait Replies: Send + Sync {
    /// Claims the key for content with this hash.
    async fn claim(&self, key: &RequestKey, content: [u8; 32], now_ms: u64) -> Result<Claim, StoreError>;
    /// Remembers the answer. Durable no later than the next commit of the same store.
    async fn answer(&self, key: &RequestKey, reply: Vec<u8>, expires_at_ms: u64) -> Result<(), StoreError>;
    /// Gives the claim back: the call failed and may be tried again with any content.
    async fn release(&self, key: &RequestKey) -> Result<(), StoreError>;
}
