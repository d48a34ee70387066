//! What an answer claims happened, compared with the entry that is proved to be in the log. What must never happen: the
//! entry of another version, environment or log taken for this one.

use veilchain::entry::Entry;
use veilcore::id::{AccountId, ApiKeyId, EnvironmentId};

use super::{Fault, LogId, kinds};
use crate::error::IntegrityReason;

/// What an entry has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Any of these happened.
    pub(crate) kinds: &'static [u8],
    pub(crate) actor: AccountId,
    pub(crate) subject: Option<[u8; 16]>,
    pub(crate) number: u64,
    pub(crate) digest: [u8; 32],
}

impl Claim {
    /// A version was written.
    pub(crate) fn put(environment: EnvironmentId, version: u64, digest: [u8; 32], author: AccountId) -> Self {
        let subject = Some(*environment.as_bytes());
        Self { kinds: &[kinds::BLOB_PUT], actor: author, subject, number: version, digest }
    }

    /// The bytes of all versions up to this one were deleted.
    pub(crate) fn delete(environment: EnvironmentId, version: u64, digest: [u8; 32], by: AccountId) -> Self {
        Self { kinds: &[kinds::BLOB_DELETE], ..Self::put(environment, version, digest, by) }
    }

    /// An account has these keys.
    pub(crate) fn keys(account: AccountId, generation: u32, bundle_digest: [u8; 32]) -> Self {
        Self {
            kinds: &[kinds::KEY_PUBLISH, kinds::KEY_REPLACE],
            actor: account,
            subject: None,
            number: u64::from(generation),
            digest: bundle_digest,
        }
    }

    /// Whether the entry says exactly this.
    pub(crate) fn judge(&self, entry: &Entry) -> Result<(), Fault> {
        let wrong = if !self.kinds.contains(&entry.kind) {
            format!("the entry is a {}", kinds::name(entry.kind))
        } else if entry.subject != self.subject {
            "the entry is about another environment".to_owned()
        } else if entry.number != Some(self.number) {
            format!("the entry is about number {}, not {}", entry.number.unwrap_or_default(), self.number)
        } else if entry.digest != Some(self.digest) {
            "the entry names another digest".to_owned()
        } else if actor_of(entry) != Some(self.actor) {
            "the entry names another account".to_owned()
        } else if entry.by_number {
            "the entry is marked as a read".to_owned()
        } else {
            return Ok(());
        };
        Err(Fault::new(IntegrityReason::NotInLog, wrong))
    }
}

/// The account that an entry names.
pub(crate) fn actor_of(entry: &Entry) -> Option<AccountId> {
    entry.actor.first_chunk::<16>().map(|id| AccountId::from_bytes(*id))
}

/// The API key that the account acted with.
pub(crate) fn key_of(entry: &Entry) -> Option<ApiKeyId> {
    entry.actor.last_chunk::<16>().filter(|key| **key != [0; 16]).map(|key| ApiKeyId::from_bytes(*key))
}

/// Reads an entry that has to be one of this log.
pub(crate) fn decode_entry(log: LogId, bytes: &[u8]) -> Result<Entry, Fault> {
    let entry = Entry::decode(bytes).map_err(|e| Fault::invalid(format!("not an entry: {e}")))?;
    if entry.log != log.bytes() {
        return Err(Fault::invalid("the entry belongs to another log"));
    }
    if actor_of(&entry).is_none() {
        return Err(Fault::invalid("the entry names no account"));
    }
    Ok(entry)
}
