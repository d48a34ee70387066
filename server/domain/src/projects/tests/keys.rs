//! Keys of shared environments: parts for who joins, and rotation after a removal.

use veilcore::id::{AccountId, ApiKeyId, EnvironmentId, TeamId};
use veilsign::capability::Actions;
use veilvault::{
    access::Principal,
    epoch::EpochKey,
    keyring::open_keyring,
    seal::{ExpectedKeyring, KeyringSeal},
};

use super::name;
use crate::{
    audit::model::{Kind, Trail},
    clock::Rng,
    projects::{
        NewEnvironment, ProjectAccess,
        error::ProjectsError,
        model::{Environment, Keyring},
    },
    storage::error::StorageError,
    testkit::{Person, SeededEntropy, World},
};

const READ: Actions = Actions::PROJECT_READ;

/// Alice's environment, shared with bob for reading; carol is in the team and not listed.
struct Scene {
    world: World,
    alice: Person,
    bob: Person,
    carol: Person,
    app: ProjectAccess,
    team: TeamId,
    production: Environment,
    key: EpochKey,
}

async fn scene(bob: Actions) -> Scene {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let (b, carol) = (world.person("bob@example.org").await, world.person("carol@example.org").await);
    let app = world.project(&alice.caller(&world).await, "app").await;
    let (production, key) = world.environment(&alice, &app, "production").await;
    let team = world.team(&alice, "ops", &[&b, &carol]).await;
    world.share(&alice, &app, team, bob, &[b.entry(team, bob)]).await.unwrap();
    Scene { world, alice, bob: b, carol, app, team, production, key }
}

impl Scene {
    async fn access(&self, who: &Person, actions: Actions) -> ProjectAccess {
        let caller = who.caller(&self.world).await;
        self.world.projects.authorize(&caller, self.app.project(), actions).await.unwrap()
    }

    async fn add(
        &self,
        by: &ProjectAccess,
        principal: Principal,
        keyring: Keyring,
    ) -> Result<(), ProjectsError> {
        self.world.projects.add_keyring(by, &self.production.name, principal, keyring, false).await
    }

    fn part(&self, by: &Person, access_list: u64, member: &Person) -> Keyring {
        by.keyring_for(&self.key, &self.production, 1, access_list, &[member])
    }

    async fn environment(&self) -> Environment {
        self.world.projects.environment(&self.app, &self.production.name).await.unwrap()
    }
}

fn account(person: &Person) -> Principal {
    Principal::Account(person.account)
}

fn check<T: std::fmt::Debug>(result: Result<T, ProjectsError>) -> String {
    match result {
        Err(ProjectsError::Keyring { check }) => check,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_joins_gets_a_part_that_opens_to_the_same_key() {
    let scene = scene(READ).await;
    let bobs = scene.access(&scene.bob, READ).await;
    let before = scene.world.projects.keyring(&bobs, &scene.production.name, 0).await.unwrap();
    assert!(!before.added);
    let part = scene.part(&scene.alice, 1, &scene.bob);
    scene.add(&scene.app, account(&scene.bob), part.clone()).await.unwrap();
    let given = scene.world.projects.keyring(&bobs, &scene.production.name, 0).await.unwrap();
    assert_eq!((&given.keyring, given.added, given.seal.author), (&part, true, scene.alice.account));
    let alice_key = scene.world.projects.author_key(scene.alice.account).await.unwrap();
    let expected = ExpectedKeyring {
        project: scene.app.project(),
        environment: scene.production.id,
        epoch: 1,
        author: scene.alice.account,
        author_key: &alice_key,
    };
    let opened = open_keyring(&given.keyring.file, &given.keyring.seal, &expected, &scene.bob.identity);
    assert_eq!(opened.unwrap().recipient(), scene.key.recipient());
    // Everybody else goes on with the keyring of the epoch.
    let own = scene.world.projects.keyring(&scene.app, &scene.production.name, 1).await.unwrap();
    assert_eq!((own.keyring, own.added), (before.keyring, false));
    let events = scene.world.trail(Trail::Project(scene.app.project())).await;
    let line = &events.last().unwrap().line;
    assert_eq!((line.kind, line.environment, line.version), (Kind::KeyringAdd, Some(scene.production.id), 1));
    assert_eq!(line.digest, Some(KeyringSeal::peek(&part.seal).unwrap().digest));
}

#[tokio::test]
async fn a_part_is_for_who_is_listed_and_holds_the_epochs_own_key() {
    let scene = scene(READ).await;
    let good = || scene.part(&scene.alice, 1, &scene.bob);
    let nobody = Principal::Account(AccountId::from_bytes([9; 16]));
    let key = Principal::ApiKey(ApiKeyId::from_bytes([9; 16]));
    for principal in [account(&scene.carol), nobody, key] {
        assert_eq!(check(scene.add(&scene.app, principal, good()).await), "principal");
    }
    let other = EpochKey::generate(&mut Rng(&SeededEntropy::new(77)));
    let other = scene.alice.keyring_for(&other, &scene.production, 1, 1, &[&scene.bob]);
    assert_eq!(check(scene.add(&scene.app, account(&scene.bob), other).await), "recipient");
    let by_carol = scene.part(&scene.carol, 1, &scene.bob);
    assert_eq!(check(scene.add(&scene.app, account(&scene.bob), by_carol).await), "signature");
    for epoch in [0, 2] {
        let later = scene.add(&scene.app, account(&scene.bob), Keyring { epoch, ..good() }).await;
        assert!(matches!(later, Err(ProjectsError::EpochStale { current: 1 })), "{epoch}");
    }
    for access_list in [0, 2] {
        let stale = scene.add(&scene.app, account(&scene.bob), Keyring { access_list, ..good() }).await;
        assert!(matches!(stale, Err(ProjectsError::AccessListStale { current: 1 })), "{access_list}");
    }
    // Who was put out of the team is refused, though the list still names them.
    scene.world.leave(&scene.alice, scene.team, scene.bob.account).await;
    assert_eq!(check(scene.add(&scene.app, account(&scene.bob), good()).await), "principal");
    scene.world.join(&scene.alice, scene.team, scene.bob.account).await;
    scene.add(&scene.app, account(&scene.bob), good()).await.unwrap();
    let again = scene.add(&scene.app, account(&scene.bob), good()).await;
    assert!(matches!(again, Err(ProjectsError::KeyringExists)));
    // The seal says which list it is for, whatever is said beside it.
    let lying = Keyring { access_list: 1, ..scene.part(&scene.alice, 0, &scene.bob) };
    assert_eq!(check(scene.add(&scene.app, account(&scene.bob), lying).await), "access_list");
}

#[tokio::test]
async fn a_part_that_its_author_spoilt_is_replaced_by_somebody_else() {
    let scene = scene(READ | Actions::PROJECT_WRITE).await;
    let entries =
        [scene.bob.entry(scene.team, READ | Actions::PROJECT_WRITE), scene.carol.entry(scene.team, READ)];
    scene.world.put_list(&scene.alice, &scene.app, &entries).await.unwrap();
    // Bob wraps another key under a seal that names the right one. Nobody but carol can tell.
    let spoilt = scene.part(&scene.bob, 2, &scene.alice);
    let bobs = scene.access(&scene.bob, READ).await;
    scene.add(&bobs, account(&scene.carol), spoilt.clone()).await.unwrap();
    let carols = scene.access(&scene.carol, READ).await;
    let keyring = async || scene.world.projects.keyring(&carols, &scene.production.name, 1).await.unwrap();
    assert_eq!(keyring().await.keyring, spoilt);
    let part = scene.part(&scene.alice, 2, &scene.carol);
    let replace = |by, part| {
        scene.world.projects.add_keyring(by, &scene.production.name, account(&scene.carol), part, true)
    };
    replace(&scene.app, part.clone()).await.unwrap();
    let given = keyring().await;
    assert_eq!((&given.keyring, given.added, given.seal.author), (&part, true, scene.alice.account));
    // Carol compares it with the epoch's own keyring, and gets that one too when she asks.
    let own = scene.world.projects.whole(&carols, &scene.production.name, 1).await.unwrap();
    assert_eq!((&own.keyring.seal, own.added), (&given.epoch_seal, false));
    assert_eq!((own.seal.author, own.epoch_author), (scene.alice.account, given.epoch_author));
    assert_ne!(own.keyring, part);
    // The log says who did it.
    let actors: Vec<_> = scene.world.trail(Trail::Project(scene.app.project())).await;
    let adds = actors.iter().filter(|event| event.line.kind == Kind::KeyringAdd);
    let adds: Vec<_> = adds.map(|event| event.line.actor).collect();
    assert_eq!(adds, [scene.bob.account, scene.alice.account]);
    let denied = replace(&carols, scene.part(&scene.carol, 2, &scene.carol)).await;
    assert!(matches!(denied, Err(ProjectsError::Denied)), "{denied:?}");
}

#[tokio::test]
async fn a_key_is_handed_on_by_who_may_write_or_share() {
    let listed = async |actions| {
        let scene = scene(READ | actions).await;
        let entries = [scene.bob.entry(scene.team, READ | actions), scene.carol.entry(scene.team, READ)];
        scene.world.put_list(&scene.alice, &scene.app, &entries).await.unwrap();
        let bobs = scene.access(&scene.bob, READ).await;
        scene.add(&bobs, account(&scene.carol), scene.part(&scene.bob, 2, &scene.carol)).await
    };
    listed(Actions::PROJECT_WRITE).await.unwrap();
    listed(Actions::PROJECT_SHARE).await.unwrap();
    for less in [READ, Actions::PROJECT_DELETE, Actions::AUDIT_READ] {
        assert!(matches!(listed(less).await, Err(ProjectsError::Denied)), "{less}");
    }
}

#[tokio::test]
async fn the_owner_gets_a_part_without_a_list() {
    let scene = scene(READ | Actions::PROJECT_WRITE).await;
    let bob = scene.bob.entry(scene.team, READ | Actions::PROJECT_WRITE);
    scene.world.put_list(&scene.alice, &scene.app, &[bob]).await.unwrap();
    // A member who rotated forgot the owner: the owner needs no list.
    let bobs = scene.access(&scene.bob, READ | Actions::PROJECT_WRITE).await;
    let second = scene.bob.keyring_for(&scene.key, &scene.production, 2, 2, &[&scene.bob]);
    scene.world.projects.rotate_key(&bobs, &scene.production.name, second).await.unwrap();
    let owners = scene.bob.keyring_for(&scene.key, &scene.production, 2, 2, &[&scene.alice]);
    scene.add(&bobs, account(&scene.alice), owners.clone()).await.unwrap();
    let given = scene.world.projects.keyring(&scene.app, &scene.production.name, 0).await.unwrap();
    assert_eq!((given.keyring, given.added, given.seal.author), (owners, true, scene.bob.account));
}

#[tokio::test]
async fn after_a_removal_nothing_is_written_until_the_key_is_rotated() {
    let scene = scene(READ).await;
    let first = scene.alice.seal(&scene.production, &scene.key, b"A=1\n");
    let (head, _) = scene.world.storage.put(&scene.app, &scene.production.name, first.put()).await.unwrap();
    assert!(!scene.environment().await.rotation_due);
    scene.world.put_list(&scene.alice, &scene.app, &[]).await.unwrap();
    assert!(scene.environment().await.rotation_due);
    let second = scene.alice.seal(&head, &scene.key, b"A=2\n");
    let due = scene.world.storage.put(&scene.app, &scene.production.name, second.put()).await;
    assert!(matches!(due, Err(StorageError::RotationDue { current: 1 })), "{due:?}");
    // Reading goes on, and the rotation names the newest list.
    scene.world.storage.stat(&scene.app, &scene.production.name, None).await.map(drop).unwrap();
    for access_list in [0, 1, 3] {
        let old = scene.alice.keyring_for(&scene.key, &scene.production, 2, access_list, &[&scene.alice]);
        let stale = scene.world.projects.rotate_key(&scene.app, &scene.production.name, old).await;
        assert!(matches!(stale, Err(ProjectsError::AccessListStale { current: 2 })), "{access_list}");
    }
    let next = EpochKey::generate(&mut Rng(&SeededEntropy::new(78)));
    let keyring = scene.alice.keyring_for(&next, &scene.production, 2, 2, &[&scene.alice]);
    let rotated = scene.world.projects.rotate_key(&scene.app, &scene.production.name, keyring).await.unwrap();
    assert_eq!((rotated.epoch, rotated.rotation_due), (2, false));
    let second = scene.alice.seal(&rotated, &next, b"A=2\n");
    scene.world.storage.put(&scene.app, &scene.production.name, second.put()).await.unwrap();
}

#[tokio::test]
async fn a_new_environment_is_for_the_newest_list() {
    let scene = scene(READ).await;
    let id = EnvironmentId::from_bytes([5; 16]);
    let place = Environment { id, ..scene.production.clone() };
    let create = |access_list| {
        let keyring =
            scene.alice.keyring_for(&scene.key, &place, 1, access_list, &[&scene.alice, &scene.bob]);
        let new = NewEnvironment { id, name: name("staging"), keyring };
        scene.world.projects.create_environment(&scene.app, new)
    };
    for access_list in [0, 2] {
        let stale = create(access_list).await;
        assert!(matches!(stale, Err(ProjectsError::AccessListStale { current: 1 })), "{access_list}");
    }
    assert!(!create(1).await.unwrap().rotation_due);
}
