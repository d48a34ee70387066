//! Each reason that no story elsewhere provokes at the port. The catalogue of errors names these tests.

use std::sync::Arc;

use serde_json::{Value, json};
use veilcloud_domain::store::StoreError;

use super::*;

const JSON: (&str, &str) = ("content-type", "application/json");
const OCTETS: (&str, &str) = ("content-type", "application/octet-stream");
/// The encoding of ristretto255's generator: an element that anybody may send.
const ELEMENT: &str = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";

fn element() -> Vec<u8> {
    data_encoding::HEXLOWER.decode(ELEMENT.as_bytes()).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

impl Port {
    async fn post(&self, who: Option<&Person>, path: &str, body: &Value) -> Reply {
        self.rest(who, &format!("POST {path}"), &[JSON], body.to_string().as_bytes()).await
    }

    async fn put_sealed(&self, who: &Person, project: &str, seal: &[u8], file: &[u8], first: bool) -> Reply {
        let seal = BASE64URL_NOPAD.encode(seal);
        let condition =
            if first { ("if-none-match", "*") } else { ("if-match", "\"v1-aaaaaaaaaaaaaaaaaaaaaaaa\"") };
        let line = format!("PUT /v1/storage/{project}/production");
        self.rest(Some(who), &line, &[OCTETS, ("veil-seal", &seal), condition], file).await
    }
}

fn is(reply: &Reply, status: u16, reason: &str) {
    assert_eq!((reply.status.as_u16(), reply.reason().as_str()), (status, reason), "{reply:?}");
}

#[tokio::test]
async fn a_login_that_proves_nothing_fails_and_its_attempt_is_over() {
    let port = Port::new();
    // An address that nobody has is answered like one that somebody has.
    let ke1 = [element(), vec![7; 32], element()].concat();
    let start = json!({"email": "nobody@example.org", "ke1": base64(&ke1)});
    let offer = port.post(None, "/v1/auth/login/start", &start).await.json();
    let finish = json!({
        "attemptId": offer["attemptId"],
        "ke3": base64(&[0; 64]),
        "holderPublicKey": base64(&[9; 32]),
        "holderSignature": base64(&[0; 64]),
        "sessionMac": base64(&[0; 32]),
    });
    is(&port.post(None, "/v1/auth/login/finish", &finish).await, 401, "LOGIN_FAILED");
    is(&port.post(None, "/v1/auth/login/finish", &finish).await, 409, "ATTEMPT_UNKNOWN");
}

#[tokio::test]
async fn a_recovery_with_another_code_fails() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let own = ada.registration(&port.world.auth).await.unwrap();
    let start = json!({"email": "ada@example.org", "registrationRequest": base64(&element())});
    let offer = port.post(None, "/v1/auth/recover/start", &start).await.json();
    let finish = json!({
        "attemptId": offer["attemptId"],
        "recoverySignature": base64(&[0; 64]),
        "registrationUpload": base64(&own.upload),
        "accountBundle": base64(&own.bundle),
        "passwordWrap": base64(&own.password_wrap),
        "recoveryWrap": base64(&own.recovery_wrap),
    });
    is(&port.post(None, "/v1/auth/recover/finish", &finish).await, 401, "RECOVERY_FAILED");
}

#[tokio::test]
async fn keys_that_do_not_name_their_account_are_not_registered() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let mut request = json!({
        "email": "bob@example.org",
        "registrationUpload": base64(&[element(), vec![0; 160]].concat()),
        "accountId": "7d1f2b0a-4f3e-4c2d-9b1a-0a1b2c3d4e5f",
        "accountBundle": base64(&ada.bundle()),
        "passwordWrap": base64(&[1; 74]),
        "recoveryWrap": base64(&[1; 74]),
    });
    is(&port.post(None, "/v1/auth/register/finish", &request).await, 400, "ACCOUNT_BUNDLE_INVALID");
    request["accountBundle"] = json!(base64(b"no bundle"));
    is(&port.post(None, "/v1/auth/register/finish", &request).await, 400, "ACCOUNT_BUNDLE_INVALID");
}

#[tokio::test]
async fn a_token_that_nobody_was_given_refreshes_nothing() {
    let port = Port::new();
    let request = json!({
        "refreshToken": base64(&[1; 32]),
        "holderSignature": base64(&[0; 64]),
        "nextRefreshHash": base64(&[2; 32]),
    });
    is(&port.post(None, "/v1/auth/refresh", &request).await, 401, "REFRESH_INVALID");
}

#[tokio::test]
async fn an_account_has_so_many_projects_and_no_more() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let caller = ada.caller(&port.world).await;
    let limit = veilcloud_domain::projects::model::PROJECTS_MAX;
    for n in 0..limit {
        port.world.project(&caller, &format!("p{n}")).await;
    }
    let one_more = port.post(Some(&ada), "/v1/projects", &json!({"name": "one-more"})).await;
    is(&one_more, 409, "PROJECT_LIMIT");
    assert_eq!(one_more.json()["metadata"]["limit"], limit.to_string());
}

/// A request that creates an environment of this name.
fn new_environment(ada: &Person, project: &str, name: &str) -> Value {
    let id = "7d1f2b0a-4f3e-4c2d-9b1a-0a1b2c3d4e5f";
    let (_, keyring) = ada.keyring(project.parse().unwrap(), id.parse().unwrap(), 1);
    let keyring =
        json!({"epoch": keyring.epoch, "file": base64(&keyring.file), "seal": base64(&keyring.seal)});
    json!({"name": name, "environmentId": id, "keyring": keyring})
}

#[tokio::test]
async fn a_project_has_so_many_environments_and_each_name_once() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let caller = ada.caller(&port.world).await;
    let access = port.world.project(&caller, "app").await;
    let envs = format!("/v1/projects/{}/envs", access.project());
    let of = |name: &str| new_environment(&ada, &access.project().to_string(), name);
    port.world.environment(&ada, &access, "e0").await;
    is(&port.post(Some(&ada), &envs, &of("e0")).await, 409, "ENVIRONMENT_EXISTS");
    is(&port.get(&ada, &format!("{envs}/absent")).await, 404, "ENVIRONMENT_NOT_FOUND");
    let mut foreign = of("foreign");
    foreign["keyring"]["seal"] = json!(base64(&[0; 64]));
    is(&port.post(Some(&ada), &envs, &foreign).await, 400, "KEYRING_INVALID");
    for n in 1..veilcloud_domain::projects::model::ENVIRONMENTS_MAX {
        port.world.environment(&ada, &access, &format!("e{n}")).await;
    }
    is(&port.post(Some(&ada), &envs, &of("one-more")).await, 409, "ENVIRONMENT_LIMIT");
}

#[tokio::test]
async fn a_version_is_sealed_by_its_author_for_its_place_in_a_file_of_age() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let (project, sealed, _) = blob(&port, &ada, b"KEY=value\n").await;
    let path = format!("/v1/storage/{project}/production");
    is(&port.get(&ada, &path).await, 404, "BLOB_NOT_FOUND");
    let put = async |seal: &[u8], file: &[u8]| port.put_sealed(&ada, &project, seal, file, true).await;
    is(&put(&sealed.seal, b"KEY=value\n").await, 400, "STANZA_REFUSED");
    let mut seal = sealed.seal.clone();
    *seal.last_mut().unwrap() ^= 1;
    is(&put(&seal, &sealed.ciphertext).await, 400, "SEAL_INVALID");
    let mut file = sealed.ciphertext.to_vec();
    *file.last_mut().unwrap() ^= 1;
    is(&put(&sealed.seal, &file).await, 400, "DIGEST_MISMATCH");
}

#[tokio::test]
async fn an_old_epoch_is_not_sealed_to() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let (project, sealed, environment) = blob(&port, &ada, b"KEY=value\n").await;
    let (_, next) = ada.keyring(environment.project, environment.id, 2);
    let keyring = json!({"epoch": 2, "file": base64(&next.file), "seal": base64(&next.seal)});
    let rotate = format!("/v1/projects/{project}/envs/production/rotate");
    let rotated = port.post(Some(&ada), &rotate, &json!({"keyring": keyring})).await;
    assert_eq!(rotated.status, StatusCode::OK, "{rotated:?}");
    let put = port.put_sealed(&ada, &project, &sealed.seal, &sealed.ciphertext, true).await;
    is(&put, 409, "EPOCH_STALE");
    assert_eq!(put.json()["metadata"]["current_epoch"], "2");
}

/// What starts an upload of these bytes.
fn upload(sealed: &veilcloud_domain::testkit::SealedBlob, len: u64) -> Value {
    json!({
        "ciphertextBytes": len.to_string(),
        "digest": base64(&sealed.digest.0),
        "seal": base64(&sealed.seal),
        "ifNoneMatch": "*",
    })
}

#[tokio::test]
async fn an_upload_is_known_complete_and_one_of_so_many() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let (project, sealed, _) = blob(&port, &ada, b"KEY=value\n").await;
    let uploads = format!("/v1/storage/{project}/production/uploads");
    is(&port.get(&ada, &format!("{uploads}/{ABSENT}")).await, 404, "UPLOAD_NOT_FOUND");
    let request = upload(&sealed, sealed.ciphertext.len() as u64);
    let started = port.post(Some(&ada), &uploads, &request).await;
    let id = started.json()["upload"]["uploadId"].as_str().unwrap().to_owned();
    let early = port.post(Some(&ada), &format!("{uploads}/{id}/commit"), &json!({})).await;
    is(&early, 409, "UPLOAD_INCOMPLETE");
    assert_eq!(early.json()["metadata"]["missing_count"], "1");
    for n in 1..veilcloud_domain::storage::model::UPLOADS_MAX {
        if n % 20 == 0 {
            // Another minute's tokens.
            port.world.clock.advance(60_000);
        }
        assert_eq!(port.post(Some(&ada), &uploads, &request).await.status, StatusCode::OK);
    }
    is(&port.post(Some(&ada), &uploads, &request).await, 409, "UPLOAD_LIMIT");
}

#[tokio::test]
async fn the_directory_says_that_it_has_no_such_keys() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let stranger = "/v1/directory/keys/7d1f2b0a-4f3e-4c2d-9b1a-0a1b2c3d4e5f";
    is(&port.get(&ada, stranger).await, 404, "ACCOUNT_KEY_UNKNOWN");
}

/// A store whose write is safe and whose log is not there.
struct Unlogged;

#[async_trait::async_trait]
impl Nullifiers for Unlogged {
    async fn spend(&self, _: veilsign::nullifier::Nullifier, _: u64, _: u64) -> Result<bool, StoreError> {
        Err(StoreError::Unlogged { cause: "SECRET CAUSE".to_owned() })
    }
}

#[tokio::test]
async fn a_change_that_no_log_has_taken_is_told_apart_from_one_that_was_not_made() {
    let world = World::default();
    let meter = world.ports.meter.clone();
    let port = Port::over(world, settings(), meter, Arc::new(Unlogged));
    let ada = port.world.person("ada@example.org").await;
    let reply = port.post(Some(&ada), "/v1/projects", &json!({"name": "app"})).await;
    is(&reply, 503, "LOG_UNAVAILABLE");
    assert!(!reply.header("retry-after").is_empty() && !format!("{reply:?}").contains("SECRET"));
}
