//! Teams: people whom projects are shared with, and what each may do in the team. What a team may do with a project is
//! `projects`' to say; here nothing is opened by being in one.

pub mod error;
mod member;
pub mod model;
pub mod port;
mod service;
mod team;
#[cfg(test)]
mod tests;

pub use service::Teams;
