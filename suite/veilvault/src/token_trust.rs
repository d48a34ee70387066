//! What the holder of a service token trusts first (docs/spec/vault.md, section 13.4): whose the project is, which access
//! list was the newest, which logs there are and what its environments are called. The *client* that makes the token
//! seals it under the token's share, the *server* keeps it, the token's machine opens it. What must never happen: the
//! server telling a machine without a past which owner, list or log it is to believe.

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Tag as AeadTag, XChaCha20Poly1305, XNonce};
use rand_core::CryptoRngCore;
use thiserror::Error;
use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::id::{AccountId, ApiKeyId, EnvironmentId, ProjectId};
use veilcore::secret::Secret;
use veilcore::tag;

use crate::access::ENTRY_ENVIRONMENTS_MAX;
use crate::kdf::derive;
use crate::token::TOKEN_SHARE_LEN;

/// Longest sealed record, in bytes.
pub const TOKEN_TRUST_LEN_MAX: usize = 4_096;
/// Most environments a record names.
pub const TRUST_ENVIRONMENTS_MAX: usize = ENTRY_ENVIRONMENTS_MAX;
/// Longest name of a project or environment, in bytes.
pub const TRUST_NAME_LEN_MAX: usize = 63;
/// Longest name of a server's logs, in bytes.
pub const TRUST_LOG_NAME_LEN_MAX: usize = 200;
/// Most keys of a server's logs.
pub const TRUST_LOG_KEYS_MAX: usize = 8;

const VERSION: u8 = 1;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;

/// Why a record was not sealed or not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not the bytes of a record, or of a version this build does not know; too many or too long parts, too.
    #[error("not a token's trust record: {0}")]
    Malformed(#[from] DecodeError),
    /// Sealed with another share, for another token or generation, or altered.
    #[error("the trust record was not made by who made this token")]
    Forged,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTrust {
    /// Project the token reads.
    pub project: ProjectId,
    /// Its name, 1 to [`TRUST_NAME_LEN_MAX`] bytes.
    pub project_name: String,
    /// When it was created, milliseconds since 1970.
    pub project_created_at_ms: u64,
    /// Its owner.
    pub owner: AccountId,
    /// The owner's signing key.
    pub owner_key: [u8; 32],
    /// Number of the newest access list when the token was made, 0 for none.
    pub list: u64,
    /// Its digest; zeros for none.
    pub list_digest: [u8; 32],
    /// Name of the server's logs, at most [`TRUST_LOG_NAME_LEN_MAX`] bytes; empty: it keeps none.
    pub log_name: String,
    /// Keys that sign them, newest first, at most [`TRUST_LOG_KEYS_MAX`].
    pub log_keys: Vec<[u8; 32]>,
    /// SHA-256 of the witness policy as the server gives it.
    pub witnesses: [u8; 32],
    /// The environments that the token was made for and their names then, by id; at most [`TRUST_ENVIRONMENTS_MAX`].
    pub environments: Vec<(EnvironmentId, String)>,
}

impl TokenTrust {
    /// Seals the record for one generation of a token, under its share. Draws a 24-byte nonce. At most
    /// [`TOKEN_TRUST_LEN_MAX`] bytes.
    ///
    /// # Errors
    /// [`TrustError::Malformed`]: a part is too long, or environments are there twice or out of order.
    pub fn seal(
        &self,
        (api_key, generation): (ApiKeyId, u32),
        share: &Secret<TOKEN_SHARE_LEN>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vec<u8>, TrustError> {
        self.check()?;
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let mut body = self.encode();
        let tag = cipher(api_key, generation, share)
            .encrypt_in_place_detached(XNonce::from_slice(&nonce), &[VERSION], &mut body)
            .expect("a record is far below the cipher's limit");
        let len = 1 + NONCE_LEN + body.len() + TAG_LEN;
        Ok(Writer::with_capacity(len).u8(VERSION).fixed(&nonce).fixed(&body).fixed(&tag).finish())
    }

    /// Opens a sealed record with the token's share.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn open(
        sealed: &[u8],
        (api_key, generation): (ApiKeyId, u32),
        share: &Secret<TOKEN_SHARE_LEN>,
    ) -> Result<Self, TrustError> {
        let mut reader = Reader::new(sealed);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version { found: version }.into());
        }
        if sealed.len() > TOKEN_TRUST_LEN_MAX {
            return Err(DecodeError::TooLong { len: sealed.len(), max: TOKEN_TRUST_LEN_MAX }.into());
        }
        let nonce: [u8; NONCE_LEN] = reader.array()?;
        let rest = &sealed[1 + NONCE_LEN..];
        let body_len = rest
            .len()
            .checked_sub(TAG_LEN)
            .ok_or(DecodeError::Truncated { needed: TAG_LEN, left: rest.len() })?;
        let (body, tag) = rest.split_at(body_len);
        let mut body = body.to_vec();
        cipher(api_key, generation, share)
            .decrypt_in_place_detached(
                XNonce::from_slice(&nonce),
                &[VERSION],
                &mut body,
                AeadTag::from_slice(tag),
            )
            .map_err(|_| TrustError::Forged)?;
        Self::decode(&body)
    }

    fn check(&self) -> Result<(), TrustError> {
        let value = |field| DecodeError::Value { field };
        if self.log_name.len() > TRUST_LOG_NAME_LEN_MAX {
            return Err(value("log_name").into());
        }
        if self.log_keys.len() > TRUST_LOG_KEYS_MAX {
            return Err(value("log_keys").into());
        }
        let is_name = |name: &str| !name.is_empty() && name.len() <= TRUST_NAME_LEN_MAX;
        if !is_name(&self.project_name) {
            return Err(value("project_name").into());
        }
        if self.environments.len() > TRUST_ENVIRONMENTS_MAX
            || self.environments.windows(2).any(|pair| pair[0].0 >= pair[1].0)
            || !self.environments.iter().all(|(_, name)| is_name(name))
        {
            return Err(value("environments").into());
        }
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let count = |len: usize| u8::try_from(len).expect("check allows 32 at most");
        let mut body = Writer::with_capacity(TOKEN_TRUST_LEN_MAX);
        body.fixed(self.project.as_bytes())
            .bytes(self.project_name.as_bytes())
            .u64(self.project_created_at_ms)
            .fixed(self.owner.as_bytes())
            .fixed(&self.owner_key)
            .u64(self.list)
            .fixed(&self.list_digest)
            .bytes(self.log_name.as_bytes())
            .u8(count(self.log_keys.len()));
        self.log_keys.iter().for_each(|key| {
            body.fixed(key);
        });
        body.fixed(&self.witnesses).u8(count(self.environments.len()));
        for (id, name) in &self.environments {
            body.fixed(id.as_bytes()).bytes(name.as_bytes());
        }
        body.finish()
    }

    fn decode(body: &[u8]) -> Result<Self, TrustError> {
        let text = |bytes: &[u8], field| match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(DecodeError::Value { field }),
        };
        let mut body = Reader::new(body);
        let mut record = Self {
            project: ProjectId::from_bytes(body.array()?),
            project_name: text(body.bytes(TRUST_NAME_LEN_MAX)?, "project_name")?,
            project_created_at_ms: body.u64()?,
            owner: AccountId::from_bytes(body.array()?),
            owner_key: body.array()?,
            list: body.u64()?,
            list_digest: body.array()?,
            log_name: text(body.bytes(TRUST_LOG_NAME_LEN_MAX)?, "log_name")?,
            log_keys: Vec::new(),
            witnesses: [0; 32],
            environments: Vec::new(),
        };
        for _ in 0..body.u8()? {
            record.log_keys.push(body.array()?);
        }
        record.witnesses = body.array()?;
        for _ in 0..body.u8()? {
            let id = EnvironmentId::from_bytes(body.array()?);
            record.environments.push((id, text(body.bytes(TRUST_NAME_LEN_MAX)?, "environments")?));
        }
        body.finish()?;
        record.check()?;
        Ok(record)
    }
}

/// The key of one generation of one token, which nobody has who has not its share.
fn cipher(api_key: ApiKeyId, generation: u32, share: &Secret<TOKEN_SHARE_LEN>) -> XChaCha20Poly1305 {
    let generation = generation.to_be_bytes();
    let items: [(&str, &[u8]); 2] = [("api_key", api_key.as_bytes()), ("generation", &generation)];
    let key = derive::<32>(share.expose(), &[], tag::TOKEN_TRUST, &items);
    XChaCha20Poly1305::new(key.expose().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_core::OsRng;

    use super::*;

    const TOKEN: (ApiKeyId, u32) = (ApiKeyId::from_bytes([7; 16]), 3);

    fn share() -> Secret<32> {
        Secret::new([9; 32])
    }

    fn record(environments: usize, name: &str) -> TokenTrust {
        let id = |i: usize| EnvironmentId::from_bytes([i as u8; 16]);
        TokenTrust {
            project: ProjectId::from_bytes([1; 16]),
            project_name: "my-app".to_owned(),
            project_created_at_ms: 1_700_000_000_000,
            owner: AccountId::from_bytes([2; 16]),
            owner_key: [3; 32],
            list: 4,
            list_digest: [5; 32],
            log_name: "veil.example/logs".to_owned(),
            log_keys: vec![[6; 32], [7; 32]],
            witnesses: [8; 32],
            environments: (0..environments).map(|i| (id(i), name.to_owned())).collect(),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_sealed() {
        for record in [record(2, "production"), record(0, ""), TokenTrust { list: 0, ..record(1, "x") }] {
            let sealed = record.seal(TOKEN, &share(), &mut OsRng).expect("within the limits");
            assert_eq!(TokenTrust::open(&sealed, TOKEN, &share()), Ok(record));
        }
    }

    #[test]
    fn the_longest_record_is_within_the_limit() {
        let largest = TokenTrust {
            project_name: "p".repeat(TRUST_NAME_LEN_MAX),
            log_name: "n".repeat(TRUST_LOG_NAME_LEN_MAX),
            log_keys: vec![[6; 32]; TRUST_LOG_KEYS_MAX],
            ..record(TRUST_ENVIRONMENTS_MAX, &"e".repeat(TRUST_NAME_LEN_MAX))
        };
        let sealed = largest.seal(TOKEN, &share(), &mut OsRng).expect("the limit");
        assert!(sealed.len() <= TOKEN_TRUST_LEN_MAX, "{}", sealed.len());
        assert_eq!(TokenTrust::open(&sealed, TOKEN, &share()), Ok(largest));
    }

    #[test]
    fn parts_beyond_their_limits_are_refused() {
        let refused = |record: TokenTrust| record.seal(TOKEN, &share(), &mut OsRng).err();
        let value = |field| Some(TrustError::Malformed(DecodeError::Value { field }));
        assert_eq!(refused(record(33, "x")), value("environments"));
        assert_eq!(refused(record(1, "")), value("environments"));
        assert_eq!(refused(record(1, &"e".repeat(64))), value("environments"));
        let mut reversed = record(2, "x");
        reversed.environments.reverse();
        assert_eq!(refused(reversed), value("environments"));
        assert_eq!(refused(TokenTrust { log_name: "n".repeat(201), ..record(1, "x") }), value("log_name"));
        let unnamed = TokenTrust { project_name: String::new(), ..record(1, "x") };
        assert_eq!(refused(unnamed), value("project_name"));
        assert_eq!(refused(TokenTrust { log_keys: vec![[6; 32]; 9], ..record(1, "x") }), value("log_keys"));
    }

    #[test]
    fn nobody_without_the_share_seals_or_reads_one() {
        let sealed = record(1, "production").seal(TOKEN, &share(), &mut OsRng).expect("sealed");
        let refused = |token, share: &Secret<32>| TokenTrust::open(&sealed, token, share);
        assert_eq!(refused(TOKEN, &Secret::new([8; 32])), Err(TrustError::Forged));
        assert_eq!(refused((TOKEN.0, 4), &share()), Err(TrustError::Forged), "of another generation");
        let other = ApiKeyId::from_bytes([8; 16]);
        assert_eq!(refused((other, TOKEN.1), &share()), Err(TrustError::Forged), "of another token");
        assert!(!sealed.windows(10).any(|window| window == b"production"));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let sealed = record(1, "production").seal(TOKEN, &share(), &mut OsRng).expect("sealed");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(TokenTrust::open(&changed, TOKEN, &share()).is_err(), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(TokenTrust::open(&sealed[..len], TOKEN, &share()).is_err(), "cut to {len}");
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(TokenTrust::open(&bytes, TOKEN, &share()).is_err());
            if let Ok(read) = TokenTrust::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }
}
