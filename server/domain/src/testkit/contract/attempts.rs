//! Half-finished protocol runs.

use tokio::task::JoinSet;
use veilcore::id::{AccountId, AttemptId};
use zeroize::Zeroizing;

use super::sample::*;
use crate::{auth::model::Attempt, testkit::Ports};

fn id() -> AttemptId {
    AttemptId::from_bytes(bytes16())
}

fn recovery() -> Attempt {
    Attempt::Recover { account: None, challenge: bytes32() }
}

pub async fn an_attempt_is_taken_once_and_as_it_was_kept(ports: Ports) {
    let (login, recover, unknown) = (id(), id(), id());
    let account = AccountId::from_bytes(bytes16());
    let state = Zeroizing::new(vec![3; 128]);
    let kept = Attempt::Login {
        account: Some(account),
        record_hash: [3; 32],
        ke1: vec![1; 96],
        ke2: vec![2; 320],
        state,
    };
    ports.attempts.keep(login, kept, NOW_MS + 1000).await.expect("the store works");
    let kept = Attempt::Recover { account: None, challenge: [4; 32] };
    ports.attempts.keep(recover, kept, NOW_MS + 1000).await.expect("the store works");

    match ports.attempts.take(login, NOW_MS).await.expect("the store works") {
        Some(Attempt::Login { account: Some(found), record_hash: [3, ..], ke1, ke2, state }) => {
            assert_eq!((found, ke1, ke2), (account, vec![1; 96], vec![2; 320]));
            assert_eq!(*state, vec![3; 128]);
        }
        _ => panic!("the login is not what was kept"),
    }
    match ports.attempts.take(recover, NOW_MS).await.expect("the store works") {
        Some(Attempt::Recover { account: None, challenge }) => assert_eq!(challenge, [4; 32]),
        _ => panic!("the recovery is not what was kept"),
    }
    for gone in [login, recover, unknown] {
        assert!(ports.attempts.take(gone, NOW_MS).await.expect("the store works").is_none());
    }
}

pub async fn an_expired_attempt_is_gone(ports: Ports) {
    let (late, early) = (id(), id());
    for id in [late, early] {
        ports.attempts.keep(id, recovery(), NOW_MS + 1000).await.expect("the store works");
    }
    assert!(ports.attempts.take(late, NOW_MS + 1000).await.expect("the store works").is_none());
    assert!(ports.attempts.take(early, NOW_MS + 999).await.expect("the store works").is_some());
    // Nor does an earlier clock bring it back.
    assert!(ports.attempts.take(late, NOW_MS).await.expect("the store works").is_none());
}

pub async fn of_many_takers_one_gets_it(ports: Ports) {
    let id = id();
    ports.attempts.keep(id, recovery(), NOW_MS + 1000).await.expect("the store works");
    let mut race = JoinSet::new();
    for _ in 0..WRITERS {
        let attempts = ports.attempts.clone();
        race.spawn(async move { attempts.take(id, NOW_MS).await.expect("the store works").is_some() });
    }
    assert_eq!(race.join_all().await.into_iter().filter(|taken| *taken).count(), 1);
}
