//! Where a grant holds: a path, matched by whole segments. What must never happen: one place with two paths,
//! or a path that reaches beside or above itself.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use veilcore::id::ProjectId;

/// Longest path, in bytes.
pub const RESOURCE_LEN_MAX: usize = 128;
/// Longest segment, in bytes.
pub const SEGMENT_LEN_MAX: usize = 63;

/// Why a text is not a resource path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// Over [`RESOURCE_LEN_MAX`] bytes.
    #[error("a resource path has at most {RESOURCE_LEN_MAX} bytes, not {len}")]
    Length {
        /// Length found, in bytes.
        len: usize,
    },
    /// A segment that is empty, over [`SEGMENT_LEN_MAX`] bytes, starts with anything but a letter or digit,
    /// contains `..`, or has a character outside `a-z 0-9 . _ -`.
    #[error("segment {index} of the resource path is not allowed")]
    Segment {
        /// Which segment, from 0.
        index: usize,
    },
}

/// A path in its only form. The empty path is everything of the account; `p/<project>` is a project;
/// `p/<project>/e/<environment name>` is one environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource(String);

impl Resource {
    /// Everything of the account.
    pub fn account() -> Self {
        Self(String::new())
    }

    /// One project and all in it.
    pub fn project(project: ProjectId) -> Self {
        Self(format!("p/{project}"))
    }

    /// One environment, by its name.
    pub fn environment(project: ProjectId, name: &str) -> Result<Self, ResourceError> {
        let path = format!("p/{project}/e/{name}");
        // A slash inside the name would be another place, not a longer name.
        if name.contains('/') { Err(ResourceError::Segment { index: 3 }) } else { path.parse() }
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` is this place or inside it. `a/b` covers `a/b` and `a/b/c`, never `a/bc`.
    pub fn covers(&self, other: &Self) -> bool {
        match other.0.strip_prefix(&self.0) {
            Some(rest) => self.0.is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl FromStr for Resource {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        if text.len() > RESOURCE_LEN_MAX {
            return Err(ResourceError::Length { len: text.len() });
        }
        if text.is_empty() {
            return Ok(Self::account());
        }
        match text.split('/').position(|segment| !is_segment(segment)) {
            Some(index) => Err(ResourceError::Segment { index }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_segment(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.len() <= SEGMENT_LEN_MAX
        && bytes.first().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && !segment.contains("..")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resource(text: &str) -> Resource {
        text.parse().expect("a valid path")
    }

    #[test]
    fn a_place_covers_itself_and_what_is_inside() {
        for (outer, inner) in [("", ""), ("", "p"), ("", "p/x/e/y"), ("a/b", "a/b"), ("a/b", "a/b/c")] {
            assert!(resource(outer).covers(&resource(inner)), "{outer} covers {inner}");
        }
    }

    #[test]
    fn a_place_covers_nothing_beside_or_above_it() {
        for (outer, other) in
            [("a/b", "a/bc"), ("a/b", "a"), ("a/b", ""), ("a/b", "a/c"), ("a/b", "b/a/b"), ("a", "ab")]
        {
            assert!(!resource(outer).covers(&resource(other)), "{outer} does not cover {other}");
        }
    }

    #[test]
    fn tricks_in_paths_are_refused() {
        for text in [
            "..",
            "a/../b",
            "a..b",
            "a//b",
            "/a",
            "a/",
            "/",
            ".",
            "a/./b",
            "A",
            "a/B",
            "a b",
            "a\0b",
            "a\nb",
            "a%2fb",
            "a\\b",
            "ä",
            "a/\u{202e}b",
            "-a",
            "_a",
            ".a",
            "a*",
        ] {
            assert!(text.parse::<Resource>().is_err(), "{text:?}");
        }
        assert!("a".repeat(SEGMENT_LEN_MAX).parse::<Resource>().is_ok());
        assert!("a".repeat(SEGMENT_LEN_MAX + 1).parse::<Resource>().is_err());
        let long = vec!["a"; 65].join("/");
        assert_eq!(long.parse::<Resource>(), Err(ResourceError::Length { len: 129 }));
    }

    #[test]
    fn ids_and_names_make_paths() {
        let project = ProjectId::from_bytes([0x11; 16]);
        let environment = Resource::environment(project, "production").expect("valid");
        assert_eq!(environment.as_str(), "p/11111111-1111-1111-1111-111111111111/e/production");
        assert!(Resource::project(project).covers(&environment));
        assert!(Resource::environment(project, &"n".repeat(63)).is_ok());
        for name in ["", "..", "a/b", "Prod", &"n".repeat(64)] {
            assert!(Resource::environment(project, name).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_its_own_text(text in "[a-c./_-]{0,12}") {
            if let Ok(parsed) = text.parse::<Resource>() {
                prop_assert_eq!(parsed.as_str(), &text);
                prop_assert!(parsed.covers(&parsed) && Resource::account().covers(&parsed));
            }
        }

        #[test]
        fn covering_is_prefix_by_segments(a in "([ab]/){0,3}[ab]", b in "([ab]/){0,3}[ab]") {
            let segments = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(resource(&a).covers(&resource(&b)), segments(&b).starts_with(&segments(&a)));
        }
    }
}
