use std::net::IpAddr;

use veilcore::{
    id::{ApiKeyId, ProjectId},
    secret::Secret,
};
use veilsign::{
    api_key,
    capability::{Actions, Grant, Resource},
};

use super::{
    NewApiKey, NewSecret, Pepper,
    error::ApiKeyError,
    model::{
        API_KEY_ACTIONS, API_KEY_LIFETIME_MS_MAX, API_KEYS_MAX, OVERLAP_MS_MAX, Overlap, Scope, Verifier,
    },
    used::GATHER_MS,
};
use crate::{
    audit::model::{Kind, Trail},
    auth::{Caller, error::AuthError},
    clock::Clock,
    name::Name,
    page::PageArgs,
    testkit::{Person, World},
};

const HERE: &str = "192.0.2.1";

fn drawn(n: u8) -> api_key::ApiKey {
    api_key::ApiKey::from_secret(ApiKeyId::from_bytes([n; 16]), Secret::new([n; 32]))
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn scope(actions: Actions) -> Scope {
    Scope { actions, project: None, environments: Vec::new(), networks: Vec::new() }
}

fn new(key: &api_key::ApiKey, scope: Scope) -> NewApiKey {
    let (id, secret_hash) = (key.id(), key.hash());
    NewApiKey { id, name: name("deploy"), secret_hash, scope, lifetime_ms: 1_000_000, token: None }
}

fn next(key: &api_key::ApiKey, generation: u32, overlap_ms: u64) -> NewSecret {
    NewSecret { generation, secret_hash: key.hash(), token: None, overlap_ms, lifetime_ms: None }
}

async fn shown(world: &World, key: &api_key::ApiKey) -> Result<Caller, AuthError> {
    shown_from(world, key, HERE).await
}

async fn shown_from(world: &World, key: &api_key::ApiKey, from: &str) -> Result<Caller, AuthError> {
    let from: IpAddr = from.parse().unwrap();
    world.api_keys.authenticate(&key.to_text(), from).await
}

async fn alice(world: &World) -> (Person, Caller) {
    let alice = world.person("alice@example.org").await;
    let caller = alice.caller(world).await;
    (alice, caller)
}

#[tokio::test]
async fn a_key_acts_for_its_account_within_its_scope() {
    let world = World::default();
    let (alice, caller) = alice(&world).await;
    let key = drawn(1);
    let project = ProjectId::from_bytes([5; 16]);
    let place = |name: &str| Resource::environment(project, name).unwrap();
    let narrow =
        Scope { project: Some(project), environments: vec![name("staging")], ..scope(Actions::PROJECT_READ) };
    world.api_keys.create(&caller, new(&key, narrow)).await.unwrap();
    let by_key = shown(&world, &key).await.unwrap();
    assert_eq!((by_key.account, by_key.tier), (alice.account, caller.tier));
    assert_eq!((by_key.api_key(), by_key.session(), by_key.spend()), (Some(key.id()), None, None));
    assert!(by_key.allows(Actions::PROJECT_READ, &place("staging")));
    for (actions, place) in [
        (Actions::PROJECT_WRITE, place("staging")),
        (Actions::PROJECT_READ | Actions::PROJECT_WRITE, place("staging")),
        (Actions::PROJECT_READ, place("production")),
        (Actions::PROJECT_READ, Resource::project(project)),
        (Actions::PROJECT_READ, Resource::account()),
        (Actions::PROJECT_READ, Resource::project(ProjectId::from_bytes([6; 16]))),
    ] {
        assert!(!by_key.allows(actions, &place), "{actions} at {place}");
    }
    assert!(by_key.allows_inside(Actions::PROJECT_READ, &Resource::project(project)));
    assert!(!by_key.allows_inside(Actions::PROJECT_WRITE, &Resource::project(project)));
    assert!(!by_key.allows_inside(Actions::PROJECT_READ, &Resource::project(ProjectId::from_bytes([6; 16]))));
    // However young the session that made it.
    assert!(caller.is_fresh(world.clock.now_ms()) && !by_key.is_fresh(world.clock.now_ms()));
}

#[tokio::test]
async fn a_key_does_no_more_than_its_account_may() {
    let world = World::default();
    let (_, caller) = alice(&world).await;
    let bob = world.person("bob@example.org").await;
    let bob = bob.caller(&world).await;
    let own = world.project(&caller, "own").await.project();
    let foreign = world.project(&bob, "theirs").await.project();
    let key = drawn(1);
    world.api_keys.create(&caller, new(&key, scope(API_KEY_ACTIONS))).await.unwrap();
    let by_key = shown(&world, &key).await.unwrap();
    assert!(world.projects.authorize(&by_key, own, Actions::PROJECT_WRITE).await.is_ok());
    assert!(world.projects.authorize(&by_key, foreign, Actions::PROJECT_READ).await.is_err());
    assert!(!by_key.allows(Actions::ACCOUNT_MANAGE, &Resource::account()));
    assert!(!by_key.allows(Actions::KEY_MANAGE, &Resource::account()));
    assert!(!by_key.allows(Actions::TEAM_MANAGE, &Resource::account()));
}

#[tokio::test]
async fn a_wrong_secret_an_unknown_id_and_no_key_are_refused_alike() {
    let world = World::default();
    let (_, caller) = alice(&world).await;
    let key = drawn(1);
    world.api_keys.create(&caller, new(&key, scope(Actions::PROJECT_READ))).await.unwrap();
    let wrong = api_key::ApiKey::from_secret(key.id(), Secret::new([9; 32]));
    for other in
        [wrong, drawn(2), api_key::ApiKey::from_secret(ApiKeyId::from_bytes([0; 16]), Secret::new([0; 32]))]
    {
        assert!(matches!(shown(&world, &other).await, Err(AuthError::Invalid)));
    }
    let text = key.to_text();
    for text in ["", "vck_", &text[..85], &text.replace("vck_", "VCK_")] {
        let refused = world.api_keys.authenticate(text, HERE.parse().unwrap()).await;
        assert!(matches!(refused, Err(AuthError::Invalid)), "{text}");
    }
    assert!(shown(&world, &key).await.is_ok());
}

#[tokio::test]
async fn a_key_ends_when_it_expires_or_is_revoked() {
    let world = World::default();
    let (alice, caller) = alice(&world).await;
    let (one, two) = (drawn(1), drawn(2));
    for key in [&one, &two] {
        world.api_keys.create(&caller, new(key, scope(Actions::PROJECT_READ))).await.unwrap();
        assert!(shown(&world, key).await.is_ok());
    }
    world.api_keys.revoke(&caller, one.id()).await.unwrap();
    assert!(matches!(shown(&world, &one).await, Err(AuthError::Revoked)));
    assert!(matches!(world.api_keys.revoke(&caller, one.id()).await, Err(ApiKeyError::Unknown)));
    // Who does not have the secret is not told.
    let wrong = api_key::ApiKey::from_secret(one.id(), Secret::new([9; 32]));
    assert!(matches!(shown(&world, &wrong).await, Err(AuthError::Invalid)));
    world.clock.advance(999_999);
    assert!(shown(&world, &two).await.is_ok());
    world.clock.advance(1);
    assert!(matches!(shown(&world, &two).await, Err(AuthError::Expired)));
    let kinds: Vec<_> =
        world.trail(Trail::Account(alice.account)).await.into_iter().map(|event| event.line.kind).collect();
    assert_eq!(kinds[kinds.len() - 3..], [Kind::ApiKeyCreate, Kind::ApiKeyCreate, Kind::ApiKeyRevoke]);
}

#[tokio::test]
async fn a_key_is_good_only_from_its_networks() {
    let world = World::default();
    let (_, caller) = alice(&world).await;
    let key = drawn(1);
    let networks = vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let scope = Scope { networks, ..scope(Actions::PROJECT_READ) };
    world.api_keys.create(&caller, new(&key, scope)).await.unwrap();
    for from in ["192.0.2.77", "::ffff:192.0.2.77", "2001:db8:1::1"] {
        assert!(shown_from(&world, &key, from).await.is_ok(), "{from}");
    }
    for from in ["198.51.100.1", "2001:db9::1"] {
        assert!(matches!(shown_from(&world, &key, from).await, Err(AuthError::Network)), "{from}");
    }
}

#[tokio::test]
async fn during_the_overlap_both_secrets_are_good_and_afterwards_one() {
    let world = World::default();
    let (_, caller) = alice(&world).await;
    let old = drawn(1);
    let new_secret = |n: u8| api_key::ApiKey::from_secret(old.id(), Secret::new([n; 32]));
    world.api_keys.create(&caller, new(&old, scope(Actions::PROJECT_READ))).await.unwrap();
    let rotated = world.api_keys.rotate(&caller, old.id(), next(&new_secret(2), 1, 5000)).await.unwrap();
    assert_eq!(rotated.generation, 2);
    assert!(shown(&world, &old).await.is_ok() && shown(&world, &new_secret(2)).await.is_ok());
    world.clock.advance(4999);
    assert!(shown(&world, &old).await.is_ok());
    world.clock.advance(1);
    assert!(matches!(shown(&world, &old).await, Err(AuthError::Invalid)));
    assert!(shown(&world, &new_secret(2)).await.is_ok());
    // A longer life, and an overlap that was cut short by the next rotation.
    let longer = NewSecret { lifetime_ms: Some(9_000_000), ..next(&new_secret(3), 2, 5000) };
    world.api_keys.rotate(&caller, old.id(), longer).await.unwrap();
    assert!(shown(&world, &new_secret(2)).await.is_ok() && shown(&world, &new_secret(3)).await.is_ok());
    world.api_keys.rotate(&caller, old.id(), next(&new_secret(4), 3, 0)).await.unwrap();
    for n in [1, 2, 3] {
        assert!(matches!(shown(&world, &new_secret(n)).await, Err(AuthError::Invalid)), "{n}");
    }
    world.clock.advance(2_000_000);
    assert!(shown(&world, &new_secret(4)).await.is_ok());
}

#[tokio::test]
async fn a_rotation_of_another_generation_is_refused() {
    let world = World::default();
    let (_, caller) = alice(&world).await;
    let bob = world.person("bob@example.org").await.caller(&world).await;
    let key = drawn(1);
    world.api_keys.create(&caller, new(&key, scope(Actions::PROJECT_READ))).await.unwrap();
    let refused = world.api_keys.rotate(&caller, key.id(), next(&drawn(2), 2, 0)).await;
    assert!(matches!(refused, Err(ApiKeyError::Rotated { generation: 1 })));
    // A key of somebody else and one that is not there are refused alike.
    for id in [key.id(), ApiKeyId::from_bytes([7; 16])] {
        assert!(matches!(
            world.api_keys.rotate(&bob, id, next(&drawn(2), 1, 0)).await,
            Err(ApiKeyError::Unknown)
        ));
        assert!(matches!(world.api_keys.revoke(&bob, id).await, Err(ApiKeyError::Unknown)));
    }
    let long = next(&drawn(2), 1, OVERLAP_MS_MAX + 1);
    assert!(matches!(world.api_keys.rotate(&caller, key.id(), long).await, Err(ApiKeyError::Scope { .. })));
    let long = NewSecret { lifetime_ms: Some(API_KEY_LIFETIME_MS_MAX + 1), ..next(&drawn(2), 1, 0) };
    assert!(matches!(world.api_keys.rotate(&caller, key.id(), long).await, Err(ApiKeyError::Scope { .. })));
    assert!(shown(&world, &key).await.is_ok());
}

#[tokio::test]
async fn what_a_key_may_not_have_is_refused() {
    let world = World::default();
    let (_, caller) = alice(&world).await;
    let key = drawn(1);
    let good = new(&key, scope(Actions::PROJECT_READ));
    let with = |scope| NewApiKey { scope, ..good.clone() };
    let names = vec![name("staging")];
    let network = "192.0.2.0/24".parse().unwrap();
    for bad in [
        with(scope(Actions::NONE)),
        with(scope(Actions::PROJECT_READ | Actions::ACCOUNT_MANAGE)),
        with(scope(Actions::TEAM_MANAGE)),
        with(scope(Actions::KEY_MANAGE)),
        with(Scope { environments: names.clone(), ..scope(Actions::PROJECT_READ) }),
        with(Scope {
            project: Some(ProjectId::from_bytes([5; 16])),
            environments: vec![name("staging"); 33],
            ..scope(Actions::PROJECT_READ)
        }),
        with(Scope { networks: vec![network; 17], ..scope(Actions::PROJECT_READ) }),
        NewApiKey { lifetime_ms: 0, ..good.clone() },
        NewApiKey { lifetime_ms: API_KEY_LIFETIME_MS_MAX + 1, ..good.clone() },
        NewApiKey { id: ApiKeyId::from_bytes([0; 16]), ..good.clone() },
    ] {
        let refused = world.api_keys.create(&caller, bad.clone()).await;
        assert!(matches!(refused, Err(ApiKeyError::Scope { .. })), "{:?} {:?}", bad.scope, bad.lifetime_ms);
    }
    world.api_keys.create(&caller, good.clone()).await.unwrap();
    assert!(matches!(world.api_keys.create(&caller, good).await, Err(ApiKeyError::Taken)));
    for n in 2..=API_KEYS_MAX {
        let key = drawn(u8::try_from(n).unwrap());
        world.api_keys.create(&caller, new(&key, scope(Actions::PROJECT_READ))).await.unwrap();
    }
    let more = world.api_keys.create(&caller, new(&drawn(200), scope(Actions::PROJECT_READ))).await;
    assert!(matches!(more, Err(ApiKeyError::Limit { limit: API_KEYS_MAX })));
}

#[tokio::test]
async fn when_keys_were_used_is_written_once_a_minute_and_listed_at_once() {
    let world = World::default();
    let (_, caller) = alice(&world).await;
    let key = drawn(1);
    world.api_keys.create(&caller, new(&key, scope(Actions::PROJECT_READ))).await.unwrap();
    let written = async || world.ports.api_keys.key(key.id()).await.unwrap().unwrap().last_used_at_ms;
    shown(&world, &key).await.unwrap();
    let first_ms = world.clock.now_ms();
    assert_eq!(written().await, None);
    let listed = world.api_keys.list(&caller, PageArgs::new(None, 0)).await.unwrap();
    assert_eq!(listed.items[0].last_used_at_ms, Some(first_ms));
    // A failure of the writing is no failure of the request.
    world.clock.advance(1);
    shown(&world, &key).await.unwrap();
    world.store.fail_next("note_used");
    world.clock.advance(GATHER_MS);
    shown(&world, &key).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(written().await, Some(first_ms));
    shown(&world, &key).await.unwrap();
    world.api_keys.flush_used().await.unwrap();
    assert_eq!(written().await, Some(world.clock.now_ms()));
}

#[tokio::test]
async fn an_answer_from_memory_that_is_too_old_is_looked_up_again() {
    let world = World::default();
    let (_, caller) = alice(&world).await;
    let key = drawn(1);
    let created = world.api_keys.create(&caller, new(&key, scope(Actions::PROJECT_READ))).await.unwrap();
    // Whoever refuses by what is in memory would refuse a rotated secret: the failing path asks where the truth is.
    world.store.fail_next("key");
    let wrong = api_key::ApiKey::from_secret(key.id(), Secret::new([9; 32]));
    assert!(matches!(shown(&world, &wrong).await, Err(AuthError::Store(_))));
    assert!(shown(&world, &key).await.is_ok());
    assert_eq!(created.generation, 1);
}

#[test]
fn whoever_writes_the_store_can_neither_plant_a_key_nor_widen_one() {
    let pepper = Pepper::new([6; 32]);
    let shown = drawn(1);
    let row = super::authenticate::decoy();
    let row = super::model::ApiKey { expires_at_ms: 100, scope: scope(Actions::PROJECT_READ), ..row };
    let row = super::model::ApiKey { verifier: pepper.seal(&row, &shown.hash()), ..row };
    assert!(pepper.verify(&row, &shown.hash(), 0).is_some());
    assert!(pepper.verify(&row, &drawn(2).hash(), 0).is_none());
    let mut planted = row.clone();
    planted.verifier = Verifier(shown.hash());
    let wider = |scope| super::model::ApiKey { scope, ..row.clone() };
    let project = Some(ProjectId::from_bytes([5; 16]));
    for forged in [
        planted,
        super::model::ApiKey { expires_at_ms: 101, ..row.clone() },
        super::model::ApiKey { account: veilcore::id::AccountId::from_bytes([9; 16]), ..row.clone() },
        super::model::ApiKey { id: ApiKeyId::from_bytes([9; 16]), ..row.clone() },
        wider(scope(Actions::PROJECT_READ | Actions::PROJECT_WRITE)),
        wider(Scope { project, ..scope(Actions::PROJECT_READ) }),
        wider(Scope { environments: vec![name("staging")], ..scope(Actions::PROJECT_READ) }),
        wider(Scope { networks: vec!["0.0.0.0/0".parse().unwrap()], ..scope(Actions::PROJECT_READ) }),
    ] {
        assert!(pepper.verify(&forged, &shown.hash(), 0).is_none(), "{forged:?}");
    }
    assert!(Pepper::new([7; 32]).verify(&row, &shown.hash(), 0).is_none());
}

#[tokio::test]
async fn a_narrowed_capability_gives_no_wider_key() {
    let world = World::default();
    let (alice, whole) = alice(&world).await;
    let key = drawn(1);
    let project = ProjectId::from_bytes([5; 16]);
    let inside = Scope { project: Some(project), ..scope(Actions::PROJECT_READ) };
    let grants = vec![
        Grant::new(Resource::account(), Actions::KEY_MANAGE),
        Grant::new(Resource::project(project), Actions::PROJECT_READ),
    ];
    let narrow = alice.narrowed_caller(&world, grants).await;
    let elsewhere = Some(ProjectId::from_bytes([6; 16]));
    for wider in [
        scope(Actions::PROJECT_READ),
        Scope { project: elsewhere, ..inside.clone() },
        Scope { actions: Actions::PROJECT_READ | Actions::PROJECT_WRITE, ..inside.clone() },
    ] {
        let refused = world.api_keys.create(&narrow, new(&key, wider)).await;
        assert!(matches!(refused, Err(ApiKeyError::Denied)), "{refused:?}");
    }
    // Nor one that outlives it.
    let brief = NewApiKey { lifetime_ms: 60_000, ..new(&key, inside.clone()) };
    let refused = world.api_keys.create(&narrow, new(&key, inside)).await;
    assert!(matches!(refused, Err(ApiKeyError::Denied)), "{refused:?}");
    world.api_keys.create(&narrow, brief).await.unwrap();
    let longer = NewSecret { lifetime_ms: Some(API_KEY_LIFETIME_MS_MAX), ..next(&drawn(3), 1, 0) };
    let refused = world.api_keys.rotate(&narrow, key.id(), longer).await;
    assert!(matches!(refused, Err(ApiKeyError::Denied)), "{refused:?}");
    world.api_keys.rotate(&narrow, key.id(), next(&drawn(3), 1, 0)).await.unwrap();
    // Nor the next secret of one that somebody with more made.
    let wide = drawn(2);
    world.api_keys.create(&whole, new(&wide, scope(Actions::PROJECT_READ))).await.unwrap();
    let refused = world.api_keys.rotate(&narrow, wide.id(), next(&drawn(4), 1, 0)).await;
    assert!(matches!(refused, Err(ApiKeyError::Denied)), "{refused:?}");
    assert!(shown(&world, &wide).await.is_ok());
}

#[tokio::test]
async fn an_expired_key_gets_no_next_secret() {
    let world = World::default();
    let (_, caller) = alice(&world).await;
    let key = drawn(1);
    let short = NewApiKey { lifetime_ms: 1000, ..new(&key, scope(Actions::PROJECT_READ)) };
    world.api_keys.create(&caller, short).await.unwrap();
    world.clock.advance(1000);
    let longer = NewSecret { lifetime_ms: Some(9000), ..next(&drawn(2), 1, 0) };
    let refused = world.api_keys.rotate(&caller, key.id(), longer).await;
    assert!(matches!(refused, Err(ApiKeyError::Unknown)), "{refused:?}");
}

#[test]
fn whoever_writes_the_store_does_not_revive_a_secret_past_the_end_it_had() {
    let pepper = Pepper::new([6; 32]);
    let (old, shown) = (drawn(1), drawn(2));
    let row = super::authenticate::decoy();
    let row = super::model::ApiKey { expires_at_ms: 100, scope: scope(Actions::PROJECT_READ), ..row };
    let verifier = pepper.ending(&pepper.seal(&row, &old.hash()), 50);
    let overlap = Overlap { verifier, expires_at_ms: 100, until_ms: 50, record: None };
    let row = super::model::ApiKey { expires_at_ms: 1000, overlap: Some(overlap), ..row };
    let row = super::model::ApiKey { verifier: pepper.seal(&row, &shown.hash()), ..row };
    assert!(pepper.verify(&row, &old.hash(), 49).is_some() && pepper.verify(&row, &old.hash(), 50).is_none());
    for moved in
        [Overlap { until_ms: 51, ..overlap }, Overlap { until_ms: 1000, expires_at_ms: 1000, ..overlap }]
    {
        let row = super::model::ApiKey { overlap: Some(moved), ..row.clone() };
        assert!(pepper.verify(&row, &old.hash(), 49).is_none(), "{moved:?}");
        assert!(pepper.verify(&row, &shown.hash(), 100).is_some());
    }
}
