//! A log token ends with what it was made with.

use veilcore::{
    id::{ApiKeyId, ProjectId},
    secret::Secret,
};
use veilsign::{
    api_key,
    capability::{Actions, Grant, Resource},
};

use crate::{
    audit::error::AuditError,
    auth::{
        Caller,
        api_keys::{NewApiKey, model::Scope},
        model::Deletion,
    },
    projects::{ProjectAccess, error::ProjectsError},
    testkit::{Person, World},
};

const AUDIT: Actions = Actions::AUDIT_READ;

/// Alice's project, shared with bob's team for reading the trail.
async fn shared(world: &World) -> (Person, Person, ProjectAccess, veilcore::id::TeamId) {
    let alice = world.person("alice@example.org").await;
    let bob = world.person("bob@example.org").await;
    let access = world.project(&alice.caller(world).await, "app").await;
    let team = world.team(&alice, "ops", &[&bob]).await;
    world.share(&alice, &access, team, AUDIT, &[bob.entry(team, AUDIT)]).await.unwrap();
    (alice, bob, access, team)
}

async fn token(world: &World, caller: &Caller, project: ProjectId) -> (String, String) {
    let access = world.projects.authorize(caller, project, AUDIT).await.unwrap();
    let (token, path, _) = world.audit.token(&access, 3600).unwrap();
    (token, format!("{}checkpoint", path.strip_prefix("/log/").unwrap()))
}

async fn reads(world: &World, (token, path): &(String, String)) -> bool {
    match world.audit.admit(path, Some(token)).await {
        Ok(_) => true,
        Err(AuditError::Token) => false,
        Err(other) => panic!("{other}"),
    }
}

async fn by_key(world: &World, caller: &Caller, n: u8, scope: Scope) -> (ApiKeyId, Caller) {
    let drawn = api_key::ApiKey::from_secret(ApiKeyId::from_bytes([n; 16]), Secret::new([n; 32]));
    let new = NewApiKey {
        id: drawn.id(),
        name: "audit".parse().unwrap(),
        secret_hash: drawn.hash(),
        scope,
        lifetime_ms: 10_000,
        token: None,
    };
    world.api_keys.create(caller, new).await.unwrap();
    let shown = world.api_keys.authenticate(&drawn.to_text(), "192.0.2.1".parse().unwrap()).await;
    (drawn.id(), shown.unwrap())
}

#[tokio::test]
async fn a_log_token_ends_with_the_right_of_its_maker() {
    let world = World::default();
    let (alice, bob, access, team) = shared(&world).await;
    let project = access.project();
    let of_bob = token(&world, &bob.caller(&world).await, project).await;
    let of_alice = token(&world, &alice.caller(&world).await, project).await;
    assert!(reads(&world, &of_bob).await && reads(&world, &of_alice).await);
    world.leave(&alice, team, bob.account).await;
    assert!(!reads(&world, &of_bob).await && reads(&world, &of_alice).await);
    world.join(&alice, team, bob.account).await;
    assert!(reads(&world, &of_bob).await);
    world.unshare(&alice, &access, team, &[]).await.unwrap();
    assert!(!reads(&world, &of_bob).await);
    // The last owner keeps the log of a deleted project, and so does their token.
    world.projects.delete(&access).await.unwrap();
    assert!(reads(&world, &of_alice).await);
}

#[tokio::test]
async fn a_log_token_ends_with_its_session_and_its_account() {
    let world = World::default();
    let (alice, bob, access, _) = shared(&world).await;
    let of_bob = token(&world, &bob.caller(&world).await, access.project()).await;
    let of_alice = token(&world, &alice.caller(&world).await, access.project()).await;
    world.auth.logout(&bob.caller(&world).await, false).await.unwrap();
    assert!(!reads(&world, &of_bob).await && reads(&world, &of_alice).await);
    let left = world.ports.directory.delete_account(bob.account, Vec::new()).await.unwrap();
    assert!(matches!(left, Deletion::Done { .. }));
    assert!(!reads(&world, &of_bob).await);
    world.auth.logout(&alice.caller(&world).await, true).await.unwrap();
    assert!(!reads(&world, &of_alice).await);
}

#[tokio::test]
async fn a_log_token_of_an_api_key_is_for_its_scope_and_ends_with_the_key() {
    let world = World::default();
    let (alice, _, access, _) = shared(&world).await;
    let (caller, project) = (alice.caller(&world).await, access.project());
    let scope = |actions, names: &[&str]| Scope {
        actions,
        project: Some(project),
        environments: names.iter().map(|name| name.parse().unwrap()).collect(),
        networks: Vec::new(),
    };
    let (id, key) = by_key(&world, &caller, 1, scope(AUDIT, &[])).await;
    let made = token(&world, &key, project).await;
    assert!(reads(&world, &made).await);
    world.api_keys.revoke(&caller, id).await.unwrap();
    assert!(!reads(&world, &made).await);
    let (_, key) = by_key(&world, &caller, 2, scope(AUDIT, &[])).await;
    let made = token(&world, &key, project).await;
    world.clock.advance(9_999);
    assert!(reads(&world, &made).await);
    world.clock.advance(1);
    assert!(!reads(&world, &made).await);

    // Without the permission, and narrowed to an environment: no token.
    let (_, other) = by_key(&world, &caller, 3, scope(Actions::PROJECT_READ, &[])).await;
    let refused = world.projects.authorize(&other, project, AUDIT).await;
    assert!(matches!(refused.map(drop), Err(ProjectsError::Denied)));
    let (_, narrow) = by_key(&world, &caller, 4, scope(AUDIT, &["staging"])).await;
    if let Ok(access) = world.projects.authorize(&narrow, project, AUDIT).await {
        let refused = world.audit.token(&access, 3600);
        assert!(matches!(refused, Err(AuditError::Projects(ProjectsError::Denied))));
    }
}

#[tokio::test]
async fn whoever_was_removed_is_no_reader_any_more() {
    let world = World::default();
    let (alice, bob, access, team) = shared(&world).await;
    let caller = bob.caller(&world).await;
    let by_bob = world.projects.authorize(&caller, access.project(), AUDIT).await.unwrap();
    world.audit.check_still(&by_bob).await.unwrap();
    world.audit.check_still(&caller).await.unwrap();
    world.leave(&alice, team, bob.account).await;
    let refused = world.audit.check_still(&by_bob).await;
    assert!(matches!(refused, Err(AuditError::Projects(ProjectsError::Denied))));
    world.auth.logout(&caller, false).await.unwrap();
    assert!(world.audit.check_still(&caller).await.is_err());
}

#[tokio::test]
async fn a_log_token_of_a_narrowed_capability_does_not_outlive_it() {
    let world = World::default();
    let (alice, _, access, _) = shared(&world).await;
    let project = access.project();
    let narrow = alice.narrowed_caller(&world, vec![Grant::new(Resource::project(project), AUDIT)]).await;
    let made = token(&world, &narrow, project).await;
    let whole = token(&world, &alice.caller(&world).await, project).await;
    let end_ms = narrow.ends_at_ms().unwrap();
    assert_eq!(alice.caller(&world).await.ends_at_ms(), None);
    world.clock.set(end_ms - 1);
    assert!(reads(&world, &made).await && reads(&world, &whole).await);
    world.clock.set(end_ms);
    assert!(!reads(&world, &made).await && reads(&world, &whole).await);
}
