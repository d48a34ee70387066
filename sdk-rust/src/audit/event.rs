//! An event: what an entry says, for people and programs.

use time::OffsetDateTime;
use veilcore::id::{AccountId, ApiKeyId, EnvironmentId};

use crate::log::{Fault, LogId, actor_of, decode_entry, key_of, kinds};
use crate::times;

/// One leaf of a log: ids and digests, never a name or content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEvent {
    /// Place in the log, from 0 without gaps.
    pub index: u64,
    /// What happened, e.g. `blob.put`; `kind.<number>` for what this build does not know.
    pub kind: String,
    /// Account that did it.
    pub actor_id: AccountId,
    /// API key that it did it with; `None` for a session.
    pub api_key_id: Option<ApiKeyId>,
    /// When, by the server's clock.
    pub at: OffsetDateTime,
    /// Environment it concerns.
    pub environment_id: Option<EnvironmentId>,
    /// Version, epoch or generation it concerns.
    pub version: Option<u64>,
    /// SHA-256 of what it concerns, e.g. of a ciphertext.
    pub digest: Option<[u8; 32]>,
    /// A read that asked for this very version, not for the current one.
    pub by_number: bool,
    /// The entry: canonical bytes whose hash is the leaf, 92 to 116 of them.
    pub entry: Vec<u8>,
}

impl AuditEvent {
    /// Reads an entry that has to be one of this log.
    pub(crate) fn read(log: LogId, index: u64, bytes: &[u8]) -> Result<Self, Fault> {
        let entry = decode_entry(log, bytes)?;
        let actor = actor_of(&entry).ok_or_else(|| Fault::invalid("the entry names no account"))?;
        Ok(Self {
            index,
            kind: kinds::name(entry.kind),
            actor_id: actor,
            api_key_id: key_of(&entry),
            at: times::from_ms(entry.at_ms),
            environment_id: entry.subject.map(EnvironmentId::from_bytes),
            version: entry.number,
            digest: entry.digest,
            by_number: entry.by_number,
            entry: bytes.to_vec(),
        })
    }
}
