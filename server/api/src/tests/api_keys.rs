use data_encoding::HEXLOWER;
use veilcloud_proto::{auth::v1 as auth, common::v1 as common};
use veilcore::{id::ApiKeyId, secret::Secret};
use veilsign::api_key::ApiKey;

use super::*;
use crate::contract::METHODS;

const CREATE_KEY: &str = "/veilcloud.auth.v1.ApiKeyService/CreateApiKey";
const LIST_KEYS: &str = "/veilcloud.auth.v1.ApiKeyService/ListApiKeys";
const ROTATE_KEY: &str = "/veilcloud.auth.v1.ApiKeyService/RotateApiKey";
const REVOKE_KEY: &str = "/veilcloud.auth.v1.ApiKeyService/RevokeApiKey";
pub const UPDATE_PROJECT: &str = "/veilcloud.projects.v1.ProjectService/UpdateProject";

pub fn drawn(n: u8) -> ApiKey {
    ApiKey::from_secret(ApiKeyId::from_bytes([n; 16]), Secret::new([n; 32]))
}

pub fn bearer(key: &ApiKey) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("Bearer {}", &*key.to_text()).parse().unwrap());
    headers
}

fn create_request(key: &ApiKey, permissions: &[&str]) -> auth::CreateApiKeyRequest {
    auth::CreateApiKeyRequest {
        api_key_id: key.id().to_string(),
        name: "deploy".into(),
        secret_hash: key.hash().to_vec(),
        scope: Some(auth::ApiKeyScope {
            permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
            ..Default::default()
        }),
        ttl_seconds: 3600,
        ..Default::default()
    }
}

/// Registers a key of this person.
pub async fn register(port: &Port, person: &Person, key: &ApiKey, permissions: &[&str]) -> auth::ApiKey {
    let answer = port.call(person, CREATE_KEY, &create_request(key, permissions)).await;
    answer.message::<auth::CreateApiKeyResponse>().api_key.unwrap()
}

impl Port {
    /// Calls an RPC with a key.
    pub async fn by_key<T: Message>(&self, key: &ApiKey, path: &str, message: &T) -> Answer {
        self.raw(path, bearer(key), frame(&message.encode_to_vec())).await
    }
}

#[tokio::test]
async fn a_bearer_is_answered_on_every_protocol() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let id = port.project(&ada, "app").await;
    let key = drawn(1);
    register(&port, &ada, &key, &["project:read"]).await;
    let answer = port.by_key(&key, GET_PROJECT, &get_project(&id)).await;
    assert_eq!(answer.message::<projects::GetProjectResponse>().project.unwrap().project_id, id);

    let value = format!("bEaReR {}", &*key.to_text());
    let reply = port.rest(None, &format!("GET /v1/projects/{id}"), &[("authorization", &value)], b"").await;
    assert_eq!((reply.status, reply.json()["project"]["projectId"].as_str()), (StatusCode::OK, Some(&*id)));

    let mut web = Request::builder().method("POST").uri(GET_PROJECT);
    web.headers_mut().unwrap().extend(bearer(&key));
    let body = Body::from(frame(&get_project(&id).encode_to_vec()));
    let response =
        port.send(web.header("content-type", "application/grpc-web+proto").body(body).unwrap()).await;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("grpc-status:0"), "{body:?}");
}

#[tokio::test]
async fn a_bearer_that_is_no_good_is_refused_and_costs_its_address() {
    let port = Port::with(Settings { anonymous_per_minute_per_address: 20, ..settings() });
    let ada = port.world.person("ada@example.org").await;
    let key = drawn(1);
    register(&port, &ada, &key, &["project:read"]).await;
    let body = projects::ListProjectsRequest::default().encode_to_vec();
    let ask = async |headers: HeaderMap| port.raw(LIST_PROJECTS, headers, frame(&body)).await.reason();
    let with = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", text.parse().unwrap());
        headers
    };
    let good = key.to_text();
    let wrong = ApiKey::from_secret(key.id(), Secret::new([9; 32]));
    let mut asked = 0;
    for headers in [
        bearer(&wrong),
        bearer(&drawn(2)),
        with(&good),
        with(&format!("Basic {}", &*good)),
        with(&format!("Bearer  {}", &*good)),
        with(&format!("Bearer {} ", &good[..85])),
        with(&format!("Bearer {}", HEXLOWER.encode(&[1; 32]))),
        with("Bearer"),
        with("Bearer vck_"),
        with(&format!("Bearer {}", "v".repeat(9000))),
    ] {
        assert_eq!(ask(headers).await, "CREDENTIAL_INVALID");
        asked += 1;
    }
    // An empty value is none; two values, and two kinds of credential, are never chosen from.
    assert_eq!(ask(with("")).await, "CREDENTIAL_MISSING");
    let mut doubled = bearer(&key);
    doubled.append("authorization", doubled["authorization"].clone());
    assert_eq!(ask(doubled).await, "CREDENTIAL_INVALID");
    for name in ["veil-cap", "veil-pop"] {
        let mut both = port.credentials(&ada, LIST_PROJECTS, &body);
        both.extend(bearer(&key));
        both.remove(name);
        assert_eq!(ask(both).await, "CREDENTIAL_INVALID");
    }
    let mut both = port.credentials(&ada, LIST_PROJECTS, &body);
    both.extend(bearer(&key));
    assert_eq!(ask(both).await, "CREDENTIAL_INVALID");
    asked += 5;
    for _ in asked..20 {
        assert_eq!(ask(bearer(&wrong)).await, "CREDENTIAL_INVALID");
    }
    assert_eq!(ask(bearer(&wrong)).await, "RATE_LIMITED");
    // Who has a good one does not pay for it.
    assert!(
        port.by_key(&key, LIST_PROJECTS, &projects::ListProjectsRequest::default()).await.status.code()
            == Code::Ok
    );
    let reply = port.rest(None, "GET /v1/projects", &[("authorization", "Bearer x")], b"").await;
    assert_eq!(reply.reason(), "RATE_LIMITED");
}

#[tokio::test]
async fn a_key_reaches_only_what_its_scope_and_kind_allow() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let (app, other) = (port.project(&ada, "app").await, port.project(&ada, "other").await);
    let foreign = port.project(&port.world.person("bob@example.org").await, "theirs").await;
    let key = drawn(1);
    let mut request = create_request(&key, &["project:read", "project:write"]);
    request.scope.as_mut().unwrap().project_id = app.clone();
    port.call(&ada, CREATE_KEY, &request).await.message::<auth::CreateApiKeyResponse>();

    assert_eq!(port.by_key(&key, GET_PROJECT, &get_project(&app)).await.status.code(), Code::Ok);
    for id in [&other, &foreign, ABSENT] {
        let told = port.by_key(&key, GET_PROJECT, &get_project(id)).await.reason();
        assert_eq!(told, "PERMISSION_DENIED", "{id}");
    }
    let delete = projects::DeleteProjectRequest { project_id: app.clone(), request_id: String::new() };
    assert_eq!(port.by_key(&key, DELETE_PROJECT, &delete).await.reason(), "PERMISSION_DENIED");
    let list = projects::ListProjectsRequest::default();
    assert_eq!(port.by_key(&key, LIST_PROJECTS, &list).await.reason(), "PERMISSION_DENIED");
    let rename = projects::UpdateProjectRequest {
        project_id: app.clone(),
        name: "renamed".into(),
        ..Default::default()
    };
    assert_eq!(port.by_key(&key, UPDATE_PROJECT, &rename).await.status.code(), Code::Ok);

    // The account's trail tells the key's acts from the session's.
    use veilcloud_domain::audit::model::Trail;
    let events = port.world.trail(Trail::Project(app.parse().unwrap())).await;
    assert_eq!(events.iter().map(|e| e.line.key).collect::<Vec<_>>(), [None, Some(key.id())]);
    assert!(events.iter().all(|e| e.line.actor == ada.account));
}

#[tokio::test]
async fn no_key_logs_in_manages_an_account_its_teams_or_its_keys() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let key = drawn(1);
    let all = ["project:read", "project:write", "project:delete", "project:share", "audit:read", "team:read"];
    register(&port, &ada, &key, &all).await;
    let refused: Vec<_> = METHODS.values().filter(|m| m.access.session && !m.access.keys).collect();
    for method in &refused {
        // Whatever is in it: a message that breaks a rule is refused before, and never answered.
        let told = port.raw(&method.path, bearer(&key), frame(b"")).await;
        assert!(
            ["PERMISSION_DENIED", "FIELD_INVALID", "RATE_LIMITED"].contains(&&*told.reason()),
            "{}: {}",
            method.name,
            told.reason()
        );
        let permission = method.access.permission.map(|p| p.to_string()).unwrap_or_default();
        let reserved = ["account:manage", "team:manage", "key:manage"].contains(&&*permission);
        assert!(reserved || method.access.fresh_login || method.access.guarded, "{}", method.name);
    }
    for path in [LIST_KEYS, "/veilcloud.auth.v1.UserService/GetMe", "/veilcloud.auth.v1.AuthService/Logout"] {
        assert!(refused.iter().any(|method| method.path == path), "{path}");
        assert_eq!(port.raw(path, bearer(&key), frame(b"")).await.reason(), "PERMISSION_DENIED", "{path}");
    }
    // The session goes on, and the key works where it may.
    let list = auth::ListApiKeysRequest::default();
    assert_eq!(
        port.call(&ada, LIST_KEYS, &list).await.message::<auth::ListApiKeysResponse>().api_keys.len(),
        1
    );
    let info = common::GetServerInfoRequest {};
    assert_eq!(port.by_key(&key, SERVER_INFO, &info).await.status.code(), Code::Ok);
}

#[tokio::test]
async fn keys_are_listed_rotated_and_revoked_over_rest() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let (key, second) = (drawn(1), ApiKey::from_secret(drawn(1).id(), Secret::new([2; 32])));
    let hash = |key: &ApiKey| data_encoding::BASE64.encode(&key.hash());
    let json = [("content-type", "application/json")];
    let body = serde_json::json!({
        "api_key_id": key.id().to_string(), "name": "deploy", "secret_hash": hash(&key), "ttl_seconds": 3600,
        "scope": {"permissions": ["project:read"], "networks": ["192.0.2.0/24"]},
    });
    let reply = port.rest(Some(&ada), "POST /v1/api-keys", &json, body.to_string().as_bytes()).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.json()["apiKey"]["generation"], 1);
    let list = projects::ListProjectsRequest::default();
    assert_eq!(port.by_key(&key, LIST_PROJECTS, &list).await.status.code(), Code::Ok);

    let body = serde_json::json!({"generation": 1, "secret_hash": hash(&second), "overlap_seconds": 60});
    let line = format!("POST /v1/api-keys/{}/rotate", key.id());
    let reply = port.rest(Some(&ada), &line, &json, body.to_string().as_bytes()).await;
    assert_eq!(reply.json()["apiKey"]["generation"], 2, "{reply:?}");
    let again = port.rest(Some(&ada), &line, &json, body.to_string().as_bytes()).await;
    assert_eq!((again.status, again.reason().as_str()), (StatusCode::CONFLICT, "API_KEY_ROTATED"));
    for key in [&key, &second] {
        assert_eq!(port.by_key(key, LIST_PROJECTS, &list).await.status.code(), Code::Ok);
    }
    port.world.clock.advance(60_000);
    assert_eq!(port.by_key(&key, LIST_PROJECTS, &list).await.reason(), "CREDENTIAL_INVALID");

    let reply = port.get(&ada, "/v1/api-keys").await.json();
    assert!(reply["apiKeys"][0]["lastUsedAt"].is_string(), "{reply}");
    assert!(!reply.to_string().to_lowercase().contains("secret"), "{reply}");
    let line = format!("DELETE /v1/api-keys/{}", key.id());
    assert_eq!(port.rest(Some(&ada), &line, &[], b"").await.status, StatusCode::OK);
    assert_eq!(port.by_key(&second, LIST_PROJECTS, &list).await.reason(), "CREDENTIAL_REVOKED");
    let again = port.rest(Some(&ada), &line, &[], b"").await;
    assert_eq!((again.status, again.reason().as_str()), (StatusCode::NOT_FOUND, "API_KEY_UNKNOWN"));
    let foreign = port.world.person("bob@example.org").await;
    let theirs = port.rest(Some(&foreign), &line, &[], b"").await;
    let absent = port.rest(Some(&foreign), &format!("DELETE /v1/api-keys/{ABSENT}"), &[], b"").await;
    assert_eq!((theirs.reason(), absent.reason()), ("API_KEY_UNKNOWN".into(), "API_KEY_UNKNOWN".into()));
}

#[tokio::test]
async fn a_key_that_may_not_be_made_is_refused_with_its_reason() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let key = drawn(1);
    register(&port, &ada, &key, &["project:read"]).await;
    let create =
        async |request: auth::CreateApiKeyRequest| port.call(&ada, CREATE_KEY, &request).await.reason();
    assert_eq!(create(create_request(&key, &["project:read"])).await, "API_KEY_TAKEN");
    let other = create_request(&drawn(2), &["project:read"]);
    for (permissions, networks) in [
        (vec![], vec![]),
        (vec!["account:manage"], vec![]),
        (vec!["key:manage"], vec![]),
        (vec!["project:fly"], vec![]),
        (vec!["project:read"], vec!["192.0.2.1/24"]),
    ] {
        let own = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
        let scope = auth::ApiKeyScope {
            permissions: own(permissions),
            networks: own(networks),
            ..Default::default()
        };
        assert_eq!(
            create(auth::CreateApiKeyRequest { scope: Some(scope), ..other.clone() }).await,
            "FIELD_INVALID"
        );
    }
    for ttl_seconds in [0, 365 * 86_400 + 1] {
        assert_eq!(create(auth::CreateApiKeyRequest { ttl_seconds, ..other.clone() }).await, "FIELD_INVALID");
    }
    let rotate = auth::RotateApiKeyRequest {
        api_key_id: ABSENT.into(),
        generation: 1,
        secret_hash: vec![0; 32],
        ..Default::default()
    };
    assert_eq!(port.call(&ada, ROTATE_KEY, &rotate).await.reason(), "API_KEY_UNKNOWN");
    let revoke = auth::RevokeApiKeyRequest { api_key_id: ABSENT.into(), request_id: String::new() };
    assert_eq!(port.call(&ada, REVOKE_KEY, &revoke).await.reason(), "API_KEY_UNKNOWN");
}

#[tokio::test]
async fn more_keys_than_the_limit_are_refused() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    for n in 1..=100 {
        if n % 10 == 0 {
            port.world.clock.advance(60_000);
        }
        register(&port, &ada, &drawn(n), &["project:read"]).await;
    }
    port.world.clock.advance(60_000);
    let told = port.call(&ada, CREATE_KEY, &create_request(&drawn(101), &["project:read"])).await;
    assert_eq!(told.reason(), "API_KEY_LIMIT");
    assert_eq!(told.status.get_error_details().error_info().unwrap().metadata["limit"], "100");
}

#[tokio::test]
async fn every_permission_is_listed_and_a_key_takes_those_that_it_may_hold() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let reply = port.rest(None, "GET /v1/access/permissions", &[], b"").await;
    let json = reply.json();
    let permissions = json["permissions"].as_array().unwrap();
    assert_eq!(permissions.len(), veilsign::capability::Actions::ALL.iter().count());
    for (n, permission) in permissions.iter().enumerate() {
        assert_eq!(permission["bit"], n, "{permission}");
        let key = drawn(u8::try_from(n + 1).unwrap());
        let request = create_request(&key, &[permission["name"].as_str().unwrap()]);
        let created = port.call(&ada, CREATE_KEY, &request).await.status.code() == Code::Ok;
        assert_eq!(permission["apiKey"], created, "{permission}");
    }
}
