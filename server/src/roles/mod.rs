//! The parts that a process can play, one file each.

pub mod api;
pub mod publish;
pub mod sweep;
pub mod witness;
