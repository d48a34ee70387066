use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::join_all;
use prost::Message;
use prost_types::Timestamp;

use super::*;
use crate::error::NetworkError;
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
        refresh_token: Vec::new(),
        session_expires_at: at(NOW_MS + 3_600_000),
    };
    message(&pb::RefreshResponse { session: Some(session) })
}

/// A server that takes each refresh token for one next token, however often, and loses its first answers.
fn rotating(account: String, lost: u8) -> Fake {
    let (mut current, mut before, mut lost) = (sha256(&[1; 32]).to_vec(), None, lost);
    let number = AtomicU8::new(1);
    Fake::answering(move |call| {
        assert!(call.path.ends_with("/Refresh"), "{}", call.path);
        let request = pb::RefreshRequest::decode(call.body.clone()).expect("a request");
        let used = sha256(&request.refresh_token).to_vec();
        let pair = Some((used.clone(), request.next_refresh_hash.clone()));
        if used == current {
            (current, before) = (request.next_refresh_hash, pair);
        } else if before != pair {
            return Err(refusal("UNAUTHENTICATED", "REFRESH_REUSED", None));
        }
        if lost > 0 {
            lost -= 1;
            return Err(Failure::Network(NetworkError::Lost { detail: String::new() }));
        }
        grant(number.fetch_add(1, Ordering::SeqCst) + 1, &account)
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
    let fake = rotating(old.account().to_string(), 0);
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
    let fake = rotating(old.account().to_string(), 0);
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
    let digest = hb(tag::REFRESH, &[("token", &request.refresh_token), ("next", &request.next_refresh_hash)]);
    let signature = request.holder_signature.try_into().expect("64 bytes");
    old.holder.verifying_key().verify(&digest, &signature).expect("signed");
}

fn stored(state: &MemoryState) -> Session {
    record::load(state).expect("reads").expect("there")
}

#[tokio::test]
async fn the_next_token_is_drawn_here_and_stored_before_it_is_sent() {
    let state = MemoryState::new();
    let old = session(1, 0);
    store(&state, &old);
    let (account, kept) = (old.account().to_string(), state.clone());
    let fake = Fake::answering(move |call| {
        let request = pb::RefreshRequest::decode(call.body.clone()).expect("a request");
        let pending = stored(&kept).pending_refresh.expect("stored before it was sent");
        assert_eq!(sha256(pending.expose()).to_vec(), request.next_refresh_hash);
        grant(2, &account)
    });
    client(&state, fake.clone()).fresh_session().await.expect("renewed");
    let request = pb::RefreshRequest::decode(fake.calls()[0].body.clone()).expect("a request");
    let after = stored(&state);
    assert_eq!(sha256(after.refresh_token.expose()).to_vec(), request.next_refresh_hash);
    assert!(after.pending_refresh.is_none());
}

#[tokio::test]
async fn a_renewal_whose_answer_was_lost_is_repeated_by_the_next_process_as_it_was() {
    let state = MemoryState::new();
    let old = session(1, 0);
    store(&state, &old);
    let fake = rotating(old.account().to_string(), 4);
    let e = client(&state, fake.clone()).fresh_session().await.err().expect("every answer was lost");
    assert!(e.outcome_unknown());
    let used = client(&state, fake.clone()).fresh_session().await.expect("the same pair again");
    assert_eq!(used.capability, [2; 100]);
    let bodies: Vec<_> = fake.calls().into_iter().map(|call| call.body).collect();
    assert_eq!(bodies.len(), 5);
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "one request, five times");
    assert!(stored(&state).pending_refresh.is_none());
}

/// A store that tells whether its lock was held when the session was cleared.
#[derive(Clone, Default)]
struct Watched {
    inner: MemoryState,
    held: Arc<Mutex<bool>>,
    cleared_under_lock: Arc<Mutex<Option<bool>>>,
}

struct Held(Arc<Mutex<bool>>, #[allow(dead_code)] Box<dyn Send>);

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.lock().expect("held") = false;
    }
}

impl StateStore for Watched {
    fn load_session(&self) -> std::io::Result<Option<zeroize::Zeroizing<String>>> {
        self.inner.load_session()
    }
    fn save_session(&self, session: &str) -> std::io::Result<()> {
        self.inner.save_session(session)
    }
    fn clear_session(&self) -> std::io::Result<()> {
        *self.cleared_under_lock.lock().expect("held") = Some(*self.held.lock().expect("held"));
        self.inner.clear_session()
    }
    fn load_pins(&self) -> std::io::Result<Option<String>> {
        self.inner.load_pins()
    }
    fn save_pins(&self, pins: &str) -> std::io::Result<()> {
        self.inner.save_pins(pins)
    }
    fn lock(&self) -> std::io::Result<Box<dyn Send>> {
        let guard = self.inner.lock()?;
        *self.held.lock().expect("held") = true;
        Ok(Box::new(Held(Arc::clone(&self.held), guard)))
    }
    fn spool_dir(&self) -> Option<std::path::PathBuf> {
        None
    }
}

#[tokio::test]
async fn a_logout_does_not_pass_a_renewal_that_would_put_the_session_back() {
    let state = Watched::default();
    store(&state, &session(1, 10));
    let builder = Client::builder().endpoint("https://host.example").state(Arc::new(state.clone()));
    let client = builder.build_with(Fake::new([message(&pb::LogoutResponse {})])).expect("a client");
    client.logout(false).await.expect("logged out");
    assert_eq!(*state.cleared_under_lock.lock().expect("held"), Some(true));
}
