//! Ids (docs/spec/core.md, section 4). Each is 16 bytes, a UUID made elsewhere, with its own type so that a
//! project id can never stand where an account id belongs. One id has one text: the lower-case hyphenated
//! form.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::hash::sha256;

/// Length of an id's text, in ASCII characters.
pub const ID_TEXT_LEN: usize = 36;

/// Where the text form has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdError {
    /// Not 36 bytes long.
    #[error("an id has {ID_TEXT_LEN} characters, not {len}")]
    Length {
        /// Length found, in bytes.
        len: usize,
    },
    /// A character that is not lower-case hexadecimal, or not the hyphen expected there.
    #[error("character {position} does not belong in an id")]
    Character {
        /// Position of the first wrong byte, from 0.
        position: usize,
    },
}

macro_rules! ids {
    ($($(#[$doc:meta])+ $name:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From the 16 bytes of the UUID. Any bytes are an id: a decoder has nothing to refuse.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes of the UUID.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_uuid(text).map(Self)
            }
        }
    )+};
}

ids! {
    /// A person's account. Random (version 4), drawn by the client at registration because it is bound into
    /// what the client encrypts.
    AccountId;
    /// A project of an account. Time-ordered (version 7), made by the server.
    ProjectId;
    /// An environment: one blob with versions 1..n. Time-ordered (version 7), made by the server.
    EnvironmentId;
    /// An upload session. Time-ordered (version 7), made by the server.
    UploadId;
    /// One login: holder key, capability and refresh token. Made by the server.
    SessionId;
    /// A team: people with roles, whom projects are shared with. Time-ordered (version 7), made by the server.
    TeamId;
    /// An API key of an account. Random (version 4), drawn by the client because it is bound into what the
    /// client encrypts.
    ApiKeyId;
    /// One try at login, registration or recovery, between its first message and its last. Made by the
    /// server.
    AttemptId;
}

/// Short name of an Ed25519 public key: the first 8 bytes of its SHA-256. Finds a key among a few; proves
/// nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// The name of a 32-byte Ed25519 public key.
    pub fn of(public_key: &[u8; 32]) -> Self {
        let digest = sha256(public_key);
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        Self(id)
    }

    /// From its 8 bytes.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Its 8 bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

fn write_uuid(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

fn parse_uuid(text: &str) -> Result<[u8; 16], IdError> {
    if text.len() != ID_TEXT_LEN {
        return Err(IdError::Length { len: text.len() });
    }
    let mut bytes = [0; 16];
    let mut nibbles = 0;
    for (position, byte) in text.bytes().enumerate() {
        let value = match byte {
            b'-' if HYPHENS.contains(&position) => continue,
            _ if HYPHENS.contains(&position) => return Err(IdError::Character { position }),
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return Err(IdError::Character { position }),
        };
        bytes[nibbles / 2] = bytes[nibbles / 2] << 4 | value;
        nibbles += 1;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "0192f3c4-5a6b-7c8d-9e0f-102132435465";

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id: ProjectId = TEXT.parse().expect("valid");
        assert_eq!(id.to_string(), TEXT);
        assert_eq!(id.as_bytes()[..4], [0x01, 0x92, 0xf3, 0xc4]);
        assert_eq!(format!("{id:?}"), format!("ProjectId({TEXT})"));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let bare = TEXT.replace('-', "");
        assert_eq!(bare.parse::<ProjectId>(), Err(IdError::Length { len: 32 }));
        assert_eq!(TEXT.to_uppercase().parse::<ProjectId>(), Err(IdError::Character { position: 4 }));
        assert_eq!(
            TEXT.replace("5a6b-", "5a6-b").parse::<ProjectId>(),
            Err(IdError::Character { position: 12 })
        );
        assert_eq!(
            TEXT.replace("4-5a", "455a").parse::<ProjectId>(),
            Err(IdError::Character { position: 8 })
        );
        assert!(format!(" {}", &TEXT[1..]).parse::<ProjectId>().is_err());
        assert!(format!("{{{TEXT}}}").parse::<ProjectId>().is_err());
        assert!("é".repeat(18).parse::<ProjectId>().is_err());
    }

    #[test]
    fn a_key_id_is_the_head_of_the_hash() {
        let id = KeyId::of(&[0; 32]);
        assert_eq!(id.to_string(), "66687aadf862bd77");
        assert_eq!(KeyId::from_bytes(*id.as_bytes()), id);
    }

    proptest! {
        #[test]
        fn any_bytes_survive_the_text_form(bytes: [u8; 16]) {
            let id = AccountId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<AccountId>(), Ok(id));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            if let Ok(id) = text.parse::<AccountId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
