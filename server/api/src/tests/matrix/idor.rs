//! The matrix: every RPC, asked by everybody who must be refused, for their own ids, for somebody else's and for nobody's.

use std::collections::BTreeSet;

use super::{
    callers::{ASKERS, Asker},
    expect::{REFUSALS, WHOSE, Whose, refusal},
    place::{Ids, Place, method_named, short_name},
    rows::{ROWS, Row, TOLD},
    send::{Ask, Credential, Seen},
};
use crate::contract::METHODS;

/// Least cells that a whole matrix has; fewer means that something was left out.
const CELLS_LEAST: usize = 4000;

/// What was asked, and how often.
#[derive(Default)]
struct Count {
    refused: usize,
    passed: usize,
    requests: usize,
}

#[test]
fn every_rpc_has_a_row_and_every_row_an_rpc() {
    let known: BTreeSet<String> = METHODS.values().map(|method| short_name(&method.name)).collect();
    let rows: BTreeSet<String> = ROWS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let without: Vec<_> = known.difference(&rows).collect();
    assert!(without.is_empty(), "RPCs without a row in matrix/rows.rs: {without:?}");
    let gone: Vec<_> = rows.difference(&known).collect();
    assert!(gone.is_empty(), "rows in matrix/rows.rs of RPCs that are gone: {gone:?}");
    assert_eq!(rows.len(), ROWS.len(), "a row is there twice");
}

#[tokio::test]
async fn everybody_is_refused_what_is_not_theirs_and_nothing_tells_foreign_from_absent() {
    let place = Place::new().await;
    let mut count = Count::default();
    let before = place.port.world.store.picture();
    for asker in ASKERS {
        column(&place, *asker, &mut count).await;
    }
    assert_unchanged(&before, &place.port.world.store.picture());

    // Who may look does: a matrix that refuses everything would prove nothing.
    for asker in ASKERS {
        lookers(&place, *asker, &mut count).await;
    }

    let logout = place.ask("AuthService.Logout", r#"{"everywhere": true}"#, &place.own);
    let owner = Credential::Session(&place.ada.session().capability, &place.ada.holder);
    assert_eq!(place.port.over_grpc(&logout.method.path, &logout.message(), &owner).await.reason, "OK");
    let before = place.port.world.store.picture();
    column(&place, Asker::Revoked, &mut count).await;
    place.port.world.clock.advance(16 * 60_000);
    column(&place, Asker::Expired, &mut count).await;
    assert_unchanged(&before, &place.port.world.store.picture());
    let Count { refused, passed, requests } = count;
    println!("{} RPCs, {refused} cells refused, {passed} cells let through, {requests} requests", ROWS.len());
    assert!(refused + passed >= CELLS_LEAST, "{refused} + {passed}");
}

/// All cells of an asker that must be refused.
async fn column(place: &Place, asker: Asker, count: &mut Count) {
    for row in ROWS {
        let mut answers = Vec::new();
        for whose in WHOSE {
            let ids = ids(place, whose);
            let ask = place.ask(row.0, row.1, ids);
            let Some(reason) = refusal(asker, whose, &ask, row.1, place) else { continue };
            let seen = everywhere(place, asker, &ask, count).await;
            for one in &seen {
                assert_eq!(one.reason, reason, "{asker:?} {whose:?} {}: {one:?}", row.0);
            }
            count.refused += seen.len();
            if whose != Whose::Own {
                answers.push(seen.iter().map(|one| blind(one, ids)).collect::<Vec<_>>());
            }
        }
        if let [foreign, absent] = &answers[..] {
            assert_eq!(foreign, absent, "{asker:?} can tell by {}", row.0);
        }
    }
}

/// All cells of an asker that must pass and change nothing.
async fn lookers(place: &Place, asker: Asker, count: &mut Count) {
    for row in ROWS {
        let ask = place.ask(row.0, row.1, &place.own);
        let passes = refusal(asker, Whose::Own, &ask, row.1, place).is_none();
        if !passes || ask.method.access.mutation {
            continue;
        }
        for one in everywhere(place, asker, &ask, count).await {
            assert!(!REFUSALS.contains(&&*one.reason), "{asker:?} {}: {one:?}", row.0);
            count.passed += 1;
        }
    }
}

/// Asks over gRPC and over every REST path; only the first may have an effect of its own.
async fn everywhere(place: &Place, asker: Asker, ask: &Ask, count: &mut Count) -> Vec<Seen> {
    let mut narrowed = Vec::new();
    let credential = asker.shows(ask, place, &mut narrowed);
    let mut seen = vec![place.port.over_grpc(&ask.method.path, &ask.message(), &credential).await];
    for rest in ask.rest() {
        seen.push(place.port.over_rest(&rest, &credential).await.expect("a request of a row is one"));
    }
    count.requests += seen.len();
    seen
}

fn ids(place: &Place, whose: Whose) -> &Ids {
    match whose {
        Whose::Own => &place.own,
        Whose::Foreign => &place.foreign,
        Whose::Random => &place.random,
    }
}

/// An answer with the ids taken out that were in the question.
fn blind(seen: &Seen, ids: &Ids) -> String {
    ids.values().fold(seen.without("\u{0}"), |text, id| text.replace(id.as_str(), "{id}"))
}

fn assert_unchanged(before: &[String], after: &[String]) {
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(gone.is_empty() && new.is_empty(), "a refusal changed something: {gone:?} became {new:?}");
}

#[tokio::test]
async fn every_row_is_a_request_that_its_owner_may_make() {
    let mut wrong = Vec::new();
    for (method, template, expected) in ROWS {
        let place = Place::new().await;
        let ask = place.ask(method, template, &place.own);
        let owner = Credential::Session(&place.ada.session().capability, &place.ada.holder);
        let seen = place.port.over_grpc(&ask.method.path, &ask.message(), &owner).await;
        if seen.reason != *expected {
            wrong.push(format!("{method}: {} {}", seen.reason, String::from_utf8_lossy(&seen.rest)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A project of one's own, and in it the team, upload, account or key of somebody else: no better than one of nobody's.
#[tokio::test]
async fn a_foreign_id_inside_ones_own_request_is_no_better_than_none() {
    let place = Place::new().await;
    let before = place.port.world.store.picture();
    let mut compared = 0;
    for row in ROWS {
        for name in second_ids(row) {
            if TOLD.iter().any(|(method, field, _)| (*method, *field) == (row.0, name)) {
                continue;
            }
            let mut answers = Vec::new();
            for whose in [Whose::Foreign, Whose::Random] {
                let mut mixed = place.own.clone();
                mixed.insert(name, ids(&place, whose)[name].clone());
                let ask = place.ask(row.0, row.1, &mixed);
                let seen = everywhere(&place, Asker::Owner, &ask, &mut Count::default()).await;
                for one in seen.iter().filter(|_| ask.method.access.mutation) {
                    assert_ne!(one.reason, "OK", "{} with a {name} {whose:?}", row.0);
                }
                answers.push(seen.iter().map(|one| blind(one, &mixed)).collect::<Vec<_>>());
            }
            assert_eq!(answers[0], answers[1], "{} tells whether a {name} is there", row.0);
            compared += 1;
        }
    }
    assert_unchanged(&before, &place.port.world.store.picture());
    assert!(compared >= 8, "{compared}");
}

/// The ids of a row beside the one that it is judged by.
fn second_ids(row: &Row) -> Vec<&'static str> {
    let all = ["project_id", "team_id", "api_key_id", "token_id", "upload_id", "account_id", "member_id"];
    let named = all.into_iter().filter(|name| row.1.contains(&format!("\"${name}\"")));
    let judged = if method_named(row.0).resource.is_some() { "project_id" } else { "team_id" };
    named.filter(|name| *name != judged && !["api_key_id", "token_id"].contains(name)).collect()
}

#[test]
fn what_is_told_has_a_reason_and_a_row() {
    for (method, field, why) in TOLD {
        let row = ROWS.iter().find(|(name, ..)| name == method);
        assert!(row.is_some_and(|row| row.1.contains(&format!("${field}"))), "{method} {field}");
        assert!(why.len() > 10, "{method} {field}");
    }
}
