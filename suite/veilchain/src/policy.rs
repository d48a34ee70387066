//! Trust policies (c2sp.org/tlog-policy; docs/spec/chain.md): which logs a verifier accepts and how many of which
//! witnesses must have cosigned. Small text files that people write; the same text means the same everywhere.
//!
//! What must never happen: a checkpoint accepted on fewer witnesses than the text asks for, or one witness counted twice.

mod read;
mod word;

pub use read::{POLICY_LEN_MAX, PolicyError};
pub use word::{LineError, Word};

use std::fmt::Write as _;

use crate::checkpoint::{self, Checkpoint};
use crate::key::{KeyType, VerifierKey};
use crate::note::Note;

/// Most logs of a policy. c2sp.org/tlog-policy asks for at least 32; so for the next two.
pub const LOGS_MAX: usize = 64;
/// Most witnesses of a policy.
pub const WITNESSES_MAX: usize = 64;
/// Most groups of a policy.
pub const GROUPS_MAX: usize = 64;

/// A log the policy accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Its key; the key's name is the log's origin.
    pub key: VerifierKey,
    /// Where to reach it, if the policy says so.
    pub url: Option<Word>,
}

/// A witness the policy knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Its name within the policy; the key may have another.
    pub name: Word,
    /// Its cosigning key.
    pub key: VerifierKey,
    /// Its submission prefix (c2sp.org/tlog-witness), if the policy says so.
    pub url: Option<Word>,
}

/// What a quorum or a group counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: Word,
    threshold: usize,
    members: Vec<Member>,
}

/// One witness's valid cosignature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosigned {
    /// Which of [`Policy::witnesses`].
    pub witness: usize,
    /// The time it signed for, in seconds since the Unix epoch.
    pub time_s: u64,
}

/// A checkpoint that a policy accepts: signed by its log, cosigned by a quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What it says. Extension lines, if any, are the log's own word only.
    pub checkpoint: Checkpoint,
    /// Which of [`Policy::logs`] signed it; the first, if several keys of the log did.
    pub log: usize,
    /// All known witnesses whose cosignature it carries, in the order of the policy.
    pub cosigned: Vec<Cosigned>,
}

/// A policy: logs, witnesses, groups of them, and the quorum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<Member>,
}

impl Policy {
    /// A policy without logs, and with `quorum none`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The logs, in order.
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// The witnesses, in order.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Whether the policy asks for witnesses at all.
    pub fn asks_for_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    /// Accepts one more log.
    ///
    /// # Errors
    /// A public key that another log has, or more than [`LOGS_MAX`].
    pub fn add_log(&mut self, key: VerifierKey, url: Option<Word>) -> Result<(), LineError> {
        if self.logs.iter().any(|log| log.key.public_key() == key.public_key()) {
            return Err(LineError::DuplicateKey);
        }
        below(self.logs.len(), LOGS_MAX)?;
        self.logs.push(Log { key, url });
        Ok(())
    }

    /// Names one more witness. It counts once a quorum or group names it.
    ///
    /// # Errors
    /// A key that is not for cosignatures, a public key that another witness has, a name that is taken or `none`, or more
    /// than [`WITNESSES_MAX`].
    pub fn add_witness(&mut self, name: Word, key: VerifierKey, url: Option<Word>) -> Result<(), LineError> {
        if key.kind() != KeyType::CosignatureV1 {
            return Err(LineError::KeyType);
        }
        if self.witnesses.iter().any(|witness| witness.key.public_key() == key.public_key()) {
            return Err(LineError::DuplicateKey);
        }
        self.check_new(&name)?;
        below(self.witnesses.len(), WITNESSES_MAX)?;
        self.witnesses.push(Witness { name, key, url });
        Ok(())
    }

    /// Defines a group: it has witnessed what `threshold` of its members have witnessed. Members must be defined, which
    /// rules out cycles, and belong to no other group, so that no witness counts twice.
    ///
    /// # Errors
    /// A name that is taken or `none`, no members, a member unknown or listed before, a threshold outside 1 to the number
    /// of members, or more than [`GROUPS_MAX`].
    pub fn add_group(&mut self, name: Word, threshold: usize, members: &[Word]) -> Result<(), LineError> {
        self.check_new(&name)?;
        below(self.groups.len(), GROUPS_MAX)?;
        if threshold == 0 || threshold > members.len() {
            return Err(LineError::Threshold);
        }
        let mut found: Vec<Member> = Vec::new();
        for member in members {
            let member = self.find(member).ok_or(LineError::UnknownName)?;
            if found.contains(&member) || self.groups.iter().any(|group| group.members.contains(&member)) {
                return Err(LineError::MemberTwice);
            }
            found.push(member);
        }
        self.groups.push(Group { name, threshold, members: found });
        Ok(())
    }

    /// Sets the quorum to a witness, a group, or `none`.
    ///
    /// # Errors
    /// A name that is not defined.
    pub fn set_quorum(&mut self, name: &Word) -> Result<(), LineError> {
        self.quorum = match name.is_none() {
            true => None,
            false => Some(self.find(name).ok_or(LineError::UnknownName)?),
        };
        Ok(())
    }

    /// Whether cosignatures of the witnesses with these names make a quorum. Names that are not in the policy, and names
    /// of groups, count for nothing.
    pub fn quorum_of<N: AsRef<[u8]>>(&self, names: &[N]) -> bool {
        let cosigned = |witness: &Witness| names.iter().any(|name| name.as_ref() == witness.name.as_bytes());
        self.reaches(&self.witnesses.iter().map(cosigned).collect::<Vec<bool>>())
    }

    /// Judges a checkpoint: read strictly, signed by a log of the policy under its own name, without a bad signature of
    /// any log or witness of the policy, and cosigned by a quorum.
    ///
    /// # Errors
    /// [`PolicyError::Checkpoint`] with the condition that does not hold, or [`PolicyError::Quorum`].
    pub fn check(&self, note: &[u8]) -> Result<Accepted, PolicyError> {
        let note = Note::parse(note).map_err(checkpoint::CheckpointError::from)?;
        let logs = self.logs.iter().map(|log| &log.key);
        let witnesses = self.witnesses.iter().map(|witness| &witness.key);
        let keys: Vec<VerifierKey> = logs.chain(witnesses).cloned().collect();
        let (checkpoint, verified) = checkpoint::verify(&note, &keys, self.logs.len())?;
        let log = verified
            .iter()
            .map(|signature| signature.key)
            .find(|index| *index < self.logs.len() && keys[*index].name() == checkpoint.origin)
            .ok_or(checkpoint::CheckpointError::NotSignedByLog)?;
        // Keys are compared, not indices: a log may be its own witness, and the note knows only one of the two.
        let time_of = |witness: &Witness| {
            let by_witness = verified.iter().find(|signature| keys[signature.key] == witness.key);
            by_witness.and_then(|signature| signature.time_s)
        };
        let times: Vec<Option<u64>> = self.witnesses.iter().map(time_of).collect();
        let reached = self.reaches(&times.iter().map(Option::is_some).collect::<Vec<bool>>());
        let cosigned: Vec<Cosigned> = times
            .iter()
            .enumerate()
            .filter_map(|(witness, time_s)| Some(Cosigned { witness, time_s: (*time_s)? }))
            .collect();
        if reached {
            Ok(Accepted { checkpoint, log, cosigned })
        } else {
            Err(PolicyError::Quorum { cosigned: cosigned.len() })
        }
    }

    /// The policy as text: logs, witnesses, groups in their order, then the quorum; no comments. Reads back as an equal
    /// policy.
    pub fn encode(&self) -> Vec<u8> {
        let mut lines: Vec<Vec<Word>> = Vec::new();
        let word = |text: String| Word::known(text.into_bytes());
        for log in &self.logs {
            let mut line = vec![word("log".into()), word(log.key.encode())];
            line.extend(log.url.clone());
            lines.push(line);
        }
        for witness in &self.witnesses {
            let mut line = vec![word("witness".into()), witness.name.clone(), word(witness.key.encode())];
            line.extend(witness.url.clone());
            lines.push(line);
        }
        for group in &self.groups {
            let mut threshold = String::new();
            match group.threshold {
                all if all == group.members.len() => threshold.push_str("all"),
                1 => threshold.push_str("any"),
                k => write!(threshold, "{k}").expect("a string takes all that is written to it"),
            }
            let mut line = vec![word("group".into()), group.name.clone(), word(threshold)];
            line.extend(group.members.iter().map(|member| self.name_of(*member)));
            lines.push(line);
        }
        let quorum = self.quorum.map_or_else(|| word("none".into()), |member| self.name_of(member));
        lines.push(vec![word("quorum".into()), quorum]);
        let join = |line: &Vec<Word>| line.iter().map(Word::as_bytes).collect::<Vec<&[u8]>>().join(&b' ');
        let mut text = lines.iter().map(join).collect::<Vec<Vec<u8>>>().join(&b'\n');
        text.push(b'\n');
        text
    }

    fn reaches(&self, cosigned: &[bool]) -> bool {
        let mut groups: Vec<bool> = Vec::with_capacity(self.groups.len());
        let holds = |groups: &[bool], member: &Member| match member {
            Member::Witness(index) => cosigned[*index],
            Member::Group(index) => groups[*index],
        };
        // Members are defined before their group, so one pass in order has every answer it needs.
        for group in &self.groups {
            let reached = group.members.iter().filter(|member| holds(&groups, member)).count();
            groups.push(reached >= group.threshold);
        }
        self.quorum.is_none_or(|member| holds(&groups, &member))
    }

    fn find(&self, name: &Word) -> Option<Member> {
        let witness = self.witnesses.iter().position(|witness| witness.name == *name).map(Member::Witness);
        witness.or_else(|| self.groups.iter().position(|group| group.name == *name).map(Member::Group))
    }

    fn name_of(&self, member: Member) -> Word {
        match member {
            Member::Witness(index) => self.witnesses[index].name.clone(),
            Member::Group(index) => self.groups[index].name.clone(),
        }
    }

    fn check_new(&self, name: &Word) -> Result<(), LineError> {
        if name.is_none() || self.find(name).is_some() { Err(LineError::DuplicateName) } else { Ok(()) }
    }
}

fn below(len: usize, limit: usize) -> Result<(), LineError> {
    if len < limit { Ok(()) } else { Err(LineError::TooMany { limit }) }
}

#[cfg(test)]
mod tests;
