//! Upload sessions.

use tokio::task::JoinSet;
use veilcore::id::UploadId;

use super::sample::*;
use crate::{
    audit::model::{Kind, Trail},
    projects::port::Written,
    storage::{
        model::{CHUNK_LEN, Digest, Etag, Precondition, Upload},
        port::Started,
    },
    testkit::Ports,
};

async fn start(ports: &Ports, upload: &Upload, limit: u32) -> Started {
    ports.uploads.start(upload.clone(), limit).await.expect("the store works")
}

async fn found(ports: &Ports, id: UploadId) -> Option<Upload> {
    ports.uploads.upload(id).await.expect("the store works")
}

pub async fn an_upload_comes_back_as_it_was_started(ports: Ports) {
    let (alice, _, production) = place(&ports).await;
    let first = upload(alice.id, &production, 1000, Digest(bytes32()));
    let precondition = Precondition::Match(Etag::of(u64::from(u32::MAX) + 7, Digest(bytes32())));
    let later = Upload { precondition, ..upload(alice.id, &production, 7, Digest(bytes32())) };
    for upload in [&first, &later] {
        assert_eq!(start(&ports, upload, 8).await, Started::Open);
    }
    assert_eq!(found(&ports, first.id).await, Some(first));
    assert_eq!(found(&ports, later.id).await, Some(later));
    assert_eq!(found(&ports, UploadId::from_bytes(bytes16())).await, None);
}

pub async fn an_account_has_a_limit_of_uploads(ports: Ports) {
    let (alice, _, production) = place(&ports).await;
    let bob = new_account(&ports, "bob@example.org").await;
    let others = new_project(&ports, bob.id, "app").await;
    let elsewhere = new_environment(&ports, others.id, "production").await;
    let of_alice = || upload(alice.id, &production, 10, Digest(bytes32()));
    let first = of_alice();
    assert_eq!(start(&ports, &first, 2).await, Started::Open);
    assert_eq!(start(&ports, &of_alice(), 2).await, Started::Open);
    let third = of_alice();
    assert_eq!(start(&ports, &third, 2).await, Started::Limit);
    assert_eq!(found(&ports, third.id).await, None);
    let of_bob = upload(bob.id, &elsewhere, 10, Digest(bytes32()));
    assert_eq!(start(&ports, &of_bob, 2).await, Started::Open);
    ports.uploads.forget(first.id).await.expect("the store works");
    assert_eq!(start(&ports, &third, 2).await, Started::Open);
}

pub async fn chunks_are_noted_once_in_ascending_order(ports: Ports) {
    let (alice, _, production) = place(&ports).await;
    let upload = upload(alice.id, &production, 1000, Digest(bytes32()));
    start(&ports, &upload, 8).await;
    for (index, count) in [(3, 1), (0, 2), (3, 2), (300, 3), (1, 4), (0, 4)] {
        let received = ports.uploads.received(upload.id, index).await.expect("the store works");
        assert_eq!(received, count, "chunk {index}");
    }
    assert_eq!(found(&ports, upload.id).await.map(|u| u.received), Some(vec![0, 1, 3, 300]));
}

pub async fn a_reset_upload_has_no_chunks(ports: Ports) {
    let (alice, _, production) = place(&ports).await;
    let upload = upload(alice.id, &production, 1000, Digest(bytes32()));
    start(&ports, &upload, 8).await;
    for index in 0..3 {
        ports.uploads.received(upload.id, index).await.expect("the store works");
    }
    ports.uploads.reset(upload.id).await.expect("the store works");
    assert_eq!(found(&ports, upload.id).await, Some(upload.clone()));
    assert_eq!(ports.uploads.received(upload.id, 2).await.expect("the store works"), 1);
}

pub async fn a_forgotten_upload_is_gone(ports: Ports) {
    let (alice, _, production) = place(&ports).await;
    let upload = upload(alice.id, &production, 1000, Digest(bytes32()));
    start(&ports, &upload, 8).await;
    ports.uploads.received(upload.id, 0).await.expect("the store works");
    for _ in 0..2 {
        ports.uploads.forget(upload.id).await.expect("forgetting again is harmless");
        assert_eq!(found(&ports, upload.id).await, None);
    }
    assert_eq!(ports.shelf.used_bytes(alice.id).await.expect("the store works"), 0);
    assert_eq!(ports.shelf.referenced(&[upload.digest]).await.expect("the store works"), []);
}

pub async fn expired_uploads_are_found(ports: Ports) {
    let (alice, _, production) = place(&ports).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let upload = upload(alice.id, &production, 10, Digest(bytes32()));
        start(&ports, &upload, 8).await;
        ids.push(upload.id);
    }
    let later =
        Upload { expires_at_ms: NOW_MS + 9000, ..upload(alice.id, &production, 10, Digest(bytes32())) };
    start(&ports, &later, 8).await;
    let expired = async |now_ms, limit| {
        let mut ids = ports.uploads.expired(now_ms, limit).await.expect("the store works");
        ids.sort();
        ids
    };
    ids.sort();
    assert_eq!(expired(NOW_MS + 999, 10).await, []);
    assert_eq!(expired(NOW_MS + 1001, 10).await, ids);
    assert_eq!(expired(NOW_MS + 1001, 2).await.len(), 2);
    assert_eq!(expired(NOW_MS + 9001, 10).await.len(), 4);
    // Only the sweep forgets them.
    assert!(found(&ports, later.id).await.is_some());
}

pub async fn only_open_sessions_are_known(ports: Ports) {
    let (alice, project, production) = place(&ports).await;
    let staging = new_environment(&ports, project.id, "staging").await;
    let kept = upload(alice.id, &production, 10, Digest(bytes32()));
    let forgotten = upload(alice.id, &production, 10, Digest(bytes32()));
    let cascaded = upload(alice.id, &staging, 10, Digest(bytes32()));
    for upload in [&kept, &forgotten, &cascaded] {
        start(&ports, upload, 8).await;
    }
    let all = [UploadId::from_bytes(bytes16()), cascaded.id, kept.id, forgotten.id];
    let known = async || ports.uploads.known(&all).await.expect("the store works");
    assert_eq!(known().await, [cascaded.id, kept.id, forgotten.id]);
    ports.uploads.forget(forgotten.id).await.expect("the store works");
    let line = line(Trail::Project(project.id), Kind::EnvironmentDelete);
    assert_eq!(
        ports.catalog.delete_environment(staging.id, line).await.expect("the store works"),
        Written::Done
    );
    assert_eq!(known().await, [kept.id]);
    assert_eq!(ports.uploads.known(&[]).await.expect("the store works"), []);
}

pub async fn many_chunks_at_once_are_all_noted(ports: Ports) {
    let (alice, _, production) = place(&ports).await;
    let upload = upload(alice.id, &production, CHUNK_LEN, Digest(bytes32()));
    start(&ports, &upload, 8).await;
    let mut race = JoinSet::new();
    for index in 0..WRITERS {
        let (ports, id) = (ports.clone(), upload.id);
        race.spawn(async move { ports.uploads.received(id, index).await.expect("the store works") });
    }
    let mut counts = race.join_all().await;
    counts.sort_unstable();
    assert_eq!(counts, (1..=WRITERS).collect::<Vec<_>>());
    assert_eq!(found(&ports, upload.id).await.map(|u| u.received), Some((0..WRITERS).collect()));
}
