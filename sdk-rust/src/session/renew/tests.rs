use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::join_all;
use prost::Message;
use prost_types::Timestamp;

use super::*;
use crate::session::tests::{session, store};
use crate::state::{MemoryState, StateStore};
use crate::transport::Failure;
use crate::transport::fake::{Fake, NOW_MS, message, refusal};

fn client(state: &MemoryState, transport: Fake) -> Client {
    let builder = Client::builder().endpoint("https://host.example").state(Arc::new(state.clone()));
    builder.build_with(transport).expect("a client")
}

fn grant(number: u8, account: &str) -> Result<Bytes, Failure> {
    let at = |ms: u64| Some(Timestamp { seconds: i64::try_from(ms / 1000).expect("near"), nanos: 0 });
    let session = pb::Session {
        account_id: account.to_owned(),
        capability: vec![number; 100],
        expires_at: at(NOW_MS + 900_000),
        refresh_token: vec![number; 32],
        session_expires_at: at(NOW_MS + 3_600_000),
    };
    message(&pb::RefreshResponse { session: Some(session) })
}

/// A server that takes each refresh token once, and gives the next.
fn rotating(account: String) -> Fake {
    let next = AtomicU8::new(1);
    Fake::answering(move |call| {
        assert!(call.path.ends_with("/Refresh"), "{}", call.path);
        let request = pb::RefreshRequest::decode(call.body.clone()).expect("a request");
        let number = next.fetch_add(1, Ordering::SeqCst);
        if request.refresh_token != [number; 32] {
            return Err(refusal("UNAUTHENTICATED", "REFRESH_REUSED", None));
        }
        grant(number + 1, &account)
    })
}

#[tokio::test]
async fn a_capability_with_time_left_is_used_as_it_is() {
    let state = MemoryState::new();
    store(&state, &session(1, 2));
    let fake = Fake::new([]);
    let used = client(&state, fake.clone()).fresh_session().await.expect("a session");
    assert_eq!(used.capability, [1; 100]);
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn many_tasks_that_find_it_too_old_renew_it_once() {
    let state = MemoryState::new();
    let old = session(1, 0);
    store(&state, &old);
    let fake = rotating(old.account().to_string());
    let client = client(&state, fake.clone());
    let sessions = join_all((0..20).map(|_| client.fresh_session())).await;
    for session in sessions {
        assert_eq!(session.expect("renewed").capability, [2; 100]);
    }
    assert_eq!(fake.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_share_a_state_never_use_a_token_twice() {
    let state = MemoryState::new();
    let old = session(1, 0);
    store(&state, &old);
    let fake = rotating(old.account().to_string());
    let clients: Vec<Client> = (0..8).map(|_| client(&state, fake.clone())).collect();
    let tasks = clients.into_iter().map(|client| tokio::spawn(async move { client.fresh_session().await }));
    for task in join_all(tasks).await {
        assert_eq!(task.expect("no panic").expect("a session").capability, [2; 100]);
    }
    assert_eq!(fake.calls().len(), 1);
}

#[tokio::test]
async fn a_session_that_another_process_renewed_is_taken_from_the_store() {
    let state = MemoryState::new();
    let old = session(1, 0);
    store(&state, &old);
    let fake = Fake::new([]);
    let client = client(&state, fake.clone());
    client.session_in_use().await.expect("read");
    store(&state, &session(2, 15));
    assert_eq!(client.fresh_session().await.expect("a session").capability, [2; 100]);
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn a_session_that_ended_is_forgotten() {
    for reason in ["REFRESH_INVALID", "REFRESH_REUSED", "CREDENTIAL_REVOKED"] {
        let state = MemoryState::new();
        store(&state, &session(1, 0));
        let client = client(&state, Fake::new([Err(refusal("UNAUTHENTICATED", reason, None))]));
        let e = client.fresh_session().await.err().expect("refused");
        assert!(e.is(reason));
        assert!(state.load_session().expect("reads").is_none(), "{reason}");
        assert!(matches!(client.fresh_session().await, Err(Error::NotLoggedIn)));
    }
}

#[tokio::test]
async fn a_server_in_trouble_does_not_cost_the_session() {
    let state = MemoryState::new();
    store(&state, &session(1, 0));
    let client = client(&state, Fake::new([Err(refusal("INTERNAL", "INTERNAL", None))]));
    assert!(client.fresh_session().await.is_err());
    assert!(state.load_session().expect("reads").is_some());
}

#[tokio::test]
async fn a_grant_for_another_account_is_refused() {
    let state = MemoryState::new();
    store(&state, &session(1, 0));
    let other = "b0b0b0b0-b0b0-b0b0-b0b0-b0b0b0b0b0b0";
    let client = client(&state, Fake::new([grant(2, other)]));
    assert!(matches!(client.fresh_session().await, Err(Error::BadAnswer { .. })));
}

#[tokio::test]
async fn a_token_of_another_server_is_not_sent_here() {
    let state = MemoryState::new();
    let mut elsewhere = session(1, 0);
    elsewhere.endpoint = "https://other.example".to_owned();
    store(&state, &elsewhere);
    let fake = Fake::new([]);
    let client = client(&state, fake.clone());
    assert!(matches!(client.fresh_session().await, Err(Error::OtherEndpoint { .. })));
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn the_renewal_is_signed_by_the_holder() {
    let state = MemoryState::new();
    let old = session(1, 0);
    store(&state, &old);
    let seen: Arc<Mutex<Option<pb::RefreshRequest>>> = Arc::default();
    let (account, kept) = (old.account().to_string(), Arc::clone(&seen));
    let fake = Fake::answering(move |call| {
        *kept.lock().expect("held") = Some(pb::RefreshRequest::decode(call.body.clone()).expect("a request"));
        grant(2, &account)
    });
    client(&state, fake).fresh_session().await.expect("renewed");
    let request = seen.lock().expect("held").take().expect("sent");
    let digest = hb(tag::REFRESH, &[("refresh_token", &request.refresh_token)]);
    let signature = request.holder_signature.try_into().expect("64 bytes");
    old.holder.verifying_key().verify(&digest, &signature).expect("signed");
}
