//! The trust root of a server's logs: their name, the keys that sign them, and the witnesses that have to have seen them.
//! Kept from the first contact on. What must never happen: a key that the server's word alone puts in the place of
//! another.

use std::sync::atomic::Ordering;

use veilchain::checkpoint::CheckpointError;
use veilchain::key::{KeyType, VerifierKey};
use veilchain::note::Note;
use veilchain::policy::{Accepted, Policy, PolicyError};
use veilcloud_proto::common::v1 as pb;
use veilcore::hash::sha256;

use super::{Fault, LogId};
use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};
use crate::transport::rpc;

/// Longest name of a server's logs, in bytes: with the longest end it is a valid origin.
pub(crate) const LOG_NAME_LEN_MAX: usize = 200;
/// Most keys that may sign one server's logs at once. Retired ones do not count: they are dropped.
pub(crate) const LOG_KEYS_MAX: usize = 16;
/// Longest witness policy, in bytes.
pub(crate) const WITNESS_POLICY_LEN_MAX: usize = 16 * 1024;
/// Longest checkpoint with its cosignatures, in bytes.
pub(crate) const CHECKPOINT_LEN_MAX: usize = 64 * 1024;

/// What a policy without witnesses says.
const NO_WITNESSES: &str = "quorum none\n";

/// Name, keys and witnesses of a server's logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trust {
    name: String,
    /// Newest first.
    keys: Vec<[u8; 32]>,
    witnesses: Policy,
}

/// A checkpoint that was accepted.
pub(crate) struct Opened {
    pub(crate) accepted: Accepted,
    /// A key signed it, too, that is not known here: keys are being changed.
    pub(crate) has_new_key: bool,
}

impl Trust {
    /// None when the name or a key cannot be one, when there is no key or too many, or when the policy is none.
    pub(crate) fn new(name: &str, keys: Vec<[u8; 32]>, witnesses: &str) -> Option<Self> {
        let witnesses = if witnesses.trim().is_empty() { NO_WITNESSES } else { witnesses };
        if name.len() > LOG_NAME_LEN_MAX || witnesses.len() > WITNESS_POLICY_LEN_MAX {
            return None;
        }
        let witnesses = Policy::parse(witnesses).ok().filter(|policy| policy.logs().is_empty())?;
        if name.is_empty() || keys.is_empty() || keys.len() > LOG_KEYS_MAX {
            return None;
        }
        let trust = Self { name: name.to_owned(), keys, witnesses };
        // Also refuses a name that is none, a weak key and one that is there twice.
        trust.policy(LogId::Directory).map(|_| trust)
    }

    /// What a server says of itself.
    fn of_server(info: &pb::GetServerInfoResponse) -> Result<Self> {
        if info.log_name.is_empty() && info.log_keys.is_empty() {
            return Err(Error::integrity(IntegrityReason::NotInLog, "the server keeps no log"));
        }
        let keys = info.log_keys.iter().map(|key| <[u8; 32]>::try_from(&key[..]).ok()).collect::<Option<_>>();
        keys.and_then(|keys| Self::new(&info.log_name, keys, &info.witness_policy))
            .ok_or(Error::BadAnswer { rpc: rpc::SERVER_INFO.path })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn keys(&self) -> &[[u8; 32]] {
        &self.keys
    }

    /// The witness policy as text, without log lines.
    pub(crate) fn witness_text(&self) -> String {
        String::from_utf8_lossy(&self.witnesses.encode()).into_owned()
    }

    /// A log's name in its checkpoints.
    pub(crate) fn origin(&self, log: LogId) -> String {
        format!("{}/{log}", self.name)
    }

    /// The log of this server that an origin names.
    pub(crate) fn log_of(&self, origin: &str) -> Option<LogId> {
        LogId::parse(origin.strip_prefix(self.name.as_str())?.strip_prefix('/')?)
    }

    /// The whole policy for one log: its keys, the witnesses, the quorum.
    pub(crate) fn policy(&self, log: LogId) -> Option<Policy> {
        let origin = self.origin(log);
        let mut policy = self.witnesses.clone();
        for key in &self.keys {
            policy.add_log(VerifierKey::new(&origin, KeyType::Ed25519, *key).ok()?, None).ok()?;
        }
        Some(policy)
    }

    /// Reads a checkpoint of this log: signed by a known key under the log's name, seen by a quorum.
    pub(crate) fn open(&self, log: LogId, note: &[u8]) -> Result<Opened, Fault> {
        if note.len() > CHECKPOINT_LEN_MAX {
            return Err(Fault::invalid("the checkpoint is too long"));
        }
        let policy = self.policy(log).ok_or_else(|| Fault::invalid("the log has no valid name"))?;
        let accepted = policy.check(note).map_err(|e| {
            let reason = match &e {
                PolicyError::Quorum { .. } => IntegrityReason::WitnessQuorum,
                PolicyError::Checkpoint(CheckpointError::NotSignedByLog) => IntegrityReason::LogKeyChanged,
                _ => IntegrityReason::LogProofInvalid,
            };
            Fault::new(reason, e)
        })?;
        if !accepted.checkpoint.extensions.is_empty() {
            return Err(Fault::invalid("the checkpoint has extension lines"));
        }
        let origin = self.origin(log);
        let is_new = |note: &Note| {
            note.signatures().iter().any(|signature| {
                signature.name == origin && !policy.logs().iter().any(|log| log.key.signed(signature))
            })
        };
        Ok(Opened { has_new_key: Note::parse(note).is_ok_and(|note| is_new(&note)), accepted })
    }

    /// Takes over what the directory says about the keys of the logs, from its newest checkpoint, which was accepted and
    /// followed. A key that it announces is pinned if it signed that checkpoint. A pinned one that did not sign, and is
    /// older than one that did, is retired: whoever has it by now is nobody. `is_first`: what is pinned is what the server
    /// said at the first contact, of which only what signed stays. Says how many keys are new.
    pub(crate) fn change_keys(&mut self, announced: &[[u8; 32]], directory: &[u8], is_first: bool) -> u64 {
        let Ok(note) = Note::parse(directory) else { return 0 };
        let origin = self.origin(LogId::Directory);
        let signed = |key: &[u8; 32]| {
            VerifierKey::new(&origin, KeyType::Ed25519, *key)
                .is_ok_and(|key| note.verify(&[key]).is_ok_and(|verified| !verified.is_empty()))
        };
        let retire = |keys: &mut Vec<[u8; 32]>, newest: usize| {
            let mut at = 0..;
            keys.retain(|key| at.next().is_some_and(|at| at < newest) || signed(key));
        };
        let mut keys = self.keys.clone();
        // Without a pinned key's word, which another process may have retired meanwhile, nothing changes.
        let Some(newest) = keys.iter().position(signed) else { return 0 };
        retire(&mut keys, if is_first { 0 } else { newest });
        let mut added = 0;
        for key in announced {
            // Beyond the limit it is passed over: an announcement must never lock a client out.
            if keys.len() < LOG_KEYS_MAX && !keys.contains(key) && signed(key) {
                keys.insert(0, *key);
                added += 1;
            }
        }
        // A new one signed, so that it retires every older one that did not.
        let newest = keys.iter().position(signed).unwrap_or_default();
        retire(&mut keys, newest);
        match Self::new(&self.name, keys, &self.witness_text()) {
            Some(changed) => {
                *self = changed;
                added
            }
            None => 0,
        }
    }
}

impl Client {
    /// The trust root: the pinned one, or what the server says of itself at the first contact.
    pub(crate) async fn trust(&self) -> Result<Trust> {
        match self.pins().await?.logs.trust {
            Some(trust) => Ok(trust),
            None => self.meet().await.map(|(trust, _)| trust),
        }
    }

    /// Pins the trust root that a service token brings along, if none is pinned. The witness policy is the server's, when it
    /// is the one that the token's maker knew.
    pub(crate) async fn seed_trust(
        &self,
        name: &str,
        keys: Vec<[u8; 32]>,
        witnesses: [u8; 32],
    ) -> Result<()> {
        if self.pins().await?.logs.trust.is_some() {
            return Ok(());
        }
        let answer: pb::GetServerInfoResponse =
            self.call(&rpc::SERVER_INFO, &pb::GetServerInfoRequest {}).await?;
        let shown = Trust::of_server(&answer)?;
        let subject = "the logs are not the ones that the token was made with";
        let refused = || Error::integrity(IntegrityReason::LogKeyChanged, subject);
        if shown.name != name || sha256(shown.witness_text().as_bytes()) != witnesses {
            return Err(refused());
        }
        let trust = Trust::new(name, keys, &shown.witness_text()).ok_or_else(refused)?;
        self.change_pins(move |pins| {
            let is_new = pins.logs.trust.is_none();
            if is_new {
                pins.logs.trust = Some(trust);
            }
            Ok(is_new)
        })
        .await
    }

    /// Asks the server for name and keys of its logs, pins them if none are pinned, and refuses another name. Also gives
    /// the keys that the server names now.
    pub(crate) async fn meet(&self) -> Result<(Trust, Vec<[u8; 32]>)> {
        let answer: pb::GetServerInfoResponse =
            self.call(&rpc::SERVER_INFO, &pb::GetServerInfoRequest {}).await?;
        let shown = Trust::of_server(&answer)?;
        let (keys, witnesses) = (shown.keys.clone(), shown.witnesses.clone());
        // Decided under the lock: another process may have met the server since.
        let trust = self.change_pins_with(move |pins| match &pins.logs.trust {
            Some(known) if known.name != shown.name => {
                let subject = format!("the logs are called {}, not {}", shown.name, known.name);
                Err(Error::integrity(IntegrityReason::LogKeyChanged, subject))
            }
            Some(known) => Ok((false, known.clone())),
            None => {
                pins.logs.trust = Some(shown.clone());
                Ok((true, shown))
            }
        });
        let trust = trust.await?;
        self.inner().has_other_witnesses.store(trust.witnesses != witnesses, Ordering::Relaxed);
        Ok((trust, keys))
    }
}
