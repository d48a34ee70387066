//! Somebody is taken out, and the server would like them to stay.

use super::lies::reason;
use super::server::Server;
use super::shared::{READ, WRITE, calls, entry, machine, opens, person, publish, push, scene};
use super::*;
use crate::IntegrityReason::*;
use crate::access::{ExposureBasis, ShareOutcome, Vouched};
use crate::session::Session;

const OTHER: &str = "staging";

/// The reason of each step that failed, by environment.
fn failures(outcome: &ShareOutcome) -> Vec<(Option<&str>, Option<crate::IntegrityReason>)> {
    let told = |left: &crate::Unfinished| match left.error.kind() {
        crate::ErrorKind::Integrity(reason) => Some(reason),
        _ => None,
    };
    outcome.unfinished.iter().map(|left| (left.environment.as_deref(), told(left))).collect()
}

/// Alice's project with two environments that Bob can open.
async fn two() -> (Server, Session, Session, [u8; 32], Client) {
    let (server, alice, bob, key) = scene().await;
    let hers = machine(&server, &alice);
    calls(&server, &alice, &alice);
    server.state().keyring_author = None;
    let options = PutOptions::default();
    hers.storage().put(&project(), OTHER, b"two".to_vec(), options).await.expect("stored");
    (server, alice, bob, key, hers)
}

async fn shut_out(client: &Client, who: &Session) -> ShareOutcome {
    client.projects().shut_out(&project(), &[who.account()], None).await.expect("the list is in force")
}

#[tokio::test]
async fn that_a_key_is_new_is_seen_and_one_that_is_not_stops_no_other() {
    // Said to have been done by somebody else; said to be done.
    for (keeps, expected) in [(true, KeyOutdated), (false, EpochRolledBack)] {
        let (server, alice, bob, _, hers) = two().await;
        {
            let mut state = server.state();
            let lied = if keeps { &mut state.keeps_key } else { &mut state.forgets_key };
            lied.push(ENV.to_owned());
        }
        let outcome = shut_out(&hers, &bob).await;
        assert!(!outcome.is_complete());
        assert!(failures(&outcome).contains(&(Some(ENV), Some(expected))), "{outcome:?}");
        assert_eq!((outcome.removed, outcome.rotated), (vec![bob.account()], vec![OTHER.to_owned()]));
        assert!(opens(&server, ENV, &alice, &bob) && !opens(&server, OTHER, &alice, &bob));
        // Nothing is sealed to it, also by a machine that has seen only the list.
        let fresh = machine(&server, &alice);
        fresh.projects().access(&project()).await.expect("checked");
        assert!(put(&fresh, b"three").await.is_err());
        // Repeating it finishes it.
        server.state().keeps_key.clear();
        server.state().forgets_key.clear();
        let fresh = machine(&server, &alice);
        let outcome = shut_out(&fresh, &bob).await;
        assert_eq!((outcome.is_complete(), outcome.rotated), (true, vec![ENV.to_owned()]));
        assert!(!opens(&server, ENV, &alice, &bob));
    }
}

#[tokio::test]
async fn a_removal_that_the_server_keeps_to_itself_is_told() {
    let (server, alice, bob, _, hers) = two().await;
    server.state().swaps_list = Some(Vec::new());
    let said = hers.projects().shut_out(&project(), &[bob.account()], None).await;
    assert_eq!(reason(said), Some(RolledBack));
    // Who has seen the removal is not shown the list from before it, nor made to seal to the key from before it.
    let outcome = shut_out(&hers, &bob).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let lists = server.state().lists.clone();
    server.state().lists.truncate(1);
    assert_eq!(reason(hers.projects().access(&project()).await), Some(RolledBack));
    server.state().lists = lists;
    // A machine that has never seen the new epochs, and knows the list.
    server.change(ENV, |row| {
        (row.epoch, row.versions) = (1, row.versions[..1].to_vec());
        row.keyrings.truncate(1);
        row.makers.truncate(1);
    });
    let fresh = machine(&server, &alice);
    fresh.projects().access(&project()).await.expect("checked");
    put(&fresh, b"not for bob").await.expect("under a new key");
    assert_eq!((server.row(ENV).epoch, opens(&server, ENV, &alice, &bob)), (2, false));
}

#[tokio::test]
async fn the_key_of_somebody_who_left_is_replaced_and_what_he_wrote_is_told() {
    let (server, alice, bob, _, hers) = two().await;
    let his = machine(&server, &bob);
    his.environments(&project()).rotate(ENV).await.expect("his key");
    put(&his, b"by bob").await.expect("stored");
    calls(&server, &alice, &alice);
    server.state().keyring_author = None;
    let before = server.row(ENV).epoch;
    let outcome = shut_out(&hers, &bob).await;
    let told = Vouched { environment: ENV.to_owned(), version: 3, author_id: bob.account() };
    assert_eq!((outcome.is_complete(), &outcome.vouched[..]), (true, &[told][..]), "{outcome:?}");
    assert_eq!(server.row(ENV).epoch, before + 1);
    assert!(opens(&server, ENV, &alice, &alice) && !opens(&server, ENV, &alice, &bob));
    assert_eq!(get(&hers, None).await.expect("read"), b"by bob");
    // The list alone, by somebody whose machine was stopped then: repeating it replaces his keys.
    push(&server, &alice, &[entry(&bob, publish(&server, &bob), READ | WRITE)]);
    hers.environments(&project()).rotate(ENV).await.expect("with a key for him");
    calls(&server, &bob, &alice);
    server.state().keyring_author = None;
    his.environments(&project()).rotate(ENV).await.expect("again his");
    push(&server, &alice, &[]);
    calls(&server, &alice, &alice);
    server.state().keyring_author = None;
    let outcome = shut_out(&hers, &bob).await;
    assert_eq!((outcome.removed, outcome.rotated), (vec![], vec![ENV.to_owned(), OTHER.to_owned()]));
    assert!(!opens(&server, ENV, &alice, &bob));
}

#[tokio::test]
async fn content_that_an_interrupted_rotation_left_behind_is_sealed_by_the_next() {
    let (server, alice, bob, _, hers) = two().await;
    server.state().refuses_puts = true;
    let outcome = shut_out(&hers, &bob).await;
    let left: Vec<_> = outcome.unfinished.iter().map(|left| left.environment.as_deref()).collect();
    assert_eq!(left, [Some(ENV), Some(OTHER)], "{outcome:?}");
    assert_eq!(outcome.rotated, [ENV, OTHER], "the keys are new");
    server.state().refuses_puts = false;
    let outcome = shut_out(&hers, &bob).await;
    assert!(outcome.is_complete() && outcome.rotated.is_empty(), "{outcome:?}");
    let heads = [ENV, OTHER].map(|name| server.row(name).versions.last().map(|(info, _)| info.epoch));
    assert_eq!(heads, [Some(2), Some(2)]);
    assert!(!opens(&server, ENV, &alice, &bob));
}

#[tokio::test]
async fn what_somebody_could_open_is_told_also_where_the_server_hides_it() {
    let (server, _, bob, _, hers) = two().await;
    let his = machine(&server, &bob);
    get(&his, None).await.expect("read");
    let carol = person(4);
    calls(&server, &session(1, 10), &session(1, 10));
    server.state().keyring_author = None;
    put(&hers, b"three").await.expect("stored");
    server.state().hidden.push(ENV.to_owned());
    let outcome = shut_out(&hers, &bob).await;
    let report = outcome.exposure.as_ref().expect("somebody was removed");
    let found = |name: &str| {
        let of = |found: &&crate::Exposure| found.environment.as_deref() == Some(name);
        let found = report.environments.iter().find(of).expect("in the report");
        (found.could_open, found.is_shown, found.read.iter().copied().collect::<Vec<_>>())
    };
    assert!(report.is_log_read);
    assert_eq!(found(ENV), (Some((2, ExposureBasis::Pin)), false, vec![1]));
    assert_eq!(found(OTHER), (Some((1, ExposureBasis::Seal)), true, vec![]));
    assert!(failures(&outcome).contains(&(Some(ENV), Some(RolledBack))), "{outcome:?}");
    // A machine that has never seen it knows by the log.
    let fresh = machine(&server, &session(1, 10));
    let (report, left) = fresh.projects().exposure(&project(), &[bob.account()]).await.expect("told");
    let hidden = report.environments.iter().find(|found| !found.is_shown).expect("by the log");
    assert_eq!((hidden.could_open, &hidden.environment), (Some((2, ExposureBasis::Log)), &None));
    assert_eq!(left.len(), 1);
    // Somebody who never was in it could open nothing, as far as that can be checked; and after the removal, nothing more.
    server.state().hidden.clear();
    let (report, _) = fresh.projects().exposure(&project(), &[carol.account()]).await.expect("told");
    assert!(report.environments.iter().all(|found| found.could_open.is_none()), "{report:?}");
    let (report, _) = fresh.projects().exposure(&project(), &[bob.account()]).await.expect("told");
    let staging = report.environments.iter().find(|found| found.environment.as_deref() == Some(OTHER));
    assert_eq!(
        staging.expect("shown").could_open,
        Some((1, ExposureBasis::Seal)),
        "not the one sealed since"
    );
}
