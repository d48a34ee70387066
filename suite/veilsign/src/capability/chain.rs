//! A capability as bytes: issuing, narrowing, sealing. These run where the keys are; judging is `verify.rs`.

use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::hash::hb;
use veilcore::tag;

use super::body::{Block, Body, NEXT_NOBODY};
use super::verify::{Link, link_of_block};
use super::{BLOCKS_MAX, CAPABILITY_LEN_MAX, CapabilityError};
use crate::key::{SIGNATURE_LEN, SigningKey};

/// A statement as it was received, and the signature over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) bytes: Vec<u8>,
    pub(super) signature: [u8; SIGNATURE_LEN],
}

/// A capability: well formed, not yet believed. Belief comes from [`super::verify()`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    pub(super) body: Signed,
    pub(super) blocks: Vec<Signed>,
}

/// Hb("Veil/vac-hash/v1"; capability bytes): the name that proofs and caches use.
pub fn cap_hash(capability: &[u8]) -> [u8; 32] {
    hb(tag::VAC_HASH, &[("capability", capability)])
}

/// Issuer: signs a body. The body must name this very key.
pub fn issue(issuer: &SigningKey, body: &Body) -> Result<Capability, CapabilityError> {
    if body.kid != issuer.verifying_key().key_id() {
        return Err(CapabilityError::WrongKey);
    }
    Link::of_body(body)?;
    let bytes = body.encode()?;
    let signature = issuer.sign(&body_digest(&bytes));
    let capability = Capability { body: Signed { bytes, signature }, blocks: Vec::new() };
    capability.within_limits()
}

/// Holder: adds a block, signed with the key the last link names as next. Refuses what a verifier would
/// refuse, so that a mistake is found here and not by whom it is passed to.
pub fn attenuate(
    capability: &Capability,
    next: &SigningKey,
    block: &Block,
) -> Result<Capability, CapabilityError> {
    let number = capability.blocks.len() + 1;
    if number > BLOCKS_MAX {
        return Err(CapabilityError::TooDeep { found: number });
    }
    let parent = capability.last_link()?;
    let named = parent.next.ok_or(CapabilityError::Sealed { block: number })?;
    if named != next.verifying_key() {
        return Err(CapabilityError::WrongKey);
    }
    link_of_block(&parent, block, number)?;
    let bytes = block.encode()?;
    let signature = next.sign(&block_digest(capability.last_signature(), &bytes));
    let mut longer = capability.clone();
    longer.blocks.push(Signed { bytes, signature });
    longer.within_limits()
}

/// Holder: ends the chain with a block that changes nothing but names nobody as next. A chain that cannot
/// grow any more, sealed or at its full depth, comes back as it is.
pub fn seal(capability: &Capability, next: &SigningKey) -> Result<Capability, CapabilityError> {
    let last = capability.last_link()?;
    if last.next.is_none() || capability.blocks.len() == BLOCKS_MAX {
        return Ok(capability.clone());
    }
    let block = Block {
        expires_at_ms: last.expires_at_ms,
        holder_pk: *last.holder.as_bytes(),
        next_pk: NEXT_NOBODY,
        grants: last.grants,
    };
    attenuate(capability, next, &block)
}

impl Capability {
    /// Canonical bytes: body, signature, u8 number of blocks, then block and signature each.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(1024);
        out.bytes(&self.body.bytes).fixed(&self.body.signature);
        out.u8(u8::try_from(self.blocks.len()).expect("at most BLOCKS_MAX"));
        for block in &self.blocks {
            out.bytes(&block.bytes).fixed(&block.signature);
        }
        out.finish()
    }

    /// Reads canonical bytes. Judges form and limits, not signatures.
    pub fn decode(bytes: &[u8]) -> Result<Self, CapabilityError> {
        if bytes.len() > CAPABILITY_LEN_MAX {
            return Err(CapabilityError::TooLarge { len: bytes.len() });
        }
        let mut input = Reader::new(bytes);
        let body = read_signed(&mut input)?;
        let found = usize::from(input.u8()?);
        if found > BLOCKS_MAX {
            return Err(CapabilityError::TooDeep { found });
        }
        let blocks = (0..found).map(|_| read_signed(&mut input)).collect::<Result<_, _>>()?;
        input.finish()?;
        Ok(Self { body, blocks })
    }

    /// How many blocks follow the body.
    pub fn depth(&self) -> usize {
        self.blocks.len()
    }

    /// The body, for a client that wants to know what it holds. Not verified: never decide access by it.
    pub fn body_unverified(&self) -> Result<Body, CapabilityError> {
        Ok(Body::decode(&self.body.bytes)?)
    }

    /// The blocks, for a client that wants to know what it holds. Not verified: never decide access by them.
    pub fn blocks_unverified(&self) -> Result<Vec<Block>, CapabilityError> {
        self.blocks.iter().map(|block| Ok(Block::decode(&block.bytes)?)).collect()
    }

    pub(super) fn last_signature(&self) -> &[u8; SIGNATURE_LEN] {
        self.blocks.last().map_or(&self.body.signature, |block| &block.signature)
    }

    /// The last link without looking at signatures: whoever attenuates trusts what it was given.
    fn last_link(&self) -> Result<Link, CapabilityError> {
        let first = Link::of_body(&Body::decode(&self.body.bytes)?)?;
        self.blocks.iter().enumerate().try_fold(first, |parent, (index, block)| {
            link_of_block(&parent, &Block::decode(&block.bytes)?, index + 1)
        })
    }

    fn within_limits(self) -> Result<Self, CapabilityError> {
        match self.encode().len() {
            len if len > CAPABILITY_LEN_MAX => Err(CapabilityError::TooLarge { len }),
            _ => Ok(self),
        }
    }
}

pub(super) fn body_digest(body: &[u8]) -> [u8; 32] {
    hb(tag::VAC, &[("body", body)])
}

pub(super) fn block_digest(parent_signature: &[u8; SIGNATURE_LEN], block: &[u8]) -> [u8; 32] {
    hb(tag::VAC_BLOCK, &[("parent", parent_signature), ("block", block)])
}

fn read_signed(input: &mut Reader<'_>) -> Result<Signed, DecodeError> {
    Ok(Signed { bytes: input.bytes(CAPABILITY_LEN_MAX)?.to_vec(), signature: input.array()? })
}
