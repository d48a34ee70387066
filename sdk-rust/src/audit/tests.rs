//! Events, proofs, folders and watches, against a server that does not keep to its log.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::ErrorKind;
use crate::error::IntegrityReason::{self, *};
use crate::log::kinds;
use crate::log::tests::served::{
    NAME, PROJECT, SEED, Served, ServedLog, entry, key, key_line, policy_with, public_key,
};
use crate::session::tests::session;
use crate::state::MemoryState;

const ENV: &str = "05050505-0505-0505-0505-050505050505";

fn reason<T>(result: Result<T>) -> Option<IntegrityReason> {
    match result.err().map(|e| e.kind()) {
        Some(ErrorKind::Integrity(reason)) => Some(reason),
        _ => None,
    }
}

fn account() -> String {
    session(1, 10).account().to_string()
}

/// A server whose log has this many versions, and before them the environment.
fn served(versions: u64) -> Served {
    let served = Served::new();
    let mut create = entry(kinds::ENV_CREATE, &account(), ENV, 1, [0; 32]);
    (create.number, create.digest) = (None, None);
    served.state().project.push(create);
    for version in 1..=versions {
        write(&served, version);
    }
    served
}

fn write(served: &Served, version: u64) {
    let digest = [version as u8; 32];
    served.state().project.push(entry(kinds::BLOB_PUT, &account(), ENV, version, digest));
}

fn policy(log: &ServedLog) -> String {
    format!("log {}\n{}", key(&log.origin(), &SEED).verifier(), log.policy)
}

#[tokio::test]
async fn events_are_the_entries_that_lead_to_the_signed_root() {
    for versions in [0, 1, 254, 255, 256, 600] {
        let served = served(versions);
        let client = served.new_client();
        let events = client.audit_of(PROJECT).events().await.expect("listed");
        assert_eq!(events.len() as u64, versions + 1);
        assert!(events.iter().zip(0..).all(|(event, index)| event.index == index));
        assert_eq!((events[0].kind.as_str(), events[0].version), ("env.create", None));
        if let Some(last) = events.last().filter(|_| versions > 0) {
            assert_eq!((last.kind.as_str(), last.version), ("blob.put", Some(versions)));
            assert_eq!(last.digest, Some([versions as u8; 32]));
            assert_eq!(last.actor_id.to_string(), account());
        }
    }
}

#[tokio::test]
async fn a_log_without_a_checkpoint_is_empty_and_one_that_lost_it_is_rolled_back() {
    let empty = Served::new();
    assert_eq!(empty.new_client().audit_of(PROJECT).events().await.expect("none"), []);
    let served = served(3);
    let client = served.new_client();
    client.audit_of(PROJECT).events().await.expect("listed");
    served.state().project.entries.clear();
    assert_eq!(reason(client.audit_of(PROJECT).events().await), Some(LogRolledBack));
}

#[tokio::test]
async fn changed_files_are_refused() {
    let served = served(600);
    let bundle = served.state().project.file("tile/entries/001").expect("there");
    for (path, at) in [("tile/entries/000", 60), ("tile/entries/001", 60), ("tile/entries/002.p/89", 3)] {
        let mut bytes = served.state().project.file(path).expect("there");
        bytes[at] ^= 1;
        served.state().files = [(path.to_owned(), bytes)].into();
        let said = reason(served.new_client().audit_of(PROJECT).events().await);
        assert_eq!(said, Some(LogProofInvalid), "{path}");
    }
    for bytes in [Vec::new(), bundle[1..].to_vec(), [&bundle[..], b"x"].concat(), bundle.clone()] {
        served.state().files = [("tile/entries/000".to_owned(), bytes)].into();
        assert_eq!(reason(served.new_client().audit_of(PROJECT).events().await), Some(LogProofInvalid));
    }
    // An entry of another log, signed and all.
    let other = self::served(2);
    let project = veilcore::id::ProjectId::from_bytes([9; 16]);
    other.state().project.entries[1][4..20].copy_from_slice(project.as_bytes());
    assert_eq!(reason(other.new_client().audit_of(PROJECT).events().await), Some(LogProofInvalid));
}

#[tokio::test]
async fn a_fork_is_found_by_tiles_not_by_the_server_s_word() {
    let served = served(300);
    let client = served.new_client();
    client.audit_of(PROJECT).events().await.expect("listed");
    let first = served.state().project.entries[1].clone();
    served.state().project.entries[0] = first;
    assert_eq!(reason(client.audit_of(PROJECT).events().await), Some(LogForked), "of the same size");
    write(&served, 301);
    assert_eq!(reason(client.audit_of(PROJECT).events().await), Some(LogForked), "of another size");
    served.state().project.shown = Some(299);
    assert_eq!(reason(client.audit_of(PROJECT).events().await), Some(LogRolledBack));
}

#[tokio::test]
async fn a_proof_file_holds_without_the_server_and_for_nothing_else() {
    let served = served(20);
    let client = served.new_client();
    let proof = client.audit_of(PROJECT).proof(17).await.expect("proved");
    assert_eq!((proof.event.index, proof.event.version, proof.log_size), (17, Some(17), 21));
    let policy = policy(&served.state().project);
    let proven = verify_file(proof.file.as_bytes(), policy.as_bytes()).expect("holds");
    assert_eq!((&proven.event, proven.log_size), (&proof.event, 21));
    assert_eq!(proven.origin, format!("{NAME}/project/{PROJECT}"));
    // By what was pinned, after the server is gone.
    served.state().project.entries.clear();
    assert_eq!(client.verify_proof(proof.file.as_bytes()).await.expect("holds"), proven);
    assert_eq!(client.audit_of(PROJECT).policy().await.expect("pinned"), policy);
    let nobody = Served::new().new_client().verify_proof(proof.file.as_bytes()).await;
    assert!(matches!(nobody, Err(Error::Invalid { what: "policy", .. })));
    let other = proof.file.replace("index 17", "index 16");
    assert_eq!(reason(verify_file(other.as_bytes(), policy.as_bytes())), Some(LogProofInvalid));
    let without: String =
        proof.file.split_inclusive('\n').filter(|line| !line.starts_with("extra ")).collect();
    let none = verify_file(without.as_bytes(), policy.as_bytes());
    assert!(matches!(none, Err(Error::Invalid { what: "proof file", .. })));
    assert!(matches!(verify_file(proof.file.as_bytes(), b"quorum x\n"), Err(Error::Invalid { .. })));
    let strange = "quorum none\n";
    assert_eq!(reason(verify_file(proof.file.as_bytes(), strange.as_bytes())), Some(LogProofInvalid));
}

#[tokio::test]
async fn every_changed_byte_of_a_proof_file_is_found() {
    let served = served(5);
    let file = served.new_client().audit_of(PROJECT).proof(3).await.expect("proved").file.into_bytes();
    let policy = policy(&served.state().project);
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert!(verify_file(&changed, policy.as_bytes()).is_err(), "byte {at}");
        assert!(verify_file(&file[..at], policy.as_bytes()).is_err(), "cut at {at}");
    }
}

#[tokio::test]
async fn a_proof_needs_the_witnesses_that_the_policy_asks_for() {
    let served = served(5);
    served.state().project.witnesses = vec![[5; 32]];
    served.state().project.policy = policy_with(&[5; 32]);
    let client = served.new_client();
    let file = client.audit_of(PROJECT).proof(3).await.expect("proved").file;
    let policy = policy(&served.state().project);
    assert_eq!(verify_file(file.as_bytes(), policy.as_bytes()).expect("holds").witnesses, ["w1"]);
    let cut: String = file.split_inclusive('\n').filter(|line| !line.contains("witness.example")).collect();
    assert_eq!(reason(verify_file(cut.as_bytes(), policy.as_bytes())), Some(WitnessQuorum));
    assert_eq!(reason(client.verify_proof(cut.as_bytes()).await), Some(WitnessQuorum));
    served.state().project.witnesses.clear();
    assert_eq!(reason(client.audit_of(PROJECT).events().await), Some(WitnessQuorum));
    assert_eq!(reason(client.audit_of(PROJECT).proof(3).await), Some(WitnessQuorum));
}

#[tokio::test]
async fn a_proof_of_another_event_is_refused() {
    let served = served(5);
    let other = served.state().project.proof(2, 0);
    served.state().twist = Some(Box::new(move |proof| *proof = other.clone()));
    assert_eq!(reason(served.new_client().audit_of(PROJECT).proof(3).await), Some(LogProofInvalid));
    let missing = served.new_client().audit_of(PROJECT).proof(99).await;
    assert!(missing.is_err_and(|e| e.kind() == ErrorKind::NotFound));
}

#[tokio::test]
async fn a_token_is_for_this_server_and_a_bounded_time() {
    let served = served(1);
    let client = served.new_client();
    let audit = client.audit_of(PROJECT);
    let token = audit.create_token(Duration::from_secs(3600)).await.expect("made");
    assert_eq!(token.url, format!("https://host.example/log/{NAME}/project/{PROJECT}/"));
    for bad in [0, 86_401] {
        let refused = audit.create_token(Duration::from_secs(bad)).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{bad}");
    }
    for path in ["@evil.example/", "log", "/a b", "/\u{1b}[2J"] {
        served.state().token_path = path.to_owned();
        let refused = audit.create_token(Duration::from_secs(60)).await;
        assert!(matches!(refused, Err(Error::BadAnswer { .. })), "{path:?}");
    }
}

async fn export(client: &Client, dir: &Path) -> Result<BundleReport> {
    client.audit_of(PROJECT).export_bundle(dir, BundleOptions::default()).await
}

fn finding(dir: &Path) -> Option<(String, Option<u64>)> {
    let check = check_bundle(dir, None, None).expect("read");
    check.finding.map(|finding| (finding.path, finding.offset))
}

#[tokio::test]
async fn an_exported_log_checks_out_and_grows() {
    let (served, dir) = (served(600), tempfile::tempdir().expect("a directory"));
    let client = served.new_client();
    let report = export(&client, dir.path()).await.expect("exported");
    assert_eq!((report.log_size, report.bundles, report.fetched), (601, 3, 3));
    let check = check_bundle(dir.path(), None, None).expect("read");
    assert_eq!((check.finding, check.log_size, check.bundles, check.tiles), (None, 601, 3, 4));
    let strict = policy(&served.state().project);
    assert_eq!(check_bundle(dir.path(), Some(strict.as_bytes()), None).expect("read").finding, None);
    // Every file is one that an honest server serves.
    for path in ["tile/0/000", "tile/0/002.p/89", "tile/1/000.p/2", "tile/entries/001", "checkpoint"] {
        let bytes = std::fs::read(dir.path().join(path)).expect("there");
        assert_eq!(Some(bytes), served.state().project.file(path), "{path}");
    }
    let vkey = std::fs::read_to_string(dir.path().join("key.vkey")).expect("there");
    assert_eq!(vkey.trim_end(), key(&report.origin, &SEED).verifier().encode());
    write(&served, 601);
    let report = export(&client, dir.path()).await.expect("brought up to date");
    assert_eq!((report.log_size, report.fetched), (602, 1), "what is there is not fetched again");
    assert_eq!(finding(dir.path()), None);
    assert!(!dir.path().join("tile/0/002.p/89").exists(), "files of the size before are gone");
}

#[tokio::test]
async fn an_export_that_was_damaged_is_repaired_and_a_lying_server_leaves_no_checkpoint() {
    let (served, dir) = (served(600), tempfile::tempdir().expect("a directory"));
    let client = served.new_client();
    export(&client, dir.path()).await.expect("exported");
    let path = dir.path().join("tile/entries/000");
    let mut bytes = std::fs::read(&path).expect("there");
    bytes[50] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    export(&client, dir.path()).await.expect("exported");
    assert_eq!(finding(dir.path()), None);

    let dir = tempfile::tempdir().expect("a directory");
    let mut bytes = served.state().project.file("tile/entries/000").expect("there");
    bytes[50] ^= 1;
    served.state().files = [("tile/entries/000".to_owned(), bytes)].into();
    assert_eq!(reason(export(&served.new_client(), dir.path()).await), Some(LogProofInvalid));
    assert!(!dir.path().join("checkpoint").exists());
    assert!(matches!(check_bundle(dir.path(), None, None), Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn an_export_does_not_mix_two_logs() {
    let dir = tempfile::tempdir().expect("a directory");
    export(&served(3).new_client(), dir.path()).await.expect("exported");
    let other = served(3);
    other.state().project.name = "other.example".to_owned();
    other.state().directory.name = "other.example".to_owned();
    let refused = export(&other.new_client(), dir.path()).await;
    assert!(matches!(refused, Err(Error::Invalid { what: "folder", .. })));
}

#[tokio::test]
async fn a_check_names_the_first_bad_file_and_byte() {
    let (served, dir) = (served(600), tempfile::tempdir().expect("a directory"));
    export(&served.new_client(), dir.path()).await.expect("exported");
    let change = |path: &str, at: usize, expected: (&str, Option<u64>)| {
        let file = dir.path().join(path);
        let good = std::fs::read(&file).expect("there");
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&file, bad).expect("written");
        let said = finding(dir.path()).expect("found");
        assert_eq!((said.0.as_str(), said.1), expected, "{path} {at}");
        std::fs::write(&file, good).expect("written");
        assert_eq!(finding(dir.path()), None);
    };
    // An entry: the tile says which one. Entry 0 has 110 bytes with its length, the others 118.
    let len = served.state().project.entries.iter().take(3).map(|entry| entry.len() as u64 + 2).sum();
    change("tile/entries/000", len as usize + 50, ("tile/entries/000", Some(len)));
    change("tile/entries/002.p/89", 60, ("tile/entries/002.p/89", Some(0)));
    change("tile/0/000", 100, ("tile/0/000", Some(100)));
    change("tile/0/002.p/89", 33, ("tile/0/002.p/89", Some(33)));
    change("tile/1/000.p/2", 40, ("tile/1/000.p/2", Some(40)));
    change("checkpoint", 40, ("checkpoint", None));
    std::fs::remove_file(dir.path().join("tile/entries/001")).expect("removed");
    assert_eq!(finding(dir.path()), Some(("tile/entries/001".to_owned(), None)));
}

#[tokio::test]
async fn a_folder_that_is_whole_and_of_another_log_is_told_by_the_policy() {
    let (served, dir) = (served(3), tempfile::tempdir().expect("a directory"));
    let strict = policy(&served.state().project);
    served.state().project.seeds = vec![[9; 32]];
    served.state().directory.seeds = vec![[9; 32]];
    export(&served.new_client(), dir.path()).await.expect("exported");
    assert_eq!(finding(dir.path()), None, "by its own policy");
    let check = check_bundle(dir.path(), Some(strict.as_bytes()), None).expect("read");
    assert_eq!(check.finding.expect("found").path, "checkpoint");
}

#[tokio::test]
async fn a_watch_reads_what_is_new_and_tells_what_is_wrong() {
    let served = served(300);
    let client = served.new_client();
    let mut monitor = client.audit_of(PROJECT).monitor();
    let step = monitor.step().await.expect("looked");
    assert_eq!((step.log_size, step.new_events, &step.findings[..]), (301, 301, &[][..]));
    let step = monitor.step().await.expect("looked");
    assert_eq!((step.log_size, step.new_events, step.findings.len()), (301, 0, 0));
    write(&served, 301);
    write(&served, 303);
    let step = monitor.step().await.expect("looked");
    assert_eq!((step.new_events, step.findings.len()), (2, 1));
    assert_eq!((step.findings[0].kind.as_str(), step.findings[0].index), ("version", Some(302)));
    assert!(monitor.step().await.expect("looked").findings.is_empty(), "told once");
}

#[tokio::test]
async fn a_fork_is_an_alarm_with_both_checkpoints() {
    let served = served(300);
    let client = served.new_client();
    let mut monitor = client.audit_of(PROJECT).monitor();
    monitor.step().await.expect("looked");
    let seen = served.state().project.note(301);
    let first = served.state().project.entries[1].clone();
    served.state().project.entries[0] = first;
    write(&served, 301);
    let shown = served.state().project.note(302);
    let step = monitor.step().await.expect("a finding, no error");
    assert_eq!(step.findings.len(), 1);
    let finding = &step.findings[0];
    assert_eq!(finding.kind, "log-forked");
    let evidence: Vec<_> = finding.evidence.iter().map(|evidence| evidence.bytes.clone()).collect();
    assert_eq!(evidence, [shown, seen]);
    assert!(finding.evidence.iter().all(|evidence| evidence.name.ends_with(".checkpoint")));
    assert!(monitor.step().await.expect("looked").findings.is_empty(), "told once");
    // Another watch, after a restart, is told by what was pinned.
    served.state().project.shown = Some(100);
    let step = client.audit_of(PROJECT).monitor().step().await.expect("looked");
    assert_eq!((step.findings[0].kind.as_str(), step.findings[0].evidence.len()), ("log-rolled-back", 2));
}

#[tokio::test]
async fn a_file_that_is_missing_or_malformed_is_an_alarm_with_both_checkpoints() {
    // An entry bundle; a tile of the path to the checkpoint; each gone, and each cut short.
    for (path, is_missing) in [
        ("tile/entries/001.p/46", true),
        ("tile/entries/001.p/46", false),
        ("tile/0/001.p/46", true),
        ("tile/0/001.p/46", false),
    ] {
        let served = served(300);
        let client = served.new_client();
        let mut monitor = client.audit_of(PROJECT).monitor();
        monitor.step().await.expect("looked");
        let seen = served.state().project.note(301);
        write(&served, 301);
        let shown = served.state().project.note(302);
        match is_missing {
            true => served.state().missing = vec![path.to_owned()],
            false => drop(served.state().files.insert(path.to_owned(), vec![0; 33])),
        }
        let step = monitor.step().await.expect("a finding, no error");
        let kinds: Vec<_> = step.findings.iter().map(|finding| finding.kind.as_str()).collect();
        assert_eq!(kinds, ["log-proof-invalid"], "{path} {is_missing}");
        let evidence = &step.findings[0].evidence;
        assert_eq!(evidence.iter().map(|e| e.bytes.clone()).collect::<Vec<_>>(), [shown, seen]);
        // The watch goes on, and so does the log once it is whole.
        served.state().missing.clear();
        served.state().files.clear();
        let step = monitor.step().await.expect("looked");
        assert_eq!((step.log_size, step.findings.len()), (302, 0), "{path} {is_missing}");
    }
}

#[tokio::test]
async fn other_witnesses_than_at_the_first_contact_are_noticed_and_not_believed() {
    let served = served(1);
    let client = served.new_client();
    client.audit_of(PROJECT).monitor().step().await.expect("looked");
    assert!(!client.has_other_witness_policy());
    let pinned = client.audit_of(PROJECT).policy().await.expect("pinned");
    served.state().project.policy = crate::log::tests::served::policy_with(&[5; 32]);
    client.audit_of(PROJECT).monitor().step().await.expect("looked");
    assert!(client.has_other_witness_policy());
    assert_eq!(client.audit_of(PROJECT).policy().await.expect("pinned"), pinned);
}

#[tokio::test]
async fn a_watch_looks_after_the_directory_too() {
    let served = served(1);
    let client = served.client(Arc::new(MemoryState::new()));
    let mut monitor = client.audit_of(PROJECT).monitor();
    assert!(monitor.step().await.expect("looked").findings.is_empty());
    let account = session(1, 10).account();
    served.state().directory.push(key_line(kinds::KEY_REPLACE, account, b"of somebody else"));
    let step = monitor.step().await.expect("looked");
    let kinds: Vec<_> = step.findings.iter().map(|finding| finding.kind.as_str()).collect();
    assert_eq!(kinds, ["key-unexpected"]);
    // A checkpoint of nobody's is a finding as well.
    served.state().project.seeds = vec![[9; 32]];
    let step = monitor.step().await.expect("looked");
    assert_eq!(step.findings[0].kind, "log-key-changed");
    assert_eq!(public_key(&SEED), client.trust().await.expect("pinned").keys()[0]);
}
