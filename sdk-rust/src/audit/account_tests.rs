//! The log of the account: checked as a project's is, against a server that does not keep to it.

use super::*;
use crate::ErrorKind;
use crate::error::IntegrityReason::{self, *};
use crate::log::tests::served::{NAME, PROJECT, SEED, Served, ServedLog, key, line};
use crate::session::tests::session;

/// Numbers of `auth.register` and `auth.login`.
const REGISTER: u8 = 1;
const LOGIN: u8 = 2;

fn reason<T>(result: Result<T>) -> Option<IntegrityReason> {
    match result.err().map(|e| e.kind()) {
        Some(ErrorKind::Integrity(reason)) => Some(reason),
        _ => None,
    }
}

fn log() -> LogId {
    LogId::Account(session(1, 10).account())
}

/// A server whose log of the account tells of a registration and so many logins.
fn served(logins: u64) -> Served {
    let served = Served::new();
    served.state().project = ServedLog::new(log());
    served.state().project.push(line(REGISTER, session(1, 10).account()));
    (0..logins).for_each(|_| login(&served));
    served
}

fn login(served: &Served) {
    served.state().project.push(line(LOGIN, session(1, 10).account()));
}

#[tokio::test]
async fn the_account_s_events_are_listed_and_proved_like_a_project_s() {
    let served = served(300);
    let client = served.new_client();
    let audit = client.audit_account().await.expect("logged in");
    let events = audit.events().await.expect("listed");
    assert_eq!((events.len(), events[0].kind.as_str()), (301, "auth.register"));
    assert!(events[1..].iter().all(|event| event.kind == "auth.login" && event.environment_id.is_none()));
    let proof = audit.proof(17).await.expect("proved");
    assert_eq!((&proof.event, proof.log_size), (&events[17], 301));
    let policy = format!("log {}\nquorum none\n", key(&format!("{NAME}/{}", log()), &SEED).verifier());
    assert_eq!(audit.policy().await.expect("pinned"), policy);
    let proven = verify_file(proof.file.as_bytes(), policy.as_bytes()).expect("holds");
    assert_eq!(proven.origin, format!("{NAME}/{}", log()));
    assert_eq!(client.verify_proof(proof.file.as_bytes()).await.expect("holds"), proven);
    let missing = audit.proof(301).await;
    assert!(missing.is_err_and(|e| e.kind() == ErrorKind::NotFound));
    let token = audit.create_token(Duration::from_secs(60)).await;
    assert!(matches!(token, Err(Error::Invalid { what: "log token", .. })), "it is for nobody else");
}

#[tokio::test]
async fn an_account_s_log_that_forks_or_goes_back_is_refused() {
    let served = served(300);
    let client = served.new_client();
    let audit = client.audit_account().await.expect("logged in");
    let mut monitor = audit.monitor();
    assert_eq!(monitor.step().await.expect("looked").findings, []);
    served.state().project.entries.swap(0, 1);
    login(&served);
    let step = monitor.step().await.expect("a finding, no error");
    assert_eq!((step.findings[0].kind.as_str(), step.findings[0].evidence.len()), ("log-forked", 2));
    assert_eq!(reason(audit.events().await), Some(LogForked));
    assert_eq!(reason(audit.proof(3).await), Some(LogForked));
    served.state().project.shown = Some(299);
    assert_eq!(reason(audit.events().await), Some(LogRolledBack));
}

#[tokio::test]
async fn another_log_in_the_account_s_place_is_refused() {
    let served = served(5);
    let client = served.new_client();
    let audit = client.audit_account().await.expect("logged in");
    for other in [LogId::Project(PROJECT), LogId::Account(veilcore::id::AccountId::from_bytes([9; 16]))] {
        served.state().project.log = other;
        assert_eq!(reason(audit.events().await), Some(LogProofInvalid), "{other}");
        assert_eq!(reason(audit.proof(3).await), Some(LogProofInvalid), "{other}");
    }
    let own = served.state().project.proof(2, 0);
    served.state().project.log = log();
    served.state().twist = Some(Box::new(move |proof| *proof = own.clone()));
    assert_eq!(reason(audit.proof(2).await), Some(LogProofInvalid));
}
