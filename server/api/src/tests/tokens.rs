//! Service tokens on the wire: made, told about themselves, helped to open what was wrapped for them, and nobody else.

use std::collections::HashMap;

use data_encoding::BASE64;
use serde_json::{Value, json};
use veilcloud_domain::{
    projects::{ProjectAccess, model::Environment},
    testkit::{EpochKey, Token},
};
use veilcloud_proto::auth::v1 as auth;
use veilcore::{id::ApiKeyId, secret::Secret};
use veilsign::{api_key::ApiKey, capability::Actions, service_token::ServiceToken};
use veilvault::seal::ExpectedKeyring;

use super::{api_keys::bearer, *};

const CREATE_KEY: &str = "/veilcloud.auth.v1.ApiKeyService/CreateApiKey";
const LIST_KEYS: &str = "/veilcloud.auth.v1.ApiKeyService/ListApiKeys";
const OWN_KEY: &str = "/veilcloud.auth.v1.ApiKeyService/GetOwnApiKey";
const ADD_KEYRING: &str = "/veilcloud.projects.v1.EnvironmentService/AddKeyring";
const UNLOCK: &str = "/veilcloud.projects.v1.EnvironmentService/UnlockKeyring";
const GET_LIST: &str = "/veilcloud.projects.v1.ShareService/GetAccessList";
const PUT_LIST: &str = "/veilcloud.projects.v1.ShareService/PutAccessList";
const JSON: (&str, &str) = ("content-type", "application/json");

const READ: Actions = Actions::PROJECT_READ;
const NONCE: [u8; 32] = [3; 32];

struct Place {
    port: Port,
    ada: Person,
    access: ProjectAccess,
    id: String,
    environment: Environment,
    key: EpochKey,
}

fn id(n: u8) -> ApiKeyId {
    ApiKeyId::from_bytes([n; 16])
}

async fn place() -> Place {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let access = port.world.project(&ada.caller(&port.world).await, "app").await;
    let (environment, key) = port.world.environment(&ada, &access, "production").await;
    Place { id: access.project().to_string(), port, ada, access, environment, key }
}

impl Place {
    /// What a client sends for a token of the one environment.
    fn create(&self, token: &Token) -> Value {
        let brought = token.brought();
        json!({
            "api_key_id": token.id().to_string(), "name": "ci", "secret_hash": BASE64.encode(&token.bearer.hash()),
            "ttl_seconds": 3600, "key_record": BASE64.encode(&brought.record),
            "server_share": BASE64.encode(&brought.share), "trust": BASE64.encode(&brought.trust),
            "scope": {"permissions": ["project:read"], "project_id": self.id, "env_names": ["production"]},
        })
    }

    async fn post(&self, body: &Value) -> Reply {
        self.port.rest(Some(&self.ada), "POST /v1/api-keys", &[JSON], body.to_string().as_bytes()).await
    }

    /// A token that is listed, with a keyring.
    async fn token(&self) -> Token {
        let token = Token::draw(id(9), 1);
        assert_eq!(self.post(&self.create(&token)).await.status, StatusCode::OK);
        let entry = token.entry(READ, &[self.environment.id]);
        self.port.world.put_list(&self.ada, &self.access, &[entry]).await.unwrap();
        let made = self.ada.token_keyring(&self.key, &self.environment, 1, 1, &token);
        let keyring = projects::Keyring { epoch: 1, file: made.file, seal: made.seal, access_list: 1 };
        let add = projects::AddKeyringRequest {
            project_id: self.id.clone(),
            name: "production".to_owned(),
            api_key_id: token.id().to_string(),
            keyring: Some(keyring),
            ..Default::default()
        };
        self.port.call(&self.ada, ADD_KEYRING, &add).await.message::<projects::AddKeyringResponse>();
        token
    }

    fn unlock(&self) -> projects::UnlockKeyringRequest {
        projects::UnlockKeyringRequest {
            project_id: self.id.clone(),
            name: "production".to_owned(),
            epoch: 0,
            nonce: NONCE.to_vec(),
        }
    }

    fn opens(&self, token: &Token, unlocked: projects::UnlockKeyringResponse) -> bool {
        let keyring = unlocked.keyring.unwrap();
        let expected = ExpectedKeyring {
            project: self.environment.project,
            environment: self.environment.id,
            epoch: 1,
            author: unlocked.author_id.parse().unwrap(),
            author_key: &self.ada.identity.public_key(),
        };
        let projects::Keyring { epoch, file, seal, access_list } = keyring;
        let keyring = veilcloud_domain::projects::model::Keyring { epoch, file, seal, access_list };
        let opened = token.open(&keyring, &expected, &NONCE, &unlocked.partial);
        opened.unwrap().recipient() == self.key.recipient()
    }
}

#[tokio::test]
async fn a_token_opens_its_environment_with_the_servers_help_until_it_is_revoked() {
    let place = place().await;
    let token = place.token().await;
    let unlocked = place.port.by_key(&token.bearer, UNLOCK, &place.unlock()).await;
    let unlocked = unlocked.message::<projects::UnlockKeyringResponse>();
    assert_eq!(unlocked.partial.len(), 99);
    assert_eq!(unlocked.author_id, place.ada.account.to_string());
    assert_eq!(unlocked.epoch_author_id, place.ada.account.to_string());
    assert!(!unlocked.epoch_seal.is_empty());
    assert!(place.opens(&token, unlocked));

    let line = format!("POST /v1/projects/{}/envs/production/keyring/unlock", place.id);
    let bearer = format!("Bearer {}", &*token.bearer.to_text());
    let headers = [JSON, ("authorization", &bearer)];
    let body = json!({"nonce": BASE64.encode(&NONCE)}).to_string();
    let reply = place.port.rest(None, &line, &headers, body.as_bytes()).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let own = place.port.rest(None, "GET /v1/api-keys/self", &headers[1..], b"").await;
    assert_eq!((own.status, &own.json()["generation"]), (StatusCode::OK, &json!(1)), "{own:?}");
    assert_eq!(own.json()["trust"], BASE64.encode(&token.brought().trust));
    assert_eq!(own.json()["keyRecord"], own.json()["apiKey"]["keyRecord"]);

    let list = projects::GetAccessListRequest { project_id: place.id.clone(), number: 0 };
    let list = async || {
        place.port.call(&place.ada, GET_LIST, &list).await.message::<projects::GetAccessListResponse>()
    };
    let record =
        projects::ApiKeyRecord { api_key_id: token.id().to_string(), key_record: token.brought().record };
    assert_eq!(list().await.api_keys, [record]);
    let revoke = format!("DELETE /v1/api-keys/{}", token.id());
    assert_eq!(place.port.rest(Some(&place.ada), &revoke, &[], b"").await.status, StatusCode::OK);
    assert_eq!(list().await.api_keys, []);
    let late = place.port.by_key(&token.bearer, UNLOCK, &place.unlock()).await;
    assert_eq!(late.reason(), "CREDENTIAL_REVOKED");
    let keys = place.port.call(&place.ada, LIST_KEYS, &auth::ListApiKeysRequest::default()).await;
    let keys = keys.message::<auth::ListApiKeysResponse>().api_keys;
    assert!(keys[0].key_record.is_empty() && keys[0].revoked_at.is_some());
    // A list that goes on naming it is refused, with the word for it.
    let state = place.port.world.access_state(place.environment.project).await;
    let entries = [token.entry(READ, &[place.environment.id])];
    let access_list = place.ada.next_list(place.environment.project, &state, &entries);
    let put = projects::PutAccessListRequest {
        project_id: place.id.clone(),
        access_list,
        request_id: String::new(),
    };
    let told = place.port.call(&place.ada, PUT_LIST, &put).await;
    let metadata: HashMap<_, _> = told.status.get_error_details().error_info().unwrap().metadata.clone();
    assert_eq!(
        (told.reason().as_str(), metadata["check"].as_str()),
        ("ACCESS_LIST_INVALID", "entry_api_key")
    );
}

#[tokio::test]
async fn nobody_else_is_helped_and_each_is_told_why() {
    let place = place().await;
    let token = place.token().await;
    let ask = async |key: &ApiKey| place.port.by_key(key, UNLOCK, &place.unlock()).await.reason();
    // People open keyrings themselves, and are no API key to be told about.
    assert_eq!(place.port.call(&place.ada, UNLOCK, &place.unlock()).await.reason(), "API_KEY_NEEDED");
    let own = place.port.call(&place.ada, OWN_KEY, &auth::GetOwnApiKeyRequest {}).await;
    assert_eq!((own.status.code(), own.reason().as_str()), (Code::PermissionDenied, "API_KEY_NEEDED"));
    let plain = super::api_keys::drawn(1);
    super::api_keys::register(&place.port, &place.ada, &plain, &["project:read"]).await;
    assert_eq!(ask(&plain).await, "API_KEY_OPENS_NOTHING");
    let told = place.port.by_key(&plain, OWN_KEY, &auth::GetOwnApiKeyRequest {}).await;
    let told = told.message::<auth::GetOwnApiKeyResponse>();
    assert!(told.key_record.is_empty() && told.trust.is_empty() && told.generation == 1);
    // A token that nothing was wrapped for.
    let other = Token::draw(id(8), 1);
    assert_eq!(place.post(&place.create(&other)).await.status, StatusCode::OK);
    assert_eq!(ask(&other.bearer).await, "KEYRING_NOT_ADDED");
    // What is asked has a nonce of its own, and is about the token's own place.
    for nonce in [vec![], vec![1; 31], vec![1; 33]] {
        let request = projects::UnlockKeyringRequest { nonce, ..place.unlock() };
        assert_eq!(place.port.by_key(&token.bearer, UNLOCK, &request).await.reason(), "FIELD_INVALID");
    }
    let absent = projects::UnlockKeyringRequest { name: "absent".to_owned(), ..place.unlock() };
    assert_eq!(place.port.by_key(&token.bearer, UNLOCK, &absent).await.reason(), "PERMISSION_DENIED");
    let foreign = place.port.project(&place.port.world.person("bob@example.org").await, "theirs").await;
    for project_id in [foreign, ABSENT.to_owned()] {
        let request = projects::UnlockKeyringRequest { project_id, ..place.unlock() };
        assert_eq!(place.port.by_key(&token.bearer, UNLOCK, &request).await.reason(), "PERMISSION_DENIED");
    }
    let later = projects::UnlockKeyringRequest { epoch: 2, ..place.unlock() };
    assert_eq!(place.port.by_key(&token.bearer, UNLOCK, &later).await.reason(), "EPOCH_STALE");
}

#[tokio::test]
async fn a_record_comes_with_its_share_and_its_trust_record_or_not_at_all() {
    let place = place().await;
    let token = Token::draw(id(9), 1);
    let other = Token::draw(id(9), 2);
    let good = place.create(&token);
    let with = |name: &str, bytes: &[u8]| {
        let mut body = good.clone();
        body[name] = json!(BASE64.encode(bytes));
        body
    };
    let brought = token.brought();
    let mut share = brought.share.to_vec();
    *share.last_mut().unwrap() ^= 1;
    let mut record = brought.record.clone();
    *record.last_mut().unwrap() ^= 1;
    for (body, check) in [
        (with("key_record", b""), "incomplete"),
        (with("server_share", b""), "incomplete"),
        (with("trust", b""), "incomplete"),
        (with("key_record", &record), "format"),
        (with("key_record", &brought.record[1..]), "format"),
        (with("key_record", &other.brought().record), "context"),
        (with("key_record", &Token::draw(id(8), 1).brought().record), "context"),
        (with("server_share", &other.brought().share), "share"),
        (with("server_share", &share), "share"),
    ] {
        let reply = place.post(&body).await;
        let told = (reply.status.as_u16(), reply.reason(), reply.json()["metadata"]["check"].clone());
        assert_eq!(told, (400, "KEY_RECORD_INVALID".to_owned(), json!(check)));
    }
    assert_eq!(place.post(&with("trust", &[0; 4097])).await.reason(), "FIELD_INVALID");
    let mut wide = good.clone();
    wide["scope"] = json!({"permissions": ["project:read"]});
    let mut blind = good.clone();
    blind["scope"]["permissions"] = json!(["audit:read"]);
    for body in [wide, blind] {
        assert_eq!(place.post(&body).await.reason(), "FIELD_INVALID");
    }
    assert_eq!(place.post(&good).await.status, StatusCode::OK);
    // The next secret has the next generation's record.
    let rotate = |next: &Token| {
        let brought = next.brought();
        json!({
            "generation": 1, "secret_hash": BASE64.encode(&next.bearer.hash()), "overlap_seconds": 60,
            "key_record": BASE64.encode(&brought.record), "server_share": BASE64.encode(&brought.share),
            "trust": BASE64.encode(&brought.trust),
        })
    };
    let line = format!("POST /v1/api-keys/{}/rotate", token.id());
    let post = async |body: Value| {
        place.port.rest(Some(&place.ada), &line, &[JSON], body.to_string().as_bytes()).await
    };
    assert_eq!(post(rotate(&token)).await.reason(), "KEY_RECORD_INVALID");
    assert_eq!(post(rotate(&other)).await.status, StatusCode::OK);
    for (shown, generation) in [(&token, 1), (&other, 2)] {
        let own = place.port.by_key(&shown.bearer, OWN_KEY, &auth::GetOwnApiKeyRequest {}).await;
        let own = own.message::<auth::GetOwnApiKeyResponse>();
        assert_eq!((own.generation, own.key_record), (generation, shown.brought().record));
        assert_eq!(own.api_key.unwrap().key_record, other.brought().record);
    }
}

#[tokio::test]
async fn a_whole_service_token_is_refused_before_it_is_looked_at() {
    let place = place().await;
    let token = place.token().await;
    let text = ServiceToken::new(token.bearer.clone(), Secret::new([7; 32])).to_text();
    let list = projects::ListProjectsRequest::default().encode_to_vec();
    for value in [format!("Bearer {}", &*text), format!("bearer {}", &*text), "Bearer vst_".to_owned()] {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", value.parse().unwrap());
        let told = place.port.raw(LIST_PROJECTS, headers, frame(&list)).await;
        assert_eq!(
            (told.status.code(), told.reason().as_str()),
            (Code::Unauthenticated, "SERVICE_TOKEN_SENT")
        );
        assert!(!told.status.message().contains("vst_"), "{:?}", told.status);
        let reply = place.port.rest(None, "GET /v1/projects", &[("authorization", &value)], b"").await;
        assert_eq!((reply.status.as_u16(), reply.reason().as_str()), (401, "SERVICE_TOKEN_SENT"));
        assert!(!format!("{reply:?}").contains(&text[..40]));
        let log = format!("GET /log/log.test/project/{}/checkpoint", place.id);
        let reply = place.port.rest(None, &log, &[("authorization", &value)], b"").await;
        let expected = if value.starts_with('B') { "SERVICE_TOKEN_SENT" } else { "LOG_TOKEN_INVALID" };
        assert_eq!((reply.status.as_u16(), reply.reason().as_str()), (401, expected));
    }
    // The API key inside it goes on.
    let told = place.port.raw(LIST_PROJECTS, bearer(&token.bearer), frame(&list)).await;
    assert_ne!(told.reason(), "SERVICE_TOKEN_SENT");
}

#[tokio::test]
async fn a_create_over_grpc_leaves_no_share_in_its_answer() {
    let place = place().await;
    let token = Token::draw(id(9), 1);
    let brought = token.brought();
    let request = auth::CreateApiKeyRequest {
        api_key_id: token.id().to_string(),
        name: "ci".to_owned(),
        secret_hash: token.bearer.hash().to_vec(),
        scope: Some(auth::ApiKeyScope {
            permissions: vec!["project:read".to_owned()],
            project_id: place.id.clone(),
            ..Default::default()
        }),
        ttl_seconds: 3600,
        key_record: brought.record.clone(),
        server_share: brought.share.to_vec(),
        trust: brought.trust.clone(),
        request_id: "7d1f2b0a-4f3e-4c2d-9b1a-0a1b2c3d4e5f".to_owned(),
    };
    let answer = place.port.call(&place.ada, CREATE_KEY, &request).await;
    let share = &brought.share[24..];
    assert!(answer.messages.iter().all(|message| !message.windows(32).any(|window| window == share)));
    let made = answer.message::<auth::CreateApiKeyResponse>().api_key.unwrap();
    assert_eq!((made.key_record, made.generation), (brought.record, 1));
}
