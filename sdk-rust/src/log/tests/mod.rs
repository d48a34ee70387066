//! Heads that move while others look, and logs that are read in steps.

pub(crate) mod served;

use veilchain::head::Head;

use self::served::{PROJECT, Served, ServedLog, entry, policy_with};
use super::*;
use crate::ErrorKind;
use crate::client::Client;
use crate::error::IntegrityReason::*;
use crate::error::Result;
use crate::session::tests::session;

const LOG: LogId = LogId::Project(PROJECT);

fn reason<T>(result: Result<T>) -> Option<IntegrityReason> {
    match result.err().map(|e| e.kind()) {
        Some(ErrorKind::Integrity(reason)) => Some(reason),
        _ => None,
    }
}

/// A log of so many entries.
fn log(size: u64) -> ServedLog {
    let mut log = ServedLog::new(LOG);
    let account = session(1, 10).account().to_string();
    for version in 1..=size {
        let environment = "05050505-0505-0505-0505-050505050505";
        log.push(entry(kinds::BLOB_PUT, &account, environment, version, [1; 32]));
    }
    log
}

/// The same with another beginning.
fn other(size: u64) -> ServedLog {
    let mut other = log(size);
    other.entries[0] = other.entries[1].clone();
    other
}

async fn head(client: &Client) -> Head {
    client.pins().await.expect("read").logs.head(LOG)
}

#[tokio::test]
async fn what_another_call_has_seen_meanwhile_is_not_passed_over() {
    let client = Served::new().new_client();
    // All of these were asked before anything was seen, so that each answer is right for its own call.
    let asked = client.ask(LOG).await.expect("asked");
    let leaf = |log: &ServedLog, size: u64| asked.open(log.proof_at(2, size, 0)).expect("a proof");
    let honest = log(9);
    assert_eq!(client.settle(&asked, &leaf(&honest, 5)).await.expect("the first"), Settled::Pinned);
    assert_eq!(client.settle(&asked, &leaf(&honest, 5)).await.expect("the same"), Settled::Pinned);
    // Older, newer, and of another history: none was shown to lead from the newest head.
    for unproven in [leaf(&honest, 4), leaf(&honest, 9), leaf(&other(9), 9), leaf(&other(9), 4)] {
        assert_eq!(client.settle(&asked, &unproven).await.expect("undecided"), Settled::Again);
    }
    assert_eq!(reason(client.settle(&asked, &leaf(&other(9), 5)).await), Some(LogForked));
    assert_eq!(head(&client).await, Head { size: 5, root: honest.root(5) });
    // Asked again, the honest one goes on and the other does not.
    let asked = client.ask(LOG).await.expect("asked");
    let leaf = |log: &ServedLog| asked.open(log.proof_at(2, 9, 5)).expect("a proof");
    assert_eq!(reason(client.settle(&asked, &leaf(&other(9))).await), Some(LogForked));
    assert_eq!(client.settle(&asked, &leaf(&honest)).await.expect("proved"), Settled::Pinned);
    assert_eq!(head(&client).await, Head { size: 9, root: honest.root(9) });
}

#[tokio::test]
async fn a_log_is_read_in_steps_and_each_is_checked() {
    let served = Served::new();
    served.state().project = log(700);
    let files = Files::new(served.new_client(), LOG);
    let newest = files.newest().await.expect("read").expect("there");
    // What lies behind a step is not needed for it.
    served.state().files = [("tile/entries/002.p/188".to_owned(), vec![0; 10])].into();
    let mut walk = Walk::default();
    for (size, count) in [(256, 256), (512, 256)] {
        let entries = walk.step(&files, &newest.checkpoint, 256).await.expect("checked");
        assert_eq!((walk.size(), entries.len()), (size, count));
        assert_eq!(walk.range().root(), served.state().project.root(size));
    }
    let before = walk.clone();
    assert_eq!(reason(walk.step(&files, &newest.checkpoint, 256).await), Some(LogProofInvalid));
    assert_eq!(walk, before, "nothing was read");
    served.state().files.clear();
    assert_eq!(walk.step(&files, &newest.checkpoint, 256).await.expect("checked").len(), 188);
    assert!(walk.step(&files, &newest.checkpoint, 256).await.expect("at the end").is_empty());
    // From the middle of a bundle on.
    served.state().project = log(900);
    let newest = files.newest().await.expect("read").expect("there");
    let entries = walk.step(&files, &newest.checkpoint, STEP_MAX).await.expect("checked");
    assert_eq!(entries, served.state().project.entries[700..]);
}

#[tokio::test]
async fn a_step_of_another_log_is_refused_whichever_entry_differs() {
    for changed in [0, 255, 256, 511] {
        let served = Served::new();
        served.state().project = log(700);
        let files = Files::new(served.new_client(), LOG);
        let newest = files.newest().await.expect("read").expect("there");
        let lie = served.state().project.entries[(changed + 1) as usize].clone();
        served.state().project.entries[changed as usize] = lie;
        let path = format!("tile/entries/00{}", changed / 256);
        let bytes = served.state().project.file(&path).expect("there");
        served.state().project = log(700);
        served.state().files = [(path, bytes)].into();
        let read = Walk::default().step(&files, &newest.checkpoint, STEP_MAX).await;
        assert_eq!(reason(read), Some(LogProofInvalid), "{changed}");
    }
}

#[tokio::test]
async fn what_was_seen_of_logs_survives_the_store() {
    let served = Served::new();
    served.state().project = log(7);
    served.state().project.policy = policy_with(&[5; 32]);
    served.state().project.witnesses = vec![[5; 32]];
    served.state().directory.witnesses = vec![[5; 32]];
    let client = served.new_client();
    Files::new(client.clone(), LOG).newest().await.expect("read");
    client.directory().follow().await.expect("followed");
    let account = session(1, 10).account();
    client
        .change_pins(move |pins| {
            pins.logs.raise(Alarm { account, index: 3 });
            pins.logs.raise(Alarm { account, index: 4 });
            assert_eq!(pins.logs.see_key(account, 7, 2), Ok(true));
            assert_eq!(pins.logs.see_key(account, 7, 2), Ok(false));
            assert_eq!(pins.logs.see_key(account, 6, 2), Err(7), "an older leaf");
            assert_eq!(pins.logs.see_key(account, 8, 1), Err(7), "an older generation");
            Ok(true)
        })
        .await
        .expect("noted");
    let logs = client.pins().await.expect("read").logs;
    assert_eq!(LogPins::read(logs.record()).as_ref(), Some(&logs));
    assert_eq!(logs.alarm(account), Some(Alarm { account, index: 3 }), "the first one stays");
    assert_eq!(logs.note(LOG).map(str::as_bytes), Some(&served.state().project.note(7)[..]));
    let trust = logs.trust.expect("pinned");
    assert!(trust.policy(LOG).expect("a policy").asks_for_witnesses());
}

#[test]
fn a_log_has_one_name() {
    let id = "04040404-0404-0404-0404-040404040404";
    for good in [format!("project/{id}"), format!("account/{id}"), "directory".to_owned()] {
        assert_eq!(LogId::parse(&good).expect("a log").to_string(), good);
    }
    for bad in ["", "project", "project/", "directory/", "directory/x", "team/1"] {
        assert_eq!(LogId::parse(bad), None, "{bad}");
    }
    assert_eq!(LogId::parse(&format!("project/{}", id.to_uppercase().replace('0', "A"))), None);
    assert_eq!(LogId::parse(&format!("project/{id}/")), None);
}
