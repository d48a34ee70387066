//! The logs of a server as an outsider sees them: exported folders, served files, the operator's commands, witnesses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cli::{Machine, Ran},
    rest::{self, Answer},
    server::Server,
};

/// How long something may take that the server does by itself.
const WAIT: Duration = Duration::from_secs(30);

/// A leaf, read with nothing of ours: docs/spec/chain.md, section 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Number of its kind.
    pub kind: u8,
    /// The account.
    pub actor: [u8; 16],
    /// Digest, or zeros.
    pub digest: [u8; 32],
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The leaves of an entry bundle.
///
/// # Panics
/// When it is none.
pub fn leaves(mut bundle: &[u8]) -> Vec<Leaf> {
    let mut found = Vec::new();
    while let Some((len, rest)) = bundle.split_first_chunk::<2>() {
        let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*len)));
        found.push(Leaf {
            kind: entry[1],
            actor: entry[28..44].try_into().expect("16 bytes"),
            digest: entry[60..92].try_into().expect("32 bytes"),
            bytes: entry.to_vec(),
        });
        bundle = rest;
    }
    assert!(bundle.is_empty(), "a bundle ends with an entry");
    found
}

/// A file below `/log/`, with a token or without one.
pub fn file(server: &Server, origin: &str, path: &str, token: Option<&str>) -> Answer {
    let url = format!("{}/log/{origin}/{path}", server.endpoint());
    let bearer = token.map(|token| format!("authorization: Bearer {token}"));
    let mut args = Vec::new();
    if let Some(bearer) = &bearer {
        args.extend(["--header", bearer]);
    }
    args.push(&url);
    rest::curl(&args).expect("curl reaches the server")
}

/// Size, in a checkpoint.
///
/// # Panics
/// When the text is no checkpoint.
pub fn size(checkpoint: &[u8]) -> u64 {
    let text = std::str::from_utf8(checkpoint).expect("a checkpoint is text");
    text.lines().nth(1).and_then(|line| line.parse().ok()).expect("a checkpoint has a size")
}

/// All leaves of a served log of fewer than 256.
///
/// # Panics
/// When it is not served.
pub fn served(server: &Server, origin: &str, token: Option<&str>) -> Vec<Leaf> {
    let checkpoint = file(server, origin, "checkpoint", token);
    assert_eq!(checkpoint.status, 200, "{}", String::from_utf8_lossy(&checkpoint.body));
    let size = size(&checkpoint.body);
    let bundle = file(server, origin, &format!("tile/entries/000.p/{size}"), token);
    assert_eq!(bundle.status, 200, "{}", String::from_utf8_lossy(&bundle.body));
    leaves(&bundle.body)
}

/// Bearer token of a project's log and the log's origin.
///
/// # Panics
/// When the command fails.
pub fn token(server: &Server, machine: &Machine, project: &str) -> (String, String) {
    let made = machine.ok(&["--output", "json", "audit", "token", project]).json();
    let text = |key: &str| made[key].as_str().expect("text").to_owned();
    let url = text("url");
    let origin = url.strip_prefix(&format!("{}/log/", server.endpoint())).expect("the log is on this server");
    (text("token"), origin.trim_end_matches('/').to_owned())
}

/// The events of a project, as the command lists them.
///
/// # Panics
/// When the command fails.
pub fn events(machine: &Machine, project: &str) -> Vec<Value> {
    let listed = machine.ok(&["--output", "json", "audit", "list", project]).json();
    listed["events"].as_array().expect("a list").clone()
}

/// The kinds of a project's events.
pub fn kinds(machine: &Machine, project: &str) -> Vec<String> {
    events(machine, project).iter().map(|e| e["kind"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Runs a command of the operator on a folder that no server has.
///
/// # Panics
/// When it cannot be run.
pub fn operator(data: &Path, args: &[&str]) -> Ran {
    let mut command = Server::command(data, &[]);
    let out = command.args(args).output().expect("veilcloud-server runs");
    Ran {
        code: out.status.code().unwrap_or(-1),
        stdout: out.stdout,
        stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

/// Copies a folder that nobody writes to, whole.
///
/// # Panics
/// When the disk is full.
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "copy {}", from.display());
}

/// Puts another folder in the place of a stopped server's data, which goes aside; its new place.
///
/// # Panics
/// When one of them cannot be moved.
pub fn exchange(server: &Server, copy: &Path, aside: &str) -> PathBuf {
    let aside = server.data().with_file_name(aside);
    fs::rename(server.data(), &aside).expect("move the data folder");
    fs::rename(copy, server.data()).expect("move the copy");
    aside
}

/// Alters one bit of a byte of a file.
///
/// # Panics
/// When the file has no such byte.
pub fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("read the file");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("write the file");
}

/// Waits until something holds.
///
/// # Panics
/// When it does not in time.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < WAIT, "not in time: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A server whose checkpoints want two of three witnesses, and those.
pub struct Witnessed {
    /// The server.
    pub server: Server,
    /// The witnesses; their places in `keys` are the same.
    pub witnesses: Vec<Server>,
    /// Their verifier keys.
    pub keys: Vec<String>,
    policy: String,
    logs: String,
    // Last: the servers end before their folders.
    _folder: TempDir,
}

impl Witnessed {
    /// Starts all of them on fresh folders.
    ///
    /// # Panics
    /// When one does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with these settings of the server on top.
    ///
    /// # Panics
    /// When one does not start.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let data = folder.path().join("data");
        let shown = operator(&data, &["log-key", "show"]);
        let shown = shown.text();
        let logs = shown.lines().find_map(|line| line.strip_prefix("server ")).expect("a key").to_owned();
        let (mut witnesses, mut keys, mut lines) = (Vec::new(), Vec::new(), String::new());
        for number in 1..=3 {
            let home = folder.path().join(format!("w{number}"));
            let witness = Server::start_on(&home, &witness_settings(&witness_name(number), &logs));
            let key = verifier_key(&witness.log(), &witness_name(number));
            lines += &format!("witness w{number} {key} {}\n", witness.endpoint());
            witnesses.push(witness);
            keys.push(key);
        }
        lines += "group all3 2 w1 w2 w3\nquorum all3\n";
        let policy = folder.path().join("witnesses.txt");
        fs::write(&policy, lines).expect("write the policy");
        let policy = policy.to_str().expect("plain path").to_owned();
        let mut all = vec![("VEILCLOUD_CHAIN_WITNESS_POLICY", policy.as_str())];
        all.extend(settings);
        let server = Server::start_on(&data, &all);
        Self { server, witnesses, keys, policy, logs, _folder: folder }
    }

    /// Starts the server again where it was.
    pub fn revive(&mut self) {
        self.server.revive(&[("VEILCLOUD_CHAIN_WITNESS_POLICY", &self.policy)]);
    }

    /// Starts a witness again where it was.
    pub fn revive_witness(&mut self, index: usize) {
        let name = witness_name(index + 1);
        self.witnesses[index].revive(&witness_settings(&name, &self.logs));
    }
}

fn witness_name(number: usize) -> String {
    format!("w{number}.example.net")
}

fn witness_settings<'a>(name: &'a str, logs: &'a str) -> [(&'a str, &'a str); 3] {
    [("VEILCLOUD_ROLES", "witness"), ("VEILCLOUD_WITNESS_NAME", name), ("VEILCLOUD_WITNESS_LOGS", logs)]
}

/// The verifier key that a witness told on a line of its log.
fn verifier_key(log: &str, name: &str) -> String {
    let at = log.find(&format!("{name}+")).expect("the first start says the verifier key");
    let stop = |c: char| c.is_whitespace() || c == '"' || c == ',';
    log[at..].split(stop).next().unwrap_or_default().to_owned()
}

/// A folder in which a test puts what it exports.
pub struct Export {
    folder: TempDir,
}

impl Export {
    /// Exports the log of a project, with its policy beside it.
    ///
    /// # Panics
    /// When a command fails.
    pub fn of(machine: &Machine, project: &str) -> Self {
        let export = Self { folder: TempDir::new().expect("a temporary folder") };
        let log = export.log();
        let path = log.to_str().expect("plain path");
        machine.ok(&["audit", "export", project, "--format", "bundle", "--output", path]);
        fs::write(export.policy(), machine.ok(&["audit", "policy", project]).stdout)
            .expect("write the policy");
        export
    }

    /// The exported log.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The policy, had by another way than the log.
    pub fn policy(&self) -> PathBuf {
        self.folder.path().join("policy.txt")
    }

    /// A file beside the log.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
