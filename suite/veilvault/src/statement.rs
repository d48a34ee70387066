//! The shape every signed statement of the vault has: `u32 length ‖ body ‖ Ed25519 signature`, the signature over
//! `Hb(tag; body)`. Bodies have a fixed length, or one that the count of entries inside fixes, so a statement has
//! exactly one length that is right.

use ed25519_dalek::{Signer, SigningKey};
use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::hash::hb;
use veilcore::tag::Tag;

use crate::key::{InvalidSignature, PublicKey, SIGNATURE_LEN};

/// What surrounds a body: its length prefix and the signature, in bytes.
pub(crate) const STATEMENT_OVERHEAD: usize = 4 + SIGNATURE_LEN;

/// A statement taken apart, its signature not yet checked.
pub(crate) struct Statement<'a> {
    pub(crate) body: &'a [u8],
    signature: [u8; SIGNATURE_LEN],
}

/// Signs `body` and frames it.
pub(crate) fn sign(tag: Tag, body: &[u8], key: &SigningKey) -> Vec<u8> {
    let signature = key.sign(&hb(tag, &[("body", body)]));
    Writer::with_capacity(body.len() + STATEMENT_OVERHEAD).bytes(body).fixed(&signature.to_bytes()).finish()
}

/// Takes a statement with a body of exactly `body_len` bytes apart.
pub(crate) fn split(bytes: &[u8], body_len: usize) -> Result<Statement<'_>, DecodeError> {
    let statement = split_within(bytes, body_len)?;
    match statement.body.len() {
        left if left < body_len => Err(DecodeError::Truncated { needed: body_len, left }),
        _ => Ok(statement),
    }
}

/// Takes a statement with a body of at most `body_len_max` bytes apart. The body's decoder judges its length.
pub(crate) fn split_within(bytes: &[u8], body_len_max: usize) -> Result<Statement<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let body = reader.bytes(body_len_max)?;
    let signature = reader.array()?;
    reader.finish()?;
    Ok(Statement { body, signature })
}

impl Statement<'_> {
    /// Checks the signature over the body as it was received.
    pub(crate) fn verify(&self, tag: Tag, key: &PublicKey) -> Result<(), InvalidSignature> {
        key.verify(&hb(tag, &[("body", self.body)]), &self.signature)
    }
}
