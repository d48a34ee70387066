//! What an account may store: versions and unfinished uploads in its projects, together.

use tokio::task::JoinSet;

use super::sample::*;
use crate::{
    audit::model::{Kind, Trail},
    storage::{
        model::{Digest, Precondition, Version},
        port::{Refusal, Started},
    },
    testkit::Ports,
};

/// A version that says to have this length.
fn heavy(environment: veilcore::id::EnvironmentId, number: u64, len: u64) -> Version {
    Version { len, ..version(environment, number, &bytes32()) }
}

pub async fn a_commit_beyond_the_quota_changes_nothing(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    let mut one = heavy(production.id, 1, QUOTA_BYTES - 10);
    assert_eq!(commit(&ports, app.id, &mut one, Precondition::First).await, Ok(()));
    let after = Precondition::Match(one.etag());
    let refused = commit(&ports, app.id, &mut heavy(production.id, 2, 11), after).await;
    let quota = Refusal::Quota { quota_bytes: QUOTA_BYTES, used_bytes: QUOTA_BYTES - 10 };
    assert_eq!(refused, Err(quota));
    assert_eq!(ports.shelf.version(production.id, None).await.expect("the store works"), Some(one));
    let puts = kinds(&ports, Trail::Project(app.id)).await;
    assert_eq!(puts.iter().filter(|kind| **kind == Kind::BlobPut).count(), 1);
    assert_eq!(commit(&ports, app.id, &mut heavy(production.id, 2, 10), after).await, Ok(()));
    assert_eq!(ports.shelf.used_bytes(alice.id).await.expect("the store works"), QUOTA_BYTES);
}

pub async fn an_upload_beyond_the_quota_is_not_opened(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    let mut one = heavy(production.id, 1, QUOTA_BYTES - 10);
    assert_eq!(commit(&ports, app.id, &mut one, Precondition::First).await, Ok(()));
    let start = |len| ports.uploads.start(upload(alice.id, &production, len, Digest(bytes32())), 8);
    let refused = Started::Quota { quota_bytes: QUOTA_BYTES, used_bytes: QUOTA_BYTES - 10 };
    assert_eq!(start(11).await.expect("the store works"), refused);
    assert_eq!(start(6).await.expect("the store works"), Started::Open);
    // The open upload holds its room.
    assert_eq!(ports.shelf.used_bytes(alice.id).await.expect("the store works"), QUOTA_BYTES - 4);
    let refused = Started::Quota { quota_bytes: QUOTA_BYTES, used_bytes: QUOTA_BYTES - 4 };
    assert_eq!(start(5).await.expect("the store works"), refused);
    let after = Precondition::Match(one.etag());
    let refused = commit(&ports, app.id, &mut heavy(production.id, 2, 5), after).await;
    let quota = Refusal::Quota { quota_bytes: QUOTA_BYTES, used_bytes: QUOTA_BYTES - 4 };
    assert_eq!(refused, Err(quota));
}

pub async fn an_upload_is_not_counted_twice_when_it_is_committed(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    let mut one = heavy(production.id, 1, QUOTA_BYTES - 10);
    let uploading = upload(alice.id, &production, one.len, one.digest);
    let started = ports.uploads.start(uploading.clone(), 8).await.expect("the store works");
    assert_eq!(started, Started::Open);
    assert_eq!(commit(&ports, app.id, &mut one, Precondition::First).await, Ok(()));
    ports.uploads.forget(uploading.id).await.expect("the store works");
    assert_eq!(ports.shelf.used_bytes(alice.id).await.expect("the store works"), QUOTA_BYTES - 10);
}

pub async fn deleted_bytes_make_room(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    let mut one = heavy(production.id, 1, QUOTA_BYTES);
    assert_eq!(commit(&ports, app.id, &mut one, Precondition::First).await, Ok(()));
    let line = line(Trail::Project(app.id), Kind::BlobDelete);
    let deleted = ports.shelf.delete_content(production.id, one.etag(), line).await.expect("the store works");
    assert!(deleted.is_ok());
    assert_eq!(ports.shelf.used_bytes(alice.id).await.expect("the store works"), 0);
    let mut two = heavy(production.id, 2, QUOTA_BYTES);
    assert_eq!(commit(&ports, app.id, &mut two, Precondition::Match(one.etag())).await, Ok(()));
}

pub async fn owners_do_not_share_a_quota(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    let bob = new_account(&ports, "bob@example.org").await;
    let others = new_project(&ports, bob.id, "app").await;
    let elsewhere = new_environment(&ports, others.id, "production").await;
    let mut full = heavy(production.id, 1, QUOTA_BYTES);
    assert_eq!(commit(&ports, app.id, &mut full, Precondition::First).await, Ok(()));
    let mut full = heavy(elsewhere.id, 1, QUOTA_BYTES);
    assert_eq!(commit(&ports, others.id, &mut full, Precondition::First).await, Ok(()));
    for owner in [alice.id, bob.id] {
        assert_eq!(ports.shelf.used_bytes(owner).await.expect("the store works"), QUOTA_BYTES);
    }
}

pub async fn writers_together_stay_within_the_quota(ports: Ports) {
    let (alice, app, _) = place(&ports).await;
    let mut race = JoinSet::new();
    for writer in 0..WRITERS {
        let environment = new_environment(&ports, app.id, &format!("env-{writer}")).await;
        let (ports, mut version) = (ports.clone(), heavy(environment.id, 1, QUOTA_BYTES / 8));
        race.spawn(async move { commit(&ports, app.id, &mut version, Precondition::First).await });
    }
    let outcomes = race.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 8);
    assert_eq!(ports.shelf.used_bytes(alice.id).await.expect("the store works"), QUOTA_BYTES);
}
