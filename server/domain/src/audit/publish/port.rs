//! What the publisher needs from outside: one cosigner for each witness, and somebody who counts.

use async_trait::async_trait;
use bytes::Bytes;
use veilchain::key::VerifierKey;

use super::Outcome;

/// What a witness answered. Nothing of it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CosignerAnswer {
    /// 200: signature lines.
    Cosigned(Bytes),
    /// 409: the size of the latest checkpoint that it cosigned for this log.
    Conflict {
        /// That size.
        size: u64,
    },
    /// Any other status.
    Refused {
        /// The status.
        status: u16,
    },
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CosignerError {
    /// It did not answer in time.
    #[error("witness did not answer in time")]
    Timeout,
    /// It cannot be reached.
    #[error("witness cannot be reached: {cause}")]
    Unreachable {
        /// The technology's own words, for the operator's log.
        cause: String,
    },
    /// What came is not an answer of c2sp.org/tlog-witness.
    #[error("answer of the witness cannot be read: {what}")]
    Garbage {
        /// What is wrong.
        what: &'static str,
    },
}

/// The way to one witness.
#[async_trait]
pub trait Cosigner: Send + Sync {
    /// The key that its cosignatures must verify under.
    fn key(&self) -> &VerifierKey;
    /// Sends the body of an `add-checkpoint` request. Once; the publisher asks again itself.
    async fn add_checkpoint(&self, body: Bytes) -> Result<CosignerAnswer, CosignerError>;
}

/// Is told what happens, for the metrics. Must not block.
pub trait PublishWatch: Send + Sync {
    /// A head was pursued once.
    fn pursued(&self, outcome: &Outcome);
    /// A witness was asked: `cosigned`, `timeout`, `unreachable`, `garbage`, `wrong_key`, `wrong_time`, `refused`,
    /// `inconsistent`, `conflict`, `ahead` or `stale`.
    fn answered(&self, witness: &str, answer: &'static str);
}

impl PublishWatch for () {
    fn pursued(&self, _: &Outcome) {}
    fn answered(&self, _: &str, _: &'static str) {}
}
