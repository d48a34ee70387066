//! The audit trail. That refusals leave no line, each suite checks for its own port; here is the trail itself.

use tokio::task::JoinSet;

use super::sample::*;
use crate::{
    audit::model::{Kind, Line, Trail},
    page::PageArgs,
    storage::model::Precondition,
    testkit::Ports,
};

pub async fn every_change_leaves_one_line_in_order(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    let one = version(production.id, 1, b"one");
    let put = Line {
        actor: alice.id,
        at_ms: NOW_MS + 5,
        environment: Some(production.id),
        version: 1,
        digest: Some(one.digest.0),
        ..line(Trail::Project(app.id), Kind::BlobPut)
    };
    let committed = ports.shelf.commit(one, Precondition::First, put.clone()).await.expect("the store works");
    assert_eq!(committed, Ok(()));
    let events = events(&ports, Trail::Project(app.id)).await;
    assert_eq!(events.iter().map(|e| e.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(events[2].line, put);
    assert_eq!(events[0].line.kind, Kind::ProjectCreate);
    assert_eq!(events[1].line.kind, Kind::EnvironmentCreate);
}

pub async fn a_change_that_was_refused_leaves_none(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    let before = events(&ports, Trail::Project(app.id)).await;
    let stale = Precondition::Match(version(production.id, 9, b"x").etag());
    assert!(commit(&ports, app.id, &version(production.id, 10, b"y"), stale).await.is_err());
    assert_eq!(events(&ports, Trail::Project(app.id)).await, before);
}

pub async fn events_are_paged_at_every_size(ports: Ports) {
    const COUNT: u64 = 6;
    let alice = new_account(&ports, "alice@example.org").await;
    for n in 1..COUNT {
        let update = Line { version: n, ..line(Trail::Account(alice.id), Kind::AccountUpdate) };
        ports.directory.rename_account(alice.id, format!("{n}"), update).await.expect("the store works");
    }
    for size in 1..=COUNT as usize + 1 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = ports.outbox.events(Trail::Account(alice.id), PageArgs { after, size }).await;
            let page = page.expect("the store works");
            assert!(page.items.len() <= size && !page.items.is_empty(), "size {size}");
            found.extend(page.items.iter().map(|e| (e.index, e.line.version)));
            after = page.next;
            if after.is_none() {
                break;
            }
            assert_eq!(after, found.last().map(|(index, _)| *index), "size {size}");
        }
        assert_eq!(found, (0..COUNT).map(|n| (n, n)).collect::<Vec<_>>(), "size {size}");
    }
}

pub async fn trails_are_numbered_apart(ports: Ports) {
    let (alice, app, _) = place(&ports).await;
    let other = new_project(&ports, alice.id, "other").await;
    for (trail, count) in
        [(Trail::Account(alice.id), 1), (Trail::Project(app.id), 2), (Trail::Project(other.id), 1)]
    {
        let events = events(&ports, trail).await;
        assert_eq!(events.len(), count);
        assert!((0u64..).zip(&events).all(|(index, e)| e.index == index && e.line.trail == trail));
    }
    // A project and an account with the same bytes are two trails.
    let twin = Trail::Account(veilcore::id::AccountId::from_bytes(*app.id.as_bytes()));
    assert_eq!(events(&ports, twin).await, []);
}

pub async fn lines_of_many_writers_are_dense(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let trail = Trail::Account(alice.id);
    let mut race = JoinSet::new();
    for writer in 1..=WRITERS {
        let directory = ports.directory.clone();
        let line = Line { version: u64::from(writer), ..line(trail, Kind::AccountUpdate) };
        race.spawn(async move {
            directory.rename_account(alice.id, format!("{writer}"), line).await.expect("the store works")
        });
    }
    assert!(race.join_all().await.into_iter().all(|renamed| renamed));
    let events = events(&ports, trail).await;
    assert!((0u64..).zip(&events).all(|(index, event)| event.index == index));
    let mut writers: Vec<_> = events.iter().map(|e| e.line.version).collect();
    writers.sort_unstable();
    assert_eq!(writers, (0..=u64::from(WRITERS)).collect::<Vec<_>>());
}

pub async fn a_trail_outlives_what_it_tells_of(ports: Ports) {
    let (alice, app, _) = place(&ports).await;
    let delete = line(Trail::Project(app.id), Kind::ProjectDelete);
    assert!(ports.catalog.delete_project(app.id, delete).await.expect("the store works"));
    let delete = line(Trail::Account(alice.id), Kind::AccountDelete);
    assert!(ports.directory.delete_account(alice.id, delete).await.expect("the store works"));
    let expected = [Kind::ProjectCreate, Kind::EnvironmentCreate, Kind::ProjectDelete];
    assert_eq!(kinds(&ports, Trail::Project(app.id)).await, expected);
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await, [Kind::AccountCreate, Kind::AccountDelete]);
}
