//! Audit lines: ids, times and commitments; never a name, an address or content.

use std::{fmt, str::FromStr};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use veilchain::entry::Entry;
use veilcore::{
    canon::{DecodeError, Reader},
    id::{AccountId, ApiKeyId, EnvironmentId, ProjectId},
};
use zeroize::Zeroizing;

/// Layout of the lines that were written before there was a log; 84 bytes.
const OLD_LINE_VERSION: u8 = 1;

/// Length of a trail's bytes.
pub const TRAIL_LEN: usize = 17;

/// Whose trail a line belongs to. Each trail is a log of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trail {
    /// A project's.
    Project(ProjectId),
    /// An account's.
    Account(AccountId),
    /// The directory: which keys accounts have, and which keys sign the logs. There is one.
    Directory,
}

impl Trail {
    /// 17 bytes: 1 for a project, 2 for an account, 3 for the directory, then the id.
    pub fn to_bytes(self) -> [u8; TRAIL_LEN] {
        let mut out = [0; TRAIL_LEN];
        out[0] = match self {
            Self::Project(_) => 1,
            Self::Account(_) => 2,
            Self::Directory => 3,
        };
        out[1..].copy_from_slice(&self.id());
        out
    }

    /// Reads [`Trail::to_bytes`] back.
    pub fn from_bytes(bytes: &[u8; TRAIL_LEN]) -> Option<Self> {
        let (kind, id) = bytes.split_first_chunk::<1>()?;
        let id = <[u8; 16]>::try_from(id).ok()?;
        match kind {
            [1] => Some(Self::Project(ProjectId::from_bytes(id))),
            [2] => Some(Self::Account(AccountId::from_bytes(id))),
            [3] if id == [0; 16] => Some(Self::Directory),
            _ => None,
        }
    }

    /// The id that its entries name: the project's or account's, zero for the directory.
    pub fn id(self) -> [u8; 16] {
        match self {
            Self::Project(id) => *id.as_bytes(),
            Self::Account(id) => *id.as_bytes(),
            Self::Directory => [0; 16],
        }
    }
}

impl Trail {
    /// The log that an origin names, whatever it begins with.
    pub fn of_origin(origin: &str) -> Option<Self> {
        let (rest, last) = origin.rsplit_once('/')?;
        if last == "directory" {
            return Some(Self::Directory);
        }
        let kind = rest.rsplit('/').next()?;
        format!("{kind}/{last}").parse().ok()
    }
}

/// The end of an origin: `project/<id>`, `account/<id>` or `directory`.
impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(id) => write!(f, "project/{id}"),
            Self::Account(id) => write!(f, "account/{id}"),
            Self::Directory => f.write_str("directory"),
        }
    }
}

/// The text names no trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log is named project/<id>, account/<id> or directory")]
pub struct TrailInvalid;

impl FromStr for Trail {
    type Err = TrailInvalid;

    fn from_str(text: &str) -> Result<Self, TrailInvalid> {
        let trail = match text.split_once('/') {
            Some(("project", id)) => Self::Project(id.parse().map_err(|_| TrailInvalid)?),
            Some(("account", id)) => Self::Account(id.parse().map_err(|_| TrailInvalid)?),
            None if text == "directory" => Self::Directory,
            _ => return Err(TrailInvalid),
        };
        // One log has one name.
        if trail.to_string() == text { Ok(trail) } else { Err(TrailInvalid) }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal),* $(,)?) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $variant),* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The kind's name, for example `blob.put`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
            /// The kind's number in a line; never reused.
            pub fn number(self) -> u8 {
                match self { $(Self::$variant => $number),* }
            }
            /// The kind with this number.
            pub fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    /// An account was registered.
    AccountCreate = 1 "auth.register",
    /// A session was opened.
    SessionOpen = 2 "auth.login",
    /// A session was renewed.
    SessionRefresh = 3 "auth.refresh",
    /// A refresh token came twice; its session was revoked.
    SessionReuse = 4 "auth.refresh_reuse",
    /// Sessions were ended.
    SessionEnd = 5 "auth.logout",
    /// The password was changed.
    PasswordChange = 6 "auth.password",
    /// The account was recovered with the code.
    AccountRecover = 7 "auth.recover",
    /// The account was changed.
    AccountUpdate = 8 "auth.update",
    /// The account was deleted.
    AccountDelete = 9 "auth.delete",
    /// A project was created.
    ProjectCreate = 20 "project.create",
    /// A project was renamed.
    ProjectUpdate = 21 "project.update",
    /// A project was deleted.
    ProjectDelete = 22 "project.delete",
    /// An environment was created.
    EnvironmentCreate = 30 "env.create",
    /// An environment was cloned into this one.
    EnvironmentClone = 31 "env.clone",
    /// An environment was deleted.
    EnvironmentDelete = 32 "env.delete",
    /// An environment's key was rotated.
    KeyRotate = 33 "key.rotate",
    /// A version was written.
    BlobPut = 40 "blob.put",
    /// A blob's bytes were deleted.
    BlobDelete = 41 "blob.delete",
    /// A version's bytes were given out.
    BlobRead = 42 "blob.read",
    /// An account's first keys; in the directory.
    KeyPublish = 50 "key.publish",
    /// An account's keys were replaced; in the directory.
    KeyReplace = 51 "key.replace",
    /// An account is gone: nothing may be wrapped to its keys any more; in the directory.
    KeyRevoke = 52 "key.revoke",
    /// From here on this key signs the logs too; in the directory.
    LogKey = 60 "log.key",
    /// From here on this key signs capabilities too; in the directory.
    IssuerKey = 61 "access.issuer_key",
    /// A team was created.
    TeamCreate = 70 "team.create",
    /// A team was changed.
    TeamUpdate = 71 "team.update",
    /// A team was deleted.
    TeamDelete = 72 "team.delete",
    /// Somebody joined a team.
    MemberAdd = 73 "team.member_add",
    /// A member has another role.
    MemberUpdate = 74 "team.member_update",
    /// Somebody left a team, or was removed.
    MemberRemove = 75 "team.member_remove",
    /// A project was shared with a team, or the share was changed.
    Share = 80 "access.share",
    /// A share ended.
    Unshare = 81 "access.unshare",
    /// A project has a new access list.
    AccessList = 82 "access.list",
    /// An environment's key was wrapped to one more principal.
    KeyringAdd = 83 "key.add",
    /// The server helped a service token to open an environment's key.
    KeyUnlock = 84 "key.unlock",
    /// An API key was created.
    ApiKeyCreate = 90 "access.key_create",
    /// An API key has a new secret.
    ApiKeyRotate = 91 "access.key_rotate",
    /// An API key was revoked.
    ApiKeyRevoke = 92 "access.key_revoke",
    /// A narrower capability was issued.
    CapabilityIssue = 93 "access.issue",
    /// Capabilities were revoked.
    CapabilityRevoke = 94 "access.revoke",
}

/// One line, before the store gives it its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whose trail.
    pub trail: Trail,
    /// What happened.
    pub kind: Kind,
    /// Who did it.
    pub actor: AccountId,
    /// The API key that they did it with; `None` for a session.
    pub key: Option<ApiKeyId>,
    /// When.
    pub at_ms: u64,
    /// Environment it concerns.
    pub environment: Option<EnvironmentId>,
    /// Version, epoch or generation it concerns; 0 when none.
    pub version: u64,
    /// Digest it concerns.
    pub digest: Option<[u8; 32]>,
    /// A read that asked for this very version, not for the current one.
    pub by_number: bool,
}

impl Line {
    /// The log's entry: 92 to 116 bytes (docs/spec/chain.md, section 3).
    pub fn entry(&self) -> Vec<u8> {
        let mut actor = [0; 32];
        actor[..16].copy_from_slice(self.actor.as_bytes());
        if let Some(key) = self.key {
            actor[16..].copy_from_slice(key.as_bytes());
        }
        let entry = Entry {
            kind: self.kind.number(),
            log: self.trail.id(),
            at_ms: self.at_ms,
            actor,
            subject: self.environment.map(|id| *id.as_bytes()),
            number: Some(self.version).filter(|version| *version > 0),
            digest: self.digest,
            by_number: self.by_number,
        };
        entry.encode()
    }

    /// Reads an entry back, or a line of the layout before there was a log.
    pub fn parse(trail: Trail, entry: &[u8]) -> Result<Self, DecodeError> {
        if entry.first() == Some(&OLD_LINE_VERSION) {
            return Self::parse_old(trail, entry);
        }
        let entry = Entry::decode(entry)?;
        if entry.log != trail.id() {
            return Err(DecodeError::Value { field: "log" });
        }
        let (mut actor, mut key) = ([0; 16], [0; 16]);
        actor.copy_from_slice(&entry.actor[..16]);
        key.copy_from_slice(&entry.actor[16..]);
        Ok(Self {
            trail,
            kind: Kind::from_number(entry.kind).ok_or(DecodeError::Value { field: "kind" })?,
            actor: AccountId::from_bytes(actor),
            // No key has the id of zeros: the service refuses it.
            key: Some(key).filter(|key| *key != [0; 16]).map(ApiKeyId::from_bytes),
            at_ms: entry.at_ms,
            environment: entry.subject.map(EnvironmentId::from_bytes),
            version: entry.number.unwrap_or(0),
            digest: entry.digest,
            by_number: entry.by_number,
        })
    }

    fn parse_old(trail: Trail, line: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(line);
        r.u8()?;
        let kind = u8::try_from(r.u16()?).ok().and_then(Kind::from_number);
        let flags = r.u8()?;
        let at_ms = r.u64()?;
        let actor = AccountId::from_bytes(r.array()?);
        let environment = r.array::<16>()?;
        let version = r.u64()?;
        let digest = r.array::<32>()?;
        r.finish()?;
        Ok(Self {
            trail,
            kind: kind.ok_or(DecodeError::Value { field: "kind" })?,
            actor,
            at_ms,
            environment: (flags & 1 != 0).then(|| EnvironmentId::from_bytes(environment)),
            version,
            digest: (flags & 2 != 0).then_some(digest),
            key: None,
            by_number: false,
        })
    }
}

/// Key of the outbox's MACs: a row edited in the store no longer carries its MAC.
#[derive(Clone)]
pub struct OutboxKey(Zeroizing<[u8; 32]>);

impl OutboxKey {
    /// A key from its 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// HMAC-SHA-256 over trail, index and entry: binds the line to its place.
    pub fn mac(&self, trail: Trail, index: u64, entry: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(&trail.to_bytes());
        mac.update(&index.to_be_bytes());
        mac.update(entry);
        mac.finalize().into_bytes().into()
    }

    /// True when `mac` is the row's MAC; constant time.
    pub fn verify(&self, trail: Trail, index: u64, entry: &[u8], mac: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        self.mac(trail, index, entry).ct_eq(mac).into()
    }
}

/// A committed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Place in its trail, dense from 0.
    pub index: u64,
    /// The line.
    pub line: Line,
}
