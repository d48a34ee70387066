use veilcore::{id::ApiKeyId, secret::Secret};
use veilsign::{api_key, capability::Actions, login::ClientRegistration};
use veilvault::{
    identity::Identity,
    recovery::{RecoveryCode, RecoveryStatement},
};

use crate::{
    audit::model::{Kind, Trail},
    auth::{
        RECOVERY_ATTEMPT_MS, RecoveryProof,
        api_keys::{NewApiKey, model::Scope},
        error::AuthError,
    },
    clock::Rng,
    testkit::{Person, SeededEntropy, World},
};

fn code(seed: u64) -> RecoveryCode {
    RecoveryCode::generate(&mut Rng(&SeededEntropy::new(seed)))
}

#[tokio::test]
async fn the_code_gives_back_the_account_with_all_its_keys() {
    let world = World::default();
    let mut alice = Person::new("alice@example.org");
    alice.register(&world.auth).await.unwrap();
    alice.login(&world.auth).await.unwrap();
    let old_code = alice.code.clone();
    let old_password = alice.password.clone();
    alice.recover(&world.auth, "a new password").await.unwrap();
    // The login checks that the root key is still the same.
    alice.login(&world.auth).await.unwrap();
    let kept = world.ports.directory.account(alice.account).await.unwrap().unwrap();
    assert_eq!(kept.bundle, alice.bundle());
    assert_eq!(kept.revocation_epoch, 1);

    let old = alice.login_with(&world.auth, &old_password).await;
    assert!(matches!(old, Err(AuthError::LoginFailed)));
    let used = alice.recovery(&world.auth, &old_code, "x", &code(1)).await;
    assert!(matches!(used, Err(AuthError::RecoveryFailed)));
    let trail = world.trail(Trail::Account(alice.account)).await;
    assert!(trail.iter().any(|e| e.line.kind == Kind::AccountRecover));
}

#[tokio::test]
async fn a_recovery_ends_every_session() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    let grant = alice.grant.take();
    alice.recover(&world.auth, "a new password").await.unwrap();
    alice.grant = grant;
    assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Revoked)));
    assert!(matches!(alice.refresh(&world.auth).await, Err(AuthError::RefreshInvalid)));
}

#[tokio::test]
async fn a_recovery_revokes_the_api_keys_of_the_account() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    let drawn = api_key::ApiKey::from_secret(ApiKeyId::from_bytes([1; 16]), Secret::new([1; 32]));
    let new = NewApiKey {
        id: drawn.id(),
        name: "deploy".parse().unwrap(),
        secret_hash: drawn.hash(),
        scope: Scope {
            actions: Actions::PROJECT_READ,
            project: None,
            environments: Vec::new(),
            networks: Vec::new(),
        },
        lifetime_ms: 1_000_000,
        token: None,
    };
    world.api_keys.create(&alice.caller(&world).await, new).await.unwrap();
    let shown = async || {
        let shown = world.api_keys.authenticate(&drawn.to_text(), "192.0.2.1".parse().unwrap()).await;
        shown.map(drop)
    };
    shown().await.unwrap();
    alice.recover(&world.auth, "a new password").await.unwrap();
    assert!(matches!(shown().await, Err(AuthError::Revoked)));
    let trail = world.trail(Trail::Account(alice.account)).await;
    assert!(trail.iter().any(|event| event.line.kind == Kind::ApiKeyRevoke));
}

#[tokio::test]
async fn a_recovery_that_the_code_did_not_sign_changes_nothing() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let before = world.ports.directory.account(alice.account).await.unwrap();
    let good = alice.recovery(&world.auth, &alice.code, "new", &code(1)).await.unwrap();
    let mut signature = good.signature;
    signature[0] ^= 1;
    let forged = RecoveryProof { signature, ..good.clone() };
    assert!(matches!(world.auth.recover_finish(forged).await, Err(AuthError::RecoveryFailed)));
    // The attempt is used up, so the right one comes too late.
    assert!(matches!(world.auth.recover_finish(good).await, Err(AuthError::AttemptUnknown)));

    // The signature covers the new code's bundle and the new password: neither can be exchanged.
    let good = alice.recovery(&world.auth, &alice.code, "new", &code(1)).await.unwrap();
    let bundle = alice.identity.account_bundle(&code(2).verifier());
    let exchanged = RecoveryProof { bundle, ..good };
    assert!(matches!(world.auth.recover_finish(exchanged).await, Err(AuthError::RecoveryFailed)));
    let good = alice.recovery(&world.auth, &alice.code, "new", &code(1)).await.unwrap();
    let other = alice.recovery(&world.auth, &alice.code, "other", &code(1)).await.unwrap();
    let exchanged = RecoveryProof { upload: other.upload, ..good };
    assert!(matches!(world.auth.recover_finish(exchanged).await, Err(AuthError::RecoveryFailed)));
    assert_eq!(world.ports.directory.account(alice.account).await.unwrap(), before);
    alice.try_caller(&world).await.unwrap();
}

#[tokio::test]
async fn a_recovery_cannot_change_who_somebody_is() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let mallory = Person::new("mallory@example.org");
    let good = alice.recovery(&world.auth, &alice.code, "new", &code(1)).await.unwrap();
    // Signed by the code, but the keys in the bundle are another's: what is sealed to the old ones would be lost.
    let other = Identity::derive(mallory.ark(), alice.account, 1);
    let bundle = other.account_bundle(&code(1).verifier());
    let (_, request) = ClientRegistration::start(b"new", &mut Rng(&SeededEntropy::new(9))).unwrap();
    let offer = world.auth.recover_start(&alice.email, &request).await.unwrap();
    let (attempt, challenge) = (offer.attempt, &offer.challenge);
    let statement = RecoveryStatement { attempt, challenge, upload: &good.upload, bundle: &bundle };
    let signature = alice.code.sign_recovery(&statement);
    let taken_over = RecoveryProof { attempt, signature, bundle, ..good };
    assert!(matches!(world.auth.recover_finish(taken_over).await, Err(AuthError::Bundle)));
    alice.try_caller(&world).await.unwrap();
}

#[tokio::test]
async fn an_unknown_address_is_offered_the_same_every_time_and_recovers_nothing() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let nobody = "nobody@example.org".parse().unwrap();
    let (_, request) = ClientRegistration::start(b"new", &mut Rng(&SeededEntropy::new(9))).unwrap();
    let known = world.auth.recover_start(&alice.email, &request).await.unwrap();
    let first = world.auth.recover_start(&nobody, &request).await.unwrap();
    let second = world.auth.recover_start(&nobody, &request).await.unwrap();
    let third = world.auth.recover_start(&"else@example.org".parse().unwrap(), &request).await.unwrap();
    assert_eq!((first.account, &first.recovery_wrap), (second.account, &second.recovery_wrap));
    assert_ne!(first.account, third.account);
    assert_ne!(first.recovery_wrap, third.recovery_wrap);
    assert_ne!((first.attempt, first.challenge), (second.attempt, second.challenge));
    assert_eq!(first.recovery_wrap.len(), known.recovery_wrap.len());
    assert_eq!(first.recovery_wrap[..2], known.recovery_wrap[..2]);
    assert_eq!(first.response.len(), known.response.len());
    // A version 4 UUID, as a client draws it.
    assert_eq!((first.account.as_bytes()[6] >> 4, first.account.as_bytes()[8] >> 6), (4, 2));

    let proof = alice.recovery(&world.auth, &alice.code, "new", &code(1)).await.unwrap();
    let guess = RecoveryProof { attempt: second.attempt, ..proof };
    assert!(matches!(world.auth.recover_finish(guess).await, Err(AuthError::RecoveryFailed)));
}

#[tokio::test]
async fn an_offer_is_good_for_ten_minutes_and_a_malformed_answer_does_not_cost_it() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let good = alice.recovery(&world.auth, &alice.code, "new", &code(1)).await.unwrap();
    let broken = RecoveryProof { upload: vec![1; 10], ..good.clone() };
    assert!(matches!(world.auth.recover_finish(broken).await, Err(AuthError::Message)));
    let broken = RecoveryProof { bundle: vec![1; 10], ..good.clone() };
    assert!(matches!(world.auth.recover_finish(broken).await, Err(AuthError::Bundle)));
    let swapped = RecoveryProof { password_wrap: good.recovery_wrap.clone(), ..good.clone() };
    assert!(matches!(world.auth.recover_finish(swapped).await, Err(AuthError::Message)));
    world.clock.advance(RECOVERY_ATTEMPT_MS - 1);
    world.auth.recover_finish(good).await.unwrap();

    let late = world.person("late@example.org").await;
    let good = late.recovery(&world.auth, &late.code, "new", &code(2)).await.unwrap();
    world.clock.advance(RECOVERY_ATTEMPT_MS);
    assert!(matches!(world.auth.recover_finish(good).await, Err(AuthError::AttemptUnknown)));
}
