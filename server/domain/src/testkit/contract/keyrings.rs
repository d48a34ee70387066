//! Keyrings and epochs.

use tokio::task::JoinSet;
use veilcore::id::{EnvironmentId, ProjectId};

use super::sample::*;
use crate::{
    audit::model::{Kind, Trail},
    projects::model::Keyring,
    testkit::Ports,
};

async fn rotate(
    ports: &Ports,
    project: ProjectId,
    environment: EnvironmentId,
    keyring: &Keyring,
) -> Option<Result<(), u32>> {
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
        assert_eq!(rotate(&ports, app.id, production.id, next).await, Some(Ok(())));
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
        assert_eq!(rotate(&ports, app.id, production.id, &keyring(wrong)).await, Some(Err(1)), "{wrong}");
    }
    assert_eq!(epoch(&ports, app.id, "production").await, Some(1));
    assert_eq!(ports.keyrings.keyring(production.id, 1).await.expect("the store works"), before);
    assert_eq!(ports.keyrings.keyring(production.id, 3).await.expect("the store works"), None);
    assert!(!kinds(&ports, Trail::Project(app.id)).await.contains(&Kind::KeyRotate));
}

pub async fn an_environment_that_is_gone_is_not_rotated(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    let delete = line(Trail::Project(app.id), Kind::EnvironmentDelete);
    assert!(ports.catalog.delete_environment(production.id, delete).await.expect("the store works"));
    assert_eq!(rotate(&ports, app.id, production.id, &keyring(2)).await, None);
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
    let won: Vec<_> = outcomes.iter().filter(|(outcome, _)| *outcome == Some(Ok(()))).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(outcomes.iter().filter(|(o, _)| *o == Some(Err(2))).count(), WRITERS as usize - 1);
    let kept = ports.keyrings.keyring(production.id, 2).await.expect("the store works");
    assert_eq!(kept.as_ref(), Some(&won[0].1));
}
