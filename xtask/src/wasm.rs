//! The crates that a page in a browser will run must compile for it: they ask for no clock, thread, file or socket.

use std::process::Command;

use anyhow::Result;

use crate::project;

/// The browser's target.
const TARGET: &str = "wasm32-unknown-unknown";
/// Crates that compile for it as they are. Those that draw randomness need the browser's source of it, which the
/// package for browsers chooses.
const PACKAGES: &[&str] = &["veilchain", "veilcore", "veilkey"];

/// Compiles them, if the target's standard library is there or can be had.
pub fn check() -> Result<()> {
    if !installed()? {
        let add =
            Command::new("rustup").args(["target", "add", TARGET]).current_dir(project::root()).output();
        if !add.is_ok_and(|a| a.status.success()) || !installed()? {
            eprintln!("==> {TARGET}: skipped, its standard library is not here and rustup cannot add it");
            return Ok(());
        }
    }
    let mut cargo = project::cargo(&["check", "--locked", "--quiet", "--target", TARGET]);
    // A folder of its own: fewer packages unify to other features, and would replace what the workspace is built from.
    cargo.arg("--target-dir").arg(project::target_dir().join("wasm"));
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    project::step(&format!("{} for {TARGET}", PACKAGES.join(", ")), &mut cargo)
}

fn installed() -> Result<bool> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(project::root());
    Ok(std::path::Path::new(project::output(&mut rustc)?.trim()).is_dir())
}
