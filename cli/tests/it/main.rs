//! The real binary, without a server: what it says, what it refuses, how it ends.

mod audit;
mod help;
mod input;
mod network;
mod tools;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// One run of the binary.
struct Call {
    command: Command,
    input: Vec<u8>,
}

/// The binary with nothing of this machine's own: no home, no terminal, no variables of a developer.
fn veilcloud(dir: &Path) -> Call {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veilcloud"));
    command.env_clear().env("VEILCLOUD_CONFIG_DIR", dir.join("config")).current_dir(dir);
    // A port nobody listens on: a test that gets as far as the network says so at once.
    command.env("VEILCLOUD_ENDPOINT", "http://127.0.0.1:1");
    Call { command, input: Vec::new() }
}

impl Call {
    fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    fn input(mut self, input: &str) -> Self {
        self.input = input.into();
        self
    }

    fn stdout(mut self, file: File) -> Self {
        self.command.stdout(file);
        self
    }
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(mut call: Call) -> Ran {
    // A file and not a pipe: a binary that does not read its input must not block the test.
    let mut input = tempfile::tempfile().expect("a file for the input");
    input.write_all(&call.input).and_then(|()| input.rewind()).expect("the input is written");
    let child = call.command.stdin(input).stderr(Stdio::piped());
    let output = child.output().expect("the binary starts");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("standard output is text"),
        stderr: String::from_utf8(output.stderr).expect("standard error is text"),
    }
}

/// Every command, found by reading the help of the one above it.
fn commands(dir: &Path) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = vec![Vec::new()];
    let mut next = 0;
    while next < found.len() {
        let above = found[next].clone();
        let help = run(veilcloud(dir).args(&above).arg("--help")).stdout;
        let section = help.split("Commands:\n").nth(1).unwrap_or_default();
        let section = section.split("\n\n").next().unwrap_or_default();
        for line in section.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
            let name = line.split_whitespace().next().expect("a name");
            if name != "help" {
                let mut below = above.clone();
                below.push(name.to_owned());
                found.push(below);
            }
        }
        next += 1;
    }
    found
}
