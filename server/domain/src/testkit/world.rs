//! All services over one store, with a scripted clock: what a test of the domain or of the API stands on.

use std::sync::Arc;

use tokio::runtime::Handle;
use veilcore::id::{EnvironmentId, ProjectId};
use veilsign::capability::Actions;
use veilvault::epoch::EpochKey;

use super::{MemoryStore, Person, Ports, ScriptedClock, SeededEntropy, log_keys};
use crate::{
    audit::{
        Audit, LogReader, LogTokenKey, Readers, Reads,
        log::Log,
        model::{Event, Trail},
        signer::LogKeys,
    },
    auth::{
        Auth, Caller, Credentials, Secrets, Settings,
        api_keys::{ApiKeys, Pepper},
        capabilities::Capabilities,
        issuers::{DAY_MS, Issuers, Keyset},
    },
    clock::{Clock, Entropy},
    name::Name,
    projects::{
        NewEnvironment, ProjectAccess, Projects, explain::Explainer, model::Environment, unlock::Unlocking,
    },
    storage::{Storage, StorageSettings},
    teams::Teams,
};

/// How long a key of a test signs, in milliseconds.
const ISSUER_PERIOD_MS: u64 = 30 * DAY_MS;

/// The services, their ports and what scripts them.
pub struct World {
    /// The clock of every service and of the store.
    pub clock: Arc<ScriptedClock>,
    /// The randomness of every service.
    pub entropy: Arc<SeededEntropy>,
    /// The store behind the ports.
    pub store: MemoryStore,
    /// The ports. Inside a runtime they answer a change when its log has it, as a server does.
    pub ports: Ports,
    /// The keys of the logs.
    pub log_keys: Arc<LogKeys>,
    /// The handle to the logs.
    pub log: Arc<Log>,
    /// The server's secrets.
    pub secrets: Arc<Secrets>,
    /// The keys that sign capabilities.
    pub issuers: Arc<Issuers>,
    /// Capabilities issued for other keys.
    pub capabilities: Arc<Capabilities>,
    /// Who may do what, and why.
    pub explainer: Arc<Explainer>,
    /// Accounts and sessions.
    pub auth: Arc<Auth>,
    /// API keys.
    pub api_keys: Arc<ApiKeys>,
    /// Keyrings of service tokens.
    pub unlocking: Arc<Unlocking>,
    /// Projects and environments.
    pub projects: Arc<Projects>,
    /// Teams and their members.
    pub teams: Arc<Teams>,
    /// Versions, bytes and uploads.
    pub storage: Arc<Storage>,
    /// The trail.
    pub audit: Arc<Audit>,
}

impl Default for World {
    fn default() -> Self {
        Self::new(Settings::default(), StorageSettings::default())
    }
}

impl World {
    /// An empty world with these settings.
    pub fn new(settings: Settings, storage: StorageSettings) -> Self {
        let audience = settings.audience.clone();
        let clock = Arc::new(ScriptedClock::default());
        let entropy = Arc::new(SeededEntropy::default());
        let store = MemoryStore::new(clock.clone());
        let (log, log_keys) = (Log::new(), log_keys());
        let mut ports = Ports::over(store.clone());
        if Handle::try_current().is_ok() {
            ports = ports.sequenced(log_keys.clone(), log.clone());
        }
        let secrets = Arc::new(Secrets::generate(&*entropy));
        let keyset = Keyset::first(clock.now_ms(), ISSUER_PERIOD_MS, &*entropy);
        let issuers = Arc::new(Issuers::new(keyset).expect("one key is a set"));
        let p = ports.clone();
        let explainer = Explainer::new(p.grants.clone(), p.roster.clone(), p.api_keys.clone(), clock.clone());
        let api_keys = ApiKeys::new(p.api_keys.clone(), clock.clone(), Pepper::new([6; 32]));
        let auth = Auth::new(
            p.directory.clone(),
            p.attempts,
            clock.clone(),
            entropy.clone(),
            secrets.clone(),
            issuers.clone(),
            settings,
        );
        let projects = Projects::new(
            p.catalog,
            p.grants,
            p.keyrings,
            p.directory.clone(),
            p.api_keys,
            clock.clone(),
            entropy.clone(),
        );
        let projects = Arc::new(projects);
        let capabilities = Capabilities::new(
            p.directory.clone(),
            p.capabilities,
            issuers.clone(),
            projects.clone(),
            clock.clone(),
            entropy.clone(),
            audience,
        );
        let teams = Teams::new(p.roster, clock.clone(), entropy.clone());
        let storage = Storage::new(
            p.shelf,
            p.blobs,
            p.staging,
            p.uploads,
            projects.clone(),
            Reads::new(p.outbox, log.clone()),
            clock.clone(),
            entropy.clone(),
            storage,
        );
        let api_keys = Arc::new(api_keys);
        let reads = Reads::new(ports.outbox.clone(), log.clone());
        let unlocking = Unlocking::new(projects.clone(), api_keys.clone(), reads, entropy.clone());
        let credentials = Credentials::new(p.directory.clone(), ports.api_keys.clone(), clock.clone());
        let readers = Readers::new(projects.clone(), credentials);
        let audit = Audit::new(
            Arc::new(LogReader::new(p.logs)),
            log.clone(),
            p.directory,
            log_keys.clone(),
            LogTokenKey::new([8; 32]),
            readers,
            clock.clone(),
            String::new(),
        );
        Self {
            clock,
            entropy,
            store,
            secrets,
            issuers,
            capabilities: Arc::new(capabilities),
            explainer: Arc::new(explainer),
            auth: Arc::new(auth),
            api_keys,
            unlocking: Arc::new(unlocking),
            projects,
            teams: Arc::new(teams),
            storage: Arc::new(storage),
            audit: Arc::new(audit),
            ports,
            log_keys,
            log,
        }
    }

    /// A person with an account and an open session, put into the directory directly: no password is stretched.
    pub async fn person(&self, email: &str) -> Person {
        let mut person = Person::new(email);
        person.enroll(self).await;
        person
    }

    /// A new project of this caller, and the right to do everything in it.
    pub async fn project(&self, caller: &Caller, name: &str) -> ProjectAccess {
        let project = self.projects.create(caller, parsed(name)).await.expect("a project is created");
        self.access(caller, project.id).await
    }

    /// The right to do everything in a project of this caller.
    pub async fn access(&self, caller: &Caller, project: ProjectId) -> ProjectAccess {
        self.projects.authorize(caller, project, Actions::ALL).await.expect("the owner may do everything")
    }

    /// A new environment with a keyring by this person; gives the key too.
    pub async fn environment(
        &self,
        person: &Person,
        access: &ProjectAccess,
        name: &str,
    ) -> (Environment, EpochKey) {
        let mut id = [0; 16];
        self.entropy.fill(&mut id);
        let id = EnvironmentId::from_bytes(id);
        let (key, keyring) = person.keyring(access.project(), id, 1);
        let new = NewEnvironment { id, name: parsed(name), keyring };
        let created = self.projects.create_environment(access, new).await;
        (created.expect("an environment is created"), key)
    }

    /// All events of a trail.
    pub async fn trail(&self, trail: Trail) -> Vec<Event> {
        self.ports.events(trail).await.expect("the trail is readable")
    }
}

fn parsed(name: &str) -> Name {
    name.parse().expect("a name in a test is a name")
}
