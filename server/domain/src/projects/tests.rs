//! The project verbs from the outside, over ports in memory, with real keyrings.

mod access;
mod explain;
mod keys;
mod late;
mod model;
mod tokens;

use veilcore::id::{EnvironmentId, ProjectId};
use veilsign::capability::{Actions, Grant, Resource};

use super::{NewEnvironment, error::ProjectsError, model::Keyring};
use crate::{
    audit::{error::AuditError, model::Kind},
    name::Name,
    page::PageArgs,
    testkit::{Person, World},
};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn refused<T>(result: Result<T, ProjectsError>) -> String {
    result.err().expect("must be refused").to_string()
}

#[tokio::test]
async fn a_foreign_project_is_denied_like_an_absent_one() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let mallory = world.person("mallory@example.org").await.caller(&world).await;
    let access = world.project(&alice.caller(&world).await, "app").await;
    let foreign = world.projects.authorize(&mallory, access.project(), Actions::PROJECT_READ).await;
    let absent =
        world.projects.authorize(&mallory, ProjectId::from_bytes([7; 16]), Actions::PROJECT_READ).await;
    assert_eq!(refused(foreign), refused(absent));
    let page = world.projects.list(&mallory, None, PageArgs::new(None, 0)).await.unwrap();
    assert_eq!(page.items, []);
    assert_eq!(access.owner(), alice.account);
    assert_eq!(access.actor(), alice.account);
}

#[tokio::test]
async fn projects_are_created_renamed_listed_and_deleted() {
    let world = World::default();
    let caller = world.person("alice@example.org").await.caller(&world).await;
    let app = world.project(&caller, "app").await;
    world.project(&caller, "web").await;
    let taken = world.projects.create(&caller, name("app")).await;
    assert!(matches!(taken, Err(ProjectsError::NameTaken { name }) if name == "app"));
    let taken = world.projects.rename(&app, name("web")).await;
    assert!(matches!(taken, Err(ProjectsError::NameTaken { name }) if name == "web"));
    assert_eq!(world.projects.rename(&app, name("api")).await.unwrap().name, name("api"));
    let page = world.projects.list(&caller, None, PageArgs::new(None, 1)).await.unwrap();
    assert_eq!((page.items[0].name.as_str(), page.next), ("api", Some(name("api"))));
    let only = world.projects.list(&caller, Some(&name("web")), PageArgs::new(None, 0)).await.unwrap();
    assert_eq!(only.items.len(), 1);
    // The UUID is version 7: its first six bytes are the time.
    let id = world.projects.get(&app).await.unwrap().id;
    assert_eq!(id.as_bytes()[6] >> 4, 7);

    world.projects.delete(&app).await.unwrap();
    assert!(matches!(world.projects.get(&app).await, Err(ProjectsError::Denied)));
    assert!(matches!(world.projects.delete(&app).await, Err(ProjectsError::Denied)));
    let again = world.projects.authorize(&caller, id, Actions::PROJECT_READ).await;
    assert!(matches!(again, Err(ProjectsError::Denied)));
}

#[tokio::test]
async fn a_narrowed_capability_stays_in_its_place() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let whole = alice.caller(&world).await;
    let app = world.project(&whole, "app").await;
    let web = world.project(&whole, "web").await;
    world.environment(&alice, &app, "production").await;
    world.environment(&alice, &app, "staging").await;

    let place = Resource::environment(app.project(), "staging").unwrap();
    let narrow = alice.narrowed_caller(&world, vec![Grant::new(place, Actions::PROJECT_READ)]).await;
    let access = world.projects.authorize(&narrow, app.project(), Actions::PROJECT_READ).await.unwrap();
    world.projects.environment(&access, &name("staging")).await.unwrap();
    world.projects.keyring(&access, &name("staging"), 0).await.unwrap();
    // Another environment, an absent one and the project as a whole are refused alike.
    for other in ["production", "absent"] {
        let denied = world.projects.environment(&access, &name(other)).await;
        assert!(matches!(denied, Err(ProjectsError::Denied)), "{other}");
    }
    assert!(matches!(world.projects.get(&access).await, Err(ProjectsError::Denied)));
    let list = world.projects.environments(&access, PageArgs::new(None, 0)).await;
    assert!(matches!(list, Err(ProjectsError::Denied)));
    assert!(matches!(world.projects.create(&narrow, name("x")).await, Err(ProjectsError::Denied)));
    let all = world.projects.list(&narrow, None, PageArgs::new(None, 0)).await;
    assert!(matches!(all, Err(ProjectsError::Denied)));
    let elsewhere = world.projects.authorize(&narrow, web.project(), Actions::PROJECT_READ).await;
    assert!(matches!(elsewhere, Err(ProjectsError::Denied)));
    let more = world.projects.authorize(&narrow, app.project(), Actions::PROJECT_DELETE).await;
    assert!(matches!(more, Err(ProjectsError::Denied)));
}

#[tokio::test]
async fn access_for_reading_does_not_write() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let caller = alice.caller(&world).await;
    let all = world.project(&caller, "app").await;
    world.environment(&alice, &all, "production").await;
    let read = world.projects.authorize(&caller, all.project(), Actions::PROJECT_READ).await.unwrap();
    assert!(matches!(world.projects.rename(&read, name("x")).await, Err(ProjectsError::Denied)));
    assert!(matches!(world.projects.delete(&read).await, Err(ProjectsError::Denied)));
    let deleted = world.projects.delete_environment(&read, &name("production")).await;
    assert!(matches!(deleted, Err(ProjectsError::Denied)));
    let events = world.audit.events(&read, PageArgs::new(None, 0)).await;
    assert!(matches!(events, Err(AuditError::Projects(ProjectsError::Denied))));
}

#[tokio::test]
async fn an_environment_comes_with_a_keyring_of_its_own() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let access = world.project(&alice.caller(&world).await, "app").await;
    let (production, _) = world.environment(&alice, &access, "production").await;
    assert_eq!((production.epoch, &production.head), (1, &None));
    assert_eq!(world.projects.environment(&access, &name("production")).await.unwrap(), production);
    assert_eq!(world.projects.get(&access).await.unwrap().environment_count, 1);

    let id = EnvironmentId::from_bytes([5; 16]);
    let (_, keyring) = alice.keyring(access.project(), id, 1);
    let create = |id, text: &str, keyring: &Keyring| {
        let new = NewEnvironment { id, name: name(text), keyring: keyring.clone() };
        world.projects.create_environment(&access, new)
    };
    let taken = create(id, "production", &keyring).await;
    assert!(matches!(taken, Err(ProjectsError::EnvironmentExists { name }) if name == "production"));
    create(id, "staging", &keyring).await.unwrap();
    let taken = create(id, "other", &keyring).await;
    assert!(matches!(taken, Err(ProjectsError::EnvironmentExists { .. })));
    let absent = world.projects.environment(&access, &name("absent")).await;
    assert!(matches!(absent, Err(ProjectsError::EnvironmentNotFound { name }) if name == "absent"));
    world.projects.delete_environment(&access, &name("staging")).await.unwrap();
    let again = world.projects.delete_environment(&access, &name("staging")).await;
    assert!(matches!(again, Err(ProjectsError::EnvironmentNotFound { .. })));
}

/// Which check a keyring of `id` fails.
async fn keyring_check(
    world: &World,
    access: &super::ProjectAccess,
    id: EnvironmentId,
    keyring: Keyring,
) -> String {
    let new = NewEnvironment { id, name: name("staging"), keyring };
    match world.projects.create_environment(access, new).await {
        Err(ProjectsError::Keyring { check }) => check,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_keyring_that_nobody_vouches_for_is_refused() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let mallory = Person::new("mallory@example.org");
    let caller = alice.caller(&world).await;
    let access = world.project(&caller, "app").await;
    let elsewhere = world.project(&caller, "web").await;
    let (id, other) = (EnvironmentId::from_bytes([5; 16]), EnvironmentId::from_bytes([6; 16]));
    let project = access.project();
    let (_, good) = alice.keyring(project, id, 1);
    let check = async |keyring| keyring_check(&world, &access, id, keyring).await;

    assert_eq!(check(alice.keyring(project, other, 1).1).await, "environment");
    assert_eq!(check(alice.keyring(elsewhere.project(), id, 1).1).await, "project");
    assert_eq!(check(mallory.keyring(project, id, 1).1).await, "signature");
    assert_eq!(check(alice.keyring(project, id, 2).1).await, "epoch");
    let lying = Keyring { epoch: 1, ..alice.keyring(project, id, 2).1 };
    assert_eq!(check(lying).await, "epoch");
    let mut file = good.file.clone();
    *file.last_mut().unwrap() ^= 1;
    assert_eq!(check(Keyring { file, ..good.clone() }).await, "digest");
    assert_eq!(check(Keyring { file: b"not an age file\n".to_vec(), ..good.clone() }).await, "age_version");
    assert_eq!(check(Keyring { file: good.file[..40].to_vec(), ..good.clone() }).await, "header_incomplete");
    let mut file = good.file.clone();
    file.resize(super::model::KEYRING_FILE_MAX + 1, 0);
    assert_eq!(check(Keyring { file, ..good.clone() }).await, "size");
    assert_eq!(check(Keyring { seal: good.seal[1..].to_vec(), ..good.clone() }).await, "format");
    let passphrase = b"age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 18\n".to_vec();
    assert_eq!(check(Keyring { file: passphrase, ..good.clone() }).await, "passphrase_stanza");

    let new = NewEnvironment { id, name: name("staging"), keyring: good };
    world.projects.create_environment(&access, new).await.unwrap();
}

#[tokio::test]
async fn a_rotation_goes_to_the_next_epoch_and_keeps_the_old_keyring() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let access = world.project(&alice.caller(&world).await, "app").await;
    let (production, _) = world.environment(&alice, &access, "production").await;
    let first = world.projects.keyring(&access, &production.name, 0).await.unwrap().keyring;
    for wrong in [1, 3] {
        let (_, keyring) = alice.keyring(access.project(), production.id, wrong);
        let refused = world.projects.rotate_key(&access, &production.name, keyring).await;
        assert!(matches!(refused, Err(ProjectsError::EpochStale { current: 1 })), "{wrong}");
    }
    let (_, second) = alice.keyring(access.project(), production.id, 2);
    let rotated = world.projects.rotate_key(&access, &production.name, second.clone()).await.unwrap();
    assert_eq!(rotated.epoch, 2);
    let again = world.projects.rotate_key(&access, &production.name, second.clone()).await;
    assert!(matches!(again, Err(ProjectsError::EpochStale { current: 2 })));
    for (epoch, expected) in [(0, &second), (2, &second), (1, &first)] {
        let given = world.projects.keyring(&access, &production.name, epoch).await.unwrap();
        assert_eq!((&given.keyring, given.added, given.seal.author), (expected, false, alice.account));
    }
    let future = world.projects.keyring(&access, &production.name, 3).await;
    assert!(matches!(future, Err(ProjectsError::EpochStale { current: 2 })));
}

#[tokio::test]
async fn a_clone_names_a_version_that_its_source_has() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let access = world.project(&alice.caller(&world).await, "app").await;
    let (production, key) = world.environment(&alice, &access, "production").await;
    let id = EnvironmentId::from_bytes([5; 16]);
    let (_, keyring) = alice.keyring(access.project(), id, 1);
    let new = NewEnvironment { id, name: name("copy"), keyring };
    let clone = |version| world.projects.clone_environment(&access, &production.name, version, new.clone());
    let empty = clone(1).await;
    assert!(matches!(empty, Err(ProjectsError::VersionNotFound { version: 1, current: 0 })));
    let blob = alice.seal(&production, &key, b"A=1\n");
    world.storage.put(&access, &production.name, blob.put()).await.unwrap();
    for version in [0, 2] {
        let refused = clone(version).await;
        assert!(matches!(refused, Err(ProjectsError::VersionNotFound { current: 1, .. })), "{version}");
    }
    let copy = clone(1).await.unwrap();
    let origin = copy.cloned_from.unwrap();
    assert_eq!((origin.environment, origin.version, copy.head), (production.id, 1, None));
}

#[tokio::test]
async fn every_change_of_a_project_is_in_its_trail() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let access = world.project(&alice.caller(&world).await, "app").await;
    let (production, key) = world.environment(&alice, &access, "production").await;
    world.projects.rename(&access, name("api")).await.unwrap();
    let blob = alice.seal(&production, &key, b"A=1\n");
    let (_, version) = world.storage.put(&access, &production.name, blob.put()).await.unwrap();
    let (_, second) = alice.keyring(access.project(), production.id, 2);
    world.projects.rotate_key(&access, &production.name, second).await.unwrap();
    world.storage.delete(&access, &production.name, version.etag()).await.unwrap();
    world.projects.delete_environment(&access, &production.name).await.unwrap();
    let events = world.audit.events(&access, PageArgs::new(None, 0)).await.unwrap().items;
    let kinds: Vec<_> = events.iter().map(|e| e.line.kind).collect();
    let expected = [
        Kind::ProjectCreate,
        Kind::EnvironmentCreate,
        Kind::ProjectUpdate,
        Kind::BlobPut,
        Kind::KeyRotate,
        Kind::BlobDelete,
        Kind::EnvironmentDelete,
    ];
    assert_eq!(kinds, expected);
    assert!(events.iter().all(|e| e.line.actor == alice.account));
    assert_eq!((events[3].line.version, events[3].line.digest), (1, Some(version.digest.0)));
    assert_eq!(events[4].line.version, 2);
    assert!([1, 3, 4, 5, 6].iter().all(|at| events[*at].line.environment == Some(production.id)));
    let page = world.audit.events(&access, PageArgs { after: Some(4), size: 1 }).await.unwrap();
    assert_eq!((page.items[0].index, page.next), (5, Some(5)));
}

#[tokio::test]
async fn the_log_of_a_deleted_project_is_its_last_owner_s_and_nothing_else_of_it_is() {
    let world = World::default();
    let caller = world.person("alice@example.org").await.caller(&world).await;
    let mallory = world.person("mallory@example.org").await.caller(&world).await;
    let app = world.project(&caller, "app").await;
    let id = app.project();
    world.projects.delete(&app).await.unwrap();
    let read = world.projects.authorize(&caller, id, Actions::AUDIT_READ).await.unwrap();
    let events = world.audit.events(&read, PageArgs::new(None, 0)).await.unwrap().items;
    let kinds: Vec<_> = events.iter().map(|e| e.line.kind).collect();
    assert_eq!(kinds, [Kind::ProjectCreate, Kind::ProjectDelete]);
    for (caller, actions) in [
        (&caller, Actions::PROJECT_READ),
        (&caller, Actions::PROJECT_DELETE),
        (&caller, Actions::AUDIT_READ | Actions::PROJECT_READ),
        (&mallory, Actions::AUDIT_READ),
    ] {
        let refusal = world.projects.authorize(caller, id, actions).await;
        let absent = world.projects.authorize(caller, ProjectId::from_bytes([7; 16]), actions).await;
        assert_eq!(refused(refusal), refused(absent));
    }
    // What lets in for the log lets in for nothing else.
    assert!(matches!(world.projects.get(&read).await, Err(ProjectsError::Denied)));
    assert!(matches!(world.projects.delete(&read).await, Err(ProjectsError::Denied)));
}

#[tokio::test]
async fn an_account_reads_its_own_log_unless_its_capability_is_narrowed_to_a_project() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let whole = alice.caller(&world).await;
    let app = world.project(&whole, "app").await;
    let events = world.audit.events(&whole, PageArgs::new(None, 0)).await.unwrap().items;
    assert_eq!(events[0].line.kind, Kind::AccountCreate);
    let place = Resource::project(app.project());
    let narrow = alice.narrowed_caller(&world, vec![Grant::new(place, Actions::AUDIT_READ)]).await;
    let refused = world.audit.events(&narrow, PageArgs::new(None, 0)).await;
    assert!(matches!(refused, Err(AuditError::Projects(ProjectsError::Denied))), "{refused:?}");
    let file = world.audit.log_file(&narrow, "checkpoint").await;
    assert!(matches!(file, Err(AuditError::Projects(ProjectsError::Denied))), "{file:?}");
}

#[tokio::test]
async fn a_store_that_fails_changes_nothing() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let access = world.project(&alice.caller(&world).await, "app").await;
    world.store.fail_next("rename_project");
    assert!(matches!(world.projects.rename(&access, name("x")).await, Err(ProjectsError::Store(_))));
    assert_eq!(world.projects.get(&access).await.unwrap().name, name("app"));
    assert_eq!(world.audit.events(&access, PageArgs::new(None, 0)).await.unwrap().items.len(), 1);
}
