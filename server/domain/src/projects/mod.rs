//! Projects and environments, and who may do what with them.

mod authorize;
mod authors;
mod environment;
pub mod error;
mod keyring;
pub mod model;
pub mod port;
mod project;
mod service;
#[cfg(test)]
mod tests;

pub use authorize::ProjectAccess;
pub use environment::NewEnvironment;
pub(crate) use keyring::{lint_check, seal_check};
pub use service::Projects;
