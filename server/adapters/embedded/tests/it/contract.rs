//! The domain's contract suites, each test on a folder of its own.

use std::sync::Arc;

use veilcloud_domain::testkit::Ports;

use crate::support;

async fn fresh() -> Ports {
    let (folder, stores) = support::fresh();
    Ports {
        directory: stores.directory(),
        api_keys: stores.api_keys(),
        capabilities: stores.capabilities(),
        attempts: stores.attempts(),
        meter: stores.meter(),
        nullifiers: stores.nullifiers(),
        replies: stores.replies(),
        catalog: stores.catalog(),
        grants: stores.grants(),
        keyrings: stores.keyrings(),
        roster: stores.roster(),
        shelf: stores.shelf(),
        blobs: stores.blobs(),
        staging: stores.staging(),
        uploads: stores.uploads(),
        outbox: stores.outbox(),
        logs: stores.logs(),
        guard: Arc::new(folder),
    }
}

veilcloud_domain::contract_tests!(all, fresh);

#[tokio::test]
async fn of_a_hundred_writers_of_access_lists_one_wins_each_number() {
    veilcloud_domain::testkit::contract::grants::races::of_access_lists(fresh().await, 100).await;
}
