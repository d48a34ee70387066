//! Committed lines in memory, so that the sequencer need not read back what was just written. Filled after each commit,
//! before its answer, by the one writer: so what is here of a trail has no gap and reaches to the trail's end. What must
//! never happen: an answer from here that lacks a committed line.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use veilcloud_domain::audit::model::{Event, Line, Trail};

/// Most lines that are kept, of about 110 bytes each. When there are more all are forgotten, and the database is asked.
pub(crate) const RECENT_MAX: usize = 65_536;

/// The last lines of a trail.
struct Run {
    first: u64,
    lines: VecDeque<Line>,
}

impl Run {
    fn end(&self) -> u64 {
        self.first.saturating_add(self.lines.len() as u64)
    }
}

#[derive(Default)]
struct State {
    trails: HashMap<Trail, Run>,
    lines: usize,
}

/// The lines.
#[derive(Default)]
pub(crate) struct Recent(Mutex<State>);

impl Recent {
    /// Adds lines that were committed at the end of a trail.
    pub fn add(&self, trail: Trail, first: u64, lines: Vec<Line>) {
        let mut state = self.lock();
        if state.lines + lines.len() > RECENT_MAX {
            *state = State::default();
        }
        state.lines += lines.len();
        match state.trails.get_mut(&trail) {
            Some(run) if run.end() == first => run.lines.extend(lines),
            _ => {
                // Lines before these came another way; the database has them.
                let old = state.trails.insert(trail, Run { first, lines: lines.into() });
                state.lines -= old.map_or(0, |run| run.lines.len());
            }
        }
    }

    /// Forgets the lines that the log has now.
    pub fn taken(&self, trail: Trail, size: u64) {
        let mut state = self.lock();
        let Some(run) = state.trails.get_mut(&trail) else { return };
        let gone = usize::try_from(size.saturating_sub(run.first)).unwrap_or(usize::MAX).min(run.lines.len());
        run.lines.drain(..gone);
        run.first += gone as u64;
        if run.lines.is_empty() {
            state.trails.remove(&trail);
        }
        state.lines -= gone;
    }

    /// At most `limit` lines from index `first` on; `None` when the database has to be asked.
    pub fn from(&self, trail: Trail, first: u64, limit: usize) -> Option<Vec<Event>> {
        let state = self.lock();
        let run = state.trails.get(&trail).filter(|run| run.first <= first && first < run.end())?;
        let skip = usize::try_from(first - run.first).ok()?;
        let end = run.lines.len().min(skip.saturating_add(limit));
        let lines = run.lines.range(skip..end).cloned();
        Some((first..).zip(lines).map(|(index, line)| Event { index, line }).collect())
    }

    // Nothing in here panics between two changes that belong together.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use veilcloud_domain::audit::model::Kind;
    use veilcore::id::{AccountId, ProjectId};

    use super::*;

    const TRAIL: Trail = Trail::Directory;

    fn lines(versions: std::ops::Range<u64>) -> Vec<Line> {
        let line = |version| Line {
            trail: TRAIL,
            kind: Kind::KeyPublish,
            actor: AccountId::from_bytes([1; 16]),
            at_ms: 5,
            environment: None,
            version,
            digest: None,
            key: None,
            by_number: false,
        };
        versions.map(line).collect()
    }

    fn versions(recent: &Recent, first: u64, limit: usize) -> Option<Vec<u64>> {
        let events = recent.from(TRAIL, first, limit)?;
        assert!((first..).zip(&events).all(|(index, event)| event.index == index));
        Some(events.iter().map(|event| event.line.version).collect())
    }

    #[test]
    fn lines_are_given_from_the_first_that_is_kept() {
        let recent = Recent::default();
        recent.add(TRAIL, 3, lines(3..5));
        recent.add(TRAIL, 5, lines(5..6));
        assert_eq!(versions(&recent, 3, 10), Some(vec![3, 4, 5]));
        assert_eq!(versions(&recent, 4, 1), Some(vec![4]));
        // Before them and behind them the database knows more.
        assert_eq!(versions(&recent, 2, 10), None);
        assert_eq!(versions(&recent, 6, 10), None);
    }

    #[test]
    fn taken_lines_are_gone_and_those_behind_stay() {
        let recent = Recent::default();
        recent.add(TRAIL, 0, lines(0..4));
        recent.taken(TRAIL, 3);
        assert_eq!(versions(&recent, 3, 10), Some(vec![3]));
        assert_eq!(versions(&recent, 0, 10), None);
        recent.taken(TRAIL, 100);
        assert_eq!((versions(&recent, 3, 10), recent.lock().lines), (None, 0));
    }

    #[test]
    fn lines_behind_a_gap_take_the_place_of_those_before_it() {
        let recent = Recent::default();
        recent.add(TRAIL, 0, lines(0..4));
        recent.add(TRAIL, 7, lines(7..8));
        assert_eq!((versions(&recent, 0, 10), versions(&recent, 7, 10)), (None, Some(vec![7])));
        assert_eq!(recent.lock().lines, 1);
    }

    #[test]
    fn too_many_lines_are_forgotten_and_never_given_with_an_end_missing() {
        let recent = Recent::default();
        let most = RECENT_MAX as u64;
        recent.add(TRAIL, 0, lines(0..most));
        recent.add(Trail::Project(ProjectId::from_bytes([1; 16])), 0, lines(0..1));
        assert_eq!((versions(&recent, 0, 1), recent.lock().lines), (None, 1));
        recent.add(TRAIL, most, lines(most..most + 1));
        assert_eq!(versions(&recent, most, 10), Some(vec![most]));
    }
}
