//! An environment as a program sees it: each key once, in order, with the value that counts.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::{Entry, Error, parse};

/// Ordered variables with distinct keys. A key set again keeps its first place and takes the new value.
/// It holds secrets, so it has no `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables {
    list: Vec<(String, Zeroizing<String>)>,
    places: HashMap<String, usize>,
}

impl Variables {
    /// No variables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads dotenv text ([`super::parse`]); of a key given twice the last value counts.
    ///
    /// # Errors
    /// Those of [`super::parse`].
    pub fn from_dotenv(text: &str) -> Result<Self, Error> {
        Ok(parse(text)?.into_iter().collect())
    }

    /// Sets a variable.
    pub fn set(&mut self, key: impl Into<String>, value: Zeroizing<String>) {
        let key = key.into();
        if let Some(place) = self.places.get(&key) {
            self.list[*place].1 = value;
            return;
        }
        self.places.insert(key.clone(), self.list.len());
        self.list.push((key, value));
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.places.get(key).map(|place| self.list[*place].1.as_str())
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl FromIterator<Entry> for Variables {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut variables = Self::new();
        for entry in entries {
            variables.set(entry.key, entry.value);
        }
        variables
    }
}
