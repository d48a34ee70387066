//! The audit trail: a line for every change, written in the same transaction. The log that carries the lines comes next.

mod events;
pub mod model;
pub mod port;

pub use events::Audit;
