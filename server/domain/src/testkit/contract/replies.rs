//! Answers to requests that may be repeated.

use tokio::task::JoinSet;
use veilcore::id::{AccountId, ApiKeyId};

use super::sample::*;
use crate::{
    auth::port::{Claim, RequestKey},
    testkit::Ports,
};

const DAY_MS: u64 = 24 * 3_600_000;

fn key() -> RequestKey {
    let account = AccountId::from_bytes(bytes16());
    let method = "/veilcloud.test.v1.T/Do".to_owned();
    RequestKey { account, api_key: None, method, request_id: bytes16() }
}

async fn claim(ports: &Ports, key: &RequestKey, content: u8, now_ms: u64) -> Claim {
    ports.replies.claim(key, [content; 32], now_ms).await.expect("the store works")
}

async fn answer(ports: &Ports, key: &RequestKey, reply: &[u8]) {
    ports.replies.answer(key, reply.to_vec(), NOW_MS + DAY_MS).await.expect("the store works");
}

pub async fn a_claim_is_answered_once_and_repeated(ports: Ports) {
    let key = key();
    assert_eq!(claim(&ports, &key, 1, NOW_MS).await, Claim::Fresh);
    assert_eq!(claim(&ports, &key, 1, NOW_MS).await, Claim::Busy);
    answer(&ports, &key, b"done").await;
    for _ in 0..3 {
        assert_eq!(claim(&ports, &key, 1, NOW_MS + 1).await, Claim::Answered(b"done".to_vec()));
    }
}

pub async fn other_content_under_the_same_id_is_noticed(ports: Ports) {
    let key = key();
    assert_eq!(claim(&ports, &key, 1, NOW_MS).await, Claim::Fresh);
    answer(&ports, &key, b"").await;
    assert_eq!(claim(&ports, &key, 2, NOW_MS).await, Claim::OtherContent);
    assert_eq!(claim(&ports, &key, 1, NOW_MS).await, Claim::Answered(Vec::new()));
}

pub async fn a_released_claim_is_free_for_any_content(ports: Ports) {
    let key = key();
    assert_eq!(claim(&ports, &key, 1, NOW_MS).await, Claim::Fresh);
    ports.replies.release(&key).await.expect("the store works");
    assert_eq!(claim(&ports, &key, 2, NOW_MS).await, Claim::Fresh);
    answer(&ports, &key, b"second").await;
    assert_eq!(claim(&ports, &key, 2, NOW_MS).await, Claim::Answered(b"second".to_vec()));
}

pub async fn keys_differ_by_account_api_key_method_and_id(ports: Ports) {
    let one = key();
    let other_account = RequestKey { account: AccountId::from_bytes(bytes16()), ..one.clone() };
    let by_key = RequestKey { api_key: Some(ApiKeyId::from_bytes(bytes16())), ..one.clone() };
    let by_another = RequestKey { api_key: Some(ApiKeyId::from_bytes(bytes16())), ..one.clone() };
    let other_method = RequestKey { method: "/veilcloud.test.v1.T/Undo".to_owned(), ..one.clone() };
    let other_id = RequestKey { request_id: bytes16(), ..one.clone() };
    let keys = [&one, &other_account, &by_key, &by_another, &other_method, &other_id];
    for key in keys {
        assert_eq!(claim(&ports, key, 1, NOW_MS).await, Claim::Fresh);
    }
    for (n, key) in (0_u8..).zip(keys) {
        answer(&ports, key, &[n]).await;
    }
    for (n, key) in (0_u8..).zip(keys) {
        assert_eq!(claim(&ports, key, 1, NOW_MS + 1).await, Claim::Answered(vec![n]));
    }
}

pub async fn an_answer_is_forgotten_in_time(ports: Ports) {
    let key = key();
    assert_eq!(claim(&ports, &key, 1, NOW_MS).await, Claim::Fresh);
    answer(&ports, &key, b"done").await;
    let late = claim(&ports, &key, 1, NOW_MS + DAY_MS - 1).await;
    assert_eq!(late, Claim::Answered(b"done".to_vec()));
    assert_eq!(claim(&ports, &key, 2, NOW_MS + DAY_MS + 1).await, Claim::Fresh);
}

pub async fn of_many_claims_one_is_fresh(ports: Ports) {
    let key = key();
    let mut race = JoinSet::new();
    for _ in 0..WRITERS {
        let (ports, key) = (ports.clone(), key.clone());
        race.spawn(async move { claim(&ports, &key, 1, NOW_MS).await });
    }
    let claims = race.join_all().await;
    assert_eq!(claims.iter().filter(|c| **c == Claim::Fresh).count(), 1);
    assert_eq!(claims.iter().filter(|c| **c == Claim::Busy).count(), WRITERS as usize - 1);
}
