//! A person with a session and a project in a real data folder, and what the gate asks of the domain for each request.

use std::{path::Path, sync::Arc, time::Duration};

use rand_core::{OsRng, RngCore};
use veilcloud_domain::{
    audit::model::OutboxKey,
    auth::{
        Auth, Secrets, Settings,
        issuers::{DAY_MS, Issuers, Keyset},
        port::Nullifiers,
    },
    clock::{Clock, Entropy, SystemClock, SystemEntropy},
    projects::Projects,
    testkit::Person,
};
use veilcloud_embedded::{Embedded, Options};
use veilcore::id::ProjectId;
use veilsign::{
    capability::{Actions, Block, Capability, Grant, NEXT_NOBODY, Resource, attenuate},
    proof::{body_hash, prove},
};

use crate::Stopwatch;

/// What is asked for.
const TARGET: &str = "GET /v1/storage/0192f3c4-5a6b-7c8d-9e0f-102132435465/production";
/// Longer than anything is believed without a look at its row.
const LONG: Duration = Duration::from_secs(301);

/// The stores, the services that judge, and who asks.
pub struct Rig {
    // What the services have is in it.
    _store: Embedded,
    auth: Auth,
    projects: Projects,
    nullifiers: Arc<dyn Nullifiers>,
    clock: Arc<dyn Clock>,
    person: Person,
    project: ProjectId,
    capability: Vec<u8>,
    made: u64,
}

impl Rig {
    /// Registers a person, logs in and creates a project.
    pub async fn new(folder: &Path) -> Self {
        let store = Embedded::open(folder, OutboxKey::new([9; 32]), Options::default()).expect("it opens");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let keyset = Keyset::first(clock.now_ms(), 90 * DAY_MS, &*entropy);
        let auth = Auth::new(
            store.directory(),
            store.attempts(),
            clock.clone(),
            entropy.clone(),
            Arc::new(Secrets::generate(&*entropy)),
            Arc::new(Issuers::new(keyset).expect("one key is a set")),
            Settings::default(),
        );
        let projects = Projects::new(
            store.catalog(),
            store.grants(),
            store.keyrings(),
            store.directory(),
            store.api_keys(),
            clock.clone(),
            entropy,
        );
        let mut person = Person::new("ada@example.org");
        person.register(&auth).await.expect("the address is free");
        person.login(&auth).await.expect("the password is right");
        let nullifiers = store.nullifiers();
        let project = ProjectId::from_bytes([0; 16]);
        let mut rig = Self {
            _store: store,
            auth,
            projects,
            nullifiers,
            clock,
            person,
            project,
            capability: vec![],
            made: 0,
        };
        rig.capability = rig.narrowed();
        let whole = rig.person.session().capability.clone();
        let proof = rig.proof(&whole);
        let caller = rig.auth.authenticate(&whole, &proof, TARGET, body_hash(b"")).await;
        let caller = caller.expect("the session is good");
        let name = "app".parse().expect("a name");
        rig.project = rig.projects.create(&caller, name).await.expect("a project is created").id;
        rig
    }

    /// A check with everything in memory but the proof.
    pub async fn warm(&mut self, watch: &mut Stopwatch) {
        let capability = self.capability.clone();
        self.check(&capability, watch).await;
    }

    /// A check of a capability that was not seen before; with `rows`, of a session, an account and rights that were not
    /// either.
    pub async fn cold(&mut self, watch: &mut Stopwatch, rows: bool) {
        if rows {
            tokio::time::pause();
            tokio::time::advance(LONG).await;
            tokio::time::resume();
        }
        let capability = self.narrowed();
        self.check(&capability, watch).await;
    }

    async fn check(&self, capability: &[u8], watch: &mut Stopwatch) {
        let proof = self.proof(capability);
        let check = async {
            let caller = self.auth.authenticate(capability, &proof, TARGET, body_hash(b"")).await;
            let caller = caller.expect("the session is good");
            let access = self.projects.authorize(&caller, self.project, Actions::PROJECT_READ).await;
            let spend = caller.spend().expect("a session's proof is good once");
            let spent = self.nullifiers.spend(spend.nullifier, spend.until_ms, self.clock.now_ms()).await;
            assert!(spent.expect("there is room"), "a fresh proof");
            access.expect("the owner may read")
        };
        watch.wait(check).await;
    }

    /// The session's capability narrowed by its holder: two blocks, as long as no other before it.
    fn narrowed(&mut self) -> Vec<u8> {
        self.made += 1;
        let whole = Capability::decode(&self.person.session().capability).expect("the server's capability");
        let block = Block {
            expires_at_ms: self.person.session().expires_at_ms - self.made % 600_000,
            holder_pk: *self.person.holder.verifying_key().as_bytes(),
            next_pk: NEXT_NOBODY,
            grants: vec![Grant::new(Resource::account(), Actions::PROJECT_READ | Actions::PROJECT_WRITE)],
        };
        attenuate(&whole, &self.person.holder, &block).expect("narrower than the session's").encode()
    }

    fn proof(&self, capability: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 16];
        OsRng.fill_bytes(&mut nonce);
        let proof = prove(&self.person.holder, capability, TARGET, b"", self.clock.now_ms(), nonce);
        proof.expect("a short target")
    }
}
