//! Versions.

use tokio::task::JoinSet;

use super::sample::*;
use crate::{
    audit::model::{Kind, Line, Trail},
    page::PageArgs,
    projects::port::Written,
    storage::{
        model::{Digest, Etag, Precondition, Version},
        port::Refusal,
    },
    testkit::Ports,
};

fn after(version: &Version) -> Precondition {
    Precondition::Match(version.etag())
}

pub async fn versions_follow_each_other(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    assert_eq!(ports.shelf.version(production.id, None).await.expect("the store works"), None);
    let mut one = version(production.id, 1, b"one");
    let mut two = version(production.id, 2, b"two");
    assert_eq!(commit(&ports, app.id, &mut one, Precondition::First).await, Ok(()));
    assert_eq!(commit(&ports, app.id, &mut two, after(&one)).await, Ok(()));
    for (number, expected) in
        [(None, Some(&two)), (Some(1), Some(&one)), (Some(2), Some(&two)), (Some(3), None)]
    {
        let found = ports.shelf.version(production.id, number).await.expect("the store works");
        assert_eq!(found.as_ref(), expected, "{number:?}");
    }
    assert_eq!(ports.shelf.version(production.id, Some(0)).await.expect("the store works"), None);
    let lines = events(&ports, Trail::Project(app.id)).await;
    let puts: Vec<_> =
        lines.iter().filter(|e| e.line.kind == Kind::BlobPut).map(|e| e.line.version).collect();
    assert_eq!(puts, [1, 2]);
}

pub async fn a_commit_against_another_head_changes_nothing(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    let mut one = version(production.id, 1, b"one");
    let missing = Precondition::Match(Etag::of(1, Digest(bytes32())));
    let refused = commit(&ports, app.id, &mut one, missing).await;
    assert_eq!(refused, Err(Refusal::Precondition(None)));
    assert_eq!(commit(&ports, app.id, &mut one, Precondition::First).await, Ok(()));

    let refused = Err(Refusal::Precondition(Some(one.clone())));
    let mut two = version(production.id, 2, b"two");
    assert_eq!(
        commit(&ports, app.id, &mut version(production.id, 1, b"x"), Precondition::First).await,
        refused
    );
    assert_eq!(commit(&ports, app.id, &mut two, Precondition::First).await, refused);
    for wrong in [Etag::of(1, two.digest), Etag::of(2, one.digest), Etag::of(0, one.digest)] {
        assert_eq!(commit(&ports, app.id, &mut two, Precondition::Match(wrong)).await, refused, "{wrong}");
    }
    // A number that does not follow the head is no next version, whatever the precondition.
    for number in [1, 3] {
        let mut gap = version(production.id, number, b"gap");
        assert_eq!(commit(&ports, app.id, &mut gap, after(&one)).await, refused, "{number}");
    }
    assert_eq!(ports.shelf.version(production.id, None).await.expect("the store works"), Some(one));
    let puts = kinds(&ports, Trail::Project(app.id)).await;
    assert_eq!(puts.iter().filter(|kind| **kind == Kind::BlobPut).count(), 1);
}

pub async fn a_commit_under_another_epoch_changes_nothing(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    let rotate = line(Trail::Project(app.id), Kind::KeyRotate);
    let rotated = ports.keyrings.rotate(production.id, keyring(2), rotate).await.expect("the store works");
    assert_eq!(rotated, Ok(()));
    for epoch in [1, 3] {
        let mut stale = Version { epoch, ..version(production.id, 1, b"one") };
        assert_eq!(commit(&ports, app.id, &mut stale, Precondition::First).await, Err(Refusal::Epoch(2)));
    }
    assert_eq!(ports.shelf.version(production.id, None).await.expect("the store works"), None);
    assert!(!kinds(&ports, Trail::Project(app.id)).await.contains(&Kind::BlobPut));
    let mut fresh = Version { epoch: 2, ..version(production.id, 1, b"one") };
    assert_eq!(commit(&ports, app.id, &mut fresh, Precondition::First).await, Ok(()));
}

pub async fn a_commit_to_an_environment_that_is_gone_is_refused(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    let delete = line(Trail::Project(app.id), Kind::EnvironmentDelete);
    assert_eq!(
        ports.catalog.delete_environment(production.id, delete).await.expect("the store works"),
        Written::Done
    );
    let mut one = version(production.id, 1, b"one");
    assert_eq!(commit(&ports, app.id, &mut one, Precondition::First).await, Err(Refusal::Gone));
    let line = line(Trail::Project(app.id), Kind::BlobDelete);
    let deleted = ports.shelf.delete_content(production.id, one.etag(), line).await.expect("the store works");
    assert_eq!(deleted, Err(Refusal::Gone));
    assert_eq!(kinds(&ports, Trail::Project(app.id)).await.last(), Some(&Kind::EnvironmentDelete));
}

pub async fn one_of_many_writers_wins_each_version(ports: Ports) {
    const ROUNDS: u64 = 4;
    let (_, app, production) = place(&ports).await;
    let mut head: Option<Version> = None;
    for number in 1..=ROUNDS {
        let precondition = head.as_ref().map_or(Precondition::First, after);
        let mut race = JoinSet::new();
        for writer in 0..WRITERS {
            let (ports, content) = (ports.clone(), format!("version {number} by {writer}"));
            let mut version = version(production.id, number, content.as_bytes());
            race.spawn(async move { (commit(&ports, app.id, &mut version, precondition).await, version) });
        }
        let outcomes = race.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|(outcome, _)| outcome.is_ok());
        assert_eq!(won.len(), 1, "version {number}");
        let winner = &won[0].1;
        let refused = Err(Refusal::Precondition(Some(winner.clone())));
        assert!(lost.iter().all(|(outcome, _)| *outcome == refused), "version {number}");
        head = Some(winner.clone());
    }
    let page = ports.shelf.versions(production.id, PageArgs { after: None, size: 100 }).await;
    let numbers: Vec<_> = page.expect("the store works").items.iter().map(|v| v.number).collect();
    assert_eq!(numbers, [4, 3, 2, 1]);
    let lines = events(&ports, Trail::Project(app.id)).await;
    assert!((0u64..).zip(&lines).all(|(index, event)| event.index == index));
    let puts: Vec<_> =
        lines.iter().filter(|e| e.line.kind == Kind::BlobPut).map(|e| e.line.version).collect();
    assert_eq!(puts, [1, 2, 3, 4]);
}

pub async fn versions_are_paged_newest_first_at_every_size(ports: Ports) {
    const COUNT: u64 = 6;
    let (_, app, production) = place(&ports).await;
    let elsewhere = new_environment(&ports, app.id, "staging").await;
    let mut precondition = Precondition::First;
    for number in 1..=COUNT {
        let mut next = version(production.id, number, format!("{number}").as_bytes());
        assert_eq!(commit(&ports, app.id, &mut next, precondition).await, Ok(()));
        precondition = after(&next);
    }
    commit(&ports, app.id, &mut version(elsewhere.id, 1, b"1"), Precondition::First)
        .await
        .expect("it is the first");
    for size in 1..=COUNT as usize + 1 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = ports.shelf.versions(production.id, PageArgs { after, size }).await;
            let page = page.expect("the store works");
            assert!(page.items.len() <= size && !page.items.is_empty(), "size {size}");
            found.extend(page.items.iter().map(|v| v.number));
            after = page.next;
            if after.is_none() {
                break;
            }
            assert_eq!(after.as_ref(), found.last(), "size {size}");
        }
        assert_eq!(found, (1..=COUNT).rev().collect::<Vec<_>>(), "size {size}");
    }
}

pub async fn deleted_content_keeps_its_history(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    let mut one = version(production.id, 1, b"one");
    let mut two = version(production.id, 2, b"two");
    assert_eq!(commit(&ports, app.id, &mut one, Precondition::First).await, Ok(()));
    assert_eq!(commit(&ports, app.id, &mut two, after(&one)).await, Ok(()));
    let delete = line(Trail::Project(app.id), Kind::BlobDelete);
    let deleted =
        ports.shelf.delete_content(production.id, two.etag(), delete).await.expect("the store works");
    assert!(deleted.is_ok());

    let gone = |v: &Version| Version { deleted: true, ..v.clone() };
    let page = ports.shelf.versions(production.id, PageArgs { after: None, size: 10 }).await;
    assert_eq!(page.expect("the store works").items, [gone(&two), gone(&one)]);
    let found = ports.catalog.environment(app.id, &production.name).await.expect("the store works");
    assert_eq!(found.and_then(|e| e.head), Some(gone(&two)));
    assert_eq!(ports.shelf.used_bytes(alice.id).await.expect("the store works"), 0);
    assert_eq!(kinds(&ports, Trail::Project(app.id)).await.last(), Some(&Kind::BlobDelete));
    // Numbering goes on from the deleted head.
    let mut three = version(production.id, 3, b"three");
    assert_eq!(commit(&ports, app.id, &mut three, after(&two)).await, Ok(()));
    let found = ports.shelf.version(production.id, Some(2)).await.expect("the store works");
    assert_eq!(found, Some(gone(&two)));
    let found = ports.shelf.version(production.id, None).await.expect("the store works");
    assert_eq!(found, Some(three));
}

pub async fn a_deletion_of_another_head_changes_nothing(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    let mut one = version(production.id, 1, b"one");
    let delete = |etag| {
        let line = Line { version: 1, ..line(Trail::Project(app.id), Kind::BlobDelete) };
        ports.shelf.delete_content(production.id, etag, line)
    };
    let refused = delete(one.etag()).await.expect("the store works");
    assert_eq!(refused, Err(Refusal::Precondition(None)));
    assert_eq!(commit(&ports, app.id, &mut one, Precondition::First).await, Ok(()));
    for wrong in [Etag::of(2, one.digest), Etag::of(1, Digest(bytes32()))] {
        let refused = delete(wrong).await.expect("the store works");
        assert_eq!(refused, Err(Refusal::Precondition(Some(one.clone()))));
    }
    assert_eq!(ports.shelf.version(production.id, Some(1)).await.expect("the store works"), Some(one));
    assert!(!kinds(&ports, Trail::Project(app.id)).await.contains(&Kind::BlobDelete));
}

pub async fn only_undeleted_versions_and_unfinished_uploads_keep_bytes(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    let other = new_environment(&ports, app.id, "staging").await;
    let mut one = version(production.id, 1, b"one");
    let mut same = version(other.id, 1, b"one");
    let uploading = upload(alice.id, &production, 10, Digest(bytes32()));
    let nobodys = Digest(bytes32());
    assert_eq!(commit(&ports, app.id, &mut one, Precondition::First).await, Ok(()));
    assert_eq!(commit(&ports, app.id, &mut same, Precondition::First).await, Ok(()));
    ports.uploads.start(uploading.clone(), 8).await.expect("the store works");
    let asked = [nobodys, one.digest, uploading.digest];
    let named = async || {
        let mut named = ports.shelf.referenced(&asked).await.expect("the store works");
        named.sort();
        named.dedup();
        named
    };
    let mut expected = vec![one.digest, uploading.digest];
    expected.sort();
    assert_eq!(named().await, expected);
    assert_eq!(ports.shelf.referenced(&[]).await.expect("the store works"), []);

    ports.uploads.forget(uploading.id).await.expect("the store works");
    assert_eq!(named().await, [one.digest]);
    for (environment, etag, left) in [(production.id, one.etag(), 1), (other.id, same.etag(), 0)] {
        let line = line(Trail::Project(app.id), Kind::BlobDelete);
        let deleted = ports.shelf.delete_content(environment, etag, line).await.expect("the store works");
        assert!(deleted.is_ok());
        assert_eq!(named().await.len(), left);
    }
}
