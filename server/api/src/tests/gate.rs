use std::sync::Arc;

use async_trait::async_trait;
use veilcloud_domain::{
    auth::port::{Nullifiers, Taken, Window},
    store::StoreError,
};
use veilcloud_proto::{auth::v1 as auth, common::v1 as common};
use veilsign::nullifier::Nullifier;

use super::*;

#[tokio::test]
async fn a_caller_with_a_proof_is_answered() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let id = port.project(&ada, "app").await;
    let answer = port.call(&ada, GET_PROJECT, &get_project(&id)).await;
    let project = answer.message::<projects::GetProjectResponse>().project.unwrap();
    assert_eq!((project.project_id, project.name.as_str()), (id, "app"));
    assert_eq!(answer.headers["veil-trace-id"].len(), 32);
    assert_eq!(answer.headers["ratelimit-limit"], "100");
}

#[tokio::test]
async fn the_order_of_the_gate_is_the_rule_of_the_house() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let foreign = port.project(&port.world.person("bob@example.org").await, "theirs").await;
    let ask = get_project(&foreign);
    let body = ask.encode_to_vec();

    // Bounds before the caller: nobody is asked who sends nonsense, but without any credential it is not even read.
    let bad = get_project("nonsense").encode_to_vec();
    let unproven = port.credentials(&ada, "/other.Service/Method", &bad);
    assert_eq!(port.raw(GET_PROJECT, unproven, frame(&bad)).await.reason(), "FIELD_INVALID");
    assert_eq!(port.raw(GET_PROJECT, HeaderMap::new(), frame(&bad)).await.reason(), "CREDENTIAL_MISSING");
    // The caller before permission: a wrong proof for a foreign project is a wrong proof.
    let wrong = port.credentials(&ada, "/other.Service/Method", &body);
    assert_eq!(port.raw(GET_PROJECT, wrong, frame(&body)).await.reason(), "PROOF_INVALID");
    assert_eq!(port.raw(GET_PROJECT, HeaderMap::new(), frame(&body)).await.reason(), "CREDENTIAL_MISSING");
    // Permission before replay: a refused request keeps its proof, so the second try fails alike.
    let headers = port.credentials(&ada, GET_PROJECT, &body);
    for _ in 0..2 {
        let answer = port.raw(GET_PROJECT, headers.clone(), frame(&body)).await;
        assert_eq!(answer.reason(), "PERMISSION_DENIED");
    }
    // The tier before permission: a caller out of tokens does not learn even that.
    let mut last = String::new();
    for _ in 0..100 {
        last = port.call(&ada, GET_PROJECT, &ask).await.reason();
    }
    assert_eq!(last, "RATE_LIMITED");
}

#[tokio::test]
async fn a_proof_is_good_for_one_request_only() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let id = port.project(&ada, "app").await;
    let body = get_project(&id).encode_to_vec();
    let headers = port.credentials(&ada, GET_PROJECT, &body);
    assert_eq!(port.raw(GET_PROJECT, headers.clone(), frame(&body)).await.status.code(), Code::Ok);
    assert_eq!(port.raw(GET_PROJECT, headers, frame(&body)).await.reason(), "PROOF_REPLAYED");

    // Another body, another method, another time.
    let other = get_project(ABSENT).encode_to_vec();
    let headers = port.credentials(&ada, GET_PROJECT, &body);
    assert_eq!(port.raw(GET_PROJECT, headers.clone(), frame(&other)).await.reason(), "PROOF_INVALID");
    assert_eq!(port.raw(DELETE_PROJECT, headers.clone(), frame(&body)).await.reason(), "PROOF_INVALID");
    port.world.clock.advance(61_000);
    let answer = port.raw(GET_PROJECT, headers, frame(&body)).await;
    assert_eq!(answer.reason(), "PROOF_STALE");
    let details = answer.status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["skew_ms"], "61000");
}

#[tokio::test]
async fn credentials_that_are_not_plain_base64url_are_refused() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let body = get_project(ABSENT).encode_to_vec();
    let good = port.credentials(&ada, GET_PROJECT, &body);
    let with = |name: &'static str, value: &str| {
        let mut headers = good.clone();
        headers.insert(name, value.parse().unwrap());
        headers
    };
    let mut doubled = good.clone();
    doubled.append("veil-cap", good["veil-cap"].clone());
    for (headers, expected) in [
        (with("veil-cap", "!"), "CREDENTIAL_INVALID"),
        (with("veil-pop", "AA="), "PROOF_INVALID"),
        (with("veil-cap", ""), "CREDENTIAL_MISSING"),
        (with("veil-cap", "AAAA"), "CREDENTIAL_INVALID"),
        (doubled, "CREDENTIAL_INVALID"),
    ] {
        assert_eq!(port.raw(GET_PROJECT, headers, frame(&body)).await.reason(), expected);
    }
}

#[tokio::test]
async fn a_foreign_project_and_an_absent_one_are_answered_with_the_same_bytes() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let foreign = port.project(&port.world.person("bob@example.org").await, "theirs").await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let ask = async |id: &str| {
        let body = get_project(id).encode_to_vec();
        let mut headers = port.credentials(&ada, GET_PROJECT, &body);
        headers.insert("traceparent", trace.parse().unwrap());
        let answer = port.raw(GET_PROJECT, headers, frame(&body)).await;
        assert_eq!(answer.status.code(), Code::PermissionDenied);
        format!("{:?} {:?} {:?}", answer.headers, answer.status.details(), answer.status.message())
    };
    assert_eq!(ask(&foreign).await, ask(ABSENT).await);

    let rest = async |id: &str| {
        let line = format!("GET /v1/projects/{id}");
        let reply = port.rest(Some(&ada), &line, &[("traceparent", trace)], b"").await;
        (reply.status, format!("{:?}", reply.headers), reply.body)
    };
    assert_eq!(rest(&foreign).await, rest(ABSENT).await);
}

#[tokio::test]
async fn messages_that_are_not_one_plain_message_are_refused() {
    let port = Port::new();
    let info = common::GetServerInfoRequest {}.encode_to_vec();
    let send = async |body: Bytes| port.raw(SERVER_INFO, HeaderMap::new(), body).await;
    assert_eq!(send(frame(&info)).await.status.code(), Code::Ok);
    let told = |answer: Answer| (answer.status.code(), answer.reason());
    let malformed = |code| (code, "MESSAGE_MALFORMED".to_owned());
    // The codes of gRPC's own documents, as its conformance runner expects them.
    let flagged = Bytes::from_static(b"\x01\0\0\0\0");
    assert_eq!(told(send(flagged.clone()).await), malformed(Code::Internal));
    assert_eq!(told(send(Bytes::new()).await), malformed(Code::Unimplemented));
    let two = [frame(&info), frame(&info)].concat();
    assert_eq!(told(send(two.into()).await), malformed(Code::Unimplemented));
    for (named, body, code) in [
        ("identity", flagged.clone(), Code::Internal),
        ("gzip", flagged, Code::Unimplemented),
        ("gzip", frame(&info), Code::Unimplemented),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-encoding", named.parse().unwrap());
        let answer = port.raw(SERVER_INFO, headers, body).await;
        let known = answer.headers.get("grpc-accept-encoding").is_some_and(|known| known == "identity");
        assert_eq!((told(answer), known), (malformed(code), named == "gzip"));
    }
    assert_eq!(send(frame(b"\x0a\xff")).await.reason(), "MESSAGE_MALFORMED");
    assert_eq!(send(frame(b"\xf8\x07\x01")).await.reason(), "FIELD_INVALID");
    let large = send(frame(&vec![0; (1 << 20) + 1])).await;
    assert_eq!(
        (large.status.code(), large.reason().as_str()),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE")
    );
    let name_not_utf8 = frame(b"\x0a\x02\xff\xff");
    let answer = port.raw(LOGIN_START, HeaderMap::new(), name_not_utf8).await;
    assert_eq!(answer.reason(), "MESSAGE_MALFORMED");
}

#[tokio::test]
async fn unknown_methods_and_other_content_are_refused() {
    let port = Port::new();
    for path in [
        "/veilcloud.common.v1.ServerService/Nothing",
        "/no.such.Service/Get",
        "/veilcloud.common.v1.ServerService/",
        "/",
    ] {
        let answer = port.raw(path, HeaderMap::new(), frame(b"")).await;
        assert_eq!((answer.status.code(), answer.reason().as_str()), (Code::Unimplemented, "METHOD_UNKNOWN"));
    }
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/grpc+json".parse().unwrap());
    let answer = port.raw(SERVER_INFO, headers, frame(b"{}")).await;
    let told = (answer.status.code(), answer.reason());
    assert_eq!(told, (Code::Unimplemented, "CONTENT_TYPE_UNSUPPORTED".to_owned()));
    // gRPC over HTTP/2, "Requests": what is no gRPC at all gets the HTTP status 415.
    for (line, status) in [(format!("POST {SERVER_INFO}"), 415), (format!("GET {SERVER_INFO}"), 404)] {
        let reply = port.rest(None, &line, &[("content-type", "application/json")], b"{}").await;
        assert_eq!(reply.status.as_u16(), status, "{line}");
    }
    let mut headers = HeaderMap::new();
    headers.insert("grpc-timeout", "soon".parse().unwrap());
    assert_eq!(port.raw(SERVER_INFO, headers, frame(b"")).await.reason(), "FIELD_INVALID");
    let mut headers = HeaderMap::new();
    headers.insert("grpc-timeout", "0n".parse().unwrap());
    assert_eq!(port.raw(SERVER_INFO, headers, frame(b"")).await.reason(), "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn draining_refuses_changes_and_goes_on_reading() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let id = port.project(&ada, "app").await;
    port.draining.begin();
    let create = projects::CreateProjectRequest { name: "late".into(), request_id: String::new() };
    let answer = port.call(&ada, CREATE_PROJECT, &create).await;
    assert_eq!((answer.status.code(), answer.reason().as_str()), (Code::Unavailable, "DRAINING"));
    assert!(answer.status.get_error_details().retry_info().is_some());
    assert_eq!(port.call(&ada, GET_PROJECT, &get_project(&id)).await.status.code(), Code::Ok);
}

#[tokio::test]
async fn guesses_are_metered_by_address_and_by_email() {
    let port = Port::with(Settings {
        guarded_per_minute_per_address: 5,
        guarded_per_minute_per_email: 3,
        ..settings()
    });
    let guess = async |email: &str, peer: &str| {
        let message = auth::LoginStartRequest { email: email.into(), ke1: vec![0; 96] };
        let body = frame(&message.encode_to_vec());
        let mut request = Request::builder().method("POST").uri(LOGIN_START).body(Body::from(body)).unwrap();
        request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        request.extensions_mut().insert(PeerAddr(peer.parse().unwrap()));
        let response = port.send(request).await;
        reason(&Status::from_header_map(response.headers()).unwrap())
    };
    for _ in 0..3 {
        assert_eq!(guess("a@example.org", "192.0.2.1:1").await, "LOGIN_MESSAGE_INVALID");
    }
    assert_eq!(guess("a@example.org", "192.0.2.1:2").await, "RATE_LIMITED");
    assert_eq!(guess("A@EXAMPLE.ORG", "192.0.2.1:1").await, "RATE_LIMITED");
    for n in 0..5 {
        let one = guess(&format!("p{n}@example.org"), "198.51.100.1:1").await;
        assert_eq!(one, "LOGIN_MESSAGE_INVALID");
    }
    assert_eq!(guess("z@example.org", "198.51.100.1:2").await, "RATE_LIMITED");
}

#[tokio::test]
async fn a_change_of_password_needs_a_fresh_login() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let path = "/veilcloud.auth.v1.AuthService/ChangePasswordStart";
    let message = auth::ChangePasswordStartRequest { registration_request: vec![0; 32] };
    assert_ne!(port.call(&ada, path, &message).await.reason(), "LOGIN_NOT_FRESH");
    port.world.clock.advance(5 * 60_000 + 1);
    assert_eq!(port.call(&ada, path, &message).await.reason(), "LOGIN_NOT_FRESH");
    port.world.clock.advance(11 * 60_000);
    assert_eq!(port.call(&ada, path, &message).await.reason(), "CREDENTIAL_EXPIRED");
}

struct Away;

#[async_trait]
impl Nullifiers for Away {
    async fn spend(&self, _: Nullifier, _: u64, _: u64) -> Result<bool, StoreError> {
        Err(StoreError::Unavailable { store: "nullifiers", cause: "SECRET CAUSE".into() })
    }
}

#[async_trait]
impl Meter for Away {
    async fn take(&self, _: &str, _: u32, _: &[Window], _: u64) -> Result<Taken, StoreError> {
        Err(StoreError::Unavailable { store: "meter", cause: "SECRET CAUSE".into() })
    }
}

#[tokio::test]
async fn without_its_stores_the_gate_refuses_changes_and_guesses_only() {
    for away_meter in [true, false] {
        let world = World::default();
        let meter: Arc<dyn Meter> = if away_meter { Arc::new(Away) } else { world.ports.meter.clone() };
        let nullifiers: Arc<dyn Nullifiers> =
            if away_meter { world.ports.nullifiers.clone() } else { Arc::new(Away) };
        let port = Port::over(world, settings(), meter, nullifiers);
        let ada = port.world.person("ada@example.org").await;
        let create = projects::CreateProjectRequest { name: "a".into(), request_id: String::new() };
        let answer = port.call(&ada, CREATE_PROJECT, &create).await;
        assert_eq!(
            (answer.status.code(), answer.reason().as_str()),
            (Code::Unavailable, "STORE_UNAVAILABLE")
        );
        assert!(!format!("{answer:?}").contains("SECRET"));
        let list = port.call(&ada, LIST_PROJECTS, &projects::ListProjectsRequest::default()).await;
        assert_eq!(list.message::<projects::ListProjectsResponse>().projects, []);
        let guess = auth::LoginStartRequest { email: "a@example.org".into(), ke1: vec![0; 96] };
        let guessed = port.anonymous(LOGIN_START, &guess).await.reason();
        assert_eq!(guessed == "STORE_UNAVAILABLE", away_meter);
    }
}
