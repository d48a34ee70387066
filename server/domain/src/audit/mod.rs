//! The audit trail: a line for every change, written in the same transaction, and the logs that the lines go into.

pub mod error;
mod file;
pub mod heads;
pub mod log;
pub mod model;
mod pool;
pub mod port;
pub mod publish;
mod reader;
mod readers;
mod reads;
pub mod sequence;
mod service;
pub mod settled;
pub mod signer;
mod tail;
mod token;
mod verify;
pub mod witness;

pub use file::LogFile;
pub use pool::{FAILED_ROUNDS_MAX, NOTED_MAX, READ_DELAY, WAITERS_MAX};
pub use reader::{LogReader, PUBLISH_WAIT, Proof, Published, TILES_MAX};
pub use readers::{Reader, Readers};
pub use reads::Reads;
pub use service::{Audit, LogDescription, MayRead};
pub use token::LogTokenKey;
pub use veilchain::key::VerifierKey;
pub use veilchain::policy::Policy;
pub use verify::{Verified, open_checkpoint, verify};
