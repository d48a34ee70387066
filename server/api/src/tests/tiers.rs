//! The list of ways around a rate limit, one test for each.

use std::sync::Arc;

use async_trait::async_trait;
use veilcloud_domain::{
    audit::model::{Kind, Line, Trail},
    auth::{
        model::Tier,
        port::{Taken, Window},
    },
    storage::model::{Digest, Precondition, Version},
    store::StoreError,
};
use veilcloud_proto::{auth::v1 as auth, common::v1 as common};

use super::{
    api_keys::{bearer, drawn, register},
    pressure::set_tier,
    *,
};

fn list() -> projects::ListProjectsRequest {
    projects::ListProjectsRequest::default()
}

/// A request for what anyone may ask, from this peer.
fn from(peer: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let body = frame(&common::GetServerInfoRequest {}.encode_to_vec());
    let mut request =
        Request::builder().method("POST").uri(SERVER_INFO).header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::from(body)).unwrap();
    request.extensions_mut().insert(PeerAddr(format!("{peer}:1").parse().unwrap()));
    request
}

impl Port {
    /// Whether an answer over gRPC was refused for its rate.
    async fn is_limited(&self, request: Request<Body>) -> bool {
        let (parts, body) = self.send(request).await.into_parts();
        body.collect().await.unwrap();
        match Status::from_header_map(&parts.headers).filter(|status| status.code() != Code::Ok) {
            Some(status) => {
                assert_eq!(reason(&status), "RATE_LIMITED");
                true
            }
            None => false,
        }
    }

    /// How many of these requests were refused for something else before one was refused for its rate.
    async fn limited_after_refusals(&self, most: u32, mut request: impl FnMut(u32) -> Request<Body>) -> u32 {
        for n in 0..most {
            let (parts, body) = self.send(request(n)).await.into_parts();
            body.collect().await.unwrap();
            let status = Status::from_header_map(&parts.headers).expect("it is refused");
            if reason(&status) == "RATE_LIMITED" {
                return n;
            }
        }
        most
    }

    async fn limited_after(&self, most: u32, mut request: impl FnMut(u32) -> Request<Body>) -> u32 {
        for n in 0..most {
            if self.is_limited(request(n)).await {
                return n;
            }
        }
        most
    }
}

fn few() -> Port {
    Port::with(Settings { anonymous_per_minute_per_address: 3, ..settings() })
}

#[tokio::test]
async fn a_forged_forwarding_header_names_no_other_address() {
    let port = few();
    let names = [
        "x-forwarded-for",
        "X-Forwarded-For",
        "forwarded",
        "x-real-ip",
        "true-client-ip",
        "cf-connecting-ip",
    ];
    let passed = port
        .limited_after(20, |n| {
            let address = format!("198.51.100.{n}");
            from("192.0.2.1", &[(names[n as usize % names.len()], &address)])
        })
        .await;
    assert_eq!(passed, 3);
}

#[tokio::test]
async fn behind_a_trusted_proxy_only_its_own_word_counts() {
    let trusted_proxies = vec!["10.0.0.1".parse().unwrap()];
    let port = Port::with(Settings { anonymous_per_minute_per_address: 3, trusted_proxies, ..settings() });
    // What the client wrote before the proxy's word, in one header or in several, is not believed.
    let passed = port
        .limited_after(20, |n| {
            let forged = format!("203.0.113.{n}");
            if n % 2 == 0 {
                from("10.0.0.1", &[("x-forwarded-for", &format!("{forged}, 198.51.100.7"))])
            } else {
                from("10.0.0.1", &[("x-forwarded-for", &forged), ("X-FORWARDED-FOR", "198.51.100.7")])
            }
        })
        .await;
    assert_eq!(passed, 3);
    assert!(!port.is_limited(from("10.0.0.1", &[("x-forwarded-for", "198.51.100.8")])).await);
}

#[tokio::test]
async fn hopping_inside_an_ipv6_network_gives_nothing() {
    let port = few();
    let passed = port.limited_after(20, |n| from(&format!("[2001:db8:0:1::{n:x}]"), &[])).await;
    assert_eq!(passed, 3);
    assert!(!port.is_limited(from("[2001:db8:0:2::1]", &[])).await);
    // An IPv4 address that comes as IPv6 is that address.
    assert_eq!(port.limited_after(20, |_| from("[::ffff:192.0.2.9]", &[])).await, 3);
    assert!(port.is_limited(from("192.0.2.9", &[])).await);
}

#[tokio::test]
async fn every_session_and_key_of_an_account_pays_from_one_purse_on_every_protocol() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let keys = [drawn(1), drawn(2)];
    for key in &keys {
        register(&port, &ada, key, &["project:read"]).await;
    }
    // Two registrations cost five each; 90 of the minute's 100 are left for calls of one.
    let body = list().encode_to_vec();
    let value = format!("Bearer {}", &*keys[0].to_text());
    for n in 0..90 {
        match n % 4 {
            0 => assert_eq!(port.call(&ada, LIST_PROJECTS, &list()).await.status.code(), Code::Ok, "{n}"),
            1 => {
                assert_eq!(port.by_key(&keys[1], LIST_PROJECTS, &list()).await.status.code(), Code::Ok, "{n}")
            }
            2 => {
                let reply = port.rest(None, "GET /v1/projects", &[("AUTHORIZATION", &value)], b"").await;
                assert_eq!(reply.status, StatusCode::OK, "{n}");
            }
            _ => {
                let mut web = Request::builder().method("POST").uri(LIST_PROJECTS);
                web.headers_mut().unwrap().extend(bearer(&keys[0]));
                let web = web.header("content-type", "application/grpc-web+proto");
                let response = port.send(web.body(Body::from(frame(&body))).unwrap()).await;
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert!(String::from_utf8_lossy(&body).contains("grpc-status:0"), "{n}");
            }
        }
    }
    assert_eq!(port.call(&ada, LIST_PROJECTS, &list()).await.reason(), "RATE_LIMITED");
    for key in &keys {
        assert_eq!(port.by_key(key, LIST_PROJECTS, &list()).await.reason(), "RATE_LIMITED");
    }
    let reply = port.rest(None, "GET /v1/projects", &[("authorization", &value)], b"").await;
    assert_eq!(reply.reason(), "RATE_LIMITED");
    // From another address it is the same account.
    let mut request =
        Request::builder().method("POST").uri(LIST_PROJECTS).header("content-type", "application/grpc");
    request.headers_mut().unwrap().extend(bearer(&keys[0]));
    let mut request = request.body(Body::from(frame(&body))).unwrap();
    request.extensions_mut().insert(PeerAddr("198.51.100.1:1".parse().unwrap()));
    assert!(port.is_limited(request).await);
}

#[tokio::test]
async fn head_and_options_are_counted_like_what_they_stand_for() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let key = drawn(1);
    register(&port, &ada, &key, &["project:read"]).await;
    let value = format!("Bearer {}", &*key.to_text());
    let path = format!("/v1/storage/{ABSENT}/production");
    let mut limited = 0;
    for _ in 0..96 {
        let reply = port.rest(None, &format!("HEAD {path}"), &[("authorization", &value)], b"").await;
        limited += u32::from(reply.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(limited, 1, "95 tokens were left");

    let port = few();
    for _ in 0..3 {
        assert_eq!(
            port.rest(None, "OPTIONS /v1/server", &[], b"").await.status,
            StatusCode::METHOD_NOT_ALLOWED
        );
    }
    assert_eq!(port.rest(None, "OPTIONS /v1/server", &[], b"").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(port.rest(None, "GET /v1/server", &[], b"").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_burst_around_a_windows_edge_gives_no_second_window() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    assert_eq!(port.call(&ada, LIST_PROJECTS, &list()).await.status.code(), Code::Ok);
    port.world.clock.advance(59_900);
    for _ in 0..99 {
        assert_eq!(port.call(&ada, LIST_PROJECTS, &list()).await.status.code(), Code::Ok);
    }
    port.world.clock.advance(200);
    assert_eq!(port.call(&ada, LIST_PROJECTS, &list()).await.status.code(), Code::Ok);
    let refused = port.call(&ada, LIST_PROJECTS, &list()).await;
    assert_eq!(refused.reason(), "RATE_LIMITED");
    let wait = refused.status.get_error_details().retry_info().unwrap().retry_delay.unwrap();
    port.world.clock.advance(u64::try_from(wait.as_millis()).unwrap());
    assert_eq!(port.call(&ada, LIST_PROJECTS, &list()).await.status.code(), Code::Ok);
}

#[tokio::test]
async fn a_minute_does_not_give_more_than_the_day_has() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let key = drawn(1);
    register(&port, &ada, &key, &["project:read"]).await;
    let mut answered = 0;
    'day: for _ in 0..12 {
        for _ in 0..95 {
            let answer = port.by_key(&key, LIST_PROJECTS, &list()).await;
            if answer.status.code() != Code::Ok {
                let details = answer.status.get_error_details();
                assert_eq!(details.error_info().unwrap().metadata["window"], "86400s");
                break 'day;
            }
            answered += 1;
        }
        port.world.clock.advance(60_000);
    }
    assert_eq!(answered, 995, "the registration cost five");
}

#[tokio::test]
async fn an_answer_says_what_is_left_and_a_refusal_when_to_come_back() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let reply = port.get(&ada, "/v1/projects").await;
    assert_eq!(reply.header("ratelimit-policy"), "\"free-minute\";q=100;w=60, \"free-day\";q=1000;w=86400");
    assert_eq!(reply.header("ratelimit"), "\"free-minute\";r=99;t=60");
    let three = |reply: &Reply| {
        ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
            .map(|name| reply.header(name).to_owned())
    };
    assert_eq!(three(&reply), ["100", "99", "60"]);
    let answer = port.call(&ada, LIST_PROJECTS, &list()).await;
    assert_eq!(answer.headers["ratelimit-remaining"], "98");
    port.world.clock.advance(10_000);
    for _ in 0..98 {
        port.get(&ada, "/v1/projects").await;
    }
    let reply = port.get(&ada, "/v1/projects").await;
    assert_eq!((reply.status, reply.reason().as_str()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
    assert_eq!(three(&reply), ["100", "0", "60"]);
    assert_eq!(reply.header("retry-after"), "50");
    let answer = port.call(&ada, LIST_PROJECTS, &list()).await;
    assert_eq!(answer.headers["ratelimit-remaining"], "0");
    // What costs nothing says nothing, and another class has its own.
    let info = port.rest(None, "GET /v1/server", &[], b"").await;
    assert_eq!(info.header("ratelimit-policy"), "\"anonymous-minute\";q=600;w=60");
    assert_eq!(port.rest(None, "GET /health", &[], b"").await.header("ratelimit"), "");
}

#[tokio::test]
async fn every_tier_has_its_windows_and_the_operator_sets_those_of_enterprise() {
    let enterprise = Settings { enterprise_per_minute: 7, enterprise_per_day: 9, ..settings() };
    for (tier, settings, policy) in [
        (Tier::Pro, settings(), "\"pro-minute\";q=1000;w=60, \"pro-day\";q=50000;w=86400"),
        (Tier::Team, settings(), "\"team-minute\";q=5000;w=60"),
        (Tier::Enterprise, settings(), ""),
        (Tier::Enterprise, enterprise, "\"enterprise-minute\";q=7;w=60, \"enterprise-day\";q=9;w=86400"),
    ] {
        let port = Port::with(settings);
        let ada = port.world.person("ada@example.org").await;
        set_tier(&port, &ada, tier).await;
        let reply = port.get(&ada, "/v1/projects").await;
        assert_eq!((reply.status, reply.header("ratelimit-policy")), (StatusCode::OK, policy));
    }
}

struct Away;

#[async_trait]
impl Meter for Away {
    async fn take(&self, _: &str, _: u32, _: &[Window], _: u64) -> Result<Taken, StoreError> {
        Err(StoreError::Unavailable { store: "meter", cause: "asked to fail".into() })
    }
}

#[tokio::test]
async fn without_its_meter_the_gate_gives_out_no_credential_and_goes_on_reading() {
    let world = World::default();
    let nullifiers = world.ports.nullifiers.clone();
    let port = Port::over(world, settings(), Arc::new(Away), nullifiers);
    let ada = port.world.person("ada@example.org").await;
    let refresh = auth::RefreshRequest {
        refresh_token: vec![1; 32],
        next_refresh_hash: vec![2; 32],
        holder_signature: vec![3; 64],
    };
    let login = auth::LoginStartRequest { email: "a@example.org".into(), ke1: vec![0; 96] };
    let refreshed = port.anonymous("/veilcloud.auth.v1.AuthService/Refresh", &refresh).await;
    assert_eq!(refreshed.reason(), "STORE_UNAVAILABLE");
    assert_eq!(port.anonymous(LOGIN_START, &login).await.reason(), "STORE_UNAVAILABLE");
    // Every other one that gives out or changes a credential, by its annotation.
    for method in crate::contract::METHODS.values().filter(|m| m.name.contains(".auth.v1.AuthService.")) {
        assert!(method.access.guarded || method.access.mutation || method.access.session, "{}", method.name);
    }
    assert_eq!(port.call(&ada, LIST_PROJECTS, &list()).await.status.code(), Code::Ok);
    assert_eq!(port.get(&ada, "/v1/projects").await.status, StatusCode::OK);
    let create = projects::CreateProjectRequest { name: "a".into(), request_id: String::new() };
    assert_eq!(port.call(&ada, CREATE_PROJECT, &create).await.reason(), "STORE_UNAVAILABLE");
}

#[test]
fn no_stream_of_requests_is_counted_as_one_call() {
    // What streams towards the server or carries a batch would have to be counted by messages and items: there is none.
    for method in crate::contract::METHODS.values() {
        assert!(!method.descriptor.is_client_streaming(), "{}", method.name);
    }
}

#[tokio::test]
async fn a_guessed_bearer_is_paid_for_before_it_is_looked_up_and_a_known_one_is_not() {
    let port = few();
    let ada = port.world.person("ada@example.org").await;
    let (key, fresh) = (drawn(1), drawn(2));
    for key in [&key, &fresh] {
        register(&port, &ada, key, &["project:read"]).await;
    }
    let ask = |key: &veilsign::api_key::ApiKey, peer: &str| {
        let mut request = Request::builder().method("POST").uri(LIST_PROJECTS);
        request.headers_mut().unwrap().extend(bearer(key));
        let request = request.header("content-type", "application/grpc");
        let mut request = request.body(Body::from(frame(&list().encode_to_vec()))).unwrap();
        request.extensions_mut().insert(PeerAddr(format!("{peer}:1").parse().unwrap()));
        request
    };
    let told = async |request: Request<Body>| {
        let (parts, body) = port.send(request).await.into_parts();
        body.collect().await.unwrap();
        let status = Status::from_header_map(&parts.headers).filter(|status| status.code() != Code::Ok);
        status.map(|status| reason(&status))
    };
    let (mine, other) = ("198.51.100.1", "198.51.100.2");
    assert_eq!(told(ask(&key, mine)).await, None);
    // Two of three tokens are left: for an id that is not there, and for a wrong secret of one that is.
    let wrong = veilsign::api_key::ApiKey::from_secret(key.id(), veilcore::secret::Secret::new([9; 32]));
    assert_eq!(told(ask(&drawn(7), mine)).await.as_deref(), Some("CREDENTIAL_INVALID"));
    assert_eq!(told(ask(&wrong, mine)).await.as_deref(), Some("CREDENTIAL_INVALID"));
    // From now on nothing is looked up for guesses from here; what would fail it waits for the next who looks.
    port.world.store.fail_next("key_standing");
    for guess in [&drawn(8), &wrong, &fresh] {
        assert_eq!(told(ask(guess, mine)).await.as_deref(), Some("RATE_LIMITED"));
    }
    assert_eq!(told(ask(&drawn(8), other)).await.as_deref(), Some("STORE_UNAVAILABLE"));
    // Who was good here goes on, and another address pays for itself.
    assert_eq!(told(ask(&key, mine)).await, None);
    assert_eq!(told(ask(&fresh, other)).await, None);
    // Known is only what is good: a revoked key pays like a guess from its next use on.
    let caller = ada.caller(&port.world).await;
    port.world.api_keys.revoke(&caller, key.id()).await.unwrap();
    assert_eq!(told(ask(&key, other)).await.as_deref(), Some("CREDENTIAL_REVOKED"));
    assert!(!port.world.api_keys.knows(&key.to_text()) && port.world.api_keys.knows(&fresh.to_text()));
    port.world.clock.advance(60_000);
    assert_eq!(told(ask(&fresh, mine)).await, None);
}

#[tokio::test]
async fn guesses_of_bearers_from_one_ipv6_customer_share_a_window() {
    let port = few();
    let passed = port
        .limited_after_refusals(100, |n| {
            let mut request = Request::builder().method("POST").uri(LIST_PROJECTS);
            request.headers_mut().unwrap().extend(bearer(&drawn(3)));
            let request = request.header("content-type", "application/grpc");
            let mut request = request.body(Body::from(frame(&list().encode_to_vec()))).unwrap();
            let peer = format!("[2001:db8:0:{n:x}::1]:1");
            request.extensions_mut().insert(PeerAddr(peer.parse().unwrap()));
            request
        })
        .await;
    assert_eq!(passed, 24);
}

/// A version of this many bytes in a project of this person's; nobody opens it.
async fn long_version(port: &Port, person: &Person, len: usize) -> String {
    let access = port.world.project(&person.caller(&port.world).await, "long").await;
    let (environment, _) = port.world.environment(person, &access, "production").await;
    let bytes = Bytes::from(vec![7; len]);
    let digest = Digest(veilcore::hash::sha256(&bytes));
    port.world.ports.blobs.put(digest, bytes).await.unwrap();
    let version = Version {
        environment: environment.id,
        number: 1,
        digest,
        len: len as u64,
        seal: vec![5; 258],
        epoch: 1,
        author: person.account,
        created_at_ms: 1,
        deleted: false,
        log_index: None,
    };
    let line = Line {
        trail: Trail::Project(access.project()),
        kind: Kind::BlobPut,
        actor: person.account,
        at_ms: 1,
        environment: Some(environment.id),
        version: 1,
        digest: Some(digest.0),
        key: None,
        by_number: false,
    };
    let committed = port.world.ports.shelf.commit(version, Precondition::First, line).await;
    committed.unwrap().unwrap();
    access.project().to_string()
}

#[tokio::test]
async fn a_long_download_costs_more_than_a_short_one() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let id = long_version(&port, &ada, 40 << 20).await;
    let path = format!("/v1/storage/{id}/production");
    let left = |reply: &Reply| reply.header("ratelimit-remaining").parse::<u32>().unwrap();
    let stat = port.rest(Some(&ada), &format!("HEAD {path}"), &[], b"").await;
    let whole = port.get(&ada, &path).await;
    assert_eq!((whole.status, whole.body.len()), (StatusCode::OK, 40 << 20));
    let base = left(&stat) - left(&whole);
    let part = port.rest(Some(&ada), &format!("GET {path}"), &[("range", "bytes=0-99")], b"").await;
    assert_eq!((part.status, part.body.len()), (StatusCode::PARTIAL_CONTENT, 100));
    let short = left(&whole) - left(&part);
    assert_eq!(base, short + 2, "two full steps of 16 MiB");
    // Nothing is sent to whoever cannot pay for it; a part goes on being cheap.
    while left(&port.rest(Some(&ada), &format!("HEAD {path}"), &[], b"").await) > short + 1 {}
    let refused = port.get(&ada, &path).await;
    assert_eq!((refused.status, refused.reason().as_str()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
}
