//! Somebody who was let in at the gate and removed before the change is made.

use veilcore::id::EnvironmentId;
use veilsign::capability::Actions;
use veilvault::epoch::EpochKey;

use crate::{
    audit::model::Trail,
    clock::Rng,
    projects::{
        NewEnvironment, ProjectAccess,
        error::ProjectsError,
        model::{Environment, Keyring},
    },
    storage::{NewUpload, error::StorageError},
    testkit::{Person, World},
};

const ALL: Actions = Actions::PROJECT_READ
    .union(Actions::PROJECT_WRITE)
    .union(Actions::PROJECT_DELETE)
    .union(Actions::PROJECT_SHARE);

fn is_denied<T>(done: Result<T, StorageError>) -> bool {
    matches!(done, Err(StorageError::Projects(ProjectsError::Denied)))
}

#[tokio::test]
async fn who_was_removed_behind_the_gate_is_refused_as_at_the_gate() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let bob = world.person("bob@example.org").await;
    let access = world.project(&alice.caller(&world).await, "app").await;
    let (environment, key) = world.environment(&alice, &access, "production").await;
    let team = world.team(&alice, "ops", &[&bob]).await;
    world.share(&alice, &access, team, ALL, &[bob.entry(team, ALL)]).await.unwrap();
    let caller = bob.caller(&world).await;
    let name = environment.name.clone();
    let let_in: ProjectAccess = world.projects.authorize(&caller, access.project(), ALL).await.unwrap();
    let first = bob.seal(&environment, &key, b"A=1\n").put();
    let (environment, version) = world.storage.put(&let_in, &name, first).await.unwrap();

    world.leave(&alice, team, bob.account).await;
    let trail = Trail::Project(access.project());
    let before = world.trail(trail).await;
    let next = bob.seal(&environment, &key, b"A=2\n");
    assert!(is_denied(world.storage.put(&let_in, &name, next.put()).await));
    assert!(is_denied(world.storage.delete(&let_in, &name, version.etag()).await));
    let announced = NewUpload {
        len: next.ciphertext.len() as u64,
        digest: next.digest,
        seal: next.seal.clone(),
        precondition: next.precondition,
    };
    assert!(is_denied(world.storage.start_upload(&let_in, &name, announced).await));
    let new = new_environment(&world, &bob, &let_in).await;
    let created = world.projects.create_environment(&let_in, new).await;
    assert!(matches!(created, Err(ProjectsError::Denied)), "{created:?}");
    let deleted = world.projects.delete_environment(&let_in, &name).await;
    assert!(matches!(deleted, Err(ProjectsError::Denied)), "{deleted:?}");
    let deleted = world.projects.delete(&let_in).await;
    assert!(matches!(deleted, Err(ProjectsError::Denied)), "{deleted:?}");
    let next = keyring(&world, &bob, &environment).await;
    let rotated = world.projects.rotate_key(&let_in, &name, next).await;
    assert!(matches!(rotated, Err(ProjectsError::Denied)), "{rotated:?}");
    assert_eq!(world.trail(trail).await, before);
    let kept = world.projects.environment(&access, &name).await.unwrap();
    assert_eq!((kept.epoch, kept.head.map(|head| head.number)), (1, Some(1)));
}

/// The keyring of the next epoch, for the newest list.
async fn keyring(world: &World, by: &Person, environment: &Environment) -> Keyring {
    let number = world.access_state(environment.project).await.number;
    let key = EpochKey::generate(&mut Rng(&*world.entropy));
    by.keyring_for(&key, environment, environment.epoch + 1, number, &[by])
}

async fn new_environment(world: &World, by: &Person, access: &ProjectAccess) -> NewEnvironment {
    let environment = Environment {
        id: EnvironmentId::from_bytes([9; 16]),
        project: access.project(),
        name: "late".parse().unwrap(),
        epoch: 0,
        head: None,
        created_at_ms: 0,
        cloned_from: None,
        rotation_due: false,
    };
    let keyring = keyring(world, by, &environment).await;
    NewEnvironment { id: environment.id, name: environment.name, keyring }
}
