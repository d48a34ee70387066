use futures_util::stream;
use tower::ServiceExt;
use veilchain::{
    checkpoint::{self, Checkpoint},
    hash::{Hash, leaf_hash, node_hash},
    key::{KeyType, SigningKey},
    note::Note,
    witness::{AddCheckpoint, checkpoint_path, parse_cosignatures},
};
use veilcloud_domain::{
    audit::witness::{KnownLogs, WitnessKey, testkit::MemoryWitness},
    testkit::{ScriptedClock, SeededEntropy},
};

use super::*;

const LOG: &str = "log.example/directory";

struct World {
    log: SigningKey,
    store: Arc<MemoryWitness>,
    witness: Arc<Witness>,
}

struct Answer {
    status: u16,
    kind: String,
    body: String,
}

impl World {
    fn new() -> Self {
        let log = SigningKey::from_seed(LOG, KeyType::Ed25519, &[1; 32]).unwrap();
        let mut logs = KnownLogs::new();
        logs.add(&log.verifier().encode()).unwrap();
        let key = WitnessKey::generate("witness.example", &SeededEntropy::default()).unwrap();
        let store = Arc::new(MemoryWitness::default());
        let witness = Arc::new(Witness::new(key, logs, store.clone(), Arc::new(ScriptedClock::default())));
        Self { log, store, witness }
    }

    async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
        let response = witness_router(self.witness.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status, kind: kind.unwrap_or_default(), body }
    }

    async fn add(&self, old_size: u64, path: &[Hash], size: u64, root: Hash) -> Answer {
        let checkpoint = Checkpoint::new(self.log.verifier().name(), size, root).unwrap();
        let note = checkpoint::sign(&checkpoint, &[&self.log]).unwrap().encode();
        let request = AddCheckpoint { old_size, path: path.to_vec(), checkpoint: note.into_bytes() };
        self.call("POST", "/add-checkpoint", request.encode()).await
    }
}

#[tokio::test]
async fn a_checkpoint_is_cosigned_and_shown() {
    let world = World::new();
    let path = format!("/{}", checkpoint_path(LOG));
    assert_eq!(world.call("GET", &path, "").await.status, 404);
    let root = leaf_hash(b"a");
    let answer = world.add(0, &[], 1, root).await;
    assert_eq!((answer.status, answer.kind.as_str()), (200, TEXT));
    assert_eq!(parse_cosignatures(answer.body.as_bytes()).unwrap().len(), 1);
    let shown = world.call("GET", &path, "").await;
    assert_eq!((shown.status, shown.kind.as_str()), (200, TEXT));
    let keys = [world.log.verifier().clone(), world.witness.verifier().clone()];
    assert_eq!(Note::parse(shown.body.as_bytes()).unwrap().verify(&keys).unwrap().len(), 2);
    assert!(shown.body.ends_with(&answer.body));
}

#[tokio::test]
async fn each_refusal_is_the_one_of_the_specification() {
    let mut world = World::new();
    let [a, b] = [leaf_hash(b"a"), leaf_hash(b"b")];
    world.add(0, &[], 1, a).await;
    let conflict = world.add(0, &[], 2, node_hash(&a, &b)).await;
    assert_eq!((conflict.status, conflict.kind.as_str()), (409, "text/x.tlog.size"));
    assert_eq!(conflict.body, "1\n");
    assert_eq!(world.add(2, &[], 1, a).await.status, 400);
    assert_eq!(world.add(1, &[a], 2, node_hash(&a, &b)).await.status, 422);
    assert_eq!(world.call("POST", "/add-checkpoint", "old 0\n").await.status, 400);
    world.log = SigningKey::from_seed(LOG, KeyType::Ed25519, &[2; 32]).unwrap();
    assert_eq!(world.add(0, &[], 1, a).await.status, 403);
    world.log = SigningKey::from_seed("other.example", KeyType::Ed25519, &[1; 32]).unwrap();
    assert_eq!(world.add(0, &[], 1, a).await.status, 404);
}

#[tokio::test]
async fn only_the_calls_that_there_are_are_answered() {
    let world = World::new();
    assert_eq!(world.call("GET", "/health", "").await.status, 200);
    assert_eq!(world.call("GET", "/add-checkpoint", "").await.status, 405);
    assert_eq!(world.call("POST", "/00/checkpoint", "").await.status, 405);
    assert_eq!(world.call("GET", "/00/checkpoint", "").await.status, 404);
    assert_eq!(world.call("GET", "/%ff/checkpoint", "").await.status, 400);
    assert_eq!(world.call("GET", "/", "").await.status, 404);
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let world = World::new();
    let answer = world.call("POST", "/add-checkpoint", vec![b'a'; BODY_LEN_MAX + 1]).await;
    assert_eq!(answer.status, 413);
    let pieces = stream::iter((0..).map(|_| Ok::<_, std::io::Error>(vec![b'a'; 1024])));
    let answer = world.call("POST", "/add-checkpoint", Body::from_stream(pieces)).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let world = World::new();
    let never = stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let answer = world.call("POST", "/add-checkpoint", Body::from_stream(never)).await;
    assert_eq!(answer.status, 408);
}

#[tokio::test]
async fn what_the_store_said_is_not_told() {
    let world = World::new();
    world.store.fail_next_advance();
    let answer = world.add(0, &[], 1, leaf_hash(b"a")).await;
    assert_eq!(answer.status, 503);
    assert!(!answer.body.contains("asked to fail"), "{}", answer.body);
}
