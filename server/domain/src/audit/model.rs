//! Audit lines: ids, times and commitments; never a name, an address or content.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use veilcore::{
    canon::{DecodeError, Reader, Writer},
    id::{AccountId, EnvironmentId, ProjectId},
};
use zeroize::Zeroizing;

/// Version of the line format.
const LINE_VERSION: u8 = 1;

/// Whose trail a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trail {
    /// A project's.
    Project(ProjectId),
    /// An account's.
    Account(AccountId),
}

impl Trail {
    /// 17 bytes: 1 for a project, 2 for an account, then the id.
    pub fn to_bytes(self) -> [u8; 17] {
        let (kind, id) = match self {
            Self::Project(id) => (1, *id.as_bytes()),
            Self::Account(id) => (2, *id.as_bytes()),
        };
        let mut out = [0; 17];
        out[0] = kind;
        out[1..].copy_from_slice(&id);
        out
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
            pub fn number(self) -> u16 {
                match self { $(Self::$variant => $number),* }
            }
            /// The kind with this number.
            pub fn from_number(number: u16) -> Option<Self> {
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
    /// When.
    pub at_ms: u64,
    /// Environment it concerns.
    pub environment: Option<EnvironmentId>,
    /// Version or epoch it concerns; 0 when none.
    pub version: u64,
    /// Digest it concerns.
    pub digest: Option<[u8; 32]>,
}

impl Line {
    /// Canonical bytes: version, kind, time, actor, then environment, version and digest, zero when absent. 92 bytes.
    pub fn entry(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(LINE_VERSION);
        w.u16(self.kind.number());
        w.u8(u8::from(self.environment.is_some()) | u8::from(self.digest.is_some()) << 1);
        w.u64(self.at_ms);
        w.fixed(self.actor.as_bytes());
        w.fixed(&self.environment.map_or([0; 16], |e| *e.as_bytes()));
        w.u64(self.version);
        w.fixed(&self.digest.unwrap_or([0; 32]));
        w.finish()
    }

    /// Reads canonical bytes back.
    pub fn parse(trail: Trail, entry: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(entry);
        let version = r.u8()?;
        if version != LINE_VERSION {
            return Err(DecodeError::Version { found: version });
        }
        let kind = Kind::from_number(r.u16()?).ok_or(DecodeError::Value { field: "kind" })?;
        let flags = r.u8()?;
        let at_ms = r.u64()?;
        let actor = AccountId::from_bytes(r.array()?);
        let environment = r.array::<16>()?;
        let number = r.u64()?;
        let digest = r.array::<32>()?;
        r.finish()?;
        Ok(Self {
            trail,
            kind,
            actor,
            at_ms,
            environment: (flags & 1 != 0).then(|| EnvironmentId::from_bytes(environment)),
            version: number,
            digest: (flags & 2 != 0).then_some(digest),
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
