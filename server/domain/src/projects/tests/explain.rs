//! Why somebody may do what: each grant with what is missing.

use veilcore::id::{AccountId, ApiKeyId};
use veilsign::capability::{Actions, Grant, Resource};

use super::{name, refused};
use crate::{
    auth::{
        Caller,
        api_keys::{NewApiKey, model::Scope},
    },
    projects::{
        ProjectAccess,
        error::ProjectsError,
        explain::{Explanation, Reason, TeamReason},
    },
    testkit::{Person, World},
};

const READ: Actions = Actions::PROJECT_READ;
const WRITE: Actions = Actions::PROJECT_WRITE;

/// A key of this person; its id.
async fn api_key(world: &World, person: &Person, n: u8, scope: Scope) -> ApiKeyId {
    let id = ApiKeyId::from_bytes([n; 16]);
    let new = NewApiKey {
        id,
        name: name("deploy"),
        secret_hash: [n; 32],
        scope,
        lifetime_ms: 1_000_000,
        token: None,
    };
    world.api_keys.create(&person.caller(world).await, new).await.unwrap();
    id
}

async fn as_reader(world: &World, caller: &Caller, app: &ProjectAccess) -> ProjectAccess {
    world.projects.authorize(caller, app.project(), READ).await.unwrap()
}

async fn explained(world: &World, by: &Person, app: &ProjectAccess, account: AccountId) -> Explanation {
    let access = as_reader(world, &by.caller(world).await, app).await;
    world.explainer.explain(&access, account).await.unwrap()
}

fn team_reason(explanation: &Explanation) -> TeamReason {
    match explanation.grants[..] {
        [Reason::Team(reason)] => reason,
        ref other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_team_gives_what_share_list_and_membership_give_and_says_which_is_missing() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let bob = world.person("bob@example.org").await;
    let app = world.project(&alice.caller(&world).await, "app").await;
    let team = world.team(&alice, "ops", &[&bob]).await;
    assert_eq!(explained(&world, &alice, &app, bob.account).await.grants, [], "nothing has to do with him");

    let entry = bob.entry(team, READ | WRITE);
    world.share(&alice, &app, team, READ | WRITE, &[entry]).await.unwrap();
    world
        .share(&alice, &app, team, READ | WRITE | Actions::AUDIT_READ, &[bob.entry(team, READ)])
        .await
        .unwrap();
    let told = explained(&world, &alice, &app, bob.account).await;
    assert_eq!((told.owner, told.access_list, told.effective), (alice.account, 2, READ));
    let reason = team_reason(&told);
    assert_eq!((reason.gives, reason.listed, reason.missing()), (READ, READ, None));
    assert_eq!(told, explained(&world, &bob, &app, bob.account).await, "he is told the same of himself");

    // Out of the list, still in the team.
    world.put_list(&alice, &app, &[]).await.unwrap();
    let told = explained(&world, &alice, &app, bob.account).await;
    assert_eq!((team_reason(&told).missing(), told.effective), (Some("list"), Actions::NONE));
    // In the list, out of the team.
    world.put_list(&alice, &app, &[bob.entry(team, READ)]).await.unwrap();
    world.leave(&alice, team, bob.account).await;
    let told = explained(&world, &alice, &app, bob.account).await;
    assert_eq!((team_reason(&told).missing(), told.effective), (Some("membership"), Actions::NONE));
    assert_eq!(team_reason(&told).listed, READ);
}

#[tokio::test]
async fn the_owner_has_everything_and_keys_have_what_scope_and_account_share() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let app = world.project(&alice.caller(&world).await, "app").await;
    let caller = alice.caller(&world).await;
    let other = world.project(&caller, "other").await;
    let scope = |project, environments| Scope {
        actions: READ | Actions::AUDIT_READ,
        project,
        environments,
        networks: Vec::new(),
    };
    let wide = api_key(&world, &alice, 1, scope(None, Vec::new())).await;
    let here = api_key(&world, &alice, 2, scope(Some(app.project()), vec![name("staging")])).await;
    api_key(&world, &alice, 3, scope(Some(other.project()), Vec::new())).await;
    let told = explained(&world, &alice, &app, alice.account).await;
    assert_eq!((&told.grants[0], told.effective), (&Reason::Ownership, Actions::ALL));
    let keys = told.grants[1..].iter().map(|reason| match reason {
        Reason::ApiKey(key) => (key.id, key.gives, key.environments.len()),
        other => panic!("{other:?}"),
    });
    let keys: Vec<_> = keys.collect();
    assert_eq!(keys, [(wide, READ | Actions::AUDIT_READ, 0), (here, READ | Actions::AUDIT_READ, 1)]);
}

#[tokio::test]
async fn others_are_explained_only_to_whoever_may_share() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let bob = world.person("bob@example.org").await;
    let app = world.project(&alice.caller(&world).await, "app").await;
    let team = world.team(&alice, "ops", &[&bob]).await;
    world.share(&alice, &app, team, READ, &[bob.entry(team, READ)]).await.unwrap();
    let reader = as_reader(&world, &bob.caller(&world).await, &app).await;
    let denied = refused(world.explainer.explain(&reader, alice.account).await);
    assert_eq!(denied, ProjectsError::Denied.to_string());
    world.explainer.explain(&reader, bob.account).await.unwrap();
    // The owner, too, with a capability that only reads.
    let grants = vec![Grant::new(Resource::project(app.project()), READ)];
    let narrowed = as_reader(&world, &alice.narrowed_caller(&world, grants).await, &app).await;
    assert!(world.explainer.explain(&narrowed, bob.account).await.is_err());
    // A key for all of somebody's projects is nobody else's business.
    let carol = world.person("carol@example.org").await;
    let scope = Scope { actions: READ, project: None, environments: Vec::new(), networks: Vec::new() };
    api_key(&world, &carol, 1, scope).await;
    assert_eq!(explained(&world, &alice, &app, carol.account).await.grants, []);
    let stranger = explained(&world, &alice, &app, AccountId::from_bytes([9; 16])).await;
    assert_eq!((stranger.grants, stranger.effective), (Vec::new(), Actions::NONE));
}

#[tokio::test]
async fn a_capability_that_was_narrowed_is_told_of_no_api_key() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let app = world.project(&alice.caller(&world).await, "app").await;
    let scope = Scope { actions: READ, project: None, environments: Vec::new(), networks: Vec::new() };
    api_key(&world, &alice, 1, scope).await;
    assert!(matches!(
        explained(&world, &alice, &app, alice.account).await.grants[..],
        [Reason::Ownership, Reason::ApiKey(_)]
    ));
    let grant = Grant::new(Resource::project(app.project()), READ);
    let narrow = as_reader(&world, &alice.narrowed_caller(&world, vec![grant]).await, &app).await;
    let told = world.explainer.explain(&narrow, alice.account).await.unwrap();
    assert!(matches!(told.grants[..], [Reason::Ownership]));
}
