//! An entry of our own logs (docs/spec/chain.md, section 3): who did what to what, as ids, times and commitments. Never a
//! name, an address or content. What must never happen: two meanings for the same bytes, or a leaf of one log that
//! passes for a leaf of another.

use veilcore::canon::{DecodeError, Reader, Writer};

/// Version of the layout.
pub const ENTRY_VERSION: u8 = 2;
/// Length of an entry without its optional parts, in bytes.
pub const ENTRY_LEN_MIN: usize = 92;
/// Length of an entry with all of them, in bytes.
pub const ENTRY_LEN_MAX: usize = 116;

const ENVIRONMENT: u16 = 1;
const NUMBER: u16 = 2;
const DIGEST: u16 = 4;
const BY_NUMBER: u16 = 8;
const KNOWN: u16 = ENVIRONMENT | NUMBER | DIGEST | BY_NUMBER;

/// One entry: 92 to 116 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What happened; numbers are in docs/spec/chain.md and are never reused.
    pub kind: u8,
    /// The log it belongs to, 16 bytes: id of the project or account, zero for the directory.
    pub log: [u8; 16],
    /// When, in milliseconds since the Unix epoch, as the server's clock had it.
    pub at_ms: u64,
    /// Who did it: the account's id in the first 16 bytes, then zeros.
    pub actor: [u8; 32],
    /// The environment it concerns, or another account.
    pub subject: Option<[u8; 16]>,
    /// The version, epoch or generation it concerns; from 1.
    pub number: Option<u64>,
    /// SHA-256 of what it concerns: a ciphertext, a keyring, an account bundle, a log key.
    pub digest: Option<[u8; 32]>,
    /// A read that asked for this very version, whether or not it is the current one.
    pub by_number: bool,
}

impl Entry {
    /// Canonical bytes: version, kind, flags, log, time, actor, digest (zero when absent), then subject and number when
    /// there are any.
    pub fn encode(&self) -> Vec<u8> {
        let flag = |present: bool, bit: u16| if present { bit } else { 0 };
        let mut w = Writer::new();
        w.u8(ENTRY_VERSION);
        w.u8(self.kind);
        w.u16(
            flag(self.subject.is_some(), ENVIRONMENT)
                | flag(self.number.is_some(), NUMBER)
                | flag(self.digest.is_some(), DIGEST)
                | flag(self.by_number, BY_NUMBER),
        );
        w.fixed(&self.log);
        w.u64(self.at_ms);
        w.fixed(&self.actor);
        w.fixed(&self.digest.unwrap_or([0; 32]));
        if let Some(subject) = &self.subject {
            w.fixed(subject);
        }
        if let Some(number) = self.number {
            w.u64(number);
        }
        w.finish()
    }

    /// Reads canonical bytes back.
    ///
    /// # Errors
    /// Another version, an unknown flag, a digest that should be zero, a number 0, too few or too many bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.u8()?;
        if version != ENTRY_VERSION {
            return Err(DecodeError::Version { found: version });
        }
        let kind = r.u8()?;
        let flags = r.u16()?;
        if flags & !KNOWN != 0 {
            return Err(DecodeError::Value { field: "flags" });
        }
        let log = r.array()?;
        let at_ms = r.u64()?;
        let actor = r.array()?;
        let digest: [u8; 32] = r.array()?;
        if flags & DIGEST == 0 && digest != [0; 32] {
            return Err(DecodeError::Value { field: "digest" });
        }
        let subject = if flags & ENVIRONMENT != 0 { Some(r.array()?) } else { None };
        let number = if flags & NUMBER != 0 { Some(r.u64()?) } else { None };
        if number == Some(0) {
            return Err(DecodeError::Value { field: "number" });
        }
        r.finish()?;
        Ok(Self {
            kind,
            log,
            at_ms,
            actor,
            subject,
            number,
            digest: (flags & DIGEST != 0).then_some(digest),
            by_number: flags & BY_NUMBER != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn entry()(
            kind: u8, log: [u8; 16], at_ms: u64, actor: [u8; 32], subject: Option<[u8; 16]>,
            number in prop::option::of(1u64..), digest: Option<[u8; 32]>, by_number: bool,
        ) -> Entry {
            Entry { kind, log, at_ms, actor, subject, number, digest, by_number }
        }
    }

    proptest! {
        #[test]
        fn an_entry_comes_back_as_it_was_and_has_its_stated_length(entry in entry()) {
            let bytes = entry.encode();
            prop_assert!((ENTRY_LEN_MIN..=ENTRY_LEN_MAX).contains(&bytes.len()));
            prop_assert_eq!(Entry::decode(&bytes).unwrap(), entry);
        }

        #[test]
        fn what_decodes_is_canonical(bytes in prop::collection::vec(any::<u8>(), 0..140)) {
            if let Ok(entry) = Entry::decode(&bytes) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }

        #[test]
        fn a_cut_or_lengthened_entry_is_refused(entry in entry(), extra: u8) {
            let bytes = entry.encode();
            for len in 0..bytes.len() {
                prop_assert!(Entry::decode(&bytes[..len]).is_err());
            }
            let mut longer = bytes;
            longer.push(extra);
            prop_assert!(Entry::decode(&longer).is_err());
        }
    }

    #[test]
    fn other_versions_unknown_flags_and_hidden_digests_are_refused() {
        let plain = Entry {
            kind: 40,
            log: [1; 16],
            at_ms: 5,
            actor: [2; 32],
            subject: None,
            number: None,
            digest: None,
            by_number: false,
        };
        let bytes = plain.encode();
        let altered = |at: usize, value: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            Entry::decode(&bytes)
        };
        assert!(matches!(altered(0, 1), Err(DecodeError::Version { found: 1 })));
        assert!(matches!(altered(3, 16), Err(DecodeError::Value { field: "flags" })));
        assert!(matches!(altered(2, 1), Err(DecodeError::Value { field: "flags" })));
        assert!(matches!(altered(91, 1), Err(DecodeError::Value { field: "digest" })));
        let numbered = Entry { number: Some(7), ..plain }.encode();
        let mut zero = numbered.clone();
        zero[99] = 0;
        assert!(matches!(Entry::decode(&zero), Err(DecodeError::Value { field: "number" })));
    }
}
