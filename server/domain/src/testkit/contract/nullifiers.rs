//! Request proofs, each good once.

use tokio::task::JoinSet;
use veilsign::nullifier::Nullifier;

use super::sample::*;
use crate::testkit::Ports;

const UNTIL_MS: u64 = NOW_MS + 150_000;

async fn spend(ports: &Ports, nullifier: Nullifier, now_ms: u64) -> bool {
    ports.nullifiers.spend(nullifier, UNTIL_MS, now_ms).await.expect("the store works")
}

pub async fn a_nullifier_is_spent_once(ports: Ports) {
    let (one, two) = (Nullifier::from_bytes(bytes32()), Nullifier::from_bytes(bytes32()));
    assert!(spend(&ports, one, NOW_MS).await);
    assert!(!spend(&ports, one, NOW_MS).await);
    assert!(spend(&ports, two, NOW_MS).await);
    let mut neighbour = *one.as_bytes();
    neighbour[31] ^= 1;
    assert!(spend(&ports, Nullifier::from_bytes(neighbour), NOW_MS).await);
}

pub async fn a_nullifier_stays_spent_until_it_expires(ports: Ports) {
    let nullifier = Nullifier::from_bytes(bytes32());
    assert!(spend(&ports, nullifier, NOW_MS).await);
    for _ in 0..100 {
        assert!(spend(&ports, Nullifier::from_bytes(bytes32()), NOW_MS + 100_000).await);
    }
    assert!(!spend(&ports, nullifier, UNTIL_MS - 1).await);
}

pub async fn of_many_spenders_one_succeeds(ports: Ports) {
    let nullifier = Nullifier::from_bytes(bytes32());
    let mut race = JoinSet::new();
    for _ in 0..WRITERS {
        let ports = ports.clone();
        race.spawn(async move { spend(&ports, nullifier, NOW_MS).await });
    }
    assert_eq!(race.join_all().await.into_iter().filter(|fresh| *fresh).count(), 1);
}
