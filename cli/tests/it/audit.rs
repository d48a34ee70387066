//! Proofs and exported logs, checked by the binary with a server that is not there. The fixtures are of a log of six
//! events that one witness has seen.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{run, veilcloud};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures").join(name)
}

fn verify(dir: &Path, file: &Path, policy: Option<&Path>) -> crate::Ran {
    let mut call = veilcloud(dir).args(["audit", "verify"]).arg(file);
    if let Some(policy) = policy {
        call = call.arg("--policy").arg(policy);
    }
    run(call)
}

/// A copy of the exported log that may be damaged.
fn copy_of_log(dir: &Path) -> PathBuf {
    let copy = dir.join("log");
    for name in ["checkpoint", "key.vkey", "policy.txt", "tile/0/000.p/6", "tile/entries/000.p/6"] {
        let to = copy.join(name);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        std::fs::copy(fixture("log").join(name), to).expect("copied");
    }
    copy
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("there");
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn a_proof_says_what_it_proves_without_a_network() {
    let dir = tempfile::tempdir().unwrap();
    let ran = verify(dir.path(), &fixture("e3.tlog-proof"), Some(&fixture("policy.txt")));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for part in ["event 3", "blob.put", "host.example/project/04040404", "w1", "05050505-"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(!dir.path().join("config").exists(), "nothing was read or made here");
    let args = ["audit", "verify", "-", "--json", "--policy"];
    let proof = std::fs::read_to_string(fixture("e3.tlog-proof")).unwrap();
    let ran = run(veilcloud(dir.path()).args(args).arg(fixture("policy.txt")).input(&proof));
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(value["proven"], true);
    assert_eq!((&value["event"]["index"], &value["event"]["version"]), (&3.into(), &3.into()));
    assert_eq!((&value["log_size"], &value["witnesses"][0]), (&6.into(), &"w1".into()));
}

#[test]
fn a_proof_that_does_not_hold_ends_with_eight() {
    let dir = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(fixture("e3.tlog-proof")).unwrap();
    let unseen: String =
        good.split_inclusive('\n').filter(|line| !line.contains("witness.example")).collect();
    let cases = [
        (good.replace("index 3", "index 2"), "LOG_PROOF_INVALID"),
        (good.replace("\n6\n", "\n7\n"), "LOG_PROOF_INVALID"),
        (good.replace("extra AigA", "extra AigB"), "LOG_PROOF_INVALID"),
        (good[..300].to_owned(), "LOG_PROOF_INVALID"),
        (String::new(), "LOG_PROOF_INVALID"),
        (unseen, "WITNESS_QUORUM"),
    ];
    for (number, (text, reason)) in cases.into_iter().enumerate() {
        let file = dir.path().join("bad.tlog-proof");
        std::fs::write(&file, text).unwrap();
        let ran = verify(dir.path(), &file, Some(&fixture("policy.txt")));
        assert_eq!(ran.code, Some(8), "{number}: {}", ran.stderr);
        assert!(ran.stderr.contains(reason), "{number}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn a_proof_without_anything_to_trust_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let ran = verify(dir.path(), &fixture("e3.tlog-proof"), None);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("--policy"), "{}", ran.stderr);
    let policy = dir.path().join("policy.txt");
    std::fs::write(&policy, "quorum nobody\n").unwrap();
    let ran = verify(dir.path(), &fixture("e3.tlog-proof"), Some(&policy));
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("line 1"), "{}", ran.stderr);
    let ran = verify(dir.path(), &dir.path().join("absent"), Some(&fixture("policy.txt")));
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
}

#[test]
fn an_exported_log_is_checked_to_the_last_byte() {
    let dir = tempfile::tempdir().unwrap();
    let log = copy_of_log(dir.path());
    for command in ["fsck", "verify"] {
        let ran = run(veilcloud(dir.path()).args(["--json", "audit", command]).arg(&log));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let value: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((&value["ok"], &value["log_size"]), (&true.into(), &6.into()));
    }
    let ran = run(veilcloud(dir.path()).args(["audit", "fsck"]).arg(&log));
    assert!(ran.stdout.contains("every byte"), "{}", ran.stdout);
    assert!(ran.stderr.contains("policy in the folder"), "{}", ran.stderr);
    for (name, at, offset) in
        [("tile/entries/000.p/6", 200, Some(110)), ("tile/0/000.p/6", 70, Some(70)), ("checkpoint", 30, None)]
    {
        flip(&log.join(name), at);
        let ran = run(veilcloud(dir.path()).args(["--json", "audit", "fsck"]).arg(&log));
        assert_eq!(ran.code, Some(8), "{name}: {}", ran.stderr);
        let value: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(value["finding"]["path"], name);
        assert_eq!(value["finding"]["offset"], offset.map_or(Value::Null, Value::from), "{name}");
        assert!(ran.stderr.contains("LOG_DAMAGED"), "{}", ran.stderr);
        flip(&log.join(name), at);
    }
    std::fs::remove_file(log.join("checkpoint")).unwrap();
    let ran = run(veilcloud(dir.path()).args(["audit", "fsck"]).arg(&log));
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

#[test]
fn an_exported_log_of_somebody_else_is_told_by_the_policy() {
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("other.txt");
    let text = std::fs::read_to_string(fixture("policy.txt")).unwrap();
    let other: String = text.split_inclusive('\n').filter(|line| !line.starts_with("log ")).collect();
    std::fs::write(&policy, other).unwrap();
    let ran =
        run(veilcloud(dir.path()).args(["audit", "fsck"]).arg(fixture("log")).arg("--policy").arg(&policy));
    assert_eq!(ran.code, Some(8), "{}", ran.stderr);
    assert!(ran.stderr.contains("checkpoint"), "{}", ran.stderr);
}

#[test]
fn a_place_is_a_form_of_the_answer_nowhere_but_in_the_export() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(veilcloud(dir.path()).args(["audit", "list", "my-app", "--output", "events.json"]));
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("table, json"), "{}", ran.stderr);
    let ran = run(veilcloud(dir.path()).args(["audit", "export", "my-app", "--format", "bundle"]));
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("--output DIR"), "{}", ran.stderr);
    for time in ["0s", "10", "1d", ""] {
        let ran = run(veilcloud(dir.path()).args(["audit", "token", "my-app", "--ttl", time]));
        assert_eq!(ran.code, Some(2), "{time}: {}", ran.stderr);
    }
}
