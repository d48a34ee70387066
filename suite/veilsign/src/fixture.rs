//! Keys and capabilities the tests share. Everything derives from fixed seeds, so a failing case can be
//! repeated.

use veilcore::id::{AccountId, SessionId};
use veilcore::secret::Secret;

use crate::capability::{Actions, Block, Body, Capability, Grant, IssuerKey, IssuerKeys, issue};
use crate::key::SigningKey;

/// The moment of the tests, Unix milliseconds.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;
/// The service of the tests.
pub(crate) const AUDIENCE: &str = "veilcloud";

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([seed; 32]))
}

pub(crate) fn public(seed: u8) -> [u8; 32] {
    *key(seed).verifying_key().as_bytes()
}

pub(crate) const ISSUER: u8 = 1;
pub(crate) const HOLDER: u8 = 2;
pub(crate) const NEXT: u8 = 3;
pub(crate) const DELEGATE: u8 = 4;
pub(crate) const NEXT_2: u8 = 5;

pub(crate) fn issuers() -> IssuerKeys {
    let key = key(ISSUER).verifying_key();
    IssuerKeys::new(&[IssuerKey { key, not_before_ms: 0, not_after_ms: u64::MAX }]).expect("valid")
}

pub(crate) fn grant(path: &str, actions: Actions) -> Grant {
    Grant::new(path.parse().expect("a valid path"), actions)
}

pub(crate) fn body() -> Body {
    Body {
        kid: key(ISSUER).verifying_key().key_id(),
        session: SessionId::from_bytes([0x10; 16]),
        account: AccountId::from_bytes([0x20; 16]),
        tenant: AccountId::from_bytes([0x20; 16]),
        tier: 2,
        revocation_epoch: 7,
        issued_at_ms: NOW_MS,
        not_before_ms: NOW_MS,
        expires_at_ms: NOW_MS + 900_000,
        holder_pk: public(HOLDER),
        next_pk: public(NEXT),
        grants: vec![
            grant("p/alpha", Actions::PROJECT_READ | Actions::PROJECT_WRITE),
            grant("p/beta", Actions::PROJECT_READ),
        ],
        audience: AUDIENCE.to_owned(),
    }
}

pub(crate) fn block() -> Block {
    Block {
        expires_at_ms: NOW_MS + 600_000,
        holder_pk: public(DELEGATE),
        next_pk: public(NEXT_2),
        grants: vec![grant("p/alpha/e/production", Actions::PROJECT_READ)],
    }
}

pub(crate) fn capability() -> Capability {
    issue(&key(ISSUER), &body()).expect("issues")
}
