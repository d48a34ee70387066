//! The server's half of a service token's key (docs/spec/vault.md, section 13): the share that the client gave it, sealed,
//! with the public record and what the token's holder trusts first. Who has the database has no share: the key that seals
//! it follows from the pepper. Who has the share as well opens nothing without the token's. Deleting it ends the token for
//! good.
//!
//! What must never happen: a share that is there after its key is over, one that was taken for another key's, or one
//! that is unsealed before what it is asked for was verified.

use chacha20poly1305::{
    ChaCha20Poly1305, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use rand_core::CryptoRngCore;
use veilcore::id::ApiKeyId;
use veilkey::{key::KeyRecord, partial::PARTIAL_LEN, share::SHARE_LEN};
use veilvault::{
    token::{TokenError, check_server_share, parse_record},
    token_keyring::TokenKeyring,
};
use zeroize::Zeroizing;

use super::{
    ApiKeys,
    error::ApiKeyError,
    model::{Record, SealedShare, TokenHalf},
    verifier::Pepper,
};
use crate::{auth::Caller, store::StoreError};

/// Longest record that a client may bring: 2 of 2 and no other.
pub const RECORD_LEN_MAX: usize = veilvault::token::TOKEN_RECORD_LEN;
/// Longest trust record, in bytes; the server cannot read it.
pub const TRUST_LEN_MAX: usize = veilvault::token_trust::TOKEN_TRUST_LEN_MAX;

/// Each key seals one share, so its one nonce is zero.
const NONCE: [u8; 12] = [0; 12];

/// What a client brings for a key that opens keyrings.
#[derive(Clone)]
pub struct NewToken {
    /// The record of the split key.
    pub record: Vec<u8>,
    /// The server's share of it.
    pub share: Zeroizing<Vec<u8>>,
    /// What the token's holder trusts first, sealed by the client.
    pub trust: Vec<u8>,
}

impl NewToken {
    /// The half that is kept for this generation of a key.
    pub(super) fn keep(
        &self,
        id: ApiKeyId,
        generation: u32,
        pepper: &Pepper,
    ) -> Result<TokenHalf, ApiKeyError> {
        let refused = |check| ApiKeyError::Record { check };
        let record = parse_record(&self.record, id, generation).map_err(|e| refused(record_check(&e)))?;
        check_server_share(&self.share, &record).map_err(|_| refused("share"))?;
        if self.trust.is_empty() || self.trust.len() > TRUST_LEN_MAX {
            return Err(refused("trust"));
        }
        let share = <&[u8; SHARE_LEN]>::try_from(&self.share[..]).map_err(|_| refused("share"))?;
        let record = Record { digest: record.fingerprint(), bytes: self.record.clone() };
        let share = seal(pepper, id, generation, &record, share);
        Ok(TokenHalf { generation, record, trust: self.trust.clone(), share })
    }
}

/// The word for what is wrong with a record, for a machine to read.
fn record_check(error: &TokenError) -> &'static str {
    match error {
        TokenError::Key(_) => "format",
        TokenError::NotAToken => "threshold",
        TokenError::OtherToken => "context",
        _ => "share",
    }
}

fn cipher(pepper: &Pepper, id: ApiKeyId, generation: u32, record: &Record) -> ChaCha20Poly1305 {
    // A share follows from its record, so no key ever seals two texts.
    let key = pepper.share_key(id, generation, &record.digest);
    ChaCha20Poly1305::new((&*key).into())
}

fn aad(id: ApiKeyId, generation: u32) -> [u8; 20] {
    let mut aad = [0; 20];
    aad[..16].copy_from_slice(id.as_bytes());
    aad[16..].copy_from_slice(&generation.to_be_bytes());
    aad
}

fn seal(
    pepper: &Pepper,
    id: ApiKeyId,
    generation: u32,
    record: &Record,
    share: &[u8; SHARE_LEN],
) -> SealedShare {
    let payload = Payload { msg: share, aad: &aad(id, generation) };
    let sealed = cipher(pepper, id, generation, record).encrypt(&Nonce::from(NONCE), payload);
    let sealed = sealed.expect("56 bytes can be sealed");
    SealedShare(sealed.try_into().expect("a tag of 16 bytes follows the share"))
}

fn open(pepper: &Pepper, id: ApiKeyId, half: &TokenHalf) -> Option<Zeroizing<Vec<u8>>> {
    let payload = Payload { msg: &half.share.0, aad: &aad(id, half.generation) };
    let opened = cipher(pepper, id, half.generation, &half.record).decrypt(&Nonce::from(NONCE), payload);
    opened.ok().map(Zeroizing::new)
}

/// The server's half of the key of the caller, who showed its secret. Good for one request.
pub struct ServerHalf<'a> {
    id: ApiKeyId,
    half: TokenHalf,
    pepper: &'a Pepper,
}

impl ServerHalf<'_> {
    /// The key.
    pub fn id(&self) -> ApiKeyId {
        self.id
    }

    /// What parts for this key are kept under.
    pub fn digest(&self) -> [u8; 32] {
        self.half.record.digest
    }

    /// The record, read.
    pub fn record(&self) -> Result<KeyRecord, StoreError> {
        let record = parse_record(&self.half.record.bytes, self.id, self.half.generation);
        record.map_err(|error| self.damaged(&format!("has a record that is none: {error}")))
    }

    /// The server's part of opening a keyring that was verified before.
    pub fn answer(
        &self,
        keyring: &TokenKeyring,
        record: &KeyRecord,
        nonce: &[u8; 32],
        rng: &mut impl CryptoRngCore,
    ) -> Result<Zeroizing<[u8; PARTIAL_LEN]>, StoreError> {
        let share = open(self.pepper, self.id, &self.half)
            .ok_or_else(|| self.damaged("has a share that another pepper sealed"))?;
        let share = check_server_share(&share, record)
            .map_err(|error| self.damaged(&format!("has a share that is none: {error}")))?;
        let partial = keyring.answer(&share, nonce, rng);
        let partial = partial.map_err(|error| self.damaged(&format!("answers nothing: {error}")))?;
        Ok(partial.encode())
    }

    fn damaged(&self, what: &str) -> StoreError {
        let cause = format!("generation {} of API key {} {what}", self.half.generation, self.id);
        StoreError::Damaged { store: "api keys", cause }
    }
}

impl ApiKeys {
    /// The half of the key that the caller showed, as it is now: a key that was revoked elsewhere has none.
    pub async fn half(&self, caller: &Caller) -> Result<ServerHalf<'_>, ApiKeyError> {
        let (id, generation) = caller.key_generation().ok_or(ApiKeyError::NoKey)?;
        let half = self.store.half(id, generation).await?.ok_or(ApiKeyError::OpensNothing)?;
        Ok(ServerHalf { id, half, pepper: &self.pepper })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(pepper: &Pepper) -> TokenHalf {
        let record = Record { bytes: vec![1; 125], digest: [2; 32] };
        let share = seal(pepper, ApiKeyId::from_bytes([3; 16]), 1, &record, &[4; SHARE_LEN]);
        TokenHalf { generation: 1, record, trust: vec![5], share }
    }

    #[test]
    fn a_sealed_share_opens_for_its_key_its_generation_its_record_and_its_pepper_only() {
        let (pepper, id) = (Pepper::new([6; 32]), ApiKeyId::from_bytes([3; 16]));
        let half = sealed(&pepper);
        assert_eq!(open(&pepper, id, &half).map(|share| share.to_vec()), Some(vec![4; SHARE_LEN]));
        assert!(!half.share.0.windows(8).any(|window| window == [4; 8]));
        assert!(open(&Pepper::new([7; 32]), id, &half).is_none());
        assert!(open(&pepper, ApiKeyId::from_bytes([9; 16]), &half).is_none());
        let other = TokenHalf { generation: 2, ..half.clone() };
        assert!(open(&pepper, id, &other).is_none());
        let record = Record { digest: [9; 32], ..half.record.clone() };
        assert!(open(&pepper, id, &TokenHalf { record, ..half.clone() }).is_none());
        let mut altered = half;
        altered.share.0[0] ^= 1;
        assert!(open(&pepper, id, &altered).is_none());
    }
}
