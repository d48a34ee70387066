use std::sync::Arc;

use futures_util::future::join_all;
use veilchain::{
    checkpoint::{self, Checkpoint},
    hash::{EMPTY_ROOT, Hash, leaf_hash, node_hash},
    key::{KeyType, SigningKey, VerifierKey},
    note::Note,
    witness::{AddCheckpoint, checkpoint_path, parse_cosignatures},
};

use super::{
    port::WitnessStore,
    testkit::{Fresh, MemoryWitness},
    *,
};
use crate::testkit::{ScriptedClock, SeededEntropy};

async fn fresh() -> Fresh {
    Fresh { store: Arc::new(MemoryWitness::default()), guard: Arc::new(()) }
}

crate::witness_contract_tests!(fresh);

const LOG: &str = "log.example.org/directory";

/// A log that can show any tree, also wrong ones, and the witness that looks at it.
struct World {
    log: SigningKey,
    clock: Arc<ScriptedClock>,
    store: Arc<MemoryWitness>,
    witness: Arc<Witness>,
}

fn log_key(name: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(name, KeyType::Ed25519, &[seed; 32]).unwrap()
}

impl World {
    fn new() -> Self {
        let log = log_key(LOG, 1);
        let (clock, store) = (Arc::new(ScriptedClock::default()), Arc::new(MemoryWitness::default()));
        let key = WitnessKey::generate("witness.example", &SeededEntropy::default()).unwrap();
        let mut logs = KnownLogs::new();
        logs.add(&log.verifier().encode()).unwrap();
        let witness = Arc::new(Witness::new(key, logs, store.clone(), clock.clone()));
        Self { log, clock, store, witness }
    }

    fn note(&self, size: u64, root: Hash) -> Vec<u8> {
        let checkpoint = Checkpoint::new(self.log.verifier().name(), size, root).unwrap();
        checkpoint::sign(&checkpoint, &[&self.log]).unwrap().encode().into_bytes()
    }

    async fn add(
        &self,
        old_size: u64,
        path: &[Hash],
        size: u64,
        root: Hash,
    ) -> Result<String, WitnessRefusal> {
        let request = AddCheckpoint { old_size, path: path.to_vec(), checkpoint: self.note(size, root) };
        self.witness.add_checkpoint(&request.encode()).await
    }

    async fn status(&self, old_size: u64, path: &[Hash], size: u64, root: Hash) -> u16 {
        self.add(old_size, path, size, root).await.map_or_else(|refusal| refusal.status(), |_| 200)
    }

    async fn shown(&self) -> Option<Note> {
        let path = checkpoint_path(LOG);
        let shown = self.witness.checkpoint(path.strip_suffix("/checkpoint").unwrap()).await.unwrap();
        shown.map(|note| Note::parse(&note).unwrap())
    }
}

/// Trees of one, two and three leaves, and what proves that one extends the other.
struct Trees {
    one: Hash,
    two: Hash,
    three: Hash,
    one_to_two: Vec<Hash>,
    two_to_three: Vec<Hash>,
}

fn trees() -> Trees {
    let [a, b, c] = [leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")];
    let two = node_hash(&a, &b);
    Trees { one: a, two, three: node_hash(&two, &c), one_to_two: vec![b], two_to_three: vec![c] }
}

#[tokio::test]
async fn a_growing_log_is_cosigned_step_by_step() {
    let (world, t) = (World::new(), trees());
    for (old, path, size, root) in
        [(0, &[][..], 1, t.one), (1, &t.one_to_two, 2, t.two), (2, &t.two_to_three, 3, t.three)]
    {
        let answer = world.add(old, path, size, root).await.unwrap();
        let note = Note::parse(&world.note(size, root)).unwrap();
        let lines = parse_cosignatures(answer.as_bytes()).unwrap();
        assert_eq!(lines.len(), 1);
        let time = world.witness.verifier().verify(note.text(), &lines[0].signature).unwrap();
        assert_eq!(time, Some(1_767_225_600));
    }
}

#[tokio::test]
async fn what_is_shown_carries_the_logs_and_our_signature_and_no_others() {
    let (world, t) = (World::new(), trees());
    assert!(world.shown().await.is_none());
    let mut note = Note::parse(&world.note(1, t.one)).unwrap();
    let stranger = log_key("stranger.example", 9);
    note.add(stranger.sign_note(note.text()).unwrap()).unwrap();
    let request = AddCheckpoint { old_size: 0, path: vec![], checkpoint: note.encode().into_bytes() };
    world.witness.add_checkpoint(&request.encode()).await.unwrap();
    let shown = world.shown().await.unwrap();
    let keys = [world.log.verifier().clone(), world.witness.verifier().clone()];
    assert_eq!(shown.verify(&keys).unwrap().len(), 2);
    assert_eq!(shown.signatures().len(), 2);
    for other in ["", "00", &"0".repeat(64), "../checkpoint"] {
        assert!(world.witness.checkpoint(other).await.unwrap().is_none(), "{other}");
    }
}

#[tokio::test]
async fn each_refusal_has_the_status_of_the_specification_and_changes_nothing() {
    let (world, t) = (World::new(), trees());
    world.add(0, &[], 2, t.two).await.unwrap();
    let before = world.shown().await;
    assert_eq!(world.status(3, &[], 2, t.two).await, 400, "old size above the checkpoint's");
    assert_eq!(world.status(1, &t.one_to_two, 2, t.two).await, 409, "not what was cosigned last");
    assert_eq!(world.status(0, &[], 3, t.three).await, 409, "zero, but there is a record");
    assert_eq!(world.status(2, &[], 3, t.three).await, 422, "no proof");
    assert_eq!(world.status(2, &[t.one], 3, t.three).await, 422, "wrong proof");
    assert_eq!(world.status(2, &[], 2, t.one).await, 422, "same size, other root");
    assert_eq!(world.status(2, &t.two_to_three, 2, t.two).await, 422, "a proof where none belongs");
    assert_eq!(world.shown().await, before);
    let refused = world.add(0, &[], 3, t.three).await.unwrap_err();
    assert_eq!(refused.conflict(), Some(2));
    for body in [&b""[..], b"old 1\n", b"old 01\n\nx\n", b"old 0\n\nno note\n", b"\xff"] {
        assert_eq!(world.witness.add_checkpoint(body).await.unwrap_err().status(), 400);
    }
    let long = vec![b'a'; BODY_LEN_MAX + 1];
    assert_eq!(world.witness.add_checkpoint(&long).await.unwrap_err().status(), 413);
    assert_eq!(world.status(2, &t.two_to_three, 3, t.three).await, 200, "and it goes on");
}

#[tokio::test]
async fn an_empty_tree_has_one_root_and_its_first_proof_is_empty() {
    let (world, t) = (World::new(), trees());
    assert_eq!(world.status(0, &[], 0, t.one).await, 422);
    assert_eq!(world.status(0, &[t.one], 1, t.one).await, 422);
    assert_eq!(world.status(0, &[], 0, EMPTY_ROOT).await, 200);
    assert_eq!(world.status(0, &[], 1, t.one).await, 200);
}

#[tokio::test]
async fn logs_and_keys_that_are_not_known_are_told_apart() {
    let (mut world, t) = (World::new(), trees());
    let known = std::mem::replace(&mut world.log, log_key("other.example", 1));
    assert_eq!(world.status(0, &[], 1, t.one).await, 404);
    world.log = log_key(LOG, 2);
    assert_eq!(world.status(0, &[], 1, t.one).await, 403, "another key under the log's name");
    world.log = known;
    let mut altered = world.note(1, t.one);
    let at = altered.len() - 6;
    altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
    let request = AddCheckpoint { old_size: 0, path: vec![], checkpoint: altered };
    let refused = world.witness.add_checkpoint(&request.encode()).await.unwrap_err();
    assert_eq!(refused.status(), 403, "a signature that does not hold");
    assert!(world.shown().await.is_none());
}

#[tokio::test]
async fn the_record_is_not_read_for_what_the_log_did_not_sign() {
    struct Unreadable;
    #[async_trait::async_trait]
    impl WitnessStore for Unreadable {
        async fn latest(&self, _: port::OriginHash) -> Result<Option<port::Seen>, crate::store::StoreError> {
            Err(crate::store::StoreError::Unavailable { store: "witness", cause: "not now".to_owned() })
        }
        async fn advance(
            &self,
            _: port::OriginHash,
            _: Option<(u64, Hash)>,
            _: port::Seen,
        ) -> Result<bool, crate::store::StoreError> {
            panic!("nothing was judged")
        }
    }
    let (mut world, t) = (World::new(), trees());
    let mut logs = KnownLogs::new();
    logs.add(&world.log.verifier().encode()).unwrap();
    let key = WitnessKey::generate("w", &SeededEntropy::default()).unwrap();
    world.witness = Arc::new(Witness::new(key, logs, Arc::new(Unreadable), world.clock.clone()));
    assert_eq!(world.status(0, &[], 1, t.one).await, 503, "signed by the log: it is asked for");
    world.log = log_key(LOG, 2);
    assert_eq!(world.status(0, &[], 1, t.one).await, 403);
}

#[tokio::test]
async fn of_two_requests_at_once_the_later_one_meets_the_others_record() {
    // The rollback race of the specification: 1 to 2 and 1 to 3, both judged against 1.
    let (world, t) = (World::new(), trees());
    world.add(0, &[], 1, t.one).await.unwrap();
    let one_to_three = vec![leaf_hash(b"b"), leaf_hash(b"c")];
    let many = (0..32).map(|at| {
        let (size, root) = if at % 2 == 0 { (2, t.two) } else { (3, t.three) };
        let path = if at % 2 == 0 { t.one_to_two.clone() } else { one_to_three.clone() };
        let request = AddCheckpoint { old_size: 1, path, checkpoint: world.note(size, root) };
        let witness = world.witness.clone();
        tokio::spawn(async move { witness.add_checkpoint(&request.encode()).await })
    });
    let answers = join_all(many).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let shown = Checkpoint::parse(world.shown().await.unwrap().text()).unwrap();
    for refused in answers.into_iter().filter_map(Result::err) {
        assert_eq!((refused.status(), refused.conflict()), (409, Some(shown.size)));
    }
}

#[tokio::test]
async fn a_lost_race_answers_with_the_winners_size() {
    /// Lets somebody else win between reading and writing.
    struct Raced(Arc<MemoryWitness>, std::sync::Mutex<Option<port::Seen>>);
    #[async_trait::async_trait]
    impl WitnessStore for Raced {
        async fn latest(
            &self,
            log: port::OriginHash,
        ) -> Result<Option<port::Seen>, crate::store::StoreError> {
            self.0.latest(log).await
        }
        async fn advance(
            &self,
            log: port::OriginHash,
            from: Option<(u64, Hash)>,
            to: port::Seen,
        ) -> Result<bool, crate::store::StoreError> {
            let winner = self.1.lock().unwrap().take();
            if let Some(winner) = winner {
                assert!(self.0.advance(log, from, winner).await?);
            }
            self.0.advance(log, from, to).await
        }
    }
    let (world, t) = (World::new(), trees());
    let winner = port::Seen { size: 2, root: t.two, note: "w".into(), cosigned_at_s: 1 };
    let store = Arc::new(Raced(world.store.clone(), Some(winner).into()));
    let mut logs = KnownLogs::new();
    logs.add(&world.log.verifier().encode()).unwrap();
    let key = WitnessKey::generate("w", &SeededEntropy::default()).unwrap();
    let witness = Witness::new(key, logs, store, world.clock.clone());
    let request = AddCheckpoint { old_size: 0, path: vec![], checkpoint: world.note(1, t.one) };
    let refused = witness.add_checkpoint(&request.encode()).await.unwrap_err();
    assert_eq!((refused.status(), refused.conflict()), (409, Some(2)));
}

#[tokio::test]
async fn a_clock_that_went_back_cosigns_nothing() {
    let (world, t) = (World::new(), trees());
    world.add(0, &[], 1, t.one).await.unwrap();
    world.clock.set(1_767_225_599_999);
    assert_eq!(world.status(1, &t.one_to_two, 2, t.two).await, 503);
    world.clock.set(0);
    let other = World::new();
    other.clock.set(999);
    assert_eq!(other.status(0, &[], 1, t.one).await, 503, "a cosignature without a time is none");
    world.clock.set(1_767_225_600_000);
    assert_eq!(world.status(1, &t.one_to_two, 2, t.two).await, 200);
}

#[tokio::test]
async fn no_cosignature_leaves_before_its_record_is_stored() {
    let (world, t) = (World::new(), trees());
    world.store.fail_next_advance();
    assert_eq!(world.status(0, &[], 1, t.one).await, 503);
    assert!(world.shown().await.is_none());
    assert_eq!(world.status(0, &[], 1, t.one).await, 200);
}

#[tokio::test]
async fn a_key_is_that_of_one_log_and_of_all_logs_of_a_server() {
    let (mut world, t) = (World::new(), trees());
    let server = log_key("cloud.example/eu", 5);
    let mut logs = KnownLogs::new();
    logs.add(&server.verifier().encode()).unwrap();
    let key = WitnessKey::generate("w", &SeededEntropy::default()).unwrap();
    world.witness = Arc::new(Witness::new(key, logs, world.store.clone(), world.clock.clone()));
    let id = "07070707-0707-0707-0707-070707070707";
    for (origin, status) in [
        ("cloud.example/eu/directory".to_owned(), 200),
        (format!("cloud.example/eu/project/{id}"), 200),
        (format!("cloud.example/eu/account/{id}"), 200),
        ("cloud.example/eu".to_owned(), 200),
        ("cloud.example/directory".to_owned(), 404),
        ("cloud.example/eu/other".to_owned(), 404),
        (format!("cloud.example/eu/project/{id}/x"), 404),
        ("cloud.example/eu/project/7".to_owned(), 404),
        ("cloud.example/eu//directory".to_owned(), 404),
    ] {
        world.log = log_key(&origin, 5);
        assert_eq!(world.status(0, &[], 1, t.one).await, status, "{origin}");
    }
    world.log = log_key("cloud.example/eu/directory", 6);
    assert_eq!(world.status(1, &t.one_to_two, 2, t.two).await, 403);
}

#[test]
fn keys_of_witnesses_and_too_many_keys_are_no_logs() {
    let mut logs = KnownLogs::new();
    let witness = SigningKey::from_seed("w", KeyType::CosignatureV1, &[1; 32]).unwrap();
    let refused = logs.add(&witness.verifier().encode());
    assert!(matches!(refused, Err(KnownLogsError::KeyType { .. })));
    assert!(matches!(logs.add("nonsense"), Err(KnownLogsError::Key(_))));
    let vkey = log_key(LOG, 1).verifier().encode();
    for _ in 0..KNOWN_LOGS_MAX {
        logs.add(&vkey).unwrap();
    }
    assert_eq!(logs.add(&vkey), Err(KnownLogsError::TooMany));
    assert_eq!(logs.len(), KNOWN_LOGS_MAX);
}

#[test]
fn a_witness_key_is_read_back_as_it_was_and_never_as_a_logs() {
    let key = WitnessKey::generate("witness.example", &SeededEntropy::default()).unwrap();
    let again = WitnessKey::from_text(&key.to_text()).unwrap();
    assert_eq!((again.vkey(), again.name()), (key.vkey(), "witness.example"));
    assert!(key.vkey().parse::<VerifierKey>().is_ok());
    let text = key.to_text();
    for len in 0..text.len() {
        assert!(WitnessKey::from_text(&text[..len]).is_err());
    }
    assert!(WitnessKey::from_text(&text.replace("witness", "w1tness")).is_err());
    assert!(WitnessKey::from_text(&log_key(LOG, 1).encode()).is_err());
    assert!(WitnessKey::generate("two words", &SeededEntropy::default()).is_err());
}
