//! Versions of an environment's blob: immutable, dense, written on condition.

mod check;
mod commit;
pub mod error;
mod history;
pub mod model;
pub mod port;
mod precondition;
mod put;
mod read;
mod service;
mod stripes;
mod sweep;
#[cfg(test)]
mod tests;
mod uploads;

pub use precondition::precondition;
pub use put::Put;
pub use read::{Opened, Read};
pub use service::{Storage, StorageSettings};
pub use sweep::{ORPHAN_GRACE_MS, Swept};
pub use uploads::NewUpload;
