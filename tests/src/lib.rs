//! What the end-to-end tests share: real servers, the real command, terminals, and files to store.

pub mod cli;
pub mod cutter;
pub mod files;
pub mod log;
pub mod rest;
pub mod server;
pub mod strace;
pub mod terminal;

use std::path::PathBuf;

/// A binary of this workspace, beside the running test.
///
/// # Panics
/// When it was not built: `cargo build --workspace` does.
pub fn binary(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("a running program has a path");
    let folder = here.ancestors().find(|p| p.join(name).is_file());
    folder.unwrap_or_else(|| panic!("{name} is not built: run cargo build --workspace first")).join(name)
}

/// The project's root folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is below the root").to_path_buf()
}
