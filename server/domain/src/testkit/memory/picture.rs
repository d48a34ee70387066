//! What a test may see of a store from outside: everything in it as lines of text, and which port methods were called. A
//! request that is refused leaves the picture as it was; two requests that must not be told apart do the same work.

use std::{fmt::Debug, sync::PoisonError};

use veilcore::hash::sha256;

use super::{MemoryStore, State};

impl MemoryStore {
    /// One line for each row of each table that a request can change, in order. Rate tokens, spent proofs and half-finished
    /// logins are not in it: a refused request may leave those.
    pub fn picture(&self) -> Vec<String> {
        let state = self.lock();
        let mut lines = Vec::new();
        rows(&mut lines, "account", &state.accounts);
        for (id, row) in &state.sessions {
            let (live, tokens) = (row.live, row.tokens.len());
            lines.push(format!("session {id:?} {:?} live {live} tokens {tokens}", row.session));
        }
        rows(&mut lines, "key", &state.api_keys);
        rows(&mut lines, "project", &state.projects);
        rows(&mut lines, "environment", &state.environments);
        rows(&mut lines, "keyring", &state.keyrings);
        rows(&mut lines, "version", &state.versions);
        rows(&mut lines, "team", &state.teams);
        rows(&mut lines, "seat", &state.seats);
        rows(&mut lines, "upload", &state.uploads);
        state.granted.picture(&mut lines);
        let staged = state.staged.iter().map(|(id, bytes)| format!("staged {id:?} {}", hashed(bytes)));
        lines.extend(staged);
        lines.extend(state.blobs.keys().map(|digest| format!("blob {digest:?}")));
        lines.push(format!("replies {}", state.replies.len()));
        state.log_sizes(&mut lines);
        lines
    }

    /// Begins to note the name of every port method that is called.
    pub fn record_calls(&self) {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// The names noted since the last look, in order.
    pub fn take_calls(&self) -> Vec<&'static str> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Notes a call, if a test asked for it.
    pub(super) fn note(&self, method: &'static str) {
        if let Some(calls) = self.calls.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            calls.push(method);
        }
    }
}

impl State {
    /// The index that each log's next line gets, wherever the lines are now.
    fn log_sizes(&self, lines: &mut Vec<String>) {
        for (trail, waiting) in &self.outbox {
            let next = waiting.last_key_value().map_or_else(|| self.logs.size(*trail), |(last, _)| last + 1);
            lines.push(format!("log {trail:?} next {next}"));
        }
    }
}

/// A line for each row.
pub(super) fn rows<'a, K: Debug + 'a, V: Debug + 'a>(
    lines: &mut Vec<String>,
    table: &str,
    rows: impl IntoIterator<Item = (&'a K, &'a V)>,
) {
    lines.extend(rows.into_iter().map(|(key, row)| {
        // A keyring or a list is long; its hash says as well that it is the same.
        format!("{table} {key:?} {}", hashed(format!("{row:?}").as_bytes()))
    }));
}

fn hashed(bytes: &[u8]) -> String {
    sha256(bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
