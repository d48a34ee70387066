//! Projects and environments, and who may do what with them.

pub mod access;
mod authorize;
mod authors;
mod environment;
pub mod error;
pub mod explain;
mod keyring;
pub mod model;
mod part;
pub mod port;
mod project;
mod service;
mod share;
pub mod stands;
#[cfg(test)]
mod tests;
pub mod unlock;

pub use authorize::ProjectAccess;
pub use environment::NewEnvironment;
pub(crate) use keyring::{lint_check, seal_check};
pub use part::GivenKeyring;
pub use service::Projects;
