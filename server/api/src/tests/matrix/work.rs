//! What a refusal costs: the same calls of the same ports in the same order, whether an id is somebody else's or nobody's.
//! Equal milliseconds would be a test of the machine; equal work is what makes them equal.

use super::{
    callers::{ASKERS, Asker},
    expect::{Whose, refusal},
    place::Place,
    rows::ROWS,
};

#[tokio::test]
async fn a_foreign_id_and_an_absent_one_make_the_same_calls() {
    let place = Place::new().await;
    let store = &place.port.world.store;
    let mut compared = 0;
    for asker in ASKERS {
        for row in ROWS.iter().filter(|row| row.1.contains('$')) {
            let mut works = Vec::new();
            // The first round fills the caches: what is kept of an id must not depend on whose it is either.
            for round in 0..2 {
                for (whose, ids) in [(Whose::Foreign, &place.foreign), (Whose::Random, &place.random)] {
                    let ask = place.ask(row.0, row.1, ids);
                    if refusal(*asker, whose, &ask, row.1, &place).is_none() {
                        continue;
                    }
                    let mut narrowed = Vec::new();
                    let credential = asker.shows(&ask, &place, &mut narrowed);
                    store.record_calls();
                    place.port.over_grpc(&ask.method.path, &ask.message(), &credential).await;
                    works.push((round, store.take_calls()));
                }
            }
            for pair in works.chunks(2) {
                let [(_, foreign), (_, absent)] = pair else { panic!("one of two is refused: {}", row.0) };
                assert_eq!(foreign, absent, "{asker:?} {}", row.0);
                compared += 1;
            }
        }
    }
    assert!(compared > 500, "{compared}");
}

#[tokio::test]
async fn whoever_shows_no_good_credential_costs_the_projects_nothing() {
    let place = Place::new().await;
    let store = &place.port.world.store;
    for asker in [Asker::Nobody, Asker::WrongAudience] {
        for row in ROWS {
            let ask = place.ask(row.0, row.1, &place.foreign);
            if refusal(asker, Whose::Foreign, &ask, row.1, &place).is_none() {
                continue;
            }
            let mut narrowed = Vec::new();
            let credential = asker.shows(&ask, &place, &mut narrowed);
            store.record_calls();
            place.port.over_grpc(&ask.method.path, &ask.message(), &credential).await;
            assert_eq!(store.take_calls(), Vec::<&str>::new(), "{asker:?} {}", row.0);
        }
    }
}
