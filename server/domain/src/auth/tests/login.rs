use veilcore::{
    hash::sha256,
    id::{AttemptId, SessionId},
};
use veilsign::{key::SigningKey, login::ClientLogin};

use crate::{
    audit::model::{Kind, Trail},
    auth::{
        LOGIN_ATTEMPT_MS, LoginProof,
        error::AuthError,
        model::{SESSIONS_MAX, Session},
    },
    clock::{Clock, Rng},
    testkit::{Person, SeededEntropy, World},
};

#[tokio::test]
async fn the_right_password_opens_a_session_that_unlocks_the_account() {
    let world = World::default();
    let mut alice = Person::new("alice@example.org");
    alice.register(&world.auth).await.unwrap();
    alice.login(&world.auth).await.unwrap();
    let caller = alice.caller(&world).await;
    assert_eq!(caller.account, alice.account);
    assert!(caller.is_fresh(crate::clock::Clock::now_ms(&*world.clock)));
    let trail = world.trail(Trail::Account(alice.account)).await;
    let kinds: Vec<_> = trail.iter().map(|e| e.line.kind).collect();
    assert_eq!(kinds, [Kind::AccountCreate, Kind::SessionOpen]);
}

#[tokio::test]
async fn a_wrong_password_opens_nothing_and_uses_up_its_attempt() {
    let world = World::default();
    let alice = Person::new("alice@example.org");
    alice.register(&world.auth).await.unwrap();
    // A client finds out by itself that the password does not open the envelope ...
    let wrong = alice.login_with(&world.auth, "wrong horse").await;
    assert!(matches!(wrong, Err(AuthError::LoginFailed)));
    // ... and one that sends something all the same is told no more.
    let (attempt, proof, _) = alice.login_proof(&world.auth, &alice.password).await.unwrap();
    let mut ke3 = proof.ke3.clone();
    ke3[0] ^= 1;
    let guess = LoginProof { ke3, ..proof.clone() };
    assert!(matches!(world.auth.login_finish(attempt, guess).await, Err(AuthError::LoginFailed)));
    assert!(matches!(world.auth.login_finish(attempt, proof).await, Err(AuthError::AttemptUnknown)));
    let trail = world.trail(Trail::Account(alice.account)).await;
    assert!(trail.iter().all(|e| e.line.kind != Kind::SessionOpen));
}

#[tokio::test]
async fn an_unknown_address_is_answered_in_the_same_shape() {
    let world = World::default();
    let alice = Person::new("alice@example.org");
    alice.register(&world.auth).await.unwrap();
    let entropy = SeededEntropy::new(5);
    let (_, ke1) = ClientLogin::start(b"guess", &mut Rng(&entropy)).unwrap();
    let mut answers = Vec::new();
    for email in ["alice@example.org", "nobody@example.org"] {
        let (attempt, ke2) = world.auth.login_start(&email.parse().unwrap(), &ke1).await.unwrap();
        assert_eq!(ke2.len(), 320);
        let guess = LoginProof {
            ke3: vec![3; 64],
            holder_pk: [0; 32],
            holder_signature: [0; 64],
            session_mac: [0; 32],
        };
        let refused = world.auth.login_finish(attempt, guess).await.err().unwrap();
        answers.push(refused.to_string());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], AuthError::LoginFailed.to_string());
    for ke1 in [&ke1[1..], &[255; 96]] {
        for email in ["alice@example.org", "nobody@example.org"] {
            let refused = world.auth.login_start(&email.parse().unwrap(), ke1).await;
            assert!(matches!(refused, Err(AuthError::Message)), "{email}");
        }
    }
}

#[tokio::test]
async fn a_holder_key_that_was_not_part_of_the_login_is_refused() {
    let world = World::default();
    let alice = Person::new("alice@example.org");
    alice.register(&world.auth).await.unwrap();
    let (attempt, proof, _) = alice.login_proof(&world.auth, &alice.password).await.unwrap();
    let carrier = SigningKey::generate(&mut Rng(&SeededEntropy::new(6)));
    let slipped_in = LoginProof { holder_pk: *carrier.verifying_key().as_bytes(), ..proof };
    let refused = world.auth.login_finish(attempt, slipped_in).await;
    assert!(matches!(refused, Err(AuthError::LoginFailed)));
}

#[tokio::test]
async fn an_attempt_is_good_for_a_minute_and_for_its_own_protocol() {
    let world = World::default();
    let alice = Person::new("alice@example.org");
    alice.register(&world.auth).await.unwrap();
    let (attempt, proof, _) = alice.login_proof(&world.auth, &alice.password).await.unwrap();
    world.clock.advance(LOGIN_ATTEMPT_MS);
    let late = world.auth.login_finish(attempt, proof.clone()).await;
    assert!(matches!(late, Err(AuthError::AttemptUnknown)));
    let unknown = AttemptId::from_bytes([1; 16]);
    let never = world.auth.login_finish(unknown, proof.clone()).await;
    assert!(matches!(never, Err(AuthError::AttemptUnknown)));

    let (_, blinded) =
        veilsign::login::ClientRegistration::start(b"new", &mut Rng(&SeededEntropy::new(7))).unwrap();
    let offer = world.auth.recover_start(&alice.email, &blinded).await.unwrap();
    let crossed = world.auth.login_finish(offer.attempt, proof).await;
    assert!(matches!(crossed, Err(AuthError::AttemptUnknown)));
}

#[tokio::test]
async fn a_store_that_fails_opens_no_session() {
    let world = World::default();
    let mut alice = Person::new("alice@example.org");
    alice.register(&world.auth).await.unwrap();
    world.store.fail_next("open_session");
    assert!(matches!(alice.login(&world.auth).await, Err(AuthError::Store(_))));
    let trail = world.trail(Trail::Account(alice.account)).await;
    assert_eq!(trail.len(), 1);
}

#[tokio::test]
async fn a_login_begun_before_a_password_change_ends_with_it() {
    let world = World::default();
    let mut alice = Person::new("alice@example.org");
    alice.register(&world.auth).await.unwrap();
    alice.login(&world.auth).await.unwrap();
    let (attempt, proof, _) = alice.login_proof(&world.auth, &alice.password).await.unwrap();
    let caller = alice.caller(&world).await;
    alice.change_password(&world.auth, &caller, "a new horse").await.unwrap();
    assert!(matches!(world.auth.login_finish(attempt, proof).await, Err(AuthError::LoginFailed)));
}

#[tokio::test]
async fn the_hundred_and_first_session_ends_the_oldest() {
    let world = World::default();
    let mut alice = Person::new("alice@example.org");
    alice.register(&world.auth).await.unwrap();
    alice.login(&world.auth).await.unwrap();
    let first = alice.caller(&world).await.session().unwrap();
    let directory = &world.ports.directory;
    let record = directory.account(alice.account).await.unwrap().unwrap().record;
    for n in 1..100 {
        world.clock.advance(1);
        let session = Session {
            id: SessionId::from_bytes([n; 16]),
            account: alice.account,
            holder_pk: [n; 32],
            refresh_hash: [n; 32],
            logged_in_at_ms: world.clock.now_ms(),
            expires_at_ms: u64::MAX,
        };
        let line = world.auth.line(Kind::SessionOpen, alice.account);
        assert!(directory.open_session(session, sha256(&record), SESSIONS_MAX, line).await.unwrap());
    }
    alice.try_caller(&world).await.unwrap();
    alice.login(&world.auth).await.unwrap();
    assert_ne!(alice.caller(&world).await.session(), Some(first));
    assert!(!directory.standing(alice.account, first).await.unwrap().unwrap().live);
}
