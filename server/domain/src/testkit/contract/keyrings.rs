//! Keyrings and epochs.

use tokio::task::JoinSet;
use veilcore::id::{ApiKeyId, EnvironmentId, ProjectId};
use veilsign::capability::Actions;
use veilvault::access::Principal;

use super::sample::*;
use crate::{
    audit::model::{Kind, Trail},
    projects::{
        access::{AccessChange, KeyringPart, KeyringRefusal, ShareChange},
        model::{Keyring, Project},
        port::Written,
    },
    storage::{
        model::{Precondition, Version},
        port::Refusal,
    },
    testkit::Ports,
};

async fn rotate(
    ports: &Ports,
    project: ProjectId,
    environment: EnvironmentId,
    keyring: &Keyring,
) -> Result<(), KeyringRefusal> {
    let line = line(Trail::Project(project), Kind::KeyRotate);
    ports.keyrings.rotate(environment, keyring.clone(), line).await.expect("the store works")
}

async fn epoch(ports: &Ports, project: ProjectId, text: &str) -> Option<u32> {
    let found = ports.catalog.environment(project, &name(text)).await.expect("the store works");
    found.map(|environment| environment.epoch)
}

pub async fn keyrings_of_all_epochs_are_kept(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    let first =
        ports.keyrings.keyring(production.id, 1).await.expect("the store works").expect("made with it");
    let (second, third) = (keyring(2), keyring(3));
    for next in [&second, &third] {
        assert_eq!(rotate(&ports, app.id, production.id, next).await, Ok(()));
    }
    assert_eq!(epoch(&ports, app.id, "production").await, Some(3));
    for expected in [first, second, third] {
        let found = ports.keyrings.keyring(production.id, expected.epoch).await.expect("the store works");
        assert_eq!(found, Some(expected));
    }
    for absent in [0, 4] {
        assert_eq!(ports.keyrings.keyring(production.id, absent).await.expect("the store works"), None);
    }
    let expected = [Kind::ProjectCreate, Kind::EnvironmentCreate, Kind::KeyRotate, Kind::KeyRotate];
    assert_eq!(kinds(&ports, Trail::Project(app.id)).await, expected);
}

pub async fn only_the_next_epoch_follows(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    let before = ports.keyrings.keyring(production.id, 1).await.expect("the store works");
    for wrong in [0, 1, 3, u32::MAX] {
        assert_eq!(
            rotate(&ports, app.id, production.id, &keyring(wrong)).await,
            Err(KeyringRefusal::Epoch(1)),
            "{wrong}"
        );
    }
    assert_eq!(epoch(&ports, app.id, "production").await, Some(1));
    assert_eq!(ports.keyrings.keyring(production.id, 1).await.expect("the store works"), before);
    assert_eq!(ports.keyrings.keyring(production.id, 3).await.expect("the store works"), None);
    assert!(!kinds(&ports, Trail::Project(app.id)).await.contains(&Kind::KeyRotate));
}

pub async fn an_environment_that_is_gone_is_not_rotated(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    let delete = line(Trail::Project(app.id), Kind::EnvironmentDelete);
    assert_eq!(
        ports.catalog.delete_environment(production.id, delete).await.expect("the store works"),
        Written::Done
    );
    assert_eq!(rotate(&ports, app.id, production.id, &keyring(2)).await, Err(KeyringRefusal::Gone));
    assert_eq!(ports.keyrings.keyring(production.id, 2).await.expect("the store works"), None);
    assert!(!kinds(&ports, Trail::Project(app.id)).await.contains(&Kind::KeyRotate));
}

pub async fn of_many_rotations_to_one_epoch_one_wins(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    let mut race = JoinSet::new();
    for _ in 0..WRITERS {
        let (ports, keyring) = (ports.clone(), keyring(2));
        race.spawn(async move { (rotate(&ports, app.id, production.id, &keyring).await, keyring) });
    }
    let outcomes = race.join_all().await;
    let won: Vec<_> = outcomes.iter().filter(|(outcome, _)| *outcome == Ok(())).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(
        outcomes.iter().filter(|(o, _)| *o == Err(KeyringRefusal::Epoch(2))).count(),
        WRITERS as usize - 1
    );
    let kept = ports.keyrings.keyring(production.id, 2).await.expect("the store works");
    assert_eq!(kept.as_ref(), Some(&won[0].1));
}

/// Puts the next list of a project in force; it names nobody and takes what there was.
async fn next_list(ports: &Ports, project: &Project, number: u64) {
    let change = AccessChange {
        project: project.id,
        author: project.owner,
        number,
        list: bytes32().to_vec(),
        entries: Vec::new(),
        share: ShareChange::Keep,
        gives: Actions::NONE,
        takes: true,
        at_ms: NOW_MS,
    };
    let lines = vec![line(Trail::Project(project.id), Kind::AccessList)];
    let changed = ports.grants.change_access(change, lines).await;
    assert_eq!(changed.expect("the store works"), Ok(()));
}

pub async fn a_rotation_is_for_the_newest_list_and_ends_what_is_due(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    next_list(&ports, &app, 1).await;
    let mut one = version(production.id, 1, b"one");
    let due = commit(&ports, app.id, &mut one, Precondition::First).await;
    assert_eq!(due, Err(Refusal::RotationDue(1)));
    for access_list in [0, 2] {
        let old = Keyring { access_list, ..keyring(2) };
        assert_eq!(rotate(&ports, app.id, production.id, &old).await, Err(KeyringRefusal::List(1)));
    }
    let next = Keyring { access_list: 1, ..keyring(2) };
    assert_eq!(rotate(&ports, app.id, production.id, &next).await, Ok(()));
    assert_eq!(ports.keyrings.keyring(production.id, 2).await.expect("the store works"), Some(next));
    let mut one = Version { epoch: 2, ..version(production.id, 1, b"one") };
    assert_eq!(commit(&ports, app.id, &mut one, Precondition::First).await, Ok(()));
}

fn part(environment: EnvironmentId, principal: Principal, key: [u8; 32], epoch: u32) -> KeyringPart {
    KeyringPart { environment, principal, key, beside: None, keyring: keyring(epoch), replaces: false }
}

async fn add(ports: &Ports, project: ProjectId, part: &KeyringPart) -> Result<(), KeyringRefusal> {
    let line = line(Trail::Project(project), Kind::KeyringAdd);
    ports.keyrings.add_part(part.clone(), line).await.expect("the store works")
}

async fn found(ports: &Ports, part: &KeyringPart) -> Option<Keyring> {
    let epoch = part.keyring.epoch;
    ports
        .keyrings
        .part(part.environment, epoch, part.principal, Some(part.key))
        .await
        .expect("the store works")
}

pub async fn a_part_is_added_once_for_each_key_of_its_principal(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    let person = Principal::Account(alice.id);
    // An API key of the same bytes is somebody else.
    let key = Principal::ApiKey(ApiKeyId::from_bytes(*alice.id.as_bytes()));
    let (one, other) = (bytes32(), bytes32());
    let first = part(production.id, person, one, 1);
    assert_eq!(found(&ports, &first).await, None);
    assert_eq!(add(&ports, app.id, &first).await, Ok(()));
    assert_eq!(found(&ports, &first).await, Some(first.keyring.clone()));
    let again = part(production.id, person, one, 1);
    assert_eq!(add(&ports, app.id, &again).await, Err(KeyringRefusal::Exists));
    let for_key = part(production.id, key, one, 1);
    assert_eq!((found(&ports, &for_key).await, add(&ports, app.id, &for_key).await), (None, Ok(())));
    assert_eq!(found(&ports, &first).await, Some(first.keyring));
    // Other keys, another part.
    let renewed = part(production.id, person, other, 1);
    assert_eq!(add(&ports, app.id, &renewed).await, Ok(()));
    assert_eq!(found(&ports, &renewed).await, Some(renewed.keyring.clone()));
    for epoch in [0, 2] {
        let absent = part(production.id, person, one, epoch);
        assert_eq!(add(&ports, app.id, &absent).await, Err(KeyringRefusal::Gone), "{epoch}");
    }
    next_list(&ports, &app, 1).await;
    let late = part(production.id, person, one, 1);
    assert_eq!(add(&ports, app.id, &late).await, Err(KeyringRefusal::List(1)));
    let logged = kinds(&ports, Trail::Project(app.id)).await;
    assert_eq!(logged.iter().filter(|kind| **kind == Kind::KeyringAdd).count(), 3);
}

pub async fn parts_go_with_their_environment(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    let added = part(production.id, Principal::Account(alice.id), bytes32(), 1);
    assert_eq!(add(&ports, app.id, &added).await, Ok(()));
    let delete = line(Trail::Project(app.id), Kind::EnvironmentDelete);
    assert_eq!(
        ports.catalog.delete_environment(production.id, delete).await.expect("the store works"),
        Written::Done
    );
    assert_eq!(found(&ports, &added).await, None);
    assert_eq!(add(&ports, app.id, &added).await, Err(KeyringRefusal::Gone));
}
