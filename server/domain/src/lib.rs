//! The centre of the server: areas, their rules, and the ports they need. Who calls us: `api` from the network and
//! `workers` from timers. What must never be here: SQL, brokers, HTTP, protobuf, a clock or randomness of our own.
//!
//! Each area is a folder: `model.rs` (values that cannot be wrong), `port.rs` (what it needs from outside; one method is
//! one transaction), `error.rs`, then one file per verb.

pub mod audit;
pub mod auth;
pub mod clock;
mod mint;
pub mod name;
pub mod page;
pub mod projects;
pub mod storage;
pub mod store;
pub mod teams;
#[cfg(feature = "testkit")]
pub mod testkit;
