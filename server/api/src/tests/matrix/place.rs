//! The standard world: ada owns two projects, and a team in which tim and rita are. `app` is shared with the team, but only
//! rita is in its list, to read; `other` is shared with tim. bob has nothing to do with any of it, and carol owns the same
//! things again, which everybody else is a stranger to.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use data_encoding::BASE64;
use prost::Message;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use veilcloud_domain::{
    auth::{
        Auth, Settings as AuthSettings,
        api_keys::model::API_KEY_ACTIONS,
        port::{Meter, Taken, Window},
    },
    projects::model::{Environment, Keyring},
    store::StoreError,
    testkit::{Person, World},
};
use veilcloud_proto::POOL;
use veilcore::id::{EnvironmentId, ProjectId, TeamId};
use veilsign::{
    api_key::ApiKey,
    capability::{Actions, prove_holder},
};

use super::{
    super::{Port, api_keys::drawn, settings},
    send::{Ask, Credential, Seen},
};
use crate::{contract::METHODS, convert};

/// Ids by the field that names them.
pub type Ids = BTreeMap<&'static str, String>;

/// Who asks, and the ids of three kinds that they ask for.
pub struct Place {
    pub port: Port,
    pub ada: Person,
    pub bob: Person,
    pub tim: Person,
    pub rita: Person,
    /// Ada's things.
    pub own: Ids,
    /// Carol's.
    pub foreign: Ids,
    /// Nobody's.
    pub random: Ids,
    /// Ada's second project.
    pub other: ProjectId,
    /// Ada's session, for another audience.
    pub misdirected: Vec<u8>,
    /// An API key of ada's that lacks one permission, by its bits; the one of 0 lacks none.
    pub lacking: HashMap<u64, ApiKey>,
    /// An API key of ada's for her second project.
    pub elsewhere: ApiKey,
    /// An API key of bob's.
    pub strange: ApiKey,
    values: BTreeMap<&'static str, Value>,
}

/// A meter that never runs out: answers are compared, and tokens left would tell them apart.
struct Unmetered;

#[async_trait]
impl Meter for Unmetered {
    async fn take(&self, _: &str, _: u32, _: &[Window], _: u64) -> Result<Taken, StoreError> {
        Ok(Taken::Granted { tightest: None })
    }
}

/// What one owner has.
struct Estate {
    ids: Ids,
    team: TeamId,
    values: BTreeMap<&'static str, Value>,
}

/// A UUID that is no one's.
pub fn unused() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("7e000000-0000-4000-8000-{:012x}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn base64(bytes: &[u8]) -> Value {
    Value::String(BASE64.encode(bytes))
}

/// A keyring as JSON, whatever fields it has.
fn keyring_json(keyring: Keyring) -> Value {
    let bytes = convert::projects::keyring_out(keyring).encode_to_vec();
    let descriptor = POOL.get_message_by_name("veilcloud.projects.v1.Keyring").expect("a message");
    let message = DynamicMessage::decode(descriptor, &bytes[..]).expect("the same message");
    serde_json::to_value(&message).expect("a message is JSON")
}

impl Place {
    pub async fn new() -> Self {
        let world = World::default();
        let nullifiers = world.ports.nullifiers.clone();
        let port = Port::over(world, settings(), Arc::new(Unmetered), nullifiers);
        let mut ada = port.world.person("ada@example.org").await;
        let bob = port.world.person("bob@example.org").await;
        let (tim, rita) =
            (port.world.person("tim@example.org").await, port.world.person("rita@example.org").await);
        let carol = port.world.person("carol@example.org").await;
        let misdirected = misdirected(&port, &mut ada).await;
        let uma = port.world.person("uma@example.org").await;
        let estate = estate(&port, &ada, &[&tim, &rita, &uma], &rita, 40).await;
        let foreign = estate_of_carol(&port, &carol).await;
        let other = second_project(&port, &ada, &tim, estate.team).await;

        let mut lacking = HashMap::new();
        let each = API_KEY_ACTIONS.iter().map(|(action, _)| action);
        for (n, lacks) in each.chain([Actions::NONE]).enumerate() {
            let held = Actions::from_bits(API_KEY_ACTIONS.bits() & !lacks.bits()).expect("known actions");
            let key = drawn(10 + u8::try_from(n).expect("few actions"));
            registered(&port, &ada, &key, held, None).await;
            lacking.insert(lacks.bits(), key);
        }
        let (elsewhere, strange) = (drawn(30), drawn(31));
        registered(&port, &ada, &elsewhere, API_KEY_ACTIONS, Some(other)).await;
        registered(&port, &bob, &strange, API_KEY_ACTIONS, None).await;
        let random = estate.ids.keys().map(|name| (*name, unused())).collect();
        let (own, values) = (estate.ids, estate.values);
        let foreign = foreign.ids;
        Self {
            port,
            ada,
            bob,
            tim,
            rita,
            own,
            foreign,
            random,
            other,
            misdirected,
            lacking,
            elsewhere,
            strange,
            values,
        }
    }

    /// The request of a row, for these ids.
    pub fn ask(&self, method: &str, template: &str, ids: &Ids) -> Ask {
        let mut json: Value = serde_json::from_str(template).unwrap_or_else(|e| panic!("{method}: {e}"));
        self.fill(&mut json, ids);
        Ask { method: method_named(method), json }
    }

    fn fill(&self, json: &mut Value, ids: &Ids) {
        match json {
            Value::Object(fields) => fields.values_mut().for_each(|value| self.fill(value, ids)),
            Value::Array(items) => items.iter_mut().for_each(|value| self.fill(value, ids)),
            Value::String(text) => {
                if let Some(name) = text.strip_prefix('$') {
                    *json = self.value(name, ids);
                }
            }
            _ => {}
        }
    }

    fn value(&self, name: &str, ids: &Ids) -> Value {
        if let Some(len) = name.strip_prefix("zeros:") {
            return base64(&vec![0; len.parse().expect("a length")]);
        }
        if name == "unused" {
            return Value::String(unused());
        }
        let id = ids.get(name).map(|id| Value::String(id.clone()));
        id.or_else(|| self.values.get(name).cloned()).unwrap_or_else(|| panic!("there is no ${name}"))
    }
}

/// The method with this short name, as `ProjectService.GetProject`.
pub fn method_named(short: &str) -> &'static crate::contract::MethodInfo {
    let mut found = METHODS.values().filter(|method| short_name(&method.name) == short);
    found.next().unwrap_or_else(|| panic!("a row of an RPC that is gone: {short}"))
}

/// `ProjectService.GetProject` of `veilcloud.projects.v1.ProjectService.GetProject`.
pub fn short_name(full: &str) -> String {
    let parts: Vec<&str> = full.rsplitn(3, '.').collect();
    format!("{}.{}", parts[1], parts[0])
}

/// The capability of ada's session as a server with another audience would give it. The session itself goes on.
async fn misdirected(port: &Port, ada: &mut Person) -> Vec<u8> {
    let world = &port.world;
    let elsewhere = AuthSettings { audience: "somewhere-else".to_owned(), ..AuthSettings::default() };
    let (ports, secrets) = (world.ports.clone(), world.secrets.clone());
    let (clock, entropy) = (world.clock.clone(), world.entropy.clone());
    let issuers = world.issuers.clone();
    let auth = Auth::new(ports.directory, ports.attempts, clock, entropy, secrets, issuers, elsewhere);
    ada.refresh(&auth).await.expect("the session is good");
    let misdirected = ada.session().capability.clone();
    ada.refresh(&world.auth).await.expect("the session is good");
    misdirected
}

async fn done(port: &Port, person: &Person, method: &str, json: Value) -> Seen {
    let ask = Ask { method: method_named(method), json };
    let credential = Credential::Session(&person.session().capability, &person.holder);
    let seen = port.over_grpc(&ask.method.path, &ask.message(), &credential).await;
    assert_eq!(seen.reason, "OK", "{method}: {seen:?}");
    seen
}

async fn registered(port: &Port, by: &Person, key: &ApiKey, held: Actions, only: Option<ProjectId>) {
    let permissions: Vec<&str> = held.iter().map(|(_, name)| name).collect();
    let mut scope = json!({"permissions": permissions});
    if let Some(project) = only {
        scope["projectId"] = project.to_string().into();
    }
    let request = json!({
        "apiKeyId": key.id().to_string(), "name": "deploy", "secretHash": base64(&key.hash()),
        "scope": scope, "ttlSeconds": 3600,
    });
    done(port, by, "ApiKeyService.CreateApiKey", request).await;
}

/// A project with an environment, a version, an unfinished upload, a team, a share with a reader, an API key.
async fn estate(port: &Port, owner: &Person, members: &[&Person], reader: &Person, seed: u8) -> Estate {
    let world = &port.world;
    let access = world.project(&owner.caller(world).await, "app").await;
    let project = access.project();
    let (environment, key) = world.environment(owner, &access, "production").await;
    let first = owner.seal(&environment, &key, b"A=1\n");
    let put = json!({
        "projectId": project.to_string(), "envName": "production", "ciphertext": base64(&first.ciphertext),
        "seal": base64(&first.seal), "ifNoneMatch": "*",
    });
    done(port, owner, "StorageService.PutBlob", put).await;
    let now = world.projects.environment(&access, &environment.name).await.expect("it is there");
    let next = owner.seal(&now, &key, b"A=2\n");
    let etag = now.head.as_ref().expect("a version").etag().to_string();
    let upload = json!({
        "ifMatch": etag.as_str(),
        "ciphertextBytes": next.ciphertext.len().to_string(), "digest": base64(&next.digest.0),
        "seal": base64(&next.seal),
    });
    let line = format!("POST /v1/storage/{project}/production/uploads");
    let json = [("content-type", "application/json")];
    let started = port.rest(Some(owner), &line, &json, upload.to_string().as_bytes()).await.json();
    let upload_id = started["upload"]["uploadId"].as_str().expect("an upload is started").to_owned();

    let team = world.team(owner, "crew", members).await;
    let entries = [reader.entry(team, Actions::PROJECT_READ)];
    let shared = world.share(owner, &access, team, Actions::PROJECT_READ, &entries).await;
    let list = shared.expect("the list follows");
    let key_id = drawn(seed);
    registered(port, owner, &key_id, API_KEY_ACTIONS, None).await;

    let token_id = issued(port, owner, project).await;

    let state = world.access_state(project).await;
    let (fresh, _) = owner.keyring(project, environment.id, 2);
    let new_id = EnvironmentId::from_bytes([0x77; 16]);
    let new = Environment { id: new_id, ..environment.clone() };
    let keyring = |key, environment: &Environment, epoch, people: &[&Person]| {
        keyring_json(owner.keyring_for(key, environment, epoch, list, people))
    };
    let values = BTreeMap::from([
        ("environment", json!(new_id.to_string())),
        ("keyring", keyring(&fresh, &new, 1, &[owner, reader])),
        ("next_keyring", keyring(&fresh, &environment, 2, &[owner, reader])),
        ("part", keyring(&key, &environment, 1, &[reader])),
        ("list", base64(&owner.next_list(project, &state, &entries))),
        ("ciphertext", base64(&next.ciphertext)),
        ("length", json!(next.ciphertext.len().to_string())),
        ("digest", base64(&next.digest.0)),
        ("seal", base64(&next.seal)),
        ("etag", json!(etag)),
        ("holder", base64(owner.holder.verifying_key().as_bytes())),
        ("issue", json!(ISSUE)),
        ("possession", possession(owner, ISSUE)),
    ]);
    let ids = Ids::from([
        ("project_id", project.to_string()),
        ("team_id", team.to_string()),
        ("account_id", reader.account.to_string()),
        ("member_id", members[members.len() - 1].account.to_string()),
        ("api_key_id", key_id.id().to_string()),
        ("upload_id", upload_id),
        ("token_id", token_id),
    ]);
    Estate { ids, team, values }
}

/// Carol's estate: she is its only reader, so that no one in it is anybody to ada.
async fn estate_of_carol(port: &Port, carol: &Person) -> Estate {
    let friend = port.world.person("dora@example.org").await;
    estate(port, carol, &[&friend], &friend, 41).await
}

/// A second project, which tim may do everything in through the same team.
async fn second_project(port: &Port, owner: &Person, member: &Person, team: TeamId) -> ProjectId {
    let access = port.world.project(&owner.caller(&port.world).await, "other").await;
    let all = Actions::PROJECT_READ
        | Actions::PROJECT_WRITE
        | Actions::PROJECT_DELETE
        | Actions::PROJECT_SHARE
        | Actions::AUDIT_READ;
    let shared = port.world.share(owner, &access, team, all, &[member.entry(team, all)]).await;
    shared.expect("the list follows");
    access.project()
}

/// Request id of the row that issues a capability: the proof of its holder names it.
const ISSUE: &str = "7e000000-0000-4000-8000-aaaaaaaaaaaa";

/// A person's proof that they have the key that they ask a capability for; here the one of their session.
fn possession(person: &Person, request_id: &str) -> Value {
    let id: ProjectId = request_id.parse().expect("an id");
    base64(&prove_holder(&person.holder, person.account, id.as_bytes()))
}

/// A capability that this person issued for their project; gives its id.
async fn issued(port: &Port, by: &Person, project: ProjectId) -> String {
    let request_id = unused();
    let request = json!({
        "name": "first", "holderPublicKey": base64(by.holder.verifying_key().as_bytes()),
        "possession": possession(by, &request_id), "ttlSeconds": 600,
        "grants": [{"projectId": project.to_string(), "permissions": ["project:read"]}],
    });
    let headers = [("content-type", "application/json"), ("idempotency-key", request_id.as_str())];
    let body = request.to_string();
    let answer = port.rest(Some(by), "POST /v1/access/issue", &headers, body.as_bytes()).await.json();
    answer["issued"]["tokenId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}
