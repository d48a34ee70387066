//! The inner header (docs/spec/vault.md, section 7): the first 256 bytes of a text blob's or keyring's plaintext, one
//! comment line that says where the file belongs. age has no associated data, so this line is what ties a file to
//! its project, environment, version and epoch for somebody who holds the file alone. dotenv files and age identity
//! files both allow `#` lines, so it does not disturb stock tools.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use thiserror::Error;
use veilcore::hash::hb;
use veilcore::id::{EnvironmentId, KeyId, ProjectId};
use veilcore::tag;

/// Length of the line with its newline, in bytes.
pub const HEADER_LINE_LEN: usize = 256;

const MAGIC: &str = "# veil1";
const FIELDS: [&str; 7] = ["kind", "project", "environment", "version", "parent", "epoch", "author"];

/// What the line says does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not a `# veil1` line, or not the one spelling its fields have.
    #[error("the first line is not a veil1 header")]
    Malformed,
    /// A field does not say what the seal beside the file says.
    #[error("the first line names another {field}")]
    Mismatch {
        /// Name of the first field that differs.
        field: &'static str,
    },
}

/// What the rest of the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderKind {
    /// Content of a text blob.
    Text,
    /// The secret key of an epoch.
    Keyring,
}

/// The fields of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderLine {
    /// What follows the line.
    pub kind: HeaderKind,
    /// Project the file belongs to.
    pub project: ProjectId,
    /// Environment the file belongs to.
    pub environment: EnvironmentId,
    /// Version of the blob, from 1; 0 in a keyring.
    pub version: u64,
    /// Digest of the version before; zeros in version 1 and in a keyring.
    pub parent: [u8; 32],
    /// Epoch of the environment's key.
    pub epoch: u32,
    /// Short name of the author's signing key.
    pub author_key: KeyId,
}

impl HeaderLine {
    /// The line: at most 235 characters, spaces up to 255, a newline.
    pub fn render(&self) -> [u8; HEADER_LINE_LEN] {
        let kind = match self.kind {
            HeaderKind::Text => "text",
            HeaderKind::Keyring => "keyring",
        };
        let text = format!(
            "{MAGIC} kind={kind} project={} environment={} version={} parent={} epoch={} author={}",
            self.project,
            self.environment,
            self.version,
            BASE64URL_NOPAD.encode(&self.parent),
            self.epoch,
            self.author_key,
        );
        let mut line = [b' '; HEADER_LINE_LEN];
        line[..text.len()].copy_from_slice(text.as_bytes());
        line[HEADER_LINE_LEN - 1] = b'\n';
        line
    }

    /// Reads a line. Every line has one spelling; any other is refused.
    ///
    /// # Errors
    /// [`HeaderError::Malformed`].
    pub fn parse(line: &[u8; HEADER_LINE_LEN]) -> Result<Self, HeaderError> {
        let header = Self::read(line).ok_or(HeaderError::Malformed)?;
        // Leading zeros, plus signs, extra spaces, other letters: writing it again finds them all.
        if header.render() == *line { Ok(header) } else { Err(HeaderError::Malformed) }
    }

    /// Whether this line says what `expected` says.
    ///
    /// # Errors
    /// [`HeaderError::Mismatch`] with the first field that differs, in the order of the line.
    pub fn matches(&self, expected: &Self) -> Result<(), HeaderError> {
        let same = [
            self.kind == expected.kind,
            self.project == expected.project,
            self.environment == expected.environment,
            self.version == expected.version,
            self.parent == expected.parent,
            self.epoch == expected.epoch,
            self.author_key == expected.author_key,
        ];
        match same.iter().position(|same| !same) {
            None => Ok(()),
            Some(at) => Err(HeaderError::Mismatch { field: FIELDS[at] }),
        }
    }

    /// `Hb("Veil/seal-header/v1"; line)`: what a seal carries of the line.
    pub fn hash(&self) -> [u8; 32] {
        hb(tag::SEAL_HEADER, &[("line", &self.render())])
    }

    fn read(line: &[u8; HEADER_LINE_LEN]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?.strip_prefix(MAGIC)?.trim_ascii();
        let mut words = text.split(' ');
        let mut values = [""; FIELDS.len()];
        for (value, name) in values.iter_mut().zip(FIELDS) {
            *value = words.next()?.strip_prefix(name)?.strip_prefix('=')?;
        }
        let [kind, project, environment, version, parent, epoch, author_key] = values;
        Some(Self {
            kind: match kind {
                "text" => HeaderKind::Text,
                "keyring" => HeaderKind::Keyring,
                _ => return None,
            },
            project: project.parse().ok()?,
            environment: environment.parse().ok()?,
            version: version.parse().ok()?,
            parent: BASE64URL_NOPAD.decode(parent.as_bytes()).ok()?.try_into().ok()?,
            epoch: epoch.parse().ok()?,
            author_key: KeyId::from_bytes(HEXLOWER.decode(author_key.as_bytes()).ok()?.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> HeaderLine {
        HeaderLine {
            kind: HeaderKind::Text,
            project: ProjectId::from_bytes([1; 16]),
            environment: EnvironmentId::from_bytes([2; 16]),
            version: 3,
            parent: [4; 32],
            epoch: 5,
            author_key: KeyId::from_bytes([6; 8]),
        }
    }

    #[test]
    fn the_longest_line_fits_with_room_for_one_space() {
        let longest =
            HeaderLine { kind: HeaderKind::Keyring, version: u64::MAX, epoch: u32::MAX, ..sample() };
        let line = longest.render();
        assert_eq!(&line[235..], b"                    \n", "235 characters at most");
        assert_eq!(HeaderLine::parse(&line), Ok(longest));
    }

    #[test]
    fn any_other_spelling_is_refused() {
        let line = String::from_utf8(sample().render().to_vec()).expect("ASCII");
        let respell = |from: &str, to: &str| {
            let mut bytes = line.replacen(from, to, 1).into_bytes();
            bytes.truncate(HEADER_LINE_LEN - 1);
            bytes.resize(HEADER_LINE_LEN - 1, b' ');
            bytes.push(b'\n');
            HeaderLine::parse(&bytes.try_into().expect("256 bytes"))
        };
        assert_eq!(respell("version=3", "version=3"), Ok(sample()));
        for (from, to) in [
            ("version=3", "version=03"),
            ("version=3", "version=+3"),
            ("version=3", "version=3 "),
            ("version=3", "version=18446744073709551616"),
            ("kind=text", "kind=TEXT"),
            ("kind=text", "kind=binary"),
            ("# veil1", "# veil2"),
            ("# veil1", "#veil1 "),
            (" epoch=5", ""),
            ("author=06", "author=0A"),
            ("parent=BAQ", "parent=BA+"),
            ("author=", "extra=1 author="),
        ] {
            assert_eq!(respell(from, to), Err(HeaderError::Malformed), "{from} as {to}");
        }
        let mut no_newline = sample().render();
        no_newline[255] = b' ';
        assert_eq!(HeaderLine::parse(&no_newline), Err(HeaderError::Malformed));
        let mut trailing = sample().render();
        trailing[254] = b'x';
        assert_eq!(HeaderLine::parse(&trailing), Err(HeaderError::Malformed));
    }

    #[test]
    fn a_line_from_elsewhere_is_named_by_its_field() {
        let other = |field: &'static str, line: HeaderLine| {
            assert_eq!(line.matches(&sample()), Err(HeaderError::Mismatch { field }));
            assert_ne!(line.hash(), sample().hash());
        };
        other("kind", HeaderLine { kind: HeaderKind::Keyring, ..sample() });
        other("project", HeaderLine { project: ProjectId::from_bytes([9; 16]), ..sample() });
        other("environment", HeaderLine { environment: EnvironmentId::from_bytes([9; 16]), ..sample() });
        other("version", HeaderLine { version: 4, ..sample() });
        other("parent", HeaderLine { parent: [9; 32], ..sample() });
        other("epoch", HeaderLine { epoch: 6, ..sample() });
        other("author", HeaderLine { author_key: KeyId::from_bytes([9; 8]), ..sample() });
        assert_eq!(sample().matches(&sample()), Ok(()));
    }

    proptest! {
        #[test]
        fn any_fields_read_back(project: [u8; 16], environment: [u8; 16], version: u64, parent: [u8; 32],
                                epoch: u32, author: [u8; 8], keyring: bool) {
            let header = HeaderLine {
                kind: if keyring { HeaderKind::Keyring } else { HeaderKind::Text },
                project: ProjectId::from_bytes(project),
                environment: EnvironmentId::from_bytes(environment),
                version, parent, epoch,
                author_key: KeyId::from_bytes(author),
            };
            prop_assert_eq!(HeaderLine::parse(&header.render()), Ok(header));
        }

        #[test]
        fn no_line_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), HEADER_LINE_LEN)) {
            let line: [u8; HEADER_LINE_LEN] = bytes.try_into().expect("256 bytes");
            prop_assert_eq!(HeaderLine::parse(&line), Err(HeaderError::Malformed));
        }
    }
}
