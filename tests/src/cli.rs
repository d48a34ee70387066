//! The real `veilcloud` command with a config folder of its own: one machine of one person.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A password that satisfies everybody.
pub const PASSWORD: &str = "correct horse battery staple";

/// What a command did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).expect("text on standard output")
    }

    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The `error.reason` that `--output json` prints on standard error.
    pub fn reason(&self) -> String {
        let line = self.stderr.lines().rev().find(|l| l.starts_with('{'));
        let line = line.unwrap_or_else(|| panic!("no JSON error in {:?}", self.stderr));
        let value: Value = serde_json::from_str(line).expect("a JSON error");
        value["error"]["reason"].as_str().unwrap_or_default().to_owned()
    }
}

/// One machine.
pub struct Machine {
    endpoint: String,
    config: PathBuf,
    trusted: Option<String>,
    _own: Option<TempDir>,
}

impl Machine {
    /// A machine that never met the server.
    pub fn new(endpoint: &str) -> Self {
        let own = TempDir::new().expect("a temporary folder");
        let config = own.path().join("config");
        Self { endpoint: endpoint.to_owned(), config, trusted: None, _own: Some(own) }
    }

    /// The same machine, trusting the certificate in this file.
    pub fn trusting(mut self, certificate: &str) -> Self {
        self.trusted = Some(certificate.to_owned());
        self
    }

    /// A machine on which a fresh account is registered and logged in; its recovery kit lies in the config folder.
    pub fn with_account(endpoint: &str, email: &str) -> Self {
        let machine = Self::new(endpoint);
        machine.register(email);
        machine.login(email);
        machine
    }

    /// Registers an account with [`PASSWORD`].
    pub fn register(&self, email: &str) -> PathBuf {
        std::fs::create_dir_all(&self.config).expect("the config folder");
        let kit = self.config.join("kit.txt");
        let path = kit.to_str().expect("plain path");
        self.ok_with(&["register", email, "--password-stdin", "--recovery-file", path], PASSWORD.as_bytes());
        kit
    }

    /// Logs in with [`PASSWORD`].
    pub fn login(&self, email: &str) {
        self.ok_with(&["login", email, "--password-stdin"], PASSWORD.as_bytes());
    }

    /// The same machine against another endpoint.
    pub fn at(&self, endpoint: &str) -> Self {
        let (config, trusted) = (self.config.clone(), self.trusted.clone());
        Self { endpoint: endpoint.to_owned(), config, trusted, _own: None }
    }

    /// The config folder.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The command, with nothing of the test's own environment but `PATH` and `HOME`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(crate::binary("veilcloud"));
        command.env_clear();
        for kept in ["PATH", "HOME", "LANG"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command
            .env("VEILCLOUD_ENDPOINT", &self.endpoint)
            .env("VEILCLOUD_CONFIG_DIR", &self.config)
            .args(args);
        if let Some(trusted) = &self.trusted {
            command.env("VEILCLOUD_CA_CERT", trusted);
        }
        command
    }

    /// Starts a command without waiting for it.
    pub fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("start veilcloud")
    }

    /// Runs a command.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, b"")
    }

    /// Runs a command with standard input.
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start veilcloud");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        // A command that does not read its input closes it; that is not this test's matter.
        let _ = stdin.write_all(input);
        drop(stdin);
        let out = child.wait_with_output().expect("veilcloud ends");
        Ran {
            code: out.status.code().unwrap_or(-1),
            stdout: out.stdout,
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }

    /// Runs a command that must succeed.
    ///
    /// # Panics
    /// When it fails; what it said is in the message.
    pub fn ok(&self, args: &[&str]) -> Ran {
        self.ok_with(args, b"")
    }

    /// Runs a command with standard input; it must succeed.
    ///
    /// # Panics
    /// When it fails; what it said is in the message.
    pub fn ok_with(&self, args: &[&str], input: &[u8]) -> Ran {
        let ran = self.run_with(args, input);
        assert_eq!(ran.code, 0, "veilcloud {args:?} failed: {}", ran.stderr);
        ran
    }

    /// Runs a command that must fail with this exit code and, with `--output json`, this reason.
    ///
    /// # Panics
    /// When it does otherwise.
    pub fn refused(&self, args: &[&str], code: i32, reason: &str) -> Ran {
        let mut all = vec!["--output", "json"];
        all.extend(args);
        let ran = self.run(&all);
        assert_eq!(
            ran.code,
            code,
            "veilcloud {args:?}: {}{}",
            ran.stderr,
            String::from_utf8_lossy(&ran.stdout)
        );
        assert_eq!(ran.reason(), reason, "veilcloud {args:?}: {}", ran.stderr);
        ran
    }

    /// The `veil-cap` and `veil-pop` lines for a REST call, as `curl` takes them.
    pub fn headers(&self, method: &str, path: &str, body: Option<&Path>) -> Vec<String> {
        let mut args = vec!["api", "headers", method, path];
        if let Some(body) = body {
            args.extend(["--body", body.to_str().expect("plain path")]);
        }
        self.ok(&args).text().lines().map(str::to_owned).collect()
    }

    /// A signed REST call by `curl`.
    ///
    /// # Panics
    /// When `curl` itself fails.
    pub fn rest(&self, method: &str, path: &str, body: Option<&Path>, more: &[&str]) -> crate::rest::Answer {
        let url = format!("{}{path}", self.endpoint);
        let headers = self.headers(method, path, body);
        let data = body.map(|b| format!("@{}", b.display()));
        let mut args = if method == "HEAD" { vec!["--head"] } else { vec!["--request", method] };
        for header in &headers {
            args.extend(["--header", header]);
        }
        if let Some(data) = &data {
            args.extend(["--data-binary", data]);
        }
        args.extend(more);
        args.push(&url);
        crate::rest::curl(&args).expect("curl reaches the server")
    }
}
