//! The real command on a real terminal.

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};

/// How long a prompt may take, in milliseconds.
const WAIT_MS: u64 = 60_000;

/// Starts a command on a terminal of its own.
///
/// # Panics
/// When there is no terminal to be had.
pub fn open(mut command: Command) -> PtySession {
    command.env("TERM", "xterm-256color");
    spawn_command(command, Some(WAIT_MS)).expect("a terminal")
}
