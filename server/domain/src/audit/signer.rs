//! The keys of the logs. There is one Ed25519 key for each generation and server; under the name of each log it is
//! another key, so that a checkpoint of one log is none of another. What must never happen: a key that is shown, or two
//! names for one log.

use bytes::Bytes;
use veilchain::{
    checkpoint::{self, Checkpoint, CheckpointError, ORIGIN_LEN_MAX},
    hash::Hash,
    key::{KeyType, SigningKey, VerifierKey, is_name_valid},
};
use zeroize::Zeroizing;

use super::model::Trail;

/// Most generations that sign at the same time.
pub const GENERATIONS_MAX: usize = 8;
/// Longest end of an origin in bytes: a slash, `project/` or `account/`, and an id.
const TRAIL_TEXT_MAX: usize = 1 + 8 + 36;

/// Why there are no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The name cannot begin an origin.
    #[error(
        "the name of the logs is a URL without scheme and final slash: 1 to {} bytes, no space, no plus sign",
        ORIGIN_LEN_MAX - TRAIL_TEXT_MAX
    )]
    Name,
    /// No seed, too many of them, or the same one twice.
    #[error("logs are signed by 1 to {GENERATIONS_MAX} different keys, not by {found}")]
    Seeds {
        /// How many different ones there are.
        found: usize,
    },
}

/// The keys of all logs of a deployment, and the name that their origins begin with. Secret: no Debug.
pub struct LogKeys {
    name: String,
    /// Newest first.
    seeds: Vec<Zeroizing<[u8; 32]>>,
}

impl LogKeys {
    /// Keys from the seeds (RFC 8032 private keys) of all generations that sign, newest first. The name is a URL without
    /// scheme and final slash.
    pub fn new(name: String, seeds: Vec<Zeroizing<[u8; 32]>>) -> Result<Self, KeysError> {
        let slashes = name.starts_with('/') || name.ends_with('/');
        if !is_name_valid(&name) || slashes || name.len() + TRAIL_TEXT_MAX > ORIGIN_LEN_MAX {
            return Err(KeysError::Name);
        }
        let publics = seeds.iter().map(|seed| *key(&name, seed).verifier().public_key());
        let found = publics.collect::<std::collections::BTreeSet<_>>().len();
        if found != seeds.len() || !(1..=GENERATIONS_MAX).contains(&found) {
            return Err(KeysError::Seeds { found });
        }
        Ok(Self { name, seeds })
    }

    /// What the origins of all logs begin with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The log's name: `<name>/project/<id>`, `<name>/account/<id>` or `<name>/directory`.
    pub fn origin(&self, log: Trail) -> String {
        format!("{}/{log}", self.name)
    }

    /// The public keys under the log's name, newest first.
    pub fn verifiers(&self, log: Trail) -> Vec<VerifierKey> {
        self.signer(log).verifiers()
    }

    /// The public keys under the name that all origins begin with, newest first: as a witness knows the whole server.
    pub fn server_verifiers(&self) -> Vec<VerifierKey> {
        self.seeds.iter().map(|seed| key(&self.name, seed).verifier().clone()).collect()
    }

    /// The keys under the log's name.
    pub(super) fn signer(&self, log: Trail) -> Signer {
        let origin = self.origin(log);
        let keys = self.seeds.iter().map(|seed| key(&origin, seed)).collect();
        Signer { origin, keys }
    }
}

fn key(name: &str, seed: &[u8; 32]) -> SigningKey {
    SigningKey::from_seed(name, KeyType::Ed25519, seed).expect(
        "the name is checked, and no seed gives a weak key: clamped scalars are no multiple of the order",
    )
}

/// Signs the checkpoints of one log. Secret: no Debug.
pub(super) struct Signer {
    origin: String,
    keys: Vec<SigningKey>,
}

impl Signer {
    /// A checkpoint of this log, signed by every key.
    pub(super) fn sign(&self, size: u64, root: Hash) -> Result<Bytes, CheckpointError> {
        let checkpoint = Checkpoint::new(&self.origin, size, root)?;
        let keys: Vec<_> = self.keys.iter().collect();
        Ok(checkpoint::sign(&checkpoint, &keys)?.encode().into())
    }

    /// Reads a checkpoint that this log signed.
    pub(super) fn open(&self, note: &[u8]) -> Result<Checkpoint, CheckpointError> {
        Ok(checkpoint::open(note, &self.verifiers())?.0)
    }

    fn verifiers(&self) -> Vec<VerifierKey> {
        self.keys.iter().map(|key| key.verifier().clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use veilcore::id::{AccountId, ProjectId};

    use super::*;

    const PROJECT: Trail = Trail::Project(ProjectId::from_bytes([7; 16]));
    const ACCOUNT: Trail = Trail::Account(AccountId::from_bytes([7; 16]));

    fn keys(seeds: &[u8]) -> Result<LogKeys, KeysError> {
        let seeds = seeds.iter().map(|byte| Zeroizing::new([*byte; 32])).collect();
        LogKeys::new("log.example.org".to_owned(), seeds)
    }

    #[test]
    fn every_generation_signs_and_each_suffices_to_open() {
        let both = keys(&[2, 1]).unwrap();
        let note = both.signer(PROJECT).sign(5, [9; 32]).unwrap();
        for seeds in [&[1][..], &[2], &[2, 1]] {
            let opened = keys(seeds).unwrap().signer(PROJECT).open(&note).unwrap();
            assert_eq!((opened.size, opened.root), (5, [9; 32]));
            assert_eq!(opened.origin, "log.example.org/project/07070707-0707-0707-0707-070707070707");
        }
        assert!(keys(&[3]).unwrap().signer(PROJECT).open(&note).is_err());
        let newest = both.verifiers(PROJECT).remove(0);
        assert_eq!(newest, keys(&[2]).unwrap().verifiers(PROJECT)[0]);
    }

    #[test]
    fn a_checkpoint_of_one_log_is_none_of_another() {
        let keys = keys(&[1]).unwrap();
        let note = keys.signer(PROJECT).sign(5, [9; 32]).unwrap();
        for other in [ACCOUNT, Trail::Directory, Trail::Project(ProjectId::from_bytes([8; 16]))] {
            assert!(keys.signer(other).open(&note).is_err());
            assert_ne!(keys.verifiers(other), keys.verifiers(PROJECT));
        }
    }

    #[test]
    fn names_that_make_no_origin_and_seeds_that_make_no_keys_are_refused() {
        let long = "a".repeat(ORIGIN_LEN_MAX - TRAIL_TEXT_MAX);
        for name in ["", "a b", "a+b", "a\n", "/a", "a/", &format!("{long}a")] {
            let seeds = vec![Zeroizing::new([1; 32])];
            assert_eq!(LogKeys::new(name.to_owned(), seeds).err(), Some(KeysError::Name), "{name}");
        }
        let longest = LogKeys::new(long, vec![Zeroizing::new([1; 32])]).unwrap();
        assert!(longest.signer(PROJECT).sign(1, [0; 32]).is_ok());
        assert_eq!(keys(&[]).err(), Some(KeysError::Seeds { found: 0 }));
        assert_eq!(keys(&[1, 2, 1]).err(), Some(KeysError::Seeds { found: 2 }));
        assert_eq!(keys(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).err(), Some(KeysError::Seeds { found: 9 }));
    }
}
