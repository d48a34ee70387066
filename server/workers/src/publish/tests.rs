use std::sync::Arc;

use veilcloud_domain::{
    audit::{
        log::Log,
        model::{Kind, Line, Trail},
        port::{LogStore, Lost, Outbox},
    },
    testkit::{MemoryStore, ScriptedClock, log_keys},
};

use super::*;

const LOG: Trail = Trail::Directory;

struct Bench {
    store: MemoryStore,
    log: Arc<Log>,
    stop: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let store = MemoryStore::new(Arc::new(ScriptedClock::default()));
        Self { store, log: Log::new(), stop: CancellationToken::new() }
    }

    fn parts(&self) -> Parts {
        Parts {
            store: Arc::new(self.store.clone()),
            outbox: Arc::new(self.store.clone()),
            keys: log_keys(),
            clock: Arc::new(ScriptedClock::default()),
            log: self.log.clone(),
            heads: None,
        }
    }

    async fn start(&self) -> Handle {
        let service = Service::new(self.parts(), Options::default()).unwrap();
        service.start(self.stop.clone()).await.unwrap()
    }

    async fn record(&self, log: Trail) {
        let actor = actor();
        let line = Line {
            trail: log,
            kind: Kind::KeyPublish,
            actor,
            at_ms: 1,
            environment: None,
            version: 1,
            digest: None,
            key: None,
            by_number: false,
        };
        self.store.record(line).await.unwrap();
    }

    fn size(&self) -> u64 {
        self.store.peek_log(LOG, |stored| stored.state.size).unwrap_or(0)
    }
}

/// An id without a dependency on the crate that defines it.
fn actor<T: std::str::FromStr>() -> T {
    match "09090909-0909-0909-0909-090909090909".parse() {
        Ok(id) => id,
        Err(_) => panic!("an id in a test is one"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_served_at_once() {
    let bench = Bench::new();
    let handle = bench.start().await;
    bench.record(LOG).await;
    let began = Instant::now();
    bench.log.settle(LOG).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(bench.size(), 1);
    bench.stop.cancel();
    handle.drained().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lines_of_a_process_that_died_are_taken_at_the_start_and_later_ones_in_time() {
    let bench = Bench::new();
    bench.record(LOG).await;
    let _handle = bench.start().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(bench.size(), 1);
    bench.record(LOG).await;
    tokio::time::sleep(POLL + Duration::from_millis(1)).await;
    assert_eq!(bench.size(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_batch_is_tried_again_with_the_next_poll() {
    let bench = Bench::new();
    let _handle = bench.start().await;
    bench.record(LOG).await;
    bench.store.fail_next("stage");
    assert!(bench.log.settle(LOG).await.is_err());
    assert_eq!(bench.size(), 0);
    tokio::time::sleep(POLL + Duration::from_millis(1)).await;
    assert_eq!(bench.size(), 1);
    // So is a poll that failed.
    bench.record(LOG).await;
    bench.store.fail_next("waiting");
    tokio::time::sleep(POLL).await;
    assert_eq!(bench.size(), 1);
    tokio::time::sleep(POLL).await;
    assert_eq!(bench.size(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_loop_takes_what_is_there_and_ends() {
    let bench = Bench::new();
    let handle = bench.start().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    bench.record(LOG).await;
    bench.log.note(LOG);
    let began = Instant::now();
    bench.stop.cancel();
    handle.drained().await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(bench.size(), 1);
    assert!(bench.log.settle(LOG).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_lost_the_logs_ends_with_the_reason() {
    let bench = Bench::new();
    let mut handle = bench.start().await;
    bench.log.check().unwrap();
    LogStore::fence(&bench.store).await.unwrap();
    bench.record(LOG).await;
    assert!(bench.log.settle(LOG).await.is_err());
    let ended = handle.ended().await;
    assert!(matches!(ended, Err(Error::Lost(LogsLost(Lost::Fenced)))));
    assert!(bench.log.check().is_err());
    assert_eq!(bench.size(), 0);
}

#[tokio::test]
async fn logs_that_cannot_be_taken_are_an_error_at_the_start() {
    let bench = Bench::new();
    bench.store.fail_next("fence");
    let service = Service::new(bench.parts(), Options::default()).unwrap();
    assert!(matches!(service.start(bench.stop.clone()).await, Err(Error::Store(_))));
}

#[test]
fn options_that_would_spin_or_do_nothing_are_refused() {
    let bench = Bench::new();
    let usual = Options::default();
    for options in [
        Options { poll: Duration::ZERO, ..usual },
        Options { batch_leaves: 0, ..usual },
        Options { batch_leaves: BATCH_LEAVES_MAX + 1, ..usual },
    ] {
        assert!(matches!(Service::new(bench.parts(), options), Err(Error::Options)));
    }
}
