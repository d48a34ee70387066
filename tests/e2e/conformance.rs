//! The wire in other people's judgement (tests/peers/README.md): Connect's conformance runner calls its own service behind
//! all our layers over gRPC and gRPC-Web, and httpwg tries every case of RFC 9113 on the real port.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use veilcloud_tests::{binary, root, server::Server};

/// Fewest cases of the runner that our claims come to.
const CASES_MIN: u32 = 682;
/// Cases of httpwg.
const HTTP2_CASES: usize = 107;

/// How a case of httpwg may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The connection or stream is refused as it must be, with PROTOCOL_ERROR instead of the code that the RFC names.
    /// Crate h2 has one code for most broken frames.
    OtherCode,
    /// Crate h2 does not look, and the request is answered like any other.
    NotLookedAt,
    /// The case sends a PUSH_PROMISE without END_HEADERS; h2 waits for the rest of it.
    Unfinished,
    /// The case takes its leave with GOAWAY and wants a PING answered then; h2 may close first.
    Left,
}

/// What fails on a port that reads requests to their end.
const FAILING: &[(&str, How)] = &[
    ("4. http frames :: invalid header block fragment", How::OtherCode),
    ("5. streams and multiplexing :: closed sends headers frame", How::OtherCode),
    ("5. streams and multiplexing :: closed sends headers frame after rst stream", How::OtherCode),
    ("5. streams and multiplexing :: half closed remote sends headers frame", How::OtherCode),
    ("6. frame definitions :: sends ping frame with invalid length", How::OtherCode),
    ("6. frame definitions :: sends priority frame with invalid length", How::OtherCode),
    ("6. frame definitions :: sends rst stream frame with invalid length", How::OtherCode),
    ("6. frame definitions :: sends settings frame with ack and payload", How::OtherCode),
    ("6. frame definitions :: sends settings frame with invalid length", How::OtherCode),
    (
        "6. frame definitions :: sends settings initial window size with exceeded max window size value",
        How::OtherCode,
    ),
    ("6. frame definitions :: sends settings initial window size with invalid value", How::OtherCode),
    ("6. frame definitions :: sends window update frame with invalid length", How::OtherCode),
    ("8. expressing http semantics in http2 :: sends connect without authority", How::NotLookedAt),
    (
        "8. expressing http semantics in http2 :: sends headers frame with leading space in field value",
        How::NotLookedAt,
    ),
    (
        "8. expressing http semantics in http2 :: sends headers frame with mismatched host authority",
        How::NotLookedAt,
    ),
    (
        "8. expressing http semantics in http2 :: sends headers frame with pseudo header in trailer",
        How::NotLookedAt,
    ),
    (
        "8. expressing http semantics in http2 :: sends headers frame with trailing tab in field value",
        How::NotLookedAt,
    ),
];

/// What fails or passes by who is quicker.
const SOMETIMES: &[(&str, How)] = &[
    ("5. streams and multiplexing :: half closed remote sends data frame", How::OtherCode),
    ("6. frame definitions :: sends data frame on invalid stream state", How::OtherCode),
    ("8. expressing http semantics in http2 :: client sends push promise frame", How::Unfinished),
    ("7. error codes :: sends goaway frame with unknown error code", How::Left),
];

/// A program of the peers; says on standard error when it is not on this machine.
fn peer(variable: &str) -> Option<PathBuf> {
    let found = env::var_os(variable).map(PathBuf::from);
    if found.is_none() {
        eprintln!("NOT RUN: {variable} is not set, so nobody else judges the wire");
    }
    found
}

fn run(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[test]
fn the_conformance_runner_finds_nothing_that_we_claim_and_do_not_do() {
    let Some(peers) = peer("VEILCLOUD_TEST_PEERS") else { return };
    let mut runner = Command::new(peers.join("connectconformance"));
    // Some cases have fractions of a second: not more of them at once than a small machine bears.
    runner
        .args(["--parallel", "4", "--max-servers", "2", "--mode", "server", "--conf"])
        .arg(root().join("tests/peers/conformance/config.yaml"));
    let (ok, said) = run(runner.arg("--").arg(binary("examples/conformance")));
    assert!(ok, "{said}");
    // No case may be skipped, failed or known to fail.
    let last = said.lines().rev().find(|line| line.contains("passed")).unwrap_or_default();
    assert!(last.ends_with(" passed, 0 failed"), "{said}");
    let passed: u32 = last.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number");
    assert!(passed >= CASES_MIN, "only {passed} cases were run: {said}");
}

/// A port that answers what it has read.
struct Reader(Child, String);

impl Reader {
    fn start() -> Self {
        let mut command = Command::new(binary("examples/conformance"));
        let mut child = command.arg("http2").stdout(Stdio::piped()).spawn().expect("the port starts");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut address).expect("a line");
        Self(child, address.trim().to_owned())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The cases that failed, with what was said about them.
fn http2_cases(program: &PathBuf, address: &str) -> BTreeMap<String, String> {
    let mut command = Command::new(program);
    // One case after another: side by side, some wait for their turn longer than for an answer.
    command.args(["--address", address, "--frame-timeout", "1000", "--connect-timeout", "10000"]);
    command.env("SEQUENTIAL", "1").env("RUST_BACKTRACE", "0");
    let (_, said) = run(command.arg("--verbose"));
    let cases: Vec<_> =
        said.split("Running test: RFC 9113 :: ").skip(1).filter_map(|rest| rest.split_once('\n')).collect();
    assert_eq!(cases.len(), HTTP2_CASES, "{said}");
    // A case that panics has no verdict.
    let failed: BTreeMap<_, _> = cases
        .into_iter()
        .filter(|(name, rest)| !rest.contains(&format!("Test passed: RFC 9113 :: {name}\n")))
        .map(|(name, rest)| (name.to_owned(), rest.split("Location:").next().unwrap_or_default().to_owned()))
        .collect();
    failed
}

fn how(said: &str) -> Option<How> {
    if said.contains("but got ProtocolError") {
        Some(How::OtherCode)
    } else if said.contains("Timed out while waiting for stream error") {
        Some(How::NotLookedAt)
    } else if said.contains("Timed out while waiting for connection error") {
        Some(How::Unfinished)
    } else if said.contains("Ping") && said.contains("peer hung up") {
        Some(How::Left)
    } else {
        None
    }
}

fn known(name: &str) -> Option<How> {
    let mut all = FAILING.iter().chain(SOMETIMES);
    all.find(|(known, _)| *known == name).map(|(_, how)| *how)
}

#[test]
fn http2_is_spoken_as_the_rfc_says_but_for_what_its_library_leaves_out() {
    let Some(program) = peer("VEILCLOUD_TEST_HTTPWG") else { return };
    let reader = Reader::start();
    let failed = http2_cases(&program, &reader.1);
    for (name, said) in &failed {
        assert!(known(name).is_some_and(|known| how(said) == Some(known)), "{name}: {said}");
    }
    // A list that is longer than it need be hides what fails next.
    for (name, _) in FAILING {
        assert!(failed.contains_key(*name), "{name} passes now: take it off the list");
    }
}

#[test]
fn the_real_port_speaks_http2_like_that_too() {
    let Some(program) = peer("VEILCLOUD_TEST_HTTPWG") else { return };
    let server = Server::start();
    let address = server.endpoint().trim_start_matches("http://");
    for (name, said) in http2_cases(&program, address) {
        // Nothing is at the path that the cases ask for: one of them wants 200 from it. And the answer may be out before the
        // case breaks its rule: the rest of the request is then not wanted (RFC 9113, 8.1).
        let answered = said.contains("but got NoError") || said.contains("left: 404");
        assert!(answered || known(&name).is_some_and(|known| how(&said) == Some(known)), "{name}: {said}");
    }
    // And it goes on serving.
    let info = veilcloud_tests::rest::get(&format!("{}/v1/server", server.endpoint())).expect("an answer");
    assert_eq!(info.status, 200);
}
