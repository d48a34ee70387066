//! Capabilities for other keys, and explanations of access, over gRPC and REST.

use veilcloud_domain::testkit::SeededEntropy;
use veilcloud_proto::auth::v1 as auth;
use veilcore::id::ProjectId;
use veilsign::{
    capability::{Actions, Block, Capability, Grant, NEXT_NOBODY, Resource, attenuate, prove_holder},
    key::SigningKey,
    proof::prove,
};

use super::*;

const ISSUE: &str = "/veilcloud.auth.v1.AccessService/IssueCapability";
const VERIFY: &str = "/veilcloud.auth.v1.AccessService/VerifyCapability";
const REVOKE: &str = "/veilcloud.auth.v1.AccessService/RevokeCapability";
const LIST: &str = "/veilcloud.auth.v1.AccessService/ListCapabilities";
const EXPLAIN: &str = "/veilcloud.auth.v1.AccessService/ExplainAccess";

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut veilcloud_domain::clock::Rng(&SeededEntropy::new(seed)))
}

fn request_id(n: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{n:02x}")
}

fn issue_request(
    person: &Person,
    holder: &SigningKey,
    project: &str,
    permissions: &[&str],
    n: u8,
) -> auth::IssueCapabilityRequest {
    let request_id = request_id(n);
    let id: ProjectId = request_id.parse().unwrap();
    auth::IssueCapabilityRequest {
        name: "deploy".into(),
        holder_public_key: holder.verifying_key().as_bytes().to_vec(),
        possession: prove_holder(holder, person.account, id.as_bytes()).to_vec(),
        grants: vec![auth::CapabilityGrant {
            project_id: project.into(),
            env_name: String::new(),
            permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
        }],
        ttl_seconds: 0,
        request_id,
    }
}

impl Port {
    async fn issue(
        &self,
        person: &Person,
        holder: &SigningKey,
        project: &str,
    ) -> auth::IssueCapabilityResponse {
        let request = issue_request(person, holder, project, &["project:read"], 1);
        self.call(person, ISSUE, &request).await.message()
    }

    /// A REST request with this capability.
    async fn by_capability(&self, holder: &SigningKey, capability: &[u8], line: &str) -> Reply {
        let mut nonce = [0; 16];
        veilcloud_domain::clock::Entropy::fill(&*self.world.entropy, &mut nonce);
        let proof = prove(holder, capability, line, b"", self.world.clock.now_ms(), nonce).unwrap();
        let (cap, pop) = (BASE64URL_NOPAD.encode(capability), BASE64URL_NOPAD.encode(&proof));
        self.rest(None, line, &[("veil-cap", &cap), ("veil-pop", &pop)], b"").await
    }

    async fn verify(&self, person: &Person, capability: &[u8]) -> auth::VerifyCapabilityResponse {
        let request = auth::VerifyCapabilityRequest { capability: capability.to_vec(), ..Default::default() };
        self.call(person, VERIFY, &request).await.message()
    }
}

#[tokio::test]
async fn a_capability_is_issued_used_narrowed_listed_and_revoked() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let project = port.project(&ada, "app").await;
    let other = port.project(&ada, "other").await;
    let (holder, delegate) = (key(1), key(2));
    let answer = port.issue(&ada, &holder, &project).await;
    let issued = answer.issued.unwrap();
    assert_eq!(issued.expires_at.unwrap().seconds - issued.issued_at.unwrap().seconds, 3600);

    let line = format!("GET /v1/projects/{project}");
    assert_eq!(port.by_capability(&holder, &answer.capability, &line).await.status, StatusCode::OK);
    for line in [
        format!("GET /v1/projects/{other}"),
        format!("DELETE /v1/projects/{project}"),
        "GET /v1/projects".to_owned(),
        "GET /v1/users/me".to_owned(),
        "GET /v1/access/capabilities".to_owned(),
        "GET /v1/api-keys".to_owned(),
    ] {
        let reply = port.by_capability(&holder, &answer.capability, &line).await;
        assert_eq!(reply.reason(), "PERMISSION_DENIED", "{line}");
    }
    let stolen = port.by_capability(&delegate, &answer.capability, &line).await;
    assert_eq!(stolen.reason(), "PROOF_INVALID");

    // Narrowed to one environment, without the server, for another key.
    let id: ProjectId = project.parse().unwrap();
    let block = Block {
        expires_at_ms: port.world.clock.now_ms() + 1000,
        holder_pk: *delegate.verifying_key().as_bytes(),
        next_pk: NEXT_NOBODY,
        grants: vec![Grant::new(Resource::environment(id, "production").unwrap(), Actions::PROJECT_READ)],
    };
    let parent = Capability::decode(&answer.capability).unwrap();
    let narrowed = attenuate(&parent, &holder, &block).unwrap().encode();
    let at = |env: &str| format!("GET /v1/projects/{project}/envs/{env}");
    let there = port.by_capability(&delegate, &narrowed, &at("production")).await;
    assert_eq!(there.reason(), "ENVIRONMENT_NOT_FOUND", "let in, and nothing there");
    let elsewhere = port.by_capability(&delegate, &narrowed, &at("staging")).await;
    assert_eq!(elsewhere.reason(), "PERMISSION_DENIED");

    let verdict = port.verify(&ada, &narrowed).await;
    assert!(verdict.active && verdict.depth == 1);
    assert_eq!((verdict.token_id.as_str(), verdict.grants.len()), (issued.token_id.as_str(), 1));
    assert_eq!(verdict.grants[0].env_name, "production");
    port.world.clock.advance(1000);
    let expired = port.by_capability(&delegate, &narrowed, &at("production")).await;
    assert_eq!(expired.reason(), "CREDENTIAL_EXPIRED");

    let listed: auth::ListCapabilitiesResponse =
        port.call(&ada, LIST, &auth::ListCapabilitiesRequest::default()).await.message();
    assert_eq!(listed.capabilities, std::slice::from_ref(&issued));
    let request = auth::RevokeCapabilityRequest { token_id: issued.token_id.clone(), ..Default::default() };
    let _: auth::RevokeCapabilityResponse = port.call(&ada, REVOKE, &request).await.message();
    let dead = port.by_capability(&holder, &answer.capability, &line).await;
    assert_eq!(dead.reason(), "CREDENTIAL_REVOKED");
    assert_eq!(port.call(&ada, REVOKE, &request).await.reason(), "CAPABILITY_UNKNOWN");
    let verdict = port.verify(&ada, &answer.capability).await;
    assert_eq!((verdict.active, verdict.reason.as_str()), (false, "revoked"));
    assert!(verdict.account_id.is_empty() && verdict.grants.is_empty());
}

#[tokio::test]
async fn what_cannot_be_issued_is_refused_with_its_reason() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let project = port.project(&ada, "app").await;
    let holder = key(1);
    let ask = async |request: &auth::IssueCapabilityRequest| port.call(&ada, ISSUE, request).await.reason();
    let good = |n| issue_request(&ada, &holder, &project, &["project:read"], n);
    let unproved = auth::IssueCapabilityRequest { request_id: request_id(9), ..good(1) };
    assert_eq!(ask(&unproved).await, "HOLDER_INVALID");
    for permissions in [&["key:manage"][..], &["account:manage"], &["project:fly"], &[]] {
        let request = issue_request(&ada, &holder, &project, permissions, 2);
        assert_eq!(ask(&request).await, "FIELD_INVALID", "{permissions:?}");
    }
    let nothing = auth::IssueCapabilityRequest { grants: Vec::new(), ..good(3) };
    assert_eq!(ask(&nothing).await, "FIELD_INVALID");
    let long = auth::IssueCapabilityRequest { ttl_seconds: 7_776_001, ..good(4) };
    assert_eq!(ask(&long).await, "FIELD_INVALID");
    port.world.clock.advance(5 * 60_000 + 1);
    assert_eq!(ask(&good(5)).await, "LOGIN_NOT_FRESH");
    for n in 0..100 {
        let short = auth::IssueCapabilityRequest { ttl_seconds: 900, ..good(100 + n) };
        assert_eq!(port.call(&ada, ISSUE, &short).await.status.code(), Code::Ok, "{n}");
        // The tier's tokens are another story.
        port.world.clock.advance(4_000);
    }
    let one_more = auth::IssueCapabilityRequest { ttl_seconds: 900, ..good(6) };
    assert_eq!(ask(&one_more).await, "CAPABILITY_LIMIT");
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_capability_and_a_revocation_names_one_thing() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let project = port.project(&ada, "app").await;
    let first = port.issue(&ada, &key(1), &project).await;
    let second = port.issue(&ada, &key(1), &project).await;
    assert_eq!(first, second);
    let neither = auth::RevokeCapabilityRequest::default();
    assert_eq!(port.call(&ada, REVOKE, &neither).await.reason(), "FIELD_INVALID");
    let token_id = first.issued.unwrap().token_id;
    let both = auth::RevokeCapabilityRequest { token_id, all: true, request_id: String::new() };
    assert_eq!(port.call(&ada, REVOKE, &both).await.reason(), "FIELD_INVALID");
    let all = auth::RevokeCapabilityRequest { all: true, ..Default::default() };
    let _: auth::RevokeCapabilityResponse = port.call(&ada, REVOKE, &all).await.message();
    let dead = port.by_capability(&key(1), &first.capability, &format!("GET /v1/projects/{project}")).await;
    assert_eq!(dead.reason(), "CREDENTIAL_REVOKED");
    assert_eq!(
        port.call(&ada, LIST, &auth::ListCapabilitiesRequest::default()).await.reason(),
        "CREDENTIAL_REVOKED"
    );
}

#[tokio::test]
async fn the_issuers_are_told_to_anybody() {
    let port = Port::new();
    let reply = port.rest(None, "GET /v1/access/issuers", &[], b"").await;
    let keys = reply.json()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 1);
    let expected = port.world.issuers.list()[0].kid();
    let told = data_encoding::BASE64.decode(keys[0]["keyId"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(told, expected.as_bytes());
    assert_eq!(keys[0]["unlogged"], true);
}

#[tokio::test]
async fn an_explanation_names_ownership_and_keys_and_hides_strangers() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let bob = port.world.person("bob@example.org").await;
    let project = port.project(&ada, "app").await;
    let drawn = super::api_keys::drawn(1);
    super::api_keys::register(&port, &ada, &drawn, &["project:read", "audit:read"]).await;
    let ask = async |who: &Person, account: &str| {
        let request =
            auth::ExplainAccessRequest { project_id: project.clone(), account_id: account.to_owned() };
        port.call(who, EXPLAIN, &request).await
    };
    let own: auth::ExplainAccessResponse = ask(&ada, "").await.message();
    assert_eq!((own.owner_id.as_str(), own.access_list), (ada.account.to_string().as_str(), 0));
    assert!(own.grants[0].ownership && own.permissions.contains(&"project:share".to_owned()));
    let by_key = own.grants.iter().find(|grant| !grant.api_key_id.is_empty()).unwrap();
    assert_eq!((by_key.api_key_id.as_str(), by_key.gives.len()), (drawn.id().to_string().as_str(), 2));
    // Somebody without a grant and somebody who is not there are the same.
    let nobody: auth::ExplainAccessResponse = ask(&ada, ABSENT).await.message();
    let stranger: auth::ExplainAccessResponse = ask(&ada, &bob.account.to_string()).await.message();
    assert_eq!(nobody, stranger);
    assert!(stranger.grants.is_empty() && stranger.permissions.is_empty());
    assert_eq!(ask(&bob, "").await.reason(), "PERMISSION_DENIED");
    // By a capability that reads: the own account only.
    let reader = port.world.person("carol@example.org").await;
    assert_eq!(ask(&reader, &ada.account.to_string()).await.reason(), "PERMISSION_DENIED");
}
