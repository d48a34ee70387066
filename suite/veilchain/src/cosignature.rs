//! The Ed25519 cosignature of a checkpoint (c2sp.org/tlog-cosignature, type 0x04; docs/spec/chain.md): a witness states
//! that, as of a time, this is the largest tree of the log it has seen, and that it extends all it saw before.
//!
//! What must never happen: a signature that holds under another time, or over another body, than the line says.

use thiserror::Error;

use crate::key::SIGNATURE_LEN;

/// Length of a cosignature, in bytes: a big-endian time of 8, then an Ed25519 signature.
pub const COSIGNATURE_LEN: usize = 8 + SIGNATURE_LEN;
/// Latest time a cosignature may carry, in seconds since the Unix epoch: 2^63 - 1.
pub const TIME_S_MAX: u64 = i64::MAX as u64;

/// Why bytes are no cosignature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CosignatureError {
    /// Not [`COSIGNATURE_LEN`] bytes.
    #[error("a cosignature is {COSIGNATURE_LEN} bytes, these are {len}")]
    Length {
        /// How many there are.
        len: usize,
    },
    /// The time is above [`TIME_S_MAX`].
    #[error("time of a cosignature is above 2^63 - 1")]
    Time,
}

/// The `timestamped_signature` of a signature line, after its key id. Not verified: see
/// [`crate::key::VerifierKey::verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosignature {
    /// When it was made, in seconds since the Unix epoch.
    pub time_s: u64,
    /// Ed25519 over [`message`].
    pub signature: [u8; SIGNATURE_LEN],
}

impl Cosignature {
    /// Reads 72 bytes.
    ///
    /// # Errors
    /// Another length, or a time above [`TIME_S_MAX`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CosignatureError> {
        let exact: &[u8; COSIGNATURE_LEN] =
            bytes.try_into().map_err(|_| CosignatureError::Length { len: bytes.len() })?;
        let (mut time, mut signature) = ([0; 8], [0; SIGNATURE_LEN]);
        time.copy_from_slice(&exact[..8]);
        signature.copy_from_slice(&exact[8..]);
        let time_s = u64::from_be_bytes(time);
        if time_s > TIME_S_MAX { Err(CosignatureError::Time) } else { Ok(Self { time_s, signature }) }
    }

    /// The 72 bytes.
    pub fn encode(&self) -> [u8; COSIGNATURE_LEN] {
        let mut bytes = [0; COSIGNATURE_LEN];
        bytes[..8].copy_from_slice(&self.time_s.to_be_bytes());
        bytes[8..].copy_from_slice(&self.signature);
        bytes
    }
}

/// What is signed: a header line that separates it from every note, the time, then the checkpoint's whole text with any
/// extension lines.
pub fn message(time_s: u64, checkpoint_text: &str) -> String {
    format!("cosignature/v1\ntime {time_s}\n{checkpoint_text}")
}

#[cfg(test)]
mod tests;
