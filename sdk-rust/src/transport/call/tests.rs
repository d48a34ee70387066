use std::collections::BTreeSet;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use veilcloud_proto::auth::v1 as auth;
use veilcloud_proto::projects::v1 as pb;
use veilcore::canon::Reader;
use veilsign::proof::{Proof, body_hash};

use super::*;
use crate::error::{ErrorKind, NetworkError};
use crate::session::tests::{session, store};
use crate::state::MemoryState;
use crate::transport::fake::{Fake, NOW_MS, message, refusal};
use crate::transport::rpc;

fn client(fake: &Fake) -> Client {
    let state = MemoryState::new();
    store(&state, &session(1, 10));
    let builder = Client::builder().endpoint("https://host.example").state(Arc::new(state));
    builder.build_with(fake.clone()).expect("a client")
}

fn request() -> pb::CreateProjectRequest {
    pb::CreateProjectRequest { name: "shop".to_owned(), request_id: crate::times::request_id() }
}

fn unavailable() -> Result<Bytes, Failure> {
    Err(refusal("UNAVAILABLE", "DRAINING", None))
}

/// The signed part of the proof that went with a call.
fn proof(call: &Call) -> Proof {
    let text = &call.credentials.as_ref().expect("authenticated").proof;
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).expect("base64url");
    let statement = Reader::new(&bytes).bytes(8192).expect("framed").to_vec();
    Proof::decode(&statement).expect("a proof")
}

#[tokio::test]
async fn every_try_has_a_new_proof_and_the_same_request() {
    let fake = Fake::new([unavailable(), unavailable(), message(&pb::CreateProjectResponse::default())]);
    let sent = request();
    let _: pb::CreateProjectResponse =
        client(&fake).call(&rpc::CREATE_PROJECT, &sent).await.expect("the third try");
    let calls = fake.calls();
    assert_eq!(calls.len(), 3);
    let nonces: BTreeSet<_> = calls.iter().map(|call| proof(call).nonce).collect();
    assert_eq!(nonces.len(), 3, "a nonce is never used twice");
    for call in &calls {
        let received = pb::CreateProjectRequest::decode(call.body.clone()).expect("the message");
        assert_eq!(received, sent, "request id and all");
        assert_eq!(proof(call).body_hash, body_hash(&call.body), "the bytes that are proved are those sent");
        assert_eq!(proof(call).target, rpc::CREATE_PROJECT.path);
        assert!(proof(call).ts_ms >= NOW_MS);
    }
    assert_eq!(fake.slept().len(), 2);
}

#[tokio::test]
async fn calls_that_need_no_session_carry_none() {
    let fake = Fake::new([message(&auth::LoginStartResponse::default())]);
    let request = auth::LoginStartRequest::default();
    let _: auth::LoginStartResponse =
        client(&fake).call(&rpc::LOGIN_START, &request).await.expect("answered");
    assert!(fake.calls()[0].credentials.is_none());
}

#[tokio::test]
async fn a_server_that_stays_away_is_reported_with_its_cause() {
    let refused = || Err(Failure::Network(NetworkError::Refused { address: "host.example:443".into() }));
    let fake = Fake::new([refused(), refused(), refused(), refused()]);
    let answer: Result<pb::CreateProjectResponse> =
        client(&fake).call(&rpc::CREATE_PROJECT, &request()).await;
    let e = answer.expect_err("nobody there");
    assert!(matches!(e.kind(), ErrorKind::Network(NetworkError::Refused { .. })));
    assert!(e.to_string().contains("https://host.example") && !e.remedy().is_empty());
    assert_eq!(fake.calls().len(), 4);
}

#[tokio::test]
async fn what_the_server_decided_is_not_asked_again() {
    for (code, reason) in
        [("ABORTED", "ETAG_MISMATCH"), ("PERMISSION_DENIED", "PERMISSION_DENIED"), ("INTERNAL", "INTERNAL")]
    {
        let fake = Fake::new([Err(refusal(code, reason, None))]);
        let answer: Result<pb::CreateProjectResponse> =
            client(&fake).call(&rpc::CREATE_PROJECT, &request()).await;
        assert_eq!(answer.expect_err("refused").reason(), Some(reason));
    }
}

#[tokio::test]
async fn an_expired_capability_is_renewed_once() {
    let expired = || Err(refusal("UNAUTHENTICATED", "CREDENTIAL_EXPIRED", None));
    let account = session(1, 10).account().to_string();
    let at =
        |ms: u64| Some(prost_types::Timestamp { seconds: i64::try_from(ms / 1000).expect("near"), nanos: 0 });
    let granted = auth::Session {
        account_id: account,
        capability: vec![2; 100],
        expires_at: at(NOW_MS + 900_000),
        refresh_token: Vec::new(),
        session_expires_at: at(NOW_MS + 3_600_000),
    };
    let renewed = message(&auth::RefreshResponse { session: Some(granted) });
    let fake = Fake::new([expired(), renewed, expired()]);
    let answer: Result<pb::CreateProjectResponse> =
        client(&fake).call(&rpc::CREATE_PROJECT, &request()).await;
    assert_eq!(answer.expect_err("still expired").reason(), Some("CREDENTIAL_EXPIRED"));
    let capabilities: Vec<_> =
        fake.calls().iter().map(|call| call.credentials.as_ref().map(|c| c.capability.clone())).collect();
    assert_eq!(capabilities.len(), 3);
    assert!(capabilities[1].is_none(), "the renewal itself needs no capability");
    assert_ne!(capabilities[0], capabilities[2]);
}

#[tokio::test]
async fn an_answer_that_is_no_message_is_refused() {
    let fake = Fake::new([Ok(Bytes::from_static(&[0xff; 8]))]);
    let answer: Result<pb::CreateProjectResponse> =
        client(&fake).call(&rpc::CREATE_PROJECT, &request()).await;
    assert!(matches!(answer, Err(Error::BadAnswer { .. })));
}

#[tokio::test]
async fn nobody_logged_in_means_nothing_sent() {
    let fake = Fake::new([]);
    let client =
        Client::builder().endpoint("https://host.example").build_with(fake.clone()).expect("a client");
    let answer: Result<pb::CreateProjectResponse> = client.call(&rpc::CREATE_PROJECT, &request()).await;
    assert!(matches!(answer, Err(Error::NotLoggedIn)));
    assert!(fake.calls().is_empty());
}
