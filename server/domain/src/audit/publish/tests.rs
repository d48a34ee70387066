use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use tokio::{sync::mpsc, task::JoinHandle, time::advance};
use veilchain::{
    hash::leaf_hash,
    key::{KeyType, SigningKey, VerifierKey},
    range::CompactRange,
    witness::AddCheckpoint,
};
use veilcore::id::ProjectId;
use zeroize::Zeroizing;

use super::*;
use crate::{
    audit::{
        port::{Extension, LevelHashes},
        signer::LogKeys,
        witness::{KnownLogs, Witness, WitnessKey, testkit::MemoryWitness},
    },
    clock::Entropy,
    testkit::{MemoryStore, ScriptedClock, SeededEntropy},
};

/// What a witness does instead of its work.
#[derive(Clone)]
enum Fault {
    Silent,
    Unreachable,
    Says(CosignerAnswer),
    /// Cosigns with a key of the same name that is not its own.
    Impostor,
    /// Cosigns another text than it was shown.
    OtherText,
}

/// A real witness behind the port; faults come first, one for each request, or for good.
struct Wired {
    witness: Witness,
    clock: Arc<ScriptedClock>,
    faults: Mutex<VecDeque<Fault>>,
    always: Mutex<Option<Fault>>,
    asked: AtomicU64,
}

impl Wired {
    fn new(name: &str, seed: u64, server: &str) -> Arc<Self> {
        let clock = Arc::new(ScriptedClock::default());
        let key = WitnessKey::generate(name, &SeededEntropy::new(seed)).unwrap();
        let mut logs = KnownLogs::new();
        logs.add(server).unwrap();
        let witness = Witness::new(key, logs, Arc::new(MemoryWitness::default()), clock.clone());
        Arc::new(Self {
            witness,
            clock,
            faults: Mutex::default(),
            always: Mutex::default(),
            asked: AtomicU64::new(0),
        })
    }

    fn next(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(fault);
    }

    fn always(&self, fault: Option<Fault>) {
        *self.always.lock().unwrap() = fault;
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    fn cosign(&self, seed: u64, text: &str) -> CosignerAnswer {
        let mut bytes = [0; 32];
        SeededEntropy::new(seed).fill(&mut bytes);
        let name = self.key().name();
        let key = SigningKey::from_seed(name, KeyType::CosignatureV1, &bytes).unwrap();
        let line = key.cosign(text, 1_767_225_600).unwrap();
        CosignerAnswer::Cosigned(format!("{line}\n").into())
    }
}

#[async_trait]
impl Cosigner for Wired {
    fn key(&self) -> &VerifierKey {
        self.witness.verifier()
    }

    async fn add_checkpoint(&self, body: Bytes) -> Result<CosignerAnswer, CosignerError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let scripted = self.faults.lock().unwrap().pop_front();
        let fault = scripted.or_else(|| self.always.lock().unwrap().clone());
        let text = || {
            let request = AddCheckpoint::parse(&body).unwrap();
            Note::parse(&request.checkpoint).unwrap().text().to_owned()
        };
        match fault {
            Some(Fault::Silent) => future::pending().await,
            Some(Fault::Unreachable) => Err(CosignerError::Unreachable { cause: "no route".to_owned() }),
            Some(Fault::Says(answer)) => Ok(answer),
            Some(Fault::Impostor) => Ok(self.cosign(999, &text())),
            Some(Fault::OtherText) => Ok(self.cosign(1, "log.example/directory\n9\nAAAA\n")),
            None => match self.witness.add_checkpoint(&body).await {
                Ok(lines) => Ok(CosignerAnswer::Cosigned(lines.into())),
                Err(refusal) => match refusal.conflict() {
                    Some(size) => Ok(CosignerAnswer::Conflict { size }),
                    None => Ok(CosignerAnswer::Refused { status: refusal.status() }),
                },
            },
        }
    }
}

struct Watch(mpsc::UnboundedSender<Outcome>, Mutex<BTreeMap<&'static str, u64>>);

impl PublishWatch for Watch {
    fn pursued(&self, outcome: &Outcome) {
        drop(self.0.send(outcome.clone()));
    }
    fn answered(&self, _: &str, answer: &'static str) {
        *self.1.lock().unwrap().entry(answer).or_default() += 1;
    }
}

/// Logs that grow, three witnesses of which two make a quorum, and the publisher between.
struct World {
    store: MemoryStore,
    keys: LogKeys,
    epoch: u64,
    trees: Mutex<BTreeMap<Trail, CompactRange>>,
    witnesses: [Arc<Wired>; 3],
    policy: Policy,
    heads: Arc<Heads>,
    clock: Arc<ScriptedClock>,
    watch: Arc<Watch>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    running: Option<(Arc<Publisher>, JoinHandle<()>)>,
}

fn project(number: u16) -> Trail {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    Trail::Project(ProjectId::from_bytes(id))
}

const LOG: Trail = Trail::Directory;

impl World {
    async fn new() -> Self {
        let clock = Arc::new(ScriptedClock::default());
        let keys = LogKeys::new("log.example".to_owned(), vec![Zeroizing::new([7; 32])]).unwrap();
        let server = VerifierKey::new("log.example", KeyType::Ed25519, *keys.verifiers(LOG)[0].public_key());
        let server = server.unwrap().encode();
        let witnesses = [1, 2, 3].map(|n| Wired::new(&format!("w{n}.example"), n, &server));
        let lines = witnesses.iter().zip(["one", "two", "three"]);
        let mut policy: String =
            lines.map(|(witness, name)| format!("witness {name} {}\n", witness.key().encode())).collect();
        policy.push_str("group all 2 one two three\nquorum all\n");
        let store = MemoryStore::new(clock.clone());
        let epoch = store.fence().await.unwrap();
        let (tell, outcomes) = mpsc::unbounded_channel();
        Self {
            store,
            keys,
            epoch,
            trees: Mutex::default(),
            witnesses,
            policy: Policy::parse(policy.as_bytes()).unwrap(),
            heads: Heads::new(),
            clock,
            watch: Arc::new(Watch(tell, Mutex::default())),
            outcomes,
            running: None,
        }
    }

    fn publisher(&self) -> Result<Publisher, PublisherError> {
        let cosigners = self.witnesses.iter().map(|witness| witness.clone() as Arc<dyn Cosigner>).collect();
        self.publisher_of(cosigners)
    }

    fn publisher_of(&self, cosigners: Vec<Arc<dyn Cosigner>>) -> Result<Publisher, PublisherError> {
        let logs = Arc::new(self.store.clone());
        let (heads, watch) = (self.heads.clone(), self.watch.clone());
        Publisher::new(heads, logs, self.clock.clone(), self.policy.clone(), cosigners, watch)
    }

    fn start(&mut self) {
        let publisher = Arc::new(self.publisher().unwrap());
        let running = publisher.clone();
        self.running = Some((publisher, tokio::spawn(async move { running.run().await })));
    }

    /// Starts, and returns once there is nothing old left to be found: from then on only new heads come.
    async fn start_anew(&mut self) {
        if let Some((_, task)) = self.running.take() {
            task.abort();
        }
        self.start();
        let publisher = &self.running.as_ref().unwrap().0;
        while !publisher.lock().scan.is_idle() {
            tokio::task::yield_now().await;
        }
    }

    /// Adds entries to a log and commits its head, which nobody is told of.
    async fn commit(&self, log: Trail, count: u64) -> SignedHead {
        let (extension, head) = {
            let mut trees = self.trees.lock().unwrap();
            let tree = trees.entry(log).or_default();
            let (old_size, old_root) = (tree.size(), tree.root());
            let mut levels: BTreeMap<u8, LevelHashes> = BTreeMap::new();
            let entries: Vec<Bytes> = (0..count).map(|n| format!("entry {}", old_size + n).into()).collect();
            for entry in &entries {
                tree.push_with(leaf_hash(entry), |level, index, hash| {
                    if level % 8 == 0 {
                        let level = level / 8;
                        let new = LevelHashes { level, first: index, hashes: Vec::new() };
                        levels.entry(level).or_insert(new).hashes.push(*hash);
                    }
                });
            }
            let (size, root) = (tree.size(), tree.root());
            let checkpoint = self.keys.signer(log).sign(size, root).unwrap();
            let levels = levels.into_values().collect();
            let extension = Extension { log, old_size, old_root, entries, levels };
            (
                extension,
                SignedHead { log, size, root, checkpoint, publish: false, signed_at_ms: 0, edge: Vec::new() },
            )
        };
        let stage = self.store.stage(&[extension]).await.unwrap();
        self.store.commit(self.epoch, stage, vec![head.clone()]).await.unwrap().unwrap();
        head
    }

    /// Adds entries and leaves the head where the sequencer does.
    async fn grow(&self, count: u64) {
        self.heads.put(self.commit(LOG, count).await);
    }

    async fn outcome(&mut self) -> Outcome {
        self.outcomes.recv().await.unwrap()
    }

    async fn published(&mut self) -> (u64, usize) {
        loop {
            match self.outcome().await {
                Outcome::Published { size, cosigned, .. } => return (size, cosigned),
                Outcome::BelowQuorum { .. } | Outcome::Ahead { .. } | Outcome::Stale { .. } => {}
                Outcome::Failed { cause, .. } => panic!("{cause}"),
            }
        }
    }

    /// Size of what is shown, after a check that the policy accepts it.
    async fn shown(&self, log: Trail) -> Option<u64> {
        let note = self.store.state(log).await.unwrap()?.published?;
        let mut text = format!("log {}\n", self.keys.verifiers(log)[0].encode()).into_bytes();
        text.extend(self.policy.encode());
        let accepted = Policy::parse(&text).unwrap().check(&note).unwrap();
        Some(accepted.checkpoint.size)
    }

    fn answers(&self, answer: &'static str) -> u64 {
        self.watch.1.lock().unwrap().get(answer).copied().unwrap_or(0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_is_published_with_every_cosignature_that_came() {
    let mut world = World::new().await;
    world.start_anew().await;
    for size in [1, 300, 70_000] {
        let now = world.shown(LOG).await.unwrap_or(0);
        world.grow(size - now).await;
        assert_eq!(world.published().await, (size, 3));
        assert_eq!(world.shown(LOG).await, Some(size));
    }
    // What each witness saw is remembered: one request for each head.
    assert_eq!(world.witnesses[0].asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_silent_witness_holds_nothing_up_and_two_do() {
    let mut world = World::new().await;
    world.witnesses[0].always(Some(Fault::Silent));
    world.start_anew().await;
    let begun = Instant::now();
    world.grow(1).await;
    assert_eq!(world.published().await, (1, 2));
    assert_eq!(begun.elapsed(), EXTRA_WAIT);
    world.witnesses[1].always(Some(Fault::Silent));
    world.grow(1).await;
    let begun = Instant::now();
    assert!(matches!(world.outcome().await, Outcome::BelowQuorum { size: 2, cosigned: 1, .. }));
    assert_eq!(begun.elapsed(), WITNESS_TIMEOUT);
    assert_eq!(world.shown(LOG).await, Some(1));
    assert_eq!(world.answers("timeout"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_quorum_that_was_lost_and_regained_publishes_the_newest_head() {
    let mut world = World::new().await;
    world.start_anew().await;
    world.grow(5).await;
    world.published().await;
    for witness in &world.witnesses[..2] {
        witness.always(Some(Fault::Unreachable));
    }
    for size in [6, 7, 8] {
        world.grow(1).await;
        // Each is one more than the one before, and later each time.
        loop {
            let outcome = world.outcome().await;
            let Outcome::BelowQuorum { size: tried, .. } = outcome else { panic!("{outcome:?}") };
            if tried == size {
                break;
            }
        }
        assert_eq!(world.shown(LOG).await, Some(5));
    }
    for witness in &world.witnesses {
        witness.always(None);
    }
    assert_eq!(world.published().await, (8, 3));
    assert_eq!(world.shown(LOG).await, Some(8));
}

#[tokio::test(start_paused = true)]
async fn witnesses_that_answer_at_different_times_make_a_quorum_together() {
    let mut world = World::new().await;
    world.witnesses[0].next(Fault::Unreachable);
    world.witnesses[2].always(Some(Fault::Unreachable));
    world.start_anew().await;
    world.grow(3).await;
    assert!(matches!(world.outcome().await, Outcome::BelowQuorum { cosigned: 1, .. }));
    world.witnesses[1].always(Some(Fault::Unreachable));
    assert_eq!(world.published().await, (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_witness_that_saw_an_older_head_gets_the_proof_from_there() {
    let mut world = World::new().await;
    world.start_anew().await;
    world.grow(513).await;
    world.published().await;
    world.start_anew().await;
    world.grow(1000).await;
    assert_eq!(world.published().await, (1513, 3));
    // Once with nothing, which told the size, and once with the proof.
    assert_eq!(world.witnesses[0].asked(), 1 + 2);
}

#[tokio::test(start_paused = true)]
async fn a_witness_that_saw_more_than_there_is_holds_a_log_that_has_no_quorum_without_it() {
    let mut world = World::new().await;
    world.start_anew().await;
    world.witnesses[1].next(Fault::Unreachable);
    world.witnesses[2].next(Fault::Says(CosignerAnswer::Conflict { size: 9 }));
    world.grow(4).await;
    let outcome = world.outcome().await;
    assert!(matches!(&outcome, Outcome::Ahead { ours: 4, theirs: 9, witness, .. } if witness == "three"));
    assert_eq!(world.shown(LOG).await, None);
    let publisher = world.running.as_ref().unwrap().0.clone();
    // The outcome is told before the queue has it back.
    tokio::task::yield_now().await;
    assert_eq!(publisher.held(), [LOG]);
    assert_eq!(world.published().await, (4, 3));
    tokio::task::yield_now().await;
    assert!(publisher.held().is_empty());
    assert_eq!(publisher.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_witness_that_says_it_saw_more_does_not_stop_a_quorum_of_the_others() {
    // Above all that there is, or only above the head that it was asked about.
    for (theirs, answer) in [(9, "ahead"), (5, "stale")] {
        let world = World::new().await;
        let head = world.commit(LOG, 4).await;
        if answer == "stale" {
            world.commit(LOG, 1).await;
        }
        world.witnesses[0].always(Some(Fault::Says(CosignerAnswer::Conflict { size: theirs })));
        let publisher = world.publisher().unwrap();
        publisher.offer(head);
        let job = publisher.lock().queue.take(Instant::now()).unwrap();
        let Done::Pursued(_, next, outcome) = publisher.pursue(job).await else {
            panic!("a job was pursued")
        };
        assert!(matches!(outcome, Outcome::Published { size: 4, cosigned: 2, .. }), "{outcome:?}");
        assert_eq!(next, Next::Done);
        assert_eq!(world.shown(LOG).await, Some(4));
        assert_eq!(world.answers(answer), 1, "the alarm stays");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_the_witness_saw_a_newer_one_of_gives_way() {
    let mut world = World::new().await;
    let old = world.commit(LOG, 2).await;
    world.commit(LOG, 1).await;
    for witness in &world.witnesses {
        witness.next(Fault::Says(CosignerAnswer::Conflict { size: 3 }));
    }
    let publisher = world.publisher().unwrap();
    publisher.offer(old);
    let job = publisher.lock().queue.take(Instant::now()).unwrap();
    let Done::Pursued(job, next, outcome) = publisher.pursue(job).await else { panic!("a job was pursued") };
    assert!(matches!(outcome, Outcome::Stale { .. }));
    publisher.lock().queue.give(job, next, Instant::now());
    world.heads = Heads::new();
    let running = tokio::spawn(async move { publisher.run().await });
    assert_eq!(world.published().await.0, 3);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_no_cosignature_of_this_head_by_this_witness_now_does_not_count() {
    let other = AddCheckpoint { old_size: 0, path: vec![], checkpoint: b"x".to_vec() }.encode();
    for (fault, answer) in [
        (Fault::Says(CosignerAnswer::Cosigned("garbage\n".into())), "garbage"),
        (Fault::Says(CosignerAnswer::Cosigned(Bytes::new())), "garbage"),
        (Fault::Says(CosignerAnswer::Cosigned(other.into())), "garbage"),
        (Fault::Impostor, "wrong_key"),
        (Fault::OtherText, "wrong_key"),
        (Fault::Says(CosignerAnswer::Refused { status: 422 }), "inconsistent"),
        (Fault::Says(CosignerAnswer::Refused { status: 403 }), "refused"),
        (Fault::Says(CosignerAnswer::Refused { status: 302 }), "refused"),
        (Fault::Says(CosignerAnswer::Conflict { size: 0 }), "conflict"),
        (Fault::Unreachable, "unreachable"),
    ] {
        let mut world = World::new().await;
        for witness in &world.witnesses[..2] {
            witness.always(Some(fault.clone()));
        }
        world.start_anew().await;
        world.grow(4).await;
        assert!(matches!(world.outcome().await, Outcome::BelowQuorum { cosigned: 1, .. }), "{answer}");
        assert_eq!(world.shown(LOG).await, None);
        assert_eq!(world.answers(answer), 2, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cosignature_of_another_time_does_not_count() {
    let mut world = World::new().await;
    world.witnesses[0].clock.advance((COSIGNATURE_SKEW_MAX_S + 1) * 1000);
    world.witnesses[1].clock.set(1_767_225_600_000 - COSIGNATURE_SKEW_MAX_S * 1000);
    world.start_anew().await;
    world.grow(1).await;
    assert_eq!(world.published().await, (1, 2));
    assert_eq!(world.answers("wrong_time"), 1);
}

#[tokio::test(start_paused = true)]
async fn heads_left_unpublished_are_found_at_the_start() {
    let mut world = World::new().await;
    for number in 0..150 {
        world.commit(project(number), 2).await;
    }
    world.start();
    for _ in 0..150 {
        world.published().await;
    }
    for number in 0..150 {
        assert_eq!(world.shown(project(number)).await, Some(2));
    }
    world.start_anew().await;
    advance(Duration::from_secs(5)).await;
    assert!(world.outcomes.try_recv().is_err(), "what is shown is not published again");
}

/// Logs that nobody writes to any more.
#[tokio::test(start_paused = true)]
async fn a_head_shown_without_the_quorum_of_the_policy_of_now_is_found_at_the_start() {
    // Shown before there were witnesses.
    let mut world = World::new().await;
    let head = world.commit(LOG, 4).await;
    world.store.publish(LOG, 4, head.checkpoint.clone()).await.unwrap();
    world.start();
    assert_eq!(world.published().await, (4, 3));
    // Shown under another policy, with too few of the witnesses of now.
    world.witnesses[2].always(Some(Fault::Unreachable));
    world.grow(1).await;
    assert_eq!(world.published().await, (5, 2));
    world.witnesses[2].always(None);
    let policy = String::from_utf8(world.policy.encode()).unwrap().replace("group all 2", "group all 3");
    world.policy = Policy::parse(policy).unwrap();
    world.start_anew().await;
    assert_eq!(world.published().await, (5, 3));
    // Shown with a line of the right key that does not hold: whoever checks it refuses all of it.
    let shown = world.store.state(LOG).await.unwrap().unwrap().published.unwrap();
    let mut forged = Note::new(Note::parse(&shown).unwrap().text()).unwrap();
    for mut line in Note::parse(&shown).unwrap().signatures().iter().cloned() {
        if line.name == "w1.example" {
            *line.signature.last_mut().unwrap() ^= 1;
        }
        forged.add(line).unwrap();
    }
    world.store.publish(LOG, 5, forged.encode().into()).await.unwrap();
    world.start_anew().await;
    assert_eq!(world.published().await, (5, 3));
    assert_eq!(world.shown(LOG).await, Some(5));
    world.start_anew().await;
    advance(Duration::from_secs(5)).await;
    assert!(world.outcomes.try_recv().is_err(), "what the quorum of now has cosigned is left alone");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_nobody_was_told_of_is_found_when_somebody_asks() {
    let mut world = World::new().await;
    world.start_anew().await;
    for size in 1..4 {
        world.commit(LOG, 1).await;
        advance(Duration::from_secs(60)).await;
        assert!(world.outcomes.try_recv().is_err());
        world.heads.scan_again();
        assert_eq!(world.published().await, (size, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_asked_again() {
    let mut world = World::new().await;
    world.store.fail_next("logs");
    world.commit(project(1), 2).await;
    world.start();
    assert_eq!(world.published().await, (2, 3));
    for (method, size) in [("publish_log", 3), ("hashes", 6)] {
        world.store.fail_next(method);
        world.grow(3).await;
        let outcome = world.outcome().await;
        assert!(matches!(outcome, Outcome::Failed { .. }), "{method}: {outcome:?}");
        assert_ne!(world.shown(LOG).await, Some(size));
        assert_eq!(world.published().await, (size, 3));
    }
}

#[tokio::test]
async fn a_composition_that_can_never_publish_is_refused() {
    let world = World::new().await;
    let all: Vec<Arc<dyn Cosigner>> =
        world.witnesses.iter().map(|witness| witness.clone() as Arc<dyn Cosigner>).collect();
    assert_eq!(world.publisher_of(all[..1].to_vec()).err(), Some(PublisherError::Unreachable));
    assert!(world.publisher_of(all[1..].to_vec()).is_ok());
    let twice = vec![all[0].clone(), all[0].clone()];
    assert!(matches!(world.publisher_of(twice), Err(PublisherError::Cosigner { .. })));
    let stranger: Arc<dyn Cosigner> =
        Wired::new("stranger.example", 9, &world.keys.verifiers(LOG)[0].encode());
    let strangers = vec![all[0].clone(), all[1].clone(), stranger];
    assert!(matches!(world.publisher_of(strangers), Err(PublisherError::Cosigner { .. })));
}

#[tokio::test]
async fn proofs_between_all_sizes_hold() {
    let world = World::new().await;
    let mut roots = vec![(0, veilchain::hash::EMPTY_ROOT)];
    for count in [1, 1, 1, 2, 3, 120, 128, 1, 255, 256, 513] {
        let head = world.commit(LOG, count).await;
        roots.push((head.size, head.root));
    }
    for (at, (old, old_root)) in roots.iter().enumerate() {
        for (new, new_root) in &roots[at..] {
            let path = ask::consistency(&world.store, LOG, *old, *new).await.unwrap();
            veilchain::proof::verify_consistency(*old, old_root, *new, new_root, &path).unwrap();
        }
    }
    assert!(ask::consistency(&world.store, LOG, 2, 1).await.is_err());
}
