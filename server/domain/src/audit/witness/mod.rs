//! The witness (c2sp.org/tlog-witness): somebody else's log shows its checkpoints here, and each one that extends the
//! last one is cosigned. Who calls us: `api` for anybody on the network; there is no login, the log's signature is it.
//! What must never happen: two trees of one log cosigned that do not extend one another, or a cosignature that leaves
//! before its checkpoint is durable.

mod key;
mod known;
pub mod port;
mod service;
#[cfg(feature = "testkit")]
pub mod testkit;

#[cfg(test)]
mod tests;

pub use self::{
    key::{WitnessKey, WitnessKeyInvalid},
    known::{KNOWN_LOGS_MAX, KnownLogs, KnownLogsError},
    service::{BODY_LEN_MAX, SIZE_CONTENT_TYPE, Witness, WitnessRefusal},
};
