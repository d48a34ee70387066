//! The two signed statements of a capability: the body by the issuer and the blocks by whoever passes it on.
//! They are always signed and verified as the bytes that were received, never encoded again.

use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::id::{AccountId, KeyId, SessionId};

use super::grant::{self, Grant};
use crate::key::PUBLIC_KEY_LEN;

/// Version byte of body and block.
const VERSION: u8 = 1;
/// Longest audience, in bytes.
pub const AUDIENCE_LEN_MAX: usize = 128;
/// The `next_pk` that stands for nobody: no further block can be signed.
pub const NEXT_NOBODY: [u8; PUBLIC_KEY_LEN] = [0; PUBLIC_KEY_LEN];

/// What the issuer states (VacBody).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Which issuer key signs.
    pub kid: KeyId,
    /// The session, and the name under which the capability is revoked.
    pub session: SessionId,
    /// The account that acts.
    pub account: AccountId,
    /// The account whose quota and rate are charged; the acting one while there are no teams.
    pub tenant: AccountId,
    /// Rate tier; its meaning is the verifier's.
    pub tier: u8,
    /// The account's revocation epoch at issuance; the capability dies when the account's epoch moves on.
    pub revocation_epoch: u32,
    /// When it was issued, Unix milliseconds.
    pub issued_at_ms: u64,
    /// First moment of validity, Unix milliseconds.
    pub not_before_ms: u64,
    /// First moment after validity, Unix milliseconds.
    pub expires_at_ms: u64,
    /// Ed25519 key that must sign every proof.
    pub holder_pk: [u8; PUBLIC_KEY_LEN],
    /// Ed25519 key that may sign the first block; [`NEXT_NOBODY`] for none. May be the holder's own.
    pub next_pk: [u8; PUBLIC_KEY_LEN],
    /// What is granted, 1 to 16 grants.
    pub grants: Vec<Grant>,
    /// The service the capability is for: 1 to 128 visible ASCII characters, e.g. `veilcloud`.
    pub audience: String,
}

/// What a holder states when passing a capability on (attenuation block).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// First moment after validity, Unix milliseconds; not after the parent's.
    pub expires_at_ms: u64,
    /// Key that must sign proofs from now on; may be the parent's.
    pub holder_pk: [u8; PUBLIC_KEY_LEN],
    /// Key that may sign the next block; [`NEXT_NOBODY`] seals.
    pub next_pk: [u8; PUBLIC_KEY_LEN],
    /// What is left of the parent's grants, 1 to 16, each covered by one of them.
    pub grants: Vec<Grant>,
}

impl Body {
    /// Canonical bytes; refuses what [`Body::decode`] would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        grant::check(&self.grants)?;
        check_audience(&self.audience)?;
        check_times(self)?;
        let mut out = Writer::with_capacity(512);
        out.u8(VERSION)
            .fixed(self.kid.as_bytes())
            .fixed(self.session.as_bytes())
            .fixed(self.account.as_bytes())
            .fixed(self.tenant.as_bytes())
            .u8(self.tier)
            .u32(self.revocation_epoch)
            .u64(self.issued_at_ms)
            .u64(self.not_before_ms)
            .u64(self.expires_at_ms)
            .fixed(&self.holder_pk)
            .fixed(&self.next_pk);
        grant::write(&self.grants, &mut out);
        Ok(out.bytes(self.audience.as_bytes()).finish())
    }

    /// Reads canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        version(&mut input)?;
        let body = Self {
            kid: KeyId::from_bytes(input.array()?),
            session: SessionId::from_bytes(input.array()?),
            account: AccountId::from_bytes(input.array()?),
            tenant: AccountId::from_bytes(input.array()?),
            tier: input.u8()?,
            revocation_epoch: input.u32()?,
            issued_at_ms: input.u64()?,
            not_before_ms: input.u64()?,
            expires_at_ms: input.u64()?,
            holder_pk: input.array()?,
            next_pk: input.array()?,
            grants: grant::read(&mut input)?,
            audience: audience(&mut input)?,
        };
        input.finish()?;
        check_times(&body)?;
        Ok(body)
    }
}

impl Block {
    /// Canonical bytes; refuses what [`Block::decode`] would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        grant::check(&self.grants)?;
        let mut out = Writer::with_capacity(256);
        out.u8(VERSION).u64(self.expires_at_ms).fixed(&self.holder_pk).fixed(&self.next_pk);
        grant::write(&self.grants, &mut out);
        Ok(out.finish())
    }

    /// Reads canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        version(&mut input)?;
        let block = Self {
            expires_at_ms: input.u64()?,
            holder_pk: input.array()?,
            next_pk: input.array()?,
            grants: grant::read(&mut input)?,
        };
        input.finish()?;
        Ok(block)
    }
}

fn version(input: &mut Reader<'_>) -> Result<(), DecodeError> {
    match input.u8()? {
        VERSION => Ok(()),
        found => Err(DecodeError::Version { found }),
    }
}

fn audience(input: &mut Reader<'_>) -> Result<String, DecodeError> {
    let text = std::str::from_utf8(input.bytes(AUDIENCE_LEN_MAX)?)
        .map_err(|_| DecodeError::Value { field: "audience" })?;
    check_audience(text)?;
    Ok(text.to_owned())
}

fn check_audience(text: &str) -> Result<(), DecodeError> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (1..=AUDIENCE_LEN_MAX).contains(&text.len()) {
        Ok(())
    } else {
        Err(DecodeError::Value { field: "audience" })
    }
}

/// A validity that is empty or longer than the longest there is was not written by an honest issuer.
fn check_times(body: &Body) -> Result<(), DecodeError> {
    let start = body.issued_at_ms.min(body.not_before_ms);
    let lifetime = body.expires_at_ms.saturating_sub(start);
    if body.expires_at_ms <= body.not_before_ms || lifetime > super::LIFETIME_MS_MAX {
        return Err(DecodeError::Value { field: "expires_at_ms" });
    }
    Ok(())
}
