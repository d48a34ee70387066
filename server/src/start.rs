//! Why the server does not start or did not end well: what, why, and what to do.

use std::{io, net::SocketAddr, path::PathBuf};

use veilcloud_embedded::OpenError;

use crate::{config::ConfigError, keys::KeysError, tls::TlsError};

/// Exit code of a failure.
const FAILED: u8 = 1;
/// Exit code of a wrong configuration: `EX_CONFIG` of sysexits.h.
const MISCONFIGURED: u8 = 78;

/// What stopped the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder cannot be used.
    #[error("cannot {step} the data folder {}: {cause}", path.display())]
    Folder {
        /// What was tried.
        step: &'static str,
        /// The folder, or the file in it.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// Another server has the data folder.
    #[error("the data folder {} is in use by another veilcloud-server", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The server's keys are not there or not good.
    #[error("cannot open the server's keys: {0}")]
    Keys(#[from] KeysError),
    /// The database or the blobs cannot be opened.
    #[error("cannot open the store: {0}")]
    Store(#[from] OpenError),
    /// The certificate or its key cannot be used.
    #[error("cannot serve TLS: {0}")]
    Tls(#[from] TlsError),
    /// A port cannot be bound.
    #[error("cannot listen on {address} ({setting}): {cause}")]
    Bind {
        /// The setting that names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why it failed.
        cause: io::Error,
    },
    /// The process lacks something of the system.
    #[error("cannot {step}: {cause}")]
    System {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        cause: String,
    },
    /// The composition is refused.
    #[error("cannot put the server together: {0}")]
    Wire(String),
    /// A role ended while it should run.
    #[error("the role {role} ended by itself: {cause}")]
    Role {
        /// The role.
        role: &'static str,
        /// Why.
        cause: String,
    },
    /// What was asked for comes too early.
    #[error("{0}")]
    TooEarly(&'static str),
    /// What was asked for cannot be done.
    #[error("{0}")]
    Refused(String),
    /// A check of the logs found something.
    #[error("the check found {0} things that are wrong")]
    Findings(u64),
    /// Standard output is closed or full.
    #[error("cannot write to standard output: {0}")]
    Print(io::Error),
}

impl StartError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Config(_)) { MISCONFIGURED } else { FAILED }
    }

    /// What an operator can do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Config(_) => {
                "correct them; `veilcloud-server --help` shows every setting, `check-config` checks again"
                    .into()
            }
            Self::Folder { cause, path, .. } => io_remedy(cause, &path.display().to_string()),
            Self::InUse { .. } => {
                "stop the other server, or name another folder with VEILCLOUD_DATA_DIR".into()
            }
            Self::Keys(KeysError::Io { cause, path, .. }) => io_remedy(cause, &path.display().to_string()),
            Self::Keys(_) => "see the guide docs/guides/run-a-server.md, chapter \"The key file\"".into(),
            Self::Store(OpenError::Corrupt { .. }) => {
                "put the whole data folder aside and restore it from a backup; nothing was changed".into()
            }
            Self::Store(_) => "do as the line above says, then start again".into(),
            Self::Tls(_) => "give a PEM chain in VEILCLOUD_TLS_CERT and its key in VEILCLOUD_TLS_KEY".into(),
            Self::Bind { setting, cause, .. } => match cause.kind() {
                io::ErrorKind::AddrInUse => {
                    format!("stop the program that has the port, or set {setting} to another one")
                }
                io::ErrorKind::PermissionDenied => format!("set {setting} to a port above 1023"),
                _ => format!("set {setting} to an address of this machine"),
            },
            Self::System { .. } | Self::Wire(_) => {
                "see the limits of this user and container (files, threads)".into()
            }
            Self::Role { .. } => "this is a bug: keep the log and report it; a restart is safe".into(),
            Self::Refused(_) => {
                "look at the keys with `veilcloud-server issuer list`; nothing was changed".into()
            }
            Self::TooEarly(_) => "do as the line above says; nothing was changed".into(),
            Self::Findings(_) => {
                "hashes are mended with `fsck --repair`; entries come from a backup of the whole folder. See \
                 docs/guides/audit.md"
                    .into()
            }
            Self::Print(_) => "direct standard output to a place that takes it".into(),
        }
    }
}

fn io_remedy(cause: &io::Error, path: &str) -> String {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on the disk, then start again".to_owned()
        }
        io::ErrorKind::PermissionDenied => format!("let this user read and write {path}"),
        io::ErrorKind::ReadOnlyFilesystem => {
            "name a folder on a writable disk with VEILCLOUD_DATA_DIR".to_owned()
        }
        _ => format!("check that {path} is what VEILCLOUD_DATA_DIR should name"),
    }
}
