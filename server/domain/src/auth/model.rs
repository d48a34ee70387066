//! People and their sessions. The server holds no password and no key that opens anything.

use std::{fmt, str::FromStr};

use veilcore::id::{AccountId, AttemptId, SessionId};
use zeroize::Zeroizing;

/// Greatest length of an e-mail address in bytes (RFC 5321, path limit).
pub const EMAIL_LEN_MAX: usize = 254;
/// Greatest length of a display name in bytes.
pub const DISPLAY_NAME_LEN_MAX: usize = 100;

/// Most live sessions of one account; opening one more ends the oldest.
pub const SESSIONS_MAX: u32 = 100;

/// A normalised e-mail address: ASCII, lower case, one `@`, something on both sides.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

/// The text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address is ASCII, at most 254 bytes, with exactly one '@' and no white space")]
pub struct EmailInvalid;

impl Email {
    /// The address as text. Personal data: never log it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = EmailInvalid;

    fn from_str(text: &str) -> Result<Self, EmailInvalid> {
        let text = text.trim().to_ascii_lowercase();
        let (local, host) = text.split_once('@').ok_or(EmailInvalid)?;
        let plain = text.bytes().all(|b| b.is_ascii_graphic());
        if local.is_empty() || host.is_empty() || host.contains('@') || !plain || text.len() > EMAIL_LEN_MAX {
            return Err(EmailInvalid);
        }
        Ok(Self(text))
    }
}

// Personal data does not reach a log by way of `{:?}`.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

/// Rate tier of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// 100 tokens a minute, 1,000 a day.
    Free,
    /// 1,000 tokens a minute, 50,000 a day.
    Pro,
    /// 5,000 tokens a minute.
    Team,
    /// What the operator sets; nothing set is no bound.
    Enterprise,
}

impl Tier {
    /// The tier's name: `free`, `pro`, `team`, `enterprise`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pro => "pro",
            Self::Team => "team",
            Self::Enterprise => "enterprise",
        }
    }

    /// The tier's number in a capability.
    pub fn number(self) -> u8 {
        match self {
            Self::Free => 0,
            Self::Pro => 1,
            Self::Team => 2,
            Self::Enterprise => 3,
        }
    }
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "free" => Ok(Self::Free),
            "pro" => Ok(Self::Pro),
            "team" => Ok(Self::Team),
            "enterprise" => Ok(Self::Enterprise),
            other => Err(format!("unknown tier {other:?}: free, pro, team or enterprise")),
        }
    }
}

/// An account as the directory keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Random id, chosen by the client and bound into its keys.
    pub id: AccountId,
    /// Address it logs in with; unique.
    pub email: Email,
    /// Name to show.
    pub display_name: String,
    /// Rate tier.
    pub tier: Tier,
    /// OPAQUE registration record, 192 bytes.
    pub record: Vec<u8>,
    /// Signed account bundle with the public keys.
    pub bundle: Vec<u8>,
    /// Root key wrapped under the password factor, 74 bytes.
    pub password_wrap: Vec<u8>,
    /// Root key wrapped under the recovery code, 74 bytes.
    pub recovery_wrap: Vec<u8>,
    /// Every capability with a lower epoch is revoked.
    pub revocation_epoch: u32,
    /// Bytes the account may store.
    pub quota_bytes: u64,
    /// Registration time.
    pub created_at_ms: u64,
    /// Index, in the directory's log, of the newest line about its keys: the store gives it when it writes the line,
    /// whatever the caller put there. `None` for accounts from before there was a log.
    pub key_index: Option<u64>,
}

/// What a password change or recovery replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredentials {
    /// OPAQUE registration record, 192 bytes.
    pub record: Vec<u8>,
    /// Root key wrapped under the new password.
    pub password_wrap: Vec<u8>,
    /// New account bundle and recovery wrap; recovery only.
    pub recovery: Option<NewRecovery>,
}

/// What a recovery replaces beyond the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecovery {
    /// Signed account bundle with the new code's verifier.
    pub bundle: Vec<u8>,
    /// Root key wrapped under the new code.
    pub wrap: Vec<u8>,
}

/// One login: a holder key, renewed capabilities, a chain of refresh tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Session id; every capability of the session carries it.
    pub id: SessionId,
    /// Account.
    pub account: AccountId,
    /// Ed25519 public key that proves possession.
    pub holder_pk: [u8; 32],
    /// SHA-256 of the refresh token that is good now.
    pub refresh_hash: [u8; 32],
    /// When the person logged in.
    pub logged_in_at_ms: u64,
    /// When the session can no longer be refreshed.
    pub expires_at_ms: u64,
}

/// What the gate asks about a session on every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// False once the session was logged out or revoked.
    pub live: bool,
    /// The account's current revocation epoch.
    pub revocation_epoch: u32,
    /// The account's tier now.
    pub tier: Tier,
    /// When the person logged in.
    pub logged_in_at_ms: u64,
}

/// Which sessions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Only this one.
    One(SessionId),
    /// All of the account; its revocation epoch goes up.
    All,
    /// All of the account but this one.
    AllBut(SessionId),
}

/// What became of the deletion of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// It is gone.
    Done {
        /// Owners of the teams that it was in; each was told in their trail.
        told: Vec<AccountId>,
    },
    /// There is no such account.
    Unknown,
    /// It owns this many teams in which somebody else is.
    OwnsTeams(u32),
}

impl Deletion {
    /// Whether the account is gone now.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// What became of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// The token was good; the session has the new one now, or had it already by this very trade.
    Rotated(Session),
    /// The token was used before: somebody has a copy, so the session is revoked now.
    Reused {
        /// The session that is over.
        session: SessionId,
        /// Whose it was.
        account: AccountId,
    },
    /// No live session has or had this token, or the new one is not new.
    Unknown,
}

/// The server's half of a protocol between its two steps.
#[derive(Clone)]
pub enum Attempt {
    /// Between `LoginStart` and `LoginFinish`.
    Login {
        /// Account, or `None` for an unknown e-mail that plays along.
        account: Option<AccountId>,
        /// SHA-256 of the record it was started with: a password changed in between ends the attempt.
        record_hash: [u8; 32],
        /// First message, as received.
        ke1: Vec<u8>,
        /// Second message, as sent.
        ke2: Vec<u8>,
        /// OPAQUE state.
        state: Zeroizing<Vec<u8>>,
    },
    /// Between `RecoverStart` and `RecoverFinish`.
    Recover {
        /// Account, or `None` for an unknown e-mail that plays along.
        account: Option<AccountId>,
        /// Challenge that was sent.
        challenge: [u8; 32],
    },
}

/// Names an attempt between its two steps.
pub type AttemptName = AttemptId;
