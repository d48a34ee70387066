//! The audit trail. That refusals leave no line, each suite checks for its own port; here is the trail itself.

use tokio::task::JoinSet;

use super::sample::*;
use crate::{
    audit::{
        model::{Kind, Line, Trail},
        port::RECORD_MAX,
    },
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
    assert_eq!(committed, Ok(2));
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
    assert!(commit(&ports, app.id, &mut version(production.id, 10, b"y"), stale).await.is_err());
    assert_eq!(events(&ports, Trail::Project(app.id)).await, before);
}

pub async fn lines_are_given_from_any_index_at_every_limit(ports: Ports) {
    const COUNT: u64 = 6;
    let alice = new_account(&ports, "alice@example.org").await;
    for n in 1..COUNT {
        let update = Line { version: n, ..line(Trail::Account(alice.id), Kind::AccountUpdate) };
        ports.directory.rename_account(alice.id, format!("{n}"), update).await.expect("the store works");
    }
    for first in 0..=COUNT + 1 {
        for limit in 0..=COUNT as usize + 1 {
            let found = ports.outbox.pending(Trail::Account(alice.id), first, limit).await;
            let found: Vec<_> =
                found.expect("the store works").iter().map(|e| (e.index, e.line.version)).collect();
            let expected: Vec<_> = (first..COUNT).map(|n| (n, n)).take(limit).collect();
            assert_eq!(found, expected, "from {first}, at most {limit}");
        }
    }
}

pub async fn a_line_of_no_change_is_recorded_after_those_before_it(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    let read = Line {
        actor: alice.id,
        environment: Some(production.id),
        version: 3,
        digest: Some(bytes32()),
        by_number: true,
        ..line(Trail::Project(app.id), Kind::BlobRead)
    };
    assert_eq!(ports.outbox.record(read.clone()).await.expect("the store works"), 2);
    assert_eq!(ports.outbox.record(read.clone()).await.expect("the store works"), 3);
    let events = events(&ports, Trail::Project(app.id)).await;
    assert_eq!(events[1].line.kind, Kind::EnvironmentCreate);
    assert_eq!(events[2..].iter().map(|e| (e.index, &e.line)).collect::<Vec<_>>(), [(2, &read), (3, &read)]);
}

/// Reads of a project and of an account by turns, told apart by their number.
fn reads(trails: [Trail; 2], count: usize) -> Vec<Line> {
    let read = |n: usize| Line { version: n as u64, ..line(trails[n % 2], Kind::BlobRead) };
    (0..count).map(read).collect()
}

pub async fn many_lines_are_recorded_in_their_order_in_each_trail(ports: Ports) {
    let (alice, app, _) = place(&ports).await;
    let trails = [Trail::Project(app.id), Trail::Account(alice.id)];
    assert_eq!(ports.outbox.record_all(Vec::new()).await.expect("the store works"), []);
    // The project has two lines and the account one.
    let mut next = [2_u64, 1];
    for count in [1, 2, 7, 700, RECORD_MAX] {
        let lines = reads(trails, count);
        let expected = (0..count).map(|n| next[n % 2] + (n / 2) as u64).collect::<Vec<_>>();
        assert_eq!(ports.outbox.record_all(lines.clone()).await.expect("the store works"), expected);
        for (trail, of) in [(0, lines.iter().step_by(2)), (1, lines[count.min(1)..].iter().step_by(2))] {
            let found = ports.outbox.pending(trails[trail], next[trail], RECORD_MAX).await;
            let found: Vec<_> =
                found.expect("the store works").into_iter().map(|e| (e.index, e.line)).collect();
            assert_eq!(found, (next[trail]..).zip(of.cloned()).collect::<Vec<_>>());
            next[trail] += found.len() as u64;
        }
    }
    // From any place on, also from inside of what was recorded together.
    let found = ports.outbox.pending(trails[0], 5, 3).await.expect("the store works");
    assert_eq!(found.iter().map(|event| event.index).collect::<Vec<_>>(), [5, 6, 7]);
}

pub async fn of_many_recorders_each_is_told_its_own_places(ports: Ports) {
    let trail = Trail::Directory;
    let mut race = JoinSet::new();
    for writer in 0..u64::from(WRITERS) {
        let outbox = ports.outbox.clone();
        let read = move |n| Line { version: 1 + 10 * writer + n, ..line(trail, Kind::LogKey) };
        race.spawn(async move {
            let lines: Vec<_> = (0..writer % 4).map(read).collect();
            let mut indexes = outbox.record_all(lines.clone()).await.expect("the store works");
            indexes.push(outbox.record(read(9)).await.expect("the store works"));
            indexes.into_iter().zip(lines.into_iter().chain([read(9)])).collect::<Vec<_>>()
        });
    }
    let mut told = race.join_all().await;
    assert!(told.iter().all(|own| own.windows(2).all(|pair| pair[0].0 < pair[1].0)));
    let mut told: Vec<_> = told.drain(..).flatten().collect();
    told.sort_by_key(|(index, _)| *index);
    let found = ports.outbox.pending(trail, 0, RECORD_MAX).await.expect("the store works");
    assert_eq!(found.into_iter().map(|event| (event.index, event.line)).collect::<Vec<_>>(), told);
    assert!((0..).zip(&told).all(|(expected, (index, _))| expected == *index));
}

pub async fn more_lines_at_once_than_are_taken_are_refused_whole(ports: Ports) {
    let lines = vec![line(Trail::Directory, Kind::LogKey); RECORD_MAX + 1];
    assert!(ports.outbox.record_all(lines).await.is_err());
    assert_eq!(ports.outbox.waiting(None, 10).await.expect("the store works"), []);
}

pub async fn trails_with_lines_are_listed_in_order_at_every_size(ports: Ports) {
    let (alice, app, _) = place(&ports).await;
    ports.outbox.record(line(Trail::Directory, Kind::LogKey)).await.expect("the store works");
    let mut expected = vec![Trail::Account(alice.id), Trail::Project(app.id), Trail::Directory];
    expected.sort();
    for limit in 1..=4 {
        let (mut found, mut after) = (Vec::<Trail>::new(), None);
        loop {
            let page = ports.outbox.waiting(after, limit).await.expect("the store works");
            assert!(page.len() <= limit);
            found.extend(&page);
            after = page.last().copied();
            if page.len() < limit {
                break;
            }
        }
        assert_eq!(found, expected, "{limit} at a time");
    }
}

pub async fn a_change_writes_its_lines_to_every_trail_or_to_none(ports: Ports) {
    let alice = account("alice@example.org");
    let keys =
        |kind| Line { actor: alice.id, version: 1, digest: Some([7; 32]), ..line(Trail::Directory, kind) };
    let own = |kind| line(Trail::Account(alice.id), kind);
    let lines = vec![own(Kind::AccountCreate), keys(Kind::KeyPublish)];
    assert!(ports.directory.create_account(alice.clone(), lines.clone()).await.expect("the store works"));
    assert!(!ports.directory.create_account(alice.clone(), lines).await.expect("the store works"));
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await, [Kind::AccountCreate]);
    assert_eq!(kinds(&ports, Trail::Directory).await, [Kind::KeyPublish]);
    let found = ports.directory.account(alice.id).await.expect("the store works");
    assert_eq!(found.and_then(|account| account.key_index), Some(0));
    let lines = vec![own(Kind::AccountDelete), keys(Kind::KeyRevoke)];
    assert!(
        ports.directory.delete_account(alice.id, lines.clone()).await.expect("the store works").is_done()
    );
    assert!(!ports.directory.delete_account(alice.id, lines).await.expect("the store works").is_done());
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await, [Kind::AccountCreate, Kind::AccountDelete]);
    let directory = events(&ports, Trail::Directory).await;
    assert_eq!(directory[1].line, keys(Kind::KeyRevoke));
    assert_eq!(directory.len(), 2);
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
    let delete = vec![line(Trail::Account(alice.id), Kind::AccountDelete)];
    assert!(ports.directory.delete_account(alice.id, delete).await.expect("the store works").is_done());
    let expected = [Kind::ProjectCreate, Kind::EnvironmentCreate, Kind::ProjectDelete];
    assert_eq!(kinds(&ports, Trail::Project(app.id)).await, expected);
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await, [Kind::AccountCreate, Kind::AccountDelete]);
}
