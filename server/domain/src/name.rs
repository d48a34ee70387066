//! Names of projects and environments. They are visible to the server and part of REST paths, so they are plain.

use std::{fmt, str::FromStr};

/// Greatest length of a name in bytes.
pub const NAME_LEN_MAX: usize = 63;

/// A name: `[a-z0-9][a-z0-9._-]{0,62}` without `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// The text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 63 of a-z, 0-9, '.', '_', '-', starts with a letter or digit, and has no '..'")]
pub struct NameInvalid;

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameInvalid;

    fn from_str(text: &str) -> Result<Self, NameInvalid> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let first = text.bytes().next().is_some_and(plain);
        let rest = text.bytes().all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'));
        if first && rest && text.len() <= NAME_LEN_MAX && !text.contains("..") {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameInvalid)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_taken() {
        for name in ["a", "my-app", "production", "v1.2_rc", "0", &"a".repeat(63)] {
            assert_eq!(name.parse::<Name>().map(|n| n.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn path_tricks_are_refused() {
        let long = "a".repeat(64);
        let names =
            ["", ".", "..", "a..b", "../x", "a/b", "a\\b", "A", "ä", "a\0b", "a b", "-a", "_a", ".env"];
        for name in names.iter().copied().chain([long.as_str(), "a\u{202e}b", "a%2fb", "a\nb"]) {
            assert_eq!(name.parse::<Name>(), Err(NameInvalid), "{name:?}");
        }
    }
}
