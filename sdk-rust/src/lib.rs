//! VeilCloud for Rust: secrets and files that the server stores and cannot read.
//!
//! Everything is sealed on this machine before it leaves and checked on this machine before it is believed. The
//! server sees names, sizes and times; content, password and keys it does not see.
//!
//! ```no_run
//! # async fn example() -> veilcloud_sdk::Result<()> {
//! use std::sync::Arc;
//! use veilcloud_sdk::{Client, Expect, FileState, GetOptions, Password, PutOptions};
//!
//! let state = FileState::open("/home/ada/.local/state/myapp").expect("a private directory");
//! let client = Client::builder()
//!     .endpoint("https://veilcloud.example.org")
//!     .state(Arc::new(state))
//!     .build()?;
//! if client.session().is_none() {
//!     client.login("ada@example.org", &Password::from("correct horse battery staple")).await?;
//! }
//!
//! let project = client.projects().by_name("shop").await?;
//! let storage = client.storage();
//! let blob = storage.get(&project, "production", GetOptions::default()).await?;
//!
//! let mut text = blob.bytes.to_vec();
//! text.extend_from_slice(b"FEATURE_X=on\n");
//! let expect = Expect::Etag(blob.version.etag);
//! let version = storage.put(&project, "production", text, PutOptions { expect, progress: None }).await?;
//! println!("version {}", version.number);
//! # Ok(())
//! # }
//! ```
//!
//! What can be tried without a server:
//!
//! ```
//! use veilcloud_sdk::{Client, Error, ErrorKind};
//!
//! let refused = Client::builder().endpoint("http://veilcloud.example.org").build().err().expect("no plaintext");
//! assert_eq!(refused.kind(), ErrorKind::Usage);
//! assert_eq!(Error::NotLoggedIn.kind(), ErrorKind::Auth);
//! assert_eq!(Error::NotLoggedIn.remedy(), "log in");
//! ```
//!
//! # What to rely on
//! - **Errors** say what sort they are ([`Error::kind`]) and what to do ([`Error::remedy`]). An
//!   [`Error::Integrity`] means that the server's data failed a check: do not use it.
//! - **Retries** happen inside: when the server is not there, or says when to come back, at most three times and
//!   never past the deadline, each with the same request id, so nothing is done twice.
//! - **Sessions** renew themselves; tasks and processes that share a [`StateStore`] share the session.
//! - **Memory** stays flat for [`Storage::put_file`] and [`Storage::get_to`], whatever the size.
//! - **Logs**: a version that is not in the project's log, a log that is not the continuation of the one this machine
//!   has seen, and keys that are not in the directory are refused; [`Audit`] proves, exports and watches.
//! - **Writes** replace exactly the version that was read if told so by [`Expect::Etag`].
//!
//! # Features
//! `native` (default): TCP and TLS, [`FileState`], files. Without it the crate has no socket and no file.
#![forbid(unsafe_code)]

mod access;
mod account;
mod api_keys;
mod audit;
mod builder;
mod capabilities;
mod client;
mod directory;
pub mod dotenv;
mod environments;
mod error;
#[cfg(feature = "native")]
mod export;
mod keys;
mod log;
#[cfg(feature = "native")]
pub mod pipeline;
mod projects;
mod secret;
mod session;
mod state;
mod storage;
mod teams;
mod times;
mod transport;
mod users;

pub use access::{
    Access, AccessGrant, Exposure, ExposureBasis, ExposureReport, LeftProject, LeftStep, LeftTeam, Listed,
    OffboardReport, Share, ShareOutcome, SharePlan, SyncPlan, Unfinished, Vouched,
};
pub use account::Account;
pub use api_keys::{ApiKeyInfo, ApiKeys, CouldOpen, NewApiKey, NewSecret, OVERLAP_MAX, Revoked, Rotated};
pub use audit::{
    Audit, AuditEvent, EVENTS_MAX, EventProof, EventReader, Evidence, Finding, LogToken, Monitor, Proven,
    Step, TOKEN_TTL_MAX, verify_file,
};
#[cfg(feature = "native")]
pub use audit::{BundleCheck, BundleFinding, BundleOptions, BundleReport, check_bundle};
pub use builder::ClientBuilder;
pub use capabilities::{
    AccessReason, Capabilities, CapabilityGrant, CapabilityView, Explanation, HELD_LEN_MAX, HeldCapability,
    HolderKey, IssuedCapability, IssuerKey, Narrowing, Permission, Verdict,
};
pub use client::{Client, Limits, ServerInfo};
pub use directory::{Directory, FOLLOW_MAX, Followed, VerifiedKey};
pub use environments::{Environment, Environments};
pub use error::{ApiError, Error, ErrorKind, IntegrityReason, NetworkError, Result, TlsFailure};
#[cfg(feature = "native")]
pub use export::{ExportOptions, ExportReport, Exported};
pub use projects::{Project, Projects};
pub use secret::{Password, RecoveryCode};
pub use session::{Registered, SessionInfo};
#[cfg(feature = "native")]
pub use state::FileState;
pub use state::{MemoryState, PINS_LEN_MAX, SESSION_LEN_MAX, StateStore};
pub use storage::{
    Blob, CHUNK_LEN, DIRECT_BLOB_MAX, Expect, GetOptions, Kind, MEMORY_LEN_MAX, Precondition, Progress,
    PutOptions, Rotation, SealedVersion, Storage, Version,
};
pub use teams::{Team, TeamMember, TeamRole, Teams};
pub use users::{User, Users};
pub use veilcore::id::{AccountId, ApiKeyId, EnvironmentId, ProjectId, SessionId, TeamId};
pub use veilvault::access::Principal;

/// The guide, so that its examples are compiled.
#[cfg(all(doctest, feature = "native"))]
#[doc = include_str!("../../docs/guides/rust-sdk.md")]
pub struct Guide;
