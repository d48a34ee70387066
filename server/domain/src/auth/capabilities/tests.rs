use veilcore::id::ProjectId;
use veilsign::{
    capability::{
        Actions, Block, Capability, Grant, LIFETIME_MS_MAX, NEXT_NOBODY, Resource, attenuate, prove_holder,
        seal,
    },
    key::SigningKey,
    proof::{body_hash, prove},
};

use super::{Judged, NewCapability, Question, error::CapabilitiesError, model::Issued};
use crate::{
    audit::model::{Kind, Trail},
    auth::{Caller, Settings, error::AuthError, model::Ending},
    clock::{Clock, Rng},
    page::PageArgs,
    projects::error::ProjectsError,
    storage::StorageSettings,
    testkit::{Person, SeededEntropy, World},
};

const MINUTE_MS: u64 = 60_000;
const TARGET: &str = "GET /v1/projects";
const REQUEST: [u8; 16] = [3; 16];

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut Rng(&SeededEntropy::new(seed)))
}

fn read(project: ProjectId) -> Grant {
    Grant::new(Resource::project(project), Actions::PROJECT_READ)
}

fn new(person: &Person, holder: &SigningKey, grants: Vec<Grant>) -> NewCapability {
    NewCapability {
        name: "deploy".parse().unwrap(),
        holder_pk: *holder.verifying_key().as_bytes(),
        possession: prove_holder(holder, person.account, &REQUEST),
        request_id: REQUEST,
        grants,
        lifetime_ms: 60 * MINUTE_MS,
    }
}

async fn issue(
    world: &World,
    person: &Person,
    new: NewCapability,
) -> Result<(Issued, Vec<u8>), CapabilitiesError> {
    world.capabilities.issue(&person.caller(world).await, new).await
}

/// One request with this capability.
async fn ask(world: &World, holder: &SigningKey, capability: &[u8]) -> Result<Caller, AuthError> {
    let nonce = rand_nonce(world);
    let proof = prove(holder, capability, TARGET, b"", world.clock.now_ms(), nonce).unwrap();
    world.auth.authenticate(capability, &proof, TARGET, body_hash(b"")).await
}

fn rand_nonce(world: &World) -> [u8; 16] {
    let mut nonce = [0; 16];
    crate::clock::Entropy::fill(&*world.entropy, &mut nonce);
    nonce
}

async fn judged(world: &World, person: &Person, capability: &[u8]) -> Judged {
    let question = Question { capability: capability.to_vec(), act: None };
    world.capabilities.verify(&person.caller(world).await, question).await.unwrap()
}

/// A person, a project of theirs and a capability for it with its holder's key.
async fn issued(world: &World, email: &str) -> (Person, ProjectId, SigningKey, Issued, Vec<u8>) {
    let person = world.person(email).await;
    let project = world.project(&person.caller(world).await, "app").await.project();
    let holder = key(9);
    let (known, capability) =
        issue(world, &person, new(&person, &holder, vec![read(project)])).await.unwrap();
    (person, project, holder, known, capability)
}

#[tokio::test]
async fn a_capability_for_another_key_does_what_it_says_and_no_more() {
    let world = World::default();
    let (alice, project, holder, known, capability) = issued(&world, "alice@example.org").await;
    let caller = ask(&world, &holder, &capability).await.unwrap();
    assert_eq!((caller.account, caller.session()), (alice.account, Some(known.id)));
    assert!(!caller.is_fresh(world.clock.now_ms()), "it is no login");
    assert!(world.projects.authorize(&caller, project, Actions::PROJECT_READ).await.is_ok());
    let denied = world.projects.authorize(&caller, project, Actions::PROJECT_WRITE).await;
    assert!(matches!(denied.err(), Some(ProjectsError::Denied)));
    for action in [Actions::KEY_MANAGE, Actions::ACCOUNT_MANAGE, Actions::PROJECT_READ] {
        assert!(!caller.allows(action, &Resource::account()));
    }
    let again = world.capabilities.issue(&caller, new(&alice, &key(8), vec![read(project)])).await;
    assert!(matches!(again, Err(CapabilitiesError::Denied)), "it issues no other");
    // Nobody else's key goes with it.
    assert!(matches!(ask(&world, &alice.holder, &capability).await, Err(AuthError::Proof)));
    let lines = world.trail(Trail::Account(alice.account)).await;
    let line = &lines.last().unwrap().line;
    assert_eq!(line.kind, Kind::CapabilityIssue);
    assert_eq!(line.digest, Some(veilsign::capability::cap_hash(&capability)));
    world.clock.advance(60 * MINUTE_MS);
    assert!(matches!(ask(&world, &holder, &capability).await, Err(AuthError::Expired)));
}

#[tokio::test]
async fn nobody_gives_what_their_own_capability_does_not_allow() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let project = world.project(&alice.caller(&world).await, "app").await.project();
    let (holder, place) = (key(9), Resource::project(project));
    let narrow = vec![
        Grant::new(place.clone(), Actions::PROJECT_READ),
        Grant::new(Resource::account(), Actions::KEY_MANAGE),
    ];
    let caller = alice.narrowed_caller(&world, narrow).await;
    let mut wide = new(&alice, &holder, vec![Grant::new(place.clone(), Actions::PROJECT_WRITE)]);
    assert!(matches!(world.capabilities.issue(&caller, wide.clone()).await, Err(CapabilitiesError::Denied)));
    wide.grants = vec![read(ProjectId::from_bytes([4; 16]))];
    assert!(matches!(world.capabilities.issue(&caller, wide).await, Err(CapabilitiesError::Denied)));
    // Nor longer than it has it itself, however fresh the login.
    let longer = new(&alice, &holder, vec![read(project)]);
    let refused = world.capabilities.issue(&caller, longer.clone()).await;
    assert!(matches!(refused, Err(CapabilitiesError::Denied)));
    let shorter = NewCapability { lifetime_ms: 10 * MINUTE_MS, ..longer };
    assert!(world.capabilities.issue(&caller, shorter).await.is_ok());

    let all = |actions| Grant::new(place.clone(), actions);
    let conditional = Grant { max_uses: 1, ..read(project) };
    for grants in [
        vec![],
        vec![read(project); 17],
        vec![Grant::new(Resource::account(), Actions::PROJECT_READ)],
        vec![all(Actions::PROJECT_READ | Actions::KEY_MANAGE)],
        vec![all(Actions::ACCOUNT_MANAGE)],
        vec![all(Actions::TEAM_MANAGE)],
        vec![conditional],
    ] {
        let refused = issue(&world, &alice, new(&alice, &holder, grants.clone())).await;
        assert!(matches!(refused, Err(CapabilitiesError::Field { .. })), "{grants:?}");
    }
}

#[tokio::test]
async fn a_key_that_was_not_shown_for_this_request_gets_nothing() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let bob = world.person("bob@example.org").await;
    let project = world.project(&alice.caller(&world).await, "app").await.project();
    let good = new(&alice, &key(9), vec![read(project)]);
    let possession = |key: &SigningKey, person: &Person, request| prove_holder(key, person.account, request);
    for wrong in [
        NewCapability { request_id: [4; 16], ..good.clone() },
        NewCapability { possession: possession(&key(9), &bob, &REQUEST), ..good.clone() },
        NewCapability { possession: possession(&key(8), &alice, &REQUEST), ..good.clone() },
        NewCapability { holder_pk: [0; 32], ..good.clone() },
        NewCapability { holder_pk: [255; 32], ..good.clone() },
    ] {
        assert!(matches!(issue(&world, &alice, wrong).await, Err(CapabilitiesError::Holder)));
    }
    assert!(issue(&world, &alice, good).await.is_ok());
}

#[tokio::test]
async fn a_long_life_needs_a_fresh_login_and_has_an_end() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let project = world.project(&alice.caller(&world).await, "app").await.project();
    let with = |lifetime_ms| NewCapability { lifetime_ms, ..new(&alice, &key(9), vec![read(project)]) };
    for wrong in [0, LIFETIME_MS_MAX + 1, u64::MAX] {
        assert!(matches!(
            issue(&world, &alice, with(wrong)).await,
            Err(CapabilitiesError::Field { field: "ttl_seconds", .. })
        ));
    }
    assert!(issue(&world, &alice, with(LIFETIME_MS_MAX)).await.is_ok());
    world.clock.advance(5 * MINUTE_MS + 1);
    let refused = issue(&world, &alice, with(15 * MINUTE_MS + 1)).await;
    assert!(matches!(refused, Err(CapabilitiesError::Auth(AuthError::NotFresh))));
    assert!(issue(&world, &alice, with(15 * MINUTE_MS)).await.is_ok());
}

#[tokio::test]
async fn a_capability_is_narrowed_without_the_server_and_dies_with_its_parent() {
    let world = World::default();
    let (alice, project, holder, known, capability) = issued(&world, "alice@example.org").await;
    let parent = Capability::decode(&capability).unwrap();
    let delegate = key(10);
    let place = Resource::environment(project, "production").unwrap();
    let block = Block {
        expires_at_ms: world.clock.now_ms() + 30 * MINUTE_MS,
        holder_pk: *delegate.verifying_key().as_bytes(),
        next_pk: NEXT_NOBODY,
        grants: vec![Grant::new(place.clone(), Actions::PROJECT_READ)],
    };
    let narrowed = attenuate(&parent, &holder, &block).unwrap().encode();
    let caller = ask(&world, &delegate, &narrowed).await.unwrap();
    assert!(caller.allows(Actions::PROJECT_READ, &place));
    assert!(!caller.allows(Actions::PROJECT_READ, &Resource::project(project)));
    assert!(matches!(ask(&world, &holder, &narrowed).await, Err(AuthError::Proof)));
    let wider = Block { grants: vec![Grant::new(place, Actions::PROJECT_WRITE)], ..block };
    assert!(attenuate(&parent, &holder, &wider).is_err());
    let sealed = seal(&parent, &holder).unwrap();
    assert!(attenuate(&sealed, &holder, &Block { next_pk: NEXT_NOBODY, ..wider }).is_err());
    assert!(ask(&world, &holder, &sealed.encode()).await.is_ok());

    world.capabilities.revoke(&alice.caller(&world).await, known.id).await.unwrap();
    for (who, what) in [(&holder, &capability), (&delegate, &narrowed), (&holder, &sealed.encode())] {
        assert!(matches!(ask(&world, who, what).await, Err(AuthError::Revoked)));
    }
}

#[tokio::test]
async fn revoking_is_by_name_for_its_account_or_for_everything_after_a_fresh_login() {
    let world = World::default();
    let (mut alice, _, holder, known, capability) = issued(&world, "alice@example.org").await;
    let bob = world.person("bob@example.org").await;
    let of_bob = bob.caller(&world).await;
    let unknown = world.capabilities.revoke(&of_bob, known.id).await;
    assert!(matches!(unknown, Err(CapabilitiesError::Unknown)));
    // A session is not revoked as one.
    let caller = alice.caller(&world).await;
    let session = world.capabilities.revoke(&caller, caller.session().unwrap()).await;
    assert!(matches!(session, Err(CapabilitiesError::Unknown)));
    assert!(ask(&world, &holder, &capability).await.is_ok());

    world.clock.advance(6 * MINUTE_MS);
    let caller = alice.caller(&world).await;
    let stale = world.capabilities.revoke_all(&caller).await;
    assert!(matches!(stale, Err(CapabilitiesError::Auth(AuthError::NotFresh))));
    world.clock.set(world.clock.now_ms() - 5 * MINUTE_MS);
    world.capabilities.revoke_all(&alice.caller(&world).await).await.unwrap();
    assert!(matches!(ask(&world, &holder, &capability).await, Err(AuthError::Revoked)));
    assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Revoked)));
    assert!(alice.refresh(&world.auth).await.is_err());
    bob.try_caller(&world).await.unwrap();
    let kinds: Vec<_> = world.trail(Trail::Account(alice.account)).await;
    assert_eq!(kinds.last().unwrap().line.kind, Kind::CapabilityRevoke);
}

#[tokio::test]
async fn a_capability_is_listed_until_it_is_long_over() {
    let world = World::default();
    let (alice, project, holder, known, _) = issued(&world, "alice@example.org").await;
    let caller = alice.caller(&world).await;
    let list =
        async || world.capabilities.list(&caller, PageArgs { after: None, size: 10 }).await.unwrap().items;
    assert_eq!(list().await, std::slice::from_ref(&known));
    assert_eq!(known.grants, [read(project)]);
    assert_eq!(known.holder_pk, *holder.verifying_key().as_bytes());
    world.capabilities.revoke(&caller, known.id).await.unwrap();
    assert!(list().await[0].is_revoked);
}

#[tokio::test]
async fn its_account_is_told_what_a_capability_is_worth_and_why_it_is_worth_nothing() {
    let world = World::default();
    let (alice, project, holder, known, capability) = issued(&world, "alice@example.org").await;
    let Judged::Active(standing) = judged(&world, &alice, &capability).await else { panic!("it is good") };
    assert_eq!((standing.account, standing.id, standing.depth), (alice.account, known.id, 0));
    assert_eq!(standing.grants, [read(project)]);
    assert_eq!(standing.holder_pk, *holder.verifying_key().as_bytes());
    let caller = alice.caller(&world).await;
    for (action, word) in [(Actions::PROJECT_READ, None), (Actions::PROJECT_WRITE, Some("permission"))] {
        let act = Some((action, Resource::project(project)));
        let question = Question { capability: capability.clone(), act };
        let judged = world.capabilities.verify(&caller, question).await.unwrap();
        assert_eq!(word.map(Judged::Inactive), matches!(judged, Judged::Inactive(_)).then_some(judged));
    }
    let mut forged = capability.clone();
    *forged.last_mut().unwrap() = 1;
    assert_eq!(judged(&world, &alice, &forged).await, Judged::Inactive("unknown"), "it names nobody");
    let at = capability.len() - 10;
    let mut forged = capability.clone();
    forged[at] ^= 1;
    assert_eq!(judged(&world, &alice, &forged).await, Judged::Inactive("signature"));
    world.capabilities.revoke(&alice.caller(&world).await, known.id).await.unwrap();
    assert_eq!(judged(&world, &alice, &capability).await, Judged::Inactive("revoked"));
    // The session outlives it; a renewed proof is made by the helper.
    world.clock.advance(60 * MINUTE_MS);
    let mut alice = alice;
    alice.refresh(&world.auth).await.unwrap();
    assert_eq!(judged(&world, &alice, &capability).await, Judged::Inactive("expired"));
}

#[tokio::test]
async fn for_everybody_else_a_good_one_a_bad_one_and_noise_are_the_same() {
    let world = World::default();
    let (alice, _, _, known, capability) = issued(&world, "alice@example.org").await;
    let bob = world.person("bob@example.org").await;
    let mut forged = capability.clone();
    let at = capability.len() - 10;
    forged[at] ^= 1;
    let unknown = Judged::Inactive("unknown");
    let session = alice.session().capability.clone();
    for bytes in [&capability, &forged, &session, &b"noise".to_vec(), &vec![0; 5000], &vec![]] {
        assert_eq!(judged(&world, &bob, bytes).await, unknown);
    }
    world.capabilities.revoke(&alice.caller(&world).await, known.id).await.unwrap();
    assert_eq!(judged(&world, &bob, &capability).await, unknown);
}

#[tokio::test]
async fn whoever_may_share_the_project_is_told_too() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let bob = world.person("bob@example.org").await;
    let theirs = world.project(&alice.caller(&world).await, "app").await.project();
    // Bob holds a capability for Alice's project, which gives him nothing there, and Alice may ask about it.
    let holder = key(9);
    let (_, one) = issue(&world, &bob, new(&bob, &holder, vec![read(theirs)])).await.unwrap();
    assert!(matches!(judged(&world, &alice, &one).await, Judged::Active(_)));
    // Not with a capability of hers that shares one environment: the one in question reaches all of them.
    let dev = Resource::environment(theirs, "dev").unwrap();
    let part = alice.narrowed_caller(&world, vec![Grant::new(dev, Actions::PROJECT_SHARE)]).await;
    let question = Question { capability: one.clone(), act: None };
    let told = world.capabilities.verify(&part, question).await.unwrap();
    assert_eq!(told, Judged::Inactive("unknown"));
    let denied = ask(&world, &holder, &one).await.unwrap();
    let denied = world.projects.authorize(&denied, theirs, Actions::PROJECT_READ).await;
    assert!(matches!(denied.err(), Some(ProjectsError::Denied)));
    let own = world.project(&bob.caller(&world).await, "app").await.project();
    let (_, both) = issue(&world, &bob, new(&bob, &holder, vec![read(theirs), read(own)])).await.unwrap();
    assert_eq!(judged(&world, &alice, &both).await, Judged::Inactive("unknown"));
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_issues_nothing() {
    let world = World::new(Settings::default(), StorageSettings::default());
    let alice = world.person("alice@example.org").await;
    let caller = alice.caller(&world).await;
    let project = world.project(&caller, "app").await.project();
    let line = world.trail(Trail::Account(alice.account)).await[0].line.clone();
    let ended = world.ports.directory.end_sessions(alice.account, Ending::All, line).await;
    ended.unwrap();
    let refused = world.capabilities.issue(&caller, new(&alice, &key(9), vec![read(project)])).await;
    assert!(matches!(refused, Err(CapabilitiesError::Auth(AuthError::Revoked))));
}
