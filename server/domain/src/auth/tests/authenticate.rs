use veilsign::{
    capability::{Actions, Grant, Resource},
    key::SigningKey,
    proof::{body_hash, prove},
};

use crate::{
    auth::{Caller, Settings, error::AuthError},
    clock::{Clock, Rng},
    storage::StorageSettings,
    testkit::{Person, SeededEntropy, World},
};

const TARGET: &str = "GET /v1/projects";

async fn ask(world: &World, cap: &[u8], proof: &[u8]) -> Result<Caller, AuthError> {
    world.auth.authenticate(cap, proof, TARGET, body_hash(b"body")).await
}

fn proof(world: &World, person: &Person) -> Vec<u8> {
    person.proof(TARGET, b"body", world.clock.now_ms())
}

#[tokio::test]
async fn a_request_needs_a_capability_and_a_proof() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let (cap, proof) = (&alice.session().capability, proof(&world, &alice));
    assert!(matches!(ask(&world, &[], &proof).await, Err(AuthError::Missing)));
    assert!(matches!(ask(&world, cap, &[]).await, Err(AuthError::Missing)));
    let caller = ask(&world, cap, &proof).await.unwrap();
    assert_eq!((caller.account, caller.tier), (alice.account, crate::auth::model::Tier::Free));
    assert!(caller.allows(Actions::ALL, &Resource::account()));
    assert_eq!(caller.spend().unwrap().until_ms, world.clock.now_ms() + 150_000);
}

#[tokio::test]
async fn an_altered_or_foreign_capability_is_invalid() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let good = &alice.session().capability;
    for at in [0, 10, 60, 150, good.len() / 2, good.len() - 1] {
        let mut cap = good.clone();
        cap[at] ^= 1;
        let forged = prove(&alice.holder, &cap, TARGET, b"body", world.clock.now_ms(), [1; 16]).unwrap();
        assert!(matches!(ask(&world, &cap, &forged).await, Err(AuthError::Invalid)), "byte {at}");
    }
    let huge = vec![1; 5000];
    assert!(matches!(ask(&world, &huge, &proof(&world, &alice)).await, Err(AuthError::Invalid)));

    let elsewhere = World::new(
        Settings { audience: "elsewhere".to_owned(), ..Settings::default() },
        StorageSettings::default(),
    );
    // The same secrets, another audience: the issuer is known and the capability still not for here.
    assert_eq!(*world.secrets.to_bytes(), *elsewhere.secrets.to_bytes());
    let bob = elsewhere.person("bob@example.org").await;
    let refused = ask(&world, &bob.session().capability, &proof(&world, &bob)).await;
    assert!(matches!(refused, Err(AuthError::Invalid)));
}

#[tokio::test]
async fn a_proof_is_good_for_its_own_request_only() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let cap = &alice.session().capability;
    let now_ms = world.clock.now_ms();
    let other_target = alice.proof("DELETE /v1/projects", b"body", now_ms);
    let other_body = alice.proof(TARGET, b"bodx", now_ms);
    let mut flipped = proof(&world, &alice);
    *flipped.last_mut().unwrap() ^= 1;
    let stranger = SigningKey::generate(&mut Rng(&SeededEntropy::new(3)));
    let by_stranger = prove(&stranger, cap, TARGET, b"body", now_ms, [1; 16]).unwrap();
    let bob = world.person("bob@example.org").await;
    let of_another = proof(&world, &bob);
    for wrong in [other_target, other_body, flipped, by_stranger, of_another, vec![0; 10_000], vec![1]] {
        assert!(matches!(ask(&world, cap, &wrong).await, Err(AuthError::Proof)));
    }
}

#[tokio::test]
async fn a_proof_ages_within_a_minute_either_way() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let cap = &alice.session().capability;
    let now_ms = world.clock.now_ms();
    for (made_ms, good) in [(now_ms - 60_000, true), (now_ms + 60_000, true)] {
        let proof = alice.proof(TARGET, b"body", made_ms);
        assert_eq!(ask(&world, cap, &proof).await.is_ok(), good);
    }
    for made_ms in [now_ms - 60_001, now_ms + 60_001] {
        match ask(&world, cap, &alice.proof(TARGET, b"body", made_ms)).await {
            Err(AuthError::Stale { skew_ms, limit_ms }) => assert_eq!((skew_ms, limit_ms), (60_001, 60_000)),
            other => panic!("{:?}", other.err()),
        }
    }
}

#[tokio::test]
async fn a_proof_from_before_the_process_started_is_refused() {
    let start_ms = World::default().clock.now_ms();
    let settings = Settings { proofs_not_before_ms: start_ms, ..Settings::default() };
    let world = World::new(settings, StorageSettings::default());
    let alice = world.person("alice@example.org").await;
    let cap = &alice.session().capability;
    world.clock.advance(10_000);
    assert!(ask(&world, cap, &alice.proof(TARGET, b"body", start_ms)).await.is_ok());
    match ask(&world, cap, &alice.proof(TARGET, b"body", start_ms - 1)).await {
        Err(AuthError::Stale { skew_ms, limit_ms }) => assert_eq!((skew_ms, limit_ms), (10_001, 10_000)),
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test]
async fn one_proof_has_one_nullifier_and_the_next_has_another() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let cap = &alice.session().capability;
    let (one, two) = (proof(&world, &alice), proof(&world, &alice));
    let first = ask(&world, cap, &one).await.unwrap().spend();
    assert_eq!(first, ask(&world, cap, &one).await.unwrap().spend());
    assert_ne!(first, ask(&world, cap, &two).await.unwrap().spend());
}

#[tokio::test]
async fn a_capability_ends_after_fifteen_minutes_even_when_it_was_just_seen() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let cap = &alice.session().capability;
    world.clock.advance(15 * 60_000 - 1);
    ask(&world, cap, &proof(&world, &alice)).await.unwrap();
    world.clock.advance(1);
    assert!(matches!(ask(&world, cap, &proof(&world, &alice)).await, Err(AuthError::Expired)));
    world.clock.advance(3_600_000);
    assert!(matches!(ask(&world, cap, &proof(&world, &alice)).await, Err(AuthError::Expired)));
}

#[tokio::test]
async fn logging_out_ends_a_capability_at_once_even_when_it_was_just_seen() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let caller = alice.caller(&world).await;
    world.auth.logout(&caller, false).await.unwrap();
    assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Revoked)));
}

#[tokio::test]
async fn a_store_that_cannot_answer_lets_nobody_in() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    world.store.fail_next("standing");
    assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Store(_))));
    alice.try_caller(&world).await.unwrap();
}

#[tokio::test]
async fn a_narrowed_capability_allows_less() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let project = veilcore::id::ProjectId::from_bytes([1; 16]);
    let place = Resource::project(project);
    let caller = alice.narrowed_caller(&world, vec![Grant::new(place.clone(), Actions::PROJECT_READ)]).await;
    assert!(caller.allows(Actions::PROJECT_READ, &place));
    assert!(!caller.allows(Actions::PROJECT_WRITE, &place));
    assert!(!caller.allows(Actions::PROJECT_READ, &Resource::account()));
    let conditional = Grant { max_uses: 1, ..Grant::new(place.clone(), Actions::PROJECT_READ) };
    let caller = alice.narrowed_caller(&world, vec![conditional]).await;
    // Nobody counts uses yet, so a grant that says to count them holds nothing.
    assert!(!caller.allows(Actions::PROJECT_READ, &place));
    assert!(!caller.allows_inside(Actions::PROJECT_READ, &place));
}
