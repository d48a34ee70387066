//! Watching a log: each step fetches the newest checkpoint, shows by tiles that it continues the one before, reads every
//! new entry, and holds it against the rules of an honest log. A log that forks or goes back is an alarm with both signed
//! checkpoints: together they prove the fault to anyone.

use std::collections::BTreeSet;

use veilcore::hash::sha256;

use super::fresh;
use super::rules::Rules;
use crate::error::{Error, IntegrityReason, Result};
use crate::log::{Contradiction, Fault, Files, STEP_MAX, Walk, decode_entry};

/// Most findings of one step; the rest waits for the next.
const FINDINGS_MAX: usize = 1_000;

/// A watch over one log.
pub struct Monitor {
    files: Files,
    walk: Walk,
    rules: Rules,
    /// Findings that do not go away by themselves are told once.
    told: BTreeSet<[u8; 32]>,
    /// The server was asked what it says of itself.
    has_met: bool,
}

/// What one step saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Entries of the log that were read and checked by now.
    pub log_size: u64,
    /// Entries that this step read.
    pub new_events: u64,
    /// What should not be there.
    pub findings: Vec<Finding>,
}

/// Something that should not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Short name for machines, e.g. `stale-read`, or the name of an [`IntegrityReason`].
    pub kind: String,
    /// The entry.
    pub index: Option<u64>,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What proves it to others; keep it.
    pub evidence: Vec<Evidence>,
}

/// A file that proves a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evidence {
    /// A file name: what it is and the beginning of its SHA-256.
    pub name: String,
    /// A signed checkpoint.
    pub bytes: Vec<u8>,
}

impl Monitor {
    pub(super) fn new(files: Files) -> Self {
        Self { files, walk: Walk::default(), rules: Rules::default(), told: BTreeSet::new(), has_met: false }
    }

    /// Looks once: reads everything that is new, the first time the whole log, and follows the directory.
    ///
    /// # Errors
    /// When the server is not reached, or refuses. What it shows that fails a check is no error but a finding.
    pub async fn step(&mut self) -> Result<Step> {
        let mut step = Step::default();
        if !self.has_met {
            // Also says whether the server names other witnesses than the pinned ones.
            let met = self.files.client().meet().await.map(|_| ());
            self.keep(met, &mut step)?;
            self.has_met = true;
        }
        let seen = self.files.client().pins().await?.logs.note(self.files.log()).map(str::to_owned);
        match self.files.newest_or_contradiction().await {
            Ok(Ok(Some(newest))) => {
                match self.read(&newest.checkpoint, &mut step).await {
                    // The checkpoint covers what is missing or wrong: it is the evidence, with the one before it.
                    Err(Error::Integrity { reason, subject }) => {
                        let seen = seen.filter(|seen| seen.as_bytes() != newest.note);
                        let fault = Fault::new(reason, subject);
                        let finding = contradicts(Contradiction { fault, seen, shown: newest.note });
                        self.tell(finding, &mut step);
                    }
                    read => read?,
                }
            }
            Ok(Ok(None)) => {}
            Ok(Err(contradiction)) => {
                let finding = contradicts(contradiction);
                self.tell(finding, &mut step);
            }
            Err(e) => self.keep(Err(e), &mut step)?,
        }
        let followed = self.files.client().directory().follow().await.map(|_| ());
        self.keep(followed, &mut step)?;
        step.log_size = self.walk.size();
        Ok(step)
    }

    async fn read(&mut self, to: &veilchain::checkpoint::Checkpoint, step: &mut Step) -> Result<()> {
        // Stops early when there is too much to tell; the next step goes on.
        while self.walk.size() < to.size && step.findings.len() < FINDINGS_MAX {
            let first = self.walk.size();
            let entries = self.walk.step(&self.files, to, STEP_MAX).await?;
            step.new_events += entries.len() as u64;
            fresh::note(&self.files, &entries).await?;
            for (index, bytes) in (first..).zip(&entries) {
                let deviations = match decode_entry(self.files.log(), bytes) {
                    Ok(entry) => self.rules.take(&entry),
                    Err(fault) => vec![("entry", fault.cause)],
                };
                for (kind, message) in deviations {
                    let index = Some(index);
                    step.findings.push(Finding {
                        kind: kind.to_owned(),
                        index,
                        message,
                        evidence: Vec::new(),
                    });
                }
            }
        }
        Ok(())
    }

    /// What fails a check is a finding; everything else is for the caller.
    fn keep(&mut self, done: Result<()>, step: &mut Step) -> Result<()> {
        match done {
            Err(e @ Error::Integrity { reason, .. }) => {
                let (kind, message) = (reason.name().to_owned(), e.to_string());
                self.tell(Finding { kind, index: None, message, evidence: Vec::new() }, step);
                Ok(())
            }
            done => done,
        }
    }

    fn tell(&mut self, finding: Finding, step: &mut Step) {
        let shown = finding.evidence.iter().flat_map(|evidence| evidence.name.bytes());
        let key: Vec<u8> = finding.message.bytes().chain(shown).collect();
        // Bounded: a server that says something else each time is told of each time.
        if self.told.len() >= FINDINGS_MAX {
            self.told.clear();
        }
        if self.told.insert(sha256(&key)) {
            step.findings.push(finding);
        }
    }
}

fn contradicts(contradiction: Contradiction) -> Finding {
    let Contradiction { fault, seen, shown } = contradiction;
    let kind = match fault.reason {
        IntegrityReason::LogRolledBack => "seen-before-rollback",
        IntegrityReason::LogForked => "seen-before-fork",
        _ => "seen-before",
    };
    let mut evidence = vec![checkpoint("shown", shown)];
    evidence.extend(seen.map(|note| checkpoint(kind, note.into_bytes())));
    let message = format!("{}: {}", fault.reason, fault.cause);
    Finding { kind: fault.reason.name().to_owned(), index: None, message, evidence }
}

fn checkpoint(what: &str, bytes: Vec<u8>) -> Evidence {
    let digest = data_encoding::HEXLOWER.encode(&sha256(&bytes)[..8]);
    Evidence { name: format!("{what}-{digest}.checkpoint"), bytes }
}
