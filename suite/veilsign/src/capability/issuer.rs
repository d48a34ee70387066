//! The issuer keys a verifier trusts: the one that signs, the one that is announced, and those that once signed and
//! whose capabilities are not over yet.

use thiserror::Error;
use veilcore::canon::Writer;
use veilcore::hash::hb;
use veilcore::id::KeyId;
use veilcore::tag;

use crate::key::VerifyingKey;

/// Most issuer keys at once: what a rotation every seven days and capabilities of 90 days make.
pub const ISSUER_KEYS_MAX: usize = 16;

/// Version byte of a record.
const RECORD_VERSION: u8 = 1;

/// One trusted key and the time in which it is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerKey {
    /// The key; its name is derived, never stored beside it.
    pub key: VerifyingKey,
    /// First moment of trust, Unix milliseconds.
    pub not_before_ms: u64,
    /// First moment after trust, Unix milliseconds. Whatever the key signed ends then, at the latest.
    pub not_after_ms: u64,
}

impl IssuerKey {
    /// The key's record: u8 version = 1, kid[8], key[32], u64 not_before_ms, u64 not_after_ms.
    pub fn record(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(57);
        out.u8(RECORD_VERSION)
            .fixed(self.key.key_id().as_bytes())
            .fixed(self.key.as_bytes())
            .u64(self.not_before_ms)
            .u64(self.not_after_ms);
        out.finish()
    }

    /// Hb("Veil/issuer-key/v1"; record): what the directory's log holds of it.
    pub fn digest(&self) -> [u8; 32] {
        hb(tag::ISSUER_KEY, &[("record", &self.record())])
    }
}

/// Why a set of issuer keys was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IssuerKeysError {
    /// None or more than [`ISSUER_KEYS_MAX`].
    #[error("an issuer key set has 1 to {ISSUER_KEYS_MAX} keys, not {found}")]
    Count {
        /// Keys found.
        found: usize,
    },
    /// Two keys share a name.
    #[error("issuer key {kid} is listed twice")]
    Duplicate {
        /// The name.
        kid: KeyId,
    },
    /// A key whose time of trust is empty.
    #[error("issuer key {kid} ends before it begins")]
    Window {
        /// The name.
        kid: KeyId,
    },
}

/// A checked set of issuer keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerKeys(Vec<(KeyId, IssuerKey)>);

impl IssuerKeys {
    /// Checks count, names and windows.
    pub fn new(keys: &[IssuerKey]) -> Result<Self, IssuerKeysError> {
        if keys.is_empty() || keys.len() > ISSUER_KEYS_MAX {
            return Err(IssuerKeysError::Count { found: keys.len() });
        }
        let mut set: Vec<(KeyId, IssuerKey)> = Vec::with_capacity(keys.len());
        for key in keys {
            let kid = key.key.key_id();
            if set.iter().any(|(other, _)| *other == kid) {
                return Err(IssuerKeysError::Duplicate { kid });
            }
            if key.not_after_ms <= key.not_before_ms {
                return Err(IssuerKeysError::Window { kid });
            }
            set.push((kid, *key));
        }
        Ok(Self(set))
    }

    /// Whether a key of that name is trusted at that moment: a verdict that is kept in a cache is worth as much.
    pub fn trusts(&self, kid: KeyId, now_ms: u64) -> bool {
        self.trusted(kid, now_ms).is_some()
    }

    /// The keys with their names.
    pub fn iter(&self) -> impl Iterator<Item = &(KeyId, IssuerKey)> {
        self.0.iter()
    }

    /// The key of that name, if it is trusted at that moment.
    pub(super) fn trusted(&self, kid: KeyId, now_ms: u64) -> Option<&IssuerKey> {
        let (_, key) = self.0.iter().find(|(name, _)| *name == kid)?;
        (key.not_before_ms..key.not_after_ms).contains(&now_ms).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use veilcore::secret::Secret;

    use super::*;
    use crate::key::SigningKey;

    fn key(seed: u8) -> IssuerKey {
        let key = SigningKey::from_seed(&Secret::new([seed; 32])).verifying_key();
        IssuerKey { key, not_before_ms: 10, not_after_ms: 20 }
    }

    #[test]
    fn a_key_is_trusted_inside_its_window_only() {
        let keys = IssuerKeys::new(&[key(1), key(2)]).expect("valid");
        let kid = key(2).key.key_id();
        for (now_ms, trusted) in [(9, false), (10, true), (19, true), (20, false)] {
            assert_eq!(keys.trusted(kid, now_ms).is_some(), trusted, "{now_ms}");
        }
        assert!(keys.trusted(key(3).key.key_id(), 15).is_none());
    }

    #[test]
    fn a_record_is_57_bytes_and_every_field_shows_in_its_digest() {
        let one = key(1);
        assert_eq!(one.record().len(), 57);
        let others = [key(2), IssuerKey { not_before_ms: 11, ..one }, IssuerKey { not_after_ms: 21, ..one }];
        for other in others {
            assert_ne!(one.digest(), other.digest());
        }
    }

    #[test]
    fn sets_that_make_no_sense_are_refused() {
        assert_eq!(IssuerKeys::new(&[]), Err(IssuerKeysError::Count { found: 0 }));
        let many: Vec<_> = (1..=17).map(key).collect();
        assert_eq!(IssuerKeys::new(&many), Err(IssuerKeysError::Count { found: 17 }));
        assert!(IssuerKeys::new(&many[1..]).is_ok());
        let kid = key(1).key.key_id();
        assert_eq!(IssuerKeys::new(&[key(1), key(1)]), Err(IssuerKeysError::Duplicate { kid }));
        let empty = IssuerKey { not_after_ms: 10, ..key(1) };
        assert_eq!(IssuerKeys::new(&[empty]), Err(IssuerKeysError::Window { kid }));
    }
}
