//! What changed from one environment to another, and the mask under which a value may be shown.

use super::Variables;

/// What stands for a hidden value, whatever its length.
pub const MASK: &str = "••••••••";

/// Shortest value of which anything is shown: below it, four characters would be too much of the secret.
const SHOWN_LEN_MIN: usize = 24;

/// One difference, with the values on both sides. It holds secrets, so it has no `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Only the new side has the key.
    Added {
        /// The key.
        key: &'a str,
        /// Its value.
        new: &'a str,
    },
    /// Only the old side has the key.
    Removed {
        /// The key.
        key: &'a str,
        /// Its value.
        old: &'a str,
    },
    /// Both sides have the key with different values.
    Changed {
        /// The key.
        key: &'a str,
        /// Value on the old side.
        old: &'a str,
        /// Value on the new side.
        new: &'a str,
    },
}

impl<'a> Change<'a> {
    /// The key it is about.
    #[must_use]
    pub fn key(&self) -> &'a str {
        match self {
            Self::Added { key, .. } | Self::Removed { key, .. } | Self::Changed { key, .. } => key,
        }
    }
}

/// The differences between two environments: removed and changed keys in the old order, then added keys in
/// the new order. The order of keys and comments are not differences.
pub struct Diff<'a> {
    changes: Vec<Change<'a>>,
}

impl<'a> Diff<'a> {
    /// Compares `old` with `new`.
    #[must_use]
    pub fn between(old: &'a Variables, new: &'a Variables) -> Self {
        let kept = old.iter().filter_map(|(key, before)| match new.get(key) {
            None => Some(Change::Removed { key, old: before }),
            Some(after) if after != before => Some(Change::Changed { key, old: before, new: after }),
            Some(_) => None,
        });
        let added = new.iter().filter(|(key, _)| old.get(key).is_none());
        let added = added.map(|(key, new)| Change::Added { key, new });
        Self { changes: kept.chain(added).collect() }
    }

    /// The differences in order.
    #[must_use]
    pub fn changes(&self) -> &[Change<'a>] {
        &self.changes
    }

    /// Whether both sides are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// `value` as it may be shown: nothing at all of one under 24 characters or of one with control characters
/// (not even its length), else the first and last two characters.
#[must_use]
pub fn mask(value: &str) -> String {
    let marks: Vec<char> = value.chars().collect();
    match marks.as_slice() {
        [a, b, .., y, z] if marks.len() >= SHOWN_LEN_MIN && !marks.iter().any(|mark| mark.is_control()) => {
            format!("{a}{b}{MASK}{y}{z}")
        }
        _ => MASK.to_owned(),
    }
}
