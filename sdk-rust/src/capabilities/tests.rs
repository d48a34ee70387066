use rand_core::OsRng;
use time::OffsetDateTime;
use veilcore::id::{AccountId, SessionId};
use veilsign::capability::{Actions, Body, Grant, issue};
use veilsign::key::SigningKey;

use super::*;
use crate::error::ErrorKind;

const NOW_MS: u64 = 1_800_000_000_000;
const PROJECT: &str = "01920000-0000-7000-8000-00000000000a";

fn at(ms: u64) -> OffsetDateTime {
    times::from_ms(ms)
}

/// A capability for reading and writing a project, for an hour.
fn held() -> HeldCapability {
    let (issuer, holder) = (SigningKey::generate(&mut OsRng), SigningKey::generate(&mut OsRng));
    let place = format!("p/{PROJECT}").parse().expect("a place");
    let body = Body {
        kid: issuer.verifying_key().key_id(),
        session: SessionId::from_bytes([1; 16]),
        account: AccountId::from_bytes([2; 16]),
        tenant: AccountId::from_bytes([2; 16]),
        tier: 0,
        revocation_epoch: 0,
        issued_at_ms: NOW_MS,
        not_before_ms: NOW_MS,
        expires_at_ms: NOW_MS + 3_600_000,
        holder_pk: *holder.verifying_key().as_bytes(),
        next_pk: *holder.verifying_key().as_bytes(),
        grants: vec![Grant::new(place, Actions::PROJECT_READ | Actions::PROJECT_WRITE)],
        audience: "veilcloud".to_owned(),
    };
    let capability = issue(&issuer, &body).expect("signed").encode();
    HeldCapability::new("https://vault.example.org".to_owned(), capability, holder)
}

fn refused<T>(result: Result<T>) -> bool {
    result.is_err_and(|e| e.kind() == ErrorKind::Usage)
}

#[test]
fn a_file_comes_back_as_it_was_and_another_is_refused() {
    let before = held();
    let text = before.to_text();
    let after = HeldCapability::parse(&text).expect("the same");
    assert_eq!((after.bytes(), after.endpoint()), (before.bytes(), before.endpoint()));
    assert!(after.signed_headers("get", "/v1/projects", b"", at(NOW_MS)).is_ok());
    let stranger = held();
    let swapped = {
        let other: serde_json::Value = serde_json::from_str(&stranger.to_text()).expect("JSON");
        let mut own: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        own["holder_key"] = other["holder_key"].clone();
        own.to_string()
    };
    for wrong in [
        "",
        "{}",
        &text[..text.len() / 2],
        &text.replace("\"version\": 1", "\"version\": 2"),
        &text.replace("\"capability\": \"", "\"capability\": \"A"),
        &text.replace("\"endpoint\"", "\"more\": 1, \"endpoint\""),
        &swapped,
    ] {
        assert!(refused(HeldCapability::parse(wrong)), "{wrong}");
    }
    assert!(!format!("{before:?}").contains("holder"));
}

#[test]
fn a_narrower_one_says_less_and_has_a_key_of_its_own() {
    let parent = held();
    let place = format!("p/{PROJECT}/e/production");
    let how = Narrowing {
        places: vec![place.clone()],
        permissions: vec!["project:read".to_owned()],
        expires_at: Some(at(NOW_MS + 60_000)),
        ..Narrowing::default()
    };
    let child = parent.narrow(&how).expect("narrower");
    let (before, view) = (parent.view().expect("one"), child.view().expect("one"));
    assert_eq!(view.grants, [(place, vec!["project:read".to_owned()])]);
    assert_eq!((view.expires_at, view.depth, view.is_sealed), (at(NOW_MS + 60_000), 1, false));
    assert_eq!((view.token_id, view.account_id), (before.token_id, before.account_id));
    assert_ne!(view.holder_key, before.holder_key);
    assert!(child.has_key() && HeldCapability::parse(&child.to_text()).is_ok());
    // What is not said stays.
    let same = child.narrow(&Narrowing::default()).expect("as narrow");
    assert_eq!(same.view().expect("one").grants, view.grants);
    let third = same.narrow(&Narrowing::default()).expect("as narrow");
    assert!(third.view().expect("one").is_sealed && refused(third.narrow(&Narrowing::default())));
}

#[test]
fn nothing_is_widened_and_nothing_sealed_is_narrowed() {
    let parent = held();
    let with = |places: &[&str], permissions: &[&str], after_ms: u64| Narrowing {
        places: places.iter().map(|place| (*place).to_owned()).collect(),
        permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
        expires_at: Some(at(NOW_MS + after_ms)),
        ..Narrowing::default()
    };
    let own = format!("p/{PROJECT}");
    for wider in [
        with(&["p/01920000-0000-7000-8000-00000000000b"], &[], 1000),
        with(&[""], &[], 1000),
        with(&["p"], &[], 1000),
        with(&[&own], &["project:delete"], 1000),
        with(&[], &["project:delete"], 1000),
        with(&[&own], &["project:fly"], 1000),
        with(&["p/../x"], &[], 1000),
        with(&[&own], &["project:read"], 3_600_001),
    ] {
        assert!(refused(parent.narrow(&wider)), "{wider:?}");
    }
    let sealed = parent.narrow(&Narrowing { seal: true, ..Narrowing::default() }).expect("sealed");
    assert!(sealed.view().expect("one").is_sealed && refused(sealed.narrow(&Narrowing::default())));
}

#[test]
fn one_that_is_passed_on_waits_for_its_key() {
    let key = HolderKey::generate();
    let how = Narrowing { to: Some(key.public_key()), ..Narrowing::default() };
    let passed_on = held().narrow(&how).expect("as narrow");
    assert!(!passed_on.has_key());
    assert!(refused(passed_on.signed_headers("GET", "/", b"", at(NOW_MS))));
    assert!(refused(passed_on.narrow(&Narrowing::default())));
    let there = HeldCapability::parse(&passed_on.to_text()).expect("read");
    assert!(refused(there.clone().with_key(HolderKey::generate())));
    let key = HolderKey::parse(&key.to_text()).expect("the same");
    let whole = there.with_key(key).expect("its key");
    assert!(whole.signed_headers("GET", "/", b"", at(NOW_MS)).is_ok());
    assert!(refused(HolderKey::parse("AAAA")));
}

#[tokio::test]
async fn a_client_with_a_capability_asks_with_it_and_needs_no_login() {
    use veilcloud_proto::projects::v1::GetProjectResponse;

    use crate::transport::fake::{Fake, message};
    let held = held();
    let fake = Fake::new([message(&GetProjectResponse::default())]);
    let builder = Client::builder().endpoint(held.endpoint()).capability(held.clone());
    let client = builder.build_with(fake.clone()).expect("a client");
    // An empty answer is no project; what was sent is what matters here.
    assert!(client.projects().get(PROJECT.parse().expect("an id")).await.is_err());
    let calls = fake.calls();
    let sent = calls[0].credentials.as_ref().expect("credentials");
    assert_eq!(sent.capability, data_encoding::BASE64URL_NOPAD.encode(held.bytes()));
    let elsewhere = Client::builder().endpoint("https://other.example.org").capability(held);
    assert!(refused(elsewhere.build_with(Fake::new([]))), "it is for one server");
}

/// A key as the server names it, and the entry that its record makes.
fn issuer(log_index: u64) -> (pb::IssuerKey, veilchain::entry::Entry) {
    use crate::log::{kinds, tests::served::line};
    let key = SigningKey::generate(&mut OsRng).verifying_key();
    let record = veilsign::capability::IssuerKey { key, not_before_ms: NOW_MS, not_after_ms: NOW_MS + 1000 };
    let stamp = |ms: u64| Some(prost_types::Timestamp { seconds: (ms / 1000) as i64, nanos: 0 });
    let told = pb::IssuerKey {
        key_id: key.key_id().as_bytes().to_vec(),
        public_key: key.as_bytes().to_vec(),
        not_before: stamp(NOW_MS),
        not_after: stamp(NOW_MS + 1000),
        unlogged: false,
        log_index,
    };
    let entry = line(kinds::ISSUER_KEY, AccountId::from_bytes([0; 16]));
    (told, veilchain::entry::Entry { digest: Some(record.digest()), ..entry })
}

#[tokio::test]
async fn an_issuer_key_is_proved_by_the_directory_or_is_none() {
    use crate::error::IntegrityReason;
    use crate::log::tests::served::Served;
    let served = Served::new();
    let (first, entry) = issuer(1);
    let (second, other) = issuer(2);
    assert_eq!(served.state().directory.push(entry), 1);
    assert_eq!(served.state().directory.push(other), 2);
    served.state().issuers = vec![first.clone(), second.clone()];
    let client = served.new_client();
    let proven = client.capabilities().proven_issuers().await.expect("both are there");
    assert_eq!(proven.iter().map(|(_, is_proved)| *is_proved).collect::<Vec<_>>(), [true, true]);
    // On its way, or beyond what is shown yet.
    let unlogged = pb::IssuerKey { unlogged: true, log_index: 0, ..first.clone() };
    let beyond = pb::IssuerKey { log_index: 3, ..first.clone() };
    served.state().issuers = vec![unlogged, beyond];
    let proven = client.capabilities().proven_issuers().await.expect("nothing is wrong yet");
    assert!(proven.iter().all(|(_, is_proved)| !is_proved));
    let never = issuer(1).0;
    for lie in [
        // A key that no leaf names, the place of another one, of something else, another time, another name.
        never,
        pb::IssuerKey { log_index: 2, ..first.clone() },
        pb::IssuerKey { log_index: 0, ..first.clone() },
        pb::IssuerKey { not_after: first.not_before, not_before: first.not_after, ..first.clone() },
        pb::IssuerKey { key_id: second.key_id.clone(), ..first.clone() },
    ] {
        served.state().issuers = vec![lie.clone()];
        let refused = client.capabilities().proven_issuers().await.expect_err("a lie");
        let expected = ErrorKind::Integrity(IntegrityReason::KeyNotInDirectory);
        assert_eq!(refused.kind(), expected, "{lie:?}");
    }
}

#[tokio::test]
async fn a_capability_that_was_not_asked_for_is_refused() {
    use std::sync::Arc;

    use crate::session::tests::{session, store};
    use crate::state::MemoryState;
    use crate::transport::fake::{Fake, message};
    let stranger = held();
    let view = stranger.view().expect("one");
    let stamp = Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 });
    let answer = pb::IssueCapabilityResponse {
        capability: stranger.bytes().to_vec(),
        issued: Some(pb::IssuedCapability {
            token_id: view.token_id.to_string(),
            name: "deploy".to_owned(),
            holder_public_key: view.holder_key.to_vec(),
            issued_at: stamp,
            expires_at: stamp,
            ..Default::default()
        }),
    };
    let state = MemoryState::new();
    store(&state, &session(1, 10));
    let builder = Client::builder().endpoint("https://host.example").state(Arc::new(state));
    let client = builder.build_with(Fake::new([message(&answer)])).expect("a client");
    let grant = CapabilityGrant {
        project_id: PROJECT.parse().expect("an id"),
        environment: None,
        permissions: vec!["project:read".to_owned()],
    };
    let issued = client.capabilities().issue("deploy", &[grant], std::time::Duration::from_secs(60)).await;
    assert!(matches!(issued, Err(Error::BadAnswer { .. })));
}

#[tokio::test]
async fn a_session_whose_issuer_key_was_revoked_renews_itself_once() {
    use std::sync::Arc;

    use crate::session::tests::{session, store};
    use crate::state::MemoryState;
    use crate::transport::fake::{Fake, refusal};
    let state = MemoryState::new();
    store(&state, &session(1, 10));
    let invalid = || Err(refusal("UNAUTHENTICATED", "CREDENTIAL_INVALID", None));
    let fake = Fake::new([invalid(), invalid()]);
    let builder = Client::builder().endpoint("https://host.example").state(Arc::new(state));
    let client = builder.build_with(fake.clone()).expect("a client");
    // The renewal is refused as well here; that it was tried is what matters.
    assert!(client.capabilities().list().await.is_err());
    let paths: Vec<_> = fake.calls().iter().map(|call| call.path).collect();
    assert_eq!(paths, [rpc::LIST_CAPABILITIES.path, rpc::REFRESH.path]);
}
