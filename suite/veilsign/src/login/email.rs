//! The one form of an e-mail address. It is the OPAQUE client identifier and names the OPRF key, so client
//! and server must reach the same bytes or every password is wrong.

use thiserror::Error;

/// Longest address, in bytes (RFC 5321, path limit less its brackets).
pub const EMAIL_LEN_MAX: usize = 254;

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EmailError {
    /// Over [`EMAIL_LEN_MAX`] bytes after trimming.
    #[error("an e-mail address has at most {EMAIL_LEN_MAX} bytes, not {len}")]
    Length {
        /// Length found, in bytes.
        len: usize,
    },
    /// A space, control or non-ASCII character.
    #[error("character {position} is not allowed in an e-mail address")]
    Character {
        /// Position of the byte, from 0, after trimming.
        position: usize,
    },
    /// Not exactly one `@` with something on both sides.
    #[error("an e-mail address has one @ between two parts")]
    Shape,
}

/// Trims ASCII spaces and lower-cases; refuses everything that is not visible ASCII with exactly one `@`
/// inside.
pub fn normalise_email(text: &str) -> Result<String, EmailError> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    if text.len() > EMAIL_LEN_MAX {
        return Err(EmailError::Length { len: text.len() });
    }
    if let Some(position) = text.bytes().position(|byte| !byte.is_ascii_graphic()) {
        return Err(EmailError::Character { position });
    }
    match text.split_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() && !domain.contains('@') => {
            Ok(text.to_ascii_lowercase())
        }
        _ => Err(EmailError::Shape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_one_form() {
        assert_eq!(normalise_email(" Alice@Example.COM\n"), Ok("alice@example.com".to_owned()));
        assert_eq!(normalise_email("a+tag@b"), Ok("a+tag@b".to_owned()));
    }

    #[test]
    fn neighbours_of_an_address_are_refused() {
        for shape in ["", "alice", "@b", "a@", "a@b@c", "@"] {
            assert_eq!(normalise_email(shape), Err(EmailError::Shape), "{shape}");
        }
        assert_eq!(normalise_email("a b@c"), Err(EmailError::Character { position: 1 }));
        assert_eq!(normalise_email("a\0@c"), Err(EmailError::Character { position: 1 }));
        assert_eq!(normalise_email("a\u{202e}@c"), Err(EmailError::Character { position: 1 }));
        assert_eq!(normalise_email("\u{a0}a@c"), Err(EmailError::Character { position: 0 }));
        let long = format!("{}@b", "a".repeat(253));
        assert_eq!(normalise_email(&long), Err(EmailError::Length { len: 255 }));
        assert!(normalise_email(&long[1..]).is_ok());
    }
}
