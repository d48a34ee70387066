use http::header;
use veilcloud_proto::common::v1 as common;

use super::*;

#[tokio::test]
async fn health_says_when_the_server_is_ready() {
    let port = Port::new();
    assert_eq!(port.rest(None, "GET /health", &[], b"").await.status, StatusCode::OK);
    assert_eq!(port.rest(None, "GET /health/ready", &[], b"").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let check = tonic_health::pb::HealthCheckRequest { service: String::new() };
    let ask = async || {
        let answer = port.anonymous("/grpc.health.v1.Health/Check", &check).await;
        answer.message::<tonic_health::pb::HealthCheckResponse>().status
    };
    port.health.set_ready(true).await;
    assert_eq!(port.rest(None, "GET /health/ready", &[], b"").await.status, StatusCode::OK);
    assert_eq!(ask().await, 1);
    port.health.set_ready(false).await;
    assert_eq!(port.rest(None, "HEAD /health/ready", &[], b"").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask().await, 2);
    assert_eq!(port.rest(None, "POST /health", &[], b"").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn reflection_lists_our_services() {
    let port = Port::new();
    // ServerReflectionRequest { list_services: "" }
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let answer = port.raw(&path, HeaderMap::new(), frame(b"\x3a\x00")).await;
        assert_eq!(answer.status.code(), Code::Ok, "{version}");
        let listed = String::from_utf8_lossy(&answer.messages[0]).into_owned();
        assert!(listed.contains("veilcloud.storage.v1.StorageService"), "{listed}");
    }
}

#[tokio::test]
async fn grpc_web_gets_its_trailers_in_the_body_and_its_errors_in_the_head() {
    let port = Port::new();
    let send = async |path: &str, body: Bytes| {
        let mut request = Request::builder().method("POST").uri(path).body(Body::from(body)).unwrap();
        request.headers_mut().insert(header::CONTENT_TYPE, "application/grpc-web+proto".parse().unwrap());
        let (parts, body) = port.send(request).await.into_parts();
        (parts, body.collect().await.unwrap().to_bytes())
    };
    let (parts, body) = send(SERVER_INFO, frame(b"")).await;
    assert_eq!(parts.headers[header::CONTENT_TYPE], "application/grpc-web+proto");
    let len = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
    let info = common::GetServerInfoResponse::decode(&body[5..5 + len]).unwrap();
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    let trailers = String::from_utf8_lossy(&body[5 + len + 5..]).into_owned();
    assert!(body[5 + len] == 0x80 && trailers.contains("grpc-status:0"), "{trailers}");

    let (parts, body) = send(GET_PROJECT, frame(&get_project(ABSENT).encode_to_vec())).await;
    assert_eq!(parts.headers["grpc-status"], "16");
    assert_eq!(reason(&Status::from_header_map(&parts.headers).unwrap()), "CREDENTIAL_MISSING");
    assert!(body.is_empty() && parts.headers.contains_key("grpc-status-details-bin"));
}

#[tokio::test]
async fn what_only_looks_like_grpc_web_gets_a_reason() {
    let port = Port::new();
    for (method, kind) in [("GET", "application/grpc-web"), ("POST", "application/grpc-web+json")] {
        let mut request = Request::builder().method(method).uri(SERVER_INFO).body(Body::empty()).unwrap();
        request.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
        let response = port.send(request).await;
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(reason(&status), "CONTENT_TYPE_UNSUPPORTED", "{method} {kind}");
    }
}

#[tokio::test]
async fn grpc_web_proofs_are_those_of_grpc() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let id = port.project(&ada, "app").await;
    let message = get_project(&id).encode_to_vec();
    let text = data_encoding::BASE64.encode(&frame(&message));
    let mut request = Request::builder().method("POST").uri(GET_PROJECT).body(Body::from(text)).unwrap();
    request.headers_mut().extend(port.credentials(&ada, GET_PROJECT, &message));
    request.headers_mut().insert(header::CONTENT_TYPE, "application/grpc-web-text".parse().unwrap());
    let response = port.send(request).await;
    assert!(response.headers().get("grpc-status").is_none(), "{:?}", response.headers());
}

#[tokio::test]
async fn every_answer_has_its_security_headers_and_its_trace() {
    let port = Port::with(Settings { tls: true, ..settings() });
    for line in ["GET /health", "GET /v1/server", "GET /nothing", "GET /v1/projects"] {
        let reply = port.rest(None, line, &[], b"").await;
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{line}");
        assert!(reply.header("content-security-policy").contains("default-src 'none'"));
        assert_eq!(
            (reply.header("x-frame-options"), reply.header("referrer-policy")),
            ("DENY", "no-referrer")
        );
        assert_eq!((reply.header("cache-control"), reply.header("veil-trace-id").len()), ("no-store", 32));
        assert!(reply.header("strict-transport-security").starts_with("max-age="));
    }
    let plain = Port::new().rest(None, "GET /health", &[], b"").await;
    assert_eq!(plain.header("strict-transport-security"), "");
}

#[tokio::test]
async fn only_listed_origins_may_call_from_a_browser() {
    let origin = ("origin", "https://console.example");
    let open = Port::with(Settings { cors_origins: vec![origin.1.to_owned()], ..settings() });
    let wish = ("access-control-request-method", "PUT");
    let headers = ("access-control-request-headers", "veil-cap,veil-pop,veil-seal,if-match");
    let preflight = open.rest(None, "OPTIONS /v1/storage/p/e", &[origin, wish, headers], b"").await;
    assert_eq!(preflight.status, StatusCode::OK);
    assert_eq!(
        (preflight.header("x-frame-options"), preflight.header("x-content-type-options")),
        ("DENY", "nosniff")
    );
    assert_eq!(preflight.header("access-control-allow-origin"), origin.1);
    assert!(preflight.header("access-control-allow-headers").contains("veil-pop"));
    let reply = open.rest(None, "GET /v1/server", &[origin], b"").await;
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin", "veil-log-index", "etag"] {
        let exposed = reply.header("access-control-expose-headers");
        assert!(exposed.split(',').any(|known| known == name), "{name} is not among {exposed}");
    }
    let stranger = open.rest(None, "GET /v1/server", &[("origin", "https://evil.example")], b"").await;
    assert_eq!(stranger.header("access-control-allow-origin"), "");
    let closed = Port::new().rest(None, "GET /v1/server", &[origin], b"").await;
    assert_eq!(closed.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn the_document_is_served() {
    let port = Port::new();
    let reply = port.rest(None, "GET /openapi.json", &[], b"").await;
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, "application/json"));
    assert_eq!(reply.json(), crate::openapi());
}

#[tokio::test]
async fn the_documentation_is_served_with_a_policy_of_its_own_and_paid_for() {
    let port = Port::with(Settings { anonymous_per_minute_per_address: 6, ..settings() });
    let page = port.rest(None, "GET /docs", &[], b"").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-frame-options"), "DENY");
    let script = port.rest(None, "GET /docs/swagger-ui-bundle.js", &[], b"").await;
    assert!(script.status == StatusCode::OK && script.body.len() > 100_000);
    let tag = script.header("etag").to_owned();
    let same = port.rest(None, "GET /docs/swagger-ui-bundle.js", &[("if-none-match", &tag)], b"").await;
    assert_eq!((same.status, same.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let reason = port.rest(None, "GET /docs/errors/ETAG_MISMATCH", &[], b"").await;
    assert!(String::from_utf8_lossy(&reason.body).contains("What to do"));
    let nothing = port.rest(None, "GET /docs/../v1/server", &[], b"").await;
    assert_eq!((nothing.status, nothing.reason().as_str()), (StatusCode::NOT_FOUND, "METHOD_UNKNOWN"));
    let other = port.rest(None, "POST /docs", &[], b"").await;
    assert_eq!((other.status, other.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
    assert_eq!(port.rest(None, "GET /docs", &[], b"").await.reason(), "RATE_LIMITED");
}

struct Panics;

#[async_trait::async_trait]
impl Nullifiers for Panics {
    async fn spend(
        &self,
        _: veilsign::nullifier::Nullifier,
        _: u64,
        _: u64,
    ) -> Result<bool, veilcloud_domain::store::StoreError> {
        panic!("SECRET PANIC")
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_on_both_protocols() {
    let world = World::default();
    let meter = world.ports.meter.clone();
    let port = Port::over(world, settings(), meter, std::sync::Arc::new(Panics));
    let ada = port.world.person("ada@example.org").await;
    let answer = port.call(&ada, LIST_PROJECTS, &projects::ListProjectsRequest::default()).await;
    assert_eq!((answer.status.code(), answer.reason().as_str()), (Code::Internal, "INTERNAL"));
    assert!(!format!("{answer:?}").contains("SECRET"));
    let reply = port.get(&ada, "/v1/projects").await;
    assert_eq!((reply.status.as_u16(), reply.reason().as_str()), (500, "INTERNAL"));
    assert!(!format!("{reply:?}").contains("SECRET"));
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let port = Port::with(Settings { request_timeout: Duration::from_millis(50), ..settings() });
    let never = || Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let request = Request::builder().method("POST").uri("/v1/auth/login/start").body(never()).unwrap();
    assert_eq!(port.send(request).await.status(), StatusCode::GATEWAY_TIMEOUT);
    let mut request = Request::builder().method("POST").uri(SERVER_INFO).body(never()).unwrap();
    request.headers_mut().insert(header::CONTENT_TYPE, "application/grpc".parse().unwrap());
    let response = port.send(request).await;
    assert_eq!(reason(&Status::from_header_map(response.headers()).unwrap()), "DEADLINE_EXCEEDED");
}
