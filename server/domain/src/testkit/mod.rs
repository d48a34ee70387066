//! For tests of the domain, of the adapters and of the API: ports in memory, a clock and randomness that are scripted, a
//! person with real keys, and the contract suites that every adapter runs.
//!
//! Never part of a server: the feature `testkit` is for `dev-dependencies`.

pub mod contract;
mod memory;
mod person;
mod ports;
mod protocols;
mod script;
mod sequenced;
mod sharing;
mod token;
mod world;

pub use memory::{ATTEMPTS_MAX, MemoryStore, StoredLog};
pub use person::{Person, SealedBlob};
pub use ports::Ports;
pub use script::{ScriptedClock, SeededEntropy};
pub use sequenced::log_keys;
pub use token::Token;
pub use veilvault::epoch::EpochKey;
pub use world::World;
