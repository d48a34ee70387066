//! The logs that a witness serves: single ones by their keys, and all logs of a server by the server's key.

use std::collections::BTreeMap;

use veilchain::{
    key::{KeyType, PUBLIC_KEY_LEN, VerifierKey},
    note::NoteError,
};

use crate::audit::model::Trail;

/// Most keys that a witness trusts.
pub const KNOWN_LOGS_MAX: usize = 1_024;

/// Why a key was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KnownLogsError {
    /// Not a verifier key.
    #[error("not the key of a log: {0}")]
    Key(#[from] NoteError),
    /// A key of a witness.
    #[error("{name} is the key of a witness, not of a log")]
    KeyType {
        /// The key's name.
        name: String,
    },
    /// More than [`KNOWN_LOGS_MAX`].
    #[error("a witness trusts at most {KNOWN_LOGS_MAX} keys of logs")]
    TooMany,
}

/// Which logs, by the names of their keys.
#[derive(Debug, Clone, Default)]
pub struct KnownLogs {
    names: BTreeMap<String, Vec<[u8; PUBLIC_KEY_LEN]>>,
    keys: usize,
}

impl KnownLogs {
    /// No logs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the log whose origin is the name of this verifier key, and every log of the server of that name:
    /// `<name>/directory`, `<name>/project/<id>` and `<name>/account/<id>`, all signed by this one key. More keys of the
    /// same name may follow.
    ///
    /// # Errors
    /// Not a verifier key, one of a witness, or one too many.
    pub fn add(&mut self, vkey: &str) -> Result<(), KnownLogsError> {
        let key: VerifierKey = vkey.parse()?;
        if key.kind() != KeyType::Ed25519 {
            return Err(KnownLogsError::KeyType { name: key.name().to_owned() });
        }
        if self.keys >= KNOWN_LOGS_MAX {
            return Err(KnownLogsError::TooMany);
        }
        self.keys += 1;
        self.names.entry(key.name().to_owned()).or_default().push(*key.public_key());
        Ok(())
    }

    /// How many keys are trusted.
    pub fn len(&self) -> usize {
        self.keys
    }

    /// True when no log is known.
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// The keys of a log under its own name; none when it is not known.
    pub(super) fn keys(&self, origin: &str) -> Vec<VerifierKey> {
        // A server's name may hold slashes, so every prefix that leaves a trail is tried.
        let servers = origin.match_indices('/').filter(|(at, _)| origin[at + 1..].parse::<Trail>().is_ok());
        let names = servers.map(|(at, _)| &origin[..at]).chain([origin]);
        let known = names.filter_map(|name| self.names.get(name)).flatten();
        known.filter_map(|key| VerifierKey::new(origin, KeyType::Ed25519, *key).ok()).collect()
    }
}
