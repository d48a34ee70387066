//! A look through all logs for heads that are committed and not shown: at the start, and after more logs came than the
//! queue has room for. Page after page, beside the other work.

use std::time::Duration;

use tokio::time::Instant;
use veilchain::{checkpoint::Checkpoint, note::Note};

use crate::{
    audit::{
        model::Trail,
        port::{LogState, LogStore, SignedHead},
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

/// Looks at the logs after `after`.
pub(super) async fn page(logs: &dyn LogStore, after: Option<Trail>) -> Result<Page, StoreError> {
    let found = logs.logs(after, PAGE).await?;
    let last = found.last().copied().filter(|_| found.len() >= PAGE);
    let mut heads = Vec::new();
    for log in found {
        heads.extend(head(logs, log).await?);
    }
    Ok(Page { heads, last })
}

/// The committed head of a log, if it is not the one shown.
pub(super) async fn head(logs: &dyn LogStore, log: Trail) -> Result<Option<SignedHead>, StoreError> {
    let state = logs.state(log).await?;
    Ok(state.filter(|state| shown(state) < Some(state.size)).map(|state| SignedHead {
        log,
        size: state.size,
        root: state.root,
        checkpoint: state.checkpoint,
        publish: false,
        signed_at_ms: state.signed_at_ms,
    }))
}

fn shown(state: &LogState) -> Option<u64> {
    let note = Note::parse(state.published.as_deref()?).ok()?;
    Checkpoint::parse(note.text()).ok().map(|checkpoint| checkpoint.size)
}
