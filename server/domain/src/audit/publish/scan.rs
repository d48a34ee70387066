//! A look through all logs for heads that are committed and not shown, or shown without the quorum of the policy of now: at
//! the start, when somebody asks for it, and after more logs came than the queue has room for. Page after page, beside the
//! other work.

use std::time::Duration;

use tokio::time::Instant;
use veilchain::{key::VerifierKey, note::Note};

use super::Publisher;
use crate::{
    audit::{
        model::Trail,
        port::{LogState, SignedHead},
    },
    store::StoreError,
};

/// Logs that one step looks at.
const PAGE: usize = 64;
/// Wait after the store failed.
const RETRY: Duration = Duration::from_secs(1);

/// Where the look is.
pub(super) struct Scan {
    place: Place,
    /// Logs before the place came to nobody's notice since.
    again: bool,
    /// Not before.
    due: Option<Instant>,
}

enum Place {
    Idle,
    After(Option<Trail>),
    Running(Option<Trail>),
}

/// What one step found.
#[derive(Debug, Default)]
pub(super) struct Page {
    heads: Vec<SignedHead>,
    /// The last log looked at, when there may be more.
    last: Option<Trail>,
}

impl Default for Scan {
    /// At the start of a process everything is to be looked at.
    fn default() -> Self {
        Self { place: Place::After(None), again: false, due: None }
    }
}

impl Scan {
    /// Whether everything was looked at.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        matches!(self.place, Place::Idle)
    }

    /// Asks for a look from the beginning.
    pub fn again(&mut self) {
        match self.place {
            Place::Idle => self.place = Place::After(None),
            Place::After(_) | Place::Running(_) => self.again = true,
        }
    }

    /// Begins a step if one is wanted, due, and would find room; gives where it starts.
    pub fn begin(&mut self, now: Instant, room: usize) -> Option<Option<Trail>> {
        let Place::After(after) = self.place else { return None };
        if room < PAGE || self.due.is_some_and(|due| due > now) {
            return None;
        }
        self.place = Place::Running(after);
        Some(after)
    }

    /// When the next step is due, if nothing but time keeps it.
    pub fn next_due(&self, room: usize) -> Option<Instant> {
        self.due.filter(|_| matches!(self.place, Place::After(_)) && room >= PAGE)
    }

    /// Ends a step; gives the heads that it found.
    pub fn end(&mut self, page: Result<Page, StoreError>, now: Instant) -> Vec<SignedHead> {
        let Place::Running(after) = self.place else { return Vec::new() };
        match page {
            Ok(page) => {
                self.due = None;
                self.place = match page.last {
                    Some(last) => Place::After(Some(last)),
                    None if std::mem::take(&mut self.again) => Place::After(None),
                    None => Place::Idle,
                };
                page.heads
            }
            Err(error) => {
                tracing::warn!(error = %error, "the logs cannot be looked through: the store failed");
                self.due = Some(now + RETRY);
                self.place = Place::After(after);
                Vec::new()
            }
        }
    }
}

impl Publisher {
    /// Looks at the logs after `after`.
    pub(super) async fn page(&self, after: Option<Trail>) -> Result<Page, StoreError> {
        let found = self.logs.logs(after, PAGE).await?;
        let last = found.last().copied().filter(|_| found.len() >= PAGE);
        let mut heads = Vec::new();
        for log in found {
            heads.extend(self.unshown(log).await?);
        }
        Ok(Page { heads, last })
    }

    /// The committed head of a log, unless it is the one shown, and shown as the policy of now wants it.
    pub(super) async fn unshown(&self, log: Trail) -> Result<Option<SignedHead>, StoreError> {
        let state = self.logs.state(log).await?;
        Ok(state.filter(|state| !self.is_shown(state)).map(|state| SignedHead {
            log,
            size: state.size,
            root: state.root,
            checkpoint: state.checkpoint,
            publish: false,
            signed_at_ms: state.signed_at_ms,
            edge: state.edge,
        }))
    }

    /// What is shown may be from before the policy changed, or from before there was one.
    fn is_shown(&self, state: &LogState) -> bool {
        let parsed = |note: &[u8]| Note::parse(note).ok();
        let (Some(shown), Some(committed)) =
            (state.published.as_deref().and_then(parsed), parsed(&state.checkpoint[..]))
        else {
            return false;
        };
        let witnesses = self.policy.witnesses();
        let keys: Vec<VerifierKey> = witnesses.iter().map(|witness| witness.key.clone()).collect();
        // One cosignature that does not hold and every client refuses the note.
        shown.text() == committed.text()
            && shown.verify(&keys).is_ok_and(|verified| {
                let names: Vec<_> = verified.iter().map(|by| witnesses[by.key].name.as_bytes()).collect();
                self.policy.quorum_of(&names)
            })
    }
}
