//! The log checked by other people's programs: `tests/peers`, built by `cargo xtask test`. `VEILCLOUD_TEST_PEERS` is the
//! folder with the Go programs, `VEILCLOUD_TEST_TLOG_PYTHON` a Python that has aics-tlog.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use veilcloud_tests::{
    cli::{Machine, Ran},
    log::{self, Export},
    server::Server,
};

/// Exit code of a peer that refuses.
const REFUSED: i32 = 1;

/// One peer.
struct Peer {
    name: &'static str,
    program: PathBuf,
    first: Vec<PathBuf>,
}

impl Peer {
    fn run(&self, args: &[&str]) -> Ran {
        let out = Command::new(&self.program).args(&self.first).args(args).output();
        let out = out.unwrap_or_else(|e| panic!("{} runs: {e}", self.name));
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        Ran { code: out.status.code().unwrap_or(-1), stdout: out.stdout, stderr }
    }

    fn judges(&self, expected: i32, args: &[&str]) {
        let ran = self.run(args);
        assert_eq!(ran.code, expected, "{} {args:?}: {}{}", self.name, ran.text(), ran.stderr);
    }
}

/// The peers that are on this machine. Says on standard error which are not.
fn peers() -> Vec<Peer> {
    let mut found = Vec::new();
    match env::var_os("VEILCLOUD_TEST_PEERS").map(PathBuf::from) {
        Some(folder) => found.extend(["fsck", "sumdb", "merkle", "interop"].map(|name| Peer {
            name,
            program: folder.join(name),
            first: Vec::new(),
        })),
        None => eprintln!("NOT RUN: VEILCLOUD_TEST_PEERS is not set, so no Go program checks the log"),
    }
    match env::var_os("VEILCLOUD_TEST_TLOG_PYTHON").map(PathBuf::from) {
        Some(program) => {
            let script = veilcloud_tests::root().join("tests/peers/python/tlog_check.py");
            found.push(Peer { name: "python", program, first: vec!["-B".into(), script] });
        }
        None => {
            eprintln!("NOT RUN: VEILCLOUD_TEST_TLOG_PYTHON is not set, so no Python program checks the log")
        }
    }
    found
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("plain path")
}

/// Puts the proofs of some events into the exported log.
fn prove(alice: &Machine, project: &str, dir: &Path, indexes: &[u64]) {
    let proofs = dir.join("proofs");
    fs::create_dir_all(&proofs).expect("a folder");
    for index in indexes {
        let proof = alice.ok(&["audit", "proof", project, &index.to_string()]).stdout;
        fs::write(proofs.join(format!("{index}.tlog-proof")), proof).expect("write");
    }
}

/// Every peer accepts the log as it is, and none with one altered byte of an entry.
fn all_judge(peers: &[Peer], dir: &Path, bundle: &str, entry: usize) {
    let args = ["--bundle", plain(dir)];
    peers.iter().for_each(|peer| peer.judges(0, &args));
    let file = dir.join("tile/entries").join(bundle);
    let bytes = fs::read(&file).expect("the bundle");
    let before: usize = log::leaves(&bytes)[..entry].iter().map(|leaf| 2 + leaf.bytes.len()).sum();
    // A byte of the entry's time.
    log::flip(&file, before + 2 + 25);
    peers.iter().for_each(|peer| peer.judges(REFUSED, &args));
    log::flip(&file, before + 2 + 25);
    peers.iter().for_each(|peer| peer.judges(0, &args));
}

#[test]
fn a_log_of_more_than_one_tile_is_accepted_by_all_and_an_altered_one_by_none() {
    let peers = peers();
    if peers.is_empty() {
        return;
    }
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    thread::scope(|scope| {
        for hand in 0..4 {
            let endpoint = server.endpoint();
            scope.spawn(move || {
                let machine = Machine::new(endpoint);
                machine.login("alice@example.com");
                for n in 0..78 {
                    machine.ok(&["envs", "create", "my-app", &format!("env-{hand}-{n}")]);
                }
            });
        }
    });
    let export = Export::of(&alice, "my-app");
    let dir = export.log();
    assert!(dir.join("tile/entries/000").is_file() && dir.join("tile/1/000.p/1").is_file());
    prove(&alice, "my-app", &dir, &[0, 100, 255, 256, 312]);
    all_judge(&peers, &dir, "000", 100);

    // The same log over HTTP, by a program that has a token and the log's key.
    let (token, origin) = log::token(&server, &alice, "my-app");
    let url = format!("{}/log/{origin}/", server.endpoint());
    let key = dir.join("key.vkey");
    for peer in peers.iter().filter(|peer| peer.name == "fsck") {
        let args = |token| ["--storage_url", &url, "--public_key", plain(&key), "--bearer_token", token];
        peer.judges(0, &args(&token));
        peer.judges(REFUSED, &args("vlt_AAAA"));
    }
}

#[test]
fn a_small_log_is_accepted_by_all_and_an_altered_one_by_none() {
    let peers = peers();
    if peers.is_empty() {
        return;
    }
    let all = log::Witnessed::start();
    let alice = Machine::with_account(all.server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=1\n");
    let export = Export::of(&alice, "my-app");
    let dir = export.log();
    let size = log::size(&fs::read(dir.join("checkpoint")).expect("the checkpoint"));
    assert_eq!(size, 3);
    prove(&alice, "my-app", &dir, &[0, 2]);
    all_judge(&peers, &dir, "000.p/3", 2);
}
