//! What callers may cost us before, and apart from, their tier: bodies, refusals, chunks, guesses.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::stream;
use tokio::sync::{Notify, oneshot};
use veilcloud_domain::{
    audit::model::{Kind, Line, Trail},
    auth::model::{Session, Tier},
};
use veilcloud_proto::auth::v1 as auth;
use veilsign::{
    capability::{Actions, Grant, Resource},
    proof::prove,
};

use super::*;

const GET_ME: &str = "/veilcloud.auth.v1.UserService/GetMe";
const LOGOUT: &str = "/veilcloud.auth.v1.AuthService/Logout";
const PUT_CHUNK: &str = "/veilcloud.storage.v1.UploadService/PutChunk";
const MALFORMED: &[u8] = b"\x0a\xff";

fn grpc(path: &str, peer: &str, body: Body) -> Request<Body> {
    let mut request = Request::builder().method("POST").uri(path).body(body).unwrap();
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    request.extensions_mut().insert(PeerAddr(format!("{peer}:1").parse().unwrap()));
    request
}

/// A body of this many bytes that ends when it is told to; says when they were read.
fn held_open(len: usize) -> (Body, oneshot::Sender<()>, Arc<Notify>) {
    let (end, ended) = oneshot::channel::<()>();
    let read = Arc::new(Notify::new());
    let said = read.clone();
    let rest = stream::once(async move {
        said.notify_one();
        let _ = ended.await;
        Ok::<_, std::io::Error>(Bytes::new())
    });
    let first = stream::iter([Ok(Bytes::from(vec![0; len]))]);
    (Body::from_stream(futures_util::StreamExt::chain(first, rest)), end, read)
}

impl Port {
    async fn refusal(&self, request: Request<Body>) -> Status {
        let (parts, body) = self.send(request).await.into_parts();
        let trailers = body.collect().await.unwrap().trailers().cloned().unwrap_or_default();
        Status::from_header_map(&parts.headers).or_else(|| Status::from_header_map(&trailers)).unwrap()
    }

    async fn refused_from(&self, peer: &str, path: &str, body: Bytes) -> String {
        reason(&self.refusal(grpc(path, peer, Body::from(body))).await)
    }

    async fn refused_rest_from(&self, peer: &str, line: &str, body: &'static str) -> String {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
        request.extensions_mut().insert(PeerAddr(format!("{peer}:1").parse().unwrap()));
        let (parts, body) = self.send(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status, headers: parts.headers, body }.reason()
    }
}

#[tokio::test]
async fn bodies_without_room_are_refused_at_once_and_one_address_cannot_take_all_room() {
    let port = Port::with(Settings { body_bytes_in_flight: 64 * 1024, ..settings() });
    let (body, end, read) = held_open(12 * 1024);
    let first = {
        let router = port.router.clone();
        tokio::spawn(async move { router.oneshot(grpc(SERVER_INFO, "192.0.2.1", body)).await.unwrap() })
    };
    read.notified().await;
    let large = || Bytes::from(vec![0; 10 * 1024]);
    let status = port.refusal(grpc(SERVER_INFO, "192.0.2.1", Body::from(large()))).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    assert!(status.get_error_details().retry_info().is_some());
    assert_eq!(port.refused_from("192.0.2.2", SERVER_INFO, large()).await, "MESSAGE_MALFORMED");
    let json = |text: &'static str| async {
        let mut request = Request::builder().method("POST").uri("/v1/auth/login/start");
        request.headers_mut().unwrap().insert("content-type", "application/json".parse().unwrap());
        let mut request = request.body(Body::from(text.repeat(5 * 1024))).unwrap();
        request.extensions_mut().insert(PeerAddr("192.0.2.1:1".parse().unwrap()));
        port.send(request).await.status().as_u16()
    };
    assert_eq!(json("[]").await, 429);

    end.send(()).unwrap();
    first.await.unwrap();
    assert_eq!(port.refused_from("192.0.2.1", SERVER_INFO, large()).await, "MESSAGE_MALFORMED");
    assert_eq!(json("[]").await, 400);
}

#[tokio::test]
async fn a_body_without_its_credentials_is_not_read() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let message = get_project(ABSENT).encode_to_vec();
    let good = port.credentials(&ada, GET_PROJECT, &message);
    let without = |name: &str| {
        let mut headers = good.clone();
        headers.remove(name);
        headers
    };
    let mut long = good.clone();
    long.insert("veil-pop", "A".repeat(9 * 1024).parse().unwrap());
    for (headers, expected) in [
        (HeaderMap::new(), "CREDENTIAL_MISSING"),
        (without("veil-cap"), "CREDENTIAL_MISSING"),
        (without("veil-pop"), "CREDENTIAL_MISSING"),
        (long, "PROOF_INVALID"),
    ] {
        for (path, kind) in [(GET_PROJECT, "application/grpc"), ("/v1/projects", "application/json")] {
            let read = Arc::new(AtomicBool::new(false));
            let seen = read.clone();
            let body = stream::once(async move {
                seen.store(true, Ordering::Relaxed);
                Ok::<_, std::io::Error>(Bytes::new())
            });
            let mut request = Request::builder().method("POST").uri(path);
            *request.headers_mut().unwrap() = headers.clone();
            let request = request.header("content-type", kind).body(Body::from_stream(body)).unwrap();
            let (parts, body) = port.send(request).await.into_parts();
            let told = match Status::from_header_map(&parts.headers) {
                Some(status) => reason(&status),
                None => {
                    let body = body.collect().await.unwrap().to_bytes();
                    Reply { status: parts.status, headers: parts.headers, body }.reason()
                }
            };
            assert_eq!((told.as_str(), read.load(Ordering::Relaxed)), (expected, false), "{path}");
        }
    }
}

#[tokio::test]
async fn a_refused_request_costs_its_address_a_token() {
    let port = Port::with(Settings { anonymous_per_minute_per_address: 4, ..settings() });
    let ada = port.world.person("ada@example.org").await;
    let message = get_project(ABSENT).encode_to_vec();
    let good = port.credentials(&ada, GET_PROJECT, &message);
    let mut wrong = grpc(GET_PROJECT, "192.0.2.7", Body::from(frame(&message)));
    wrong.headers_mut().insert("veil-cap", good["veil-cap"].clone());
    wrong.headers_mut().insert("veil-pop", "AAAA".parse().unwrap());
    assert_eq!(reason(&port.refusal(wrong).await), "PROOF_INVALID");
    let missing = port.refused_from("192.0.2.7", GET_PROJECT, frame(&message)).await;
    assert_eq!(missing, "CREDENTIAL_MISSING");
    assert_eq!(port.refused_from("192.0.2.7", SERVER_INFO, frame(MALFORMED)).await, "MESSAGE_MALFORMED");
    assert_eq!(port.refused_from("192.0.2.7", "/no.such.Service/Get", frame(b"")).await, "METHOD_UNKNOWN");
    for path in [SERVER_INFO, GET_PROJECT, "/no.such.Service/Get"] {
        assert_eq!(port.refused_from("192.0.2.7", path, frame(MALFORMED)).await, "RATE_LIMITED", "{path}");
    }
    for line in ["GET /v1/nothing", "DELETE /v1/server", "GET /v1/projects/..", "GET /v1/projects"] {
        assert_eq!(port.refused_rest_from("192.0.2.7", line, "").await, "RATE_LIMITED", "{line}");
    }

    // REST pays the same, once for each request; other addresses and known callers do not pay for this one.
    for _ in 0..4 {
        let told = port.refused_rest_from("192.0.2.8", "POST /v1/auth/login/start", "{}").await;
        assert_eq!(told, "CONTENT_TYPE_UNSUPPORTED");
    }
    assert_eq!(port.refused_rest_from("192.0.2.8", "POST /v1/auth/login/start", "{}").await, "RATE_LIMITED");
    let mut own = grpc(GET_PROJECT, "192.0.2.7", Body::from(frame(&message)));
    own.headers_mut().extend(good);
    assert_eq!(reason(&port.refusal(own).await), "PERMISSION_DENIED");
}

#[tokio::test]
async fn what_the_server_cannot_do_now_costs_the_caller_nothing() {
    let port = Port::with(Settings { anonymous_per_minute_per_address: 1, ..settings() });
    port.draining.begin();
    for _ in 0..3 {
        assert_eq!(port.refused_from("192.0.2.7", CREATE_PROJECT, frame(b"")).await, "DRAINING");
    }
}

#[tokio::test]
async fn a_message_of_many_fields_is_refused_before_it_is_decoded() {
    let port = Port::new();
    let many = frame(&b"\x0a\x00".repeat(65));
    assert_eq!(port.refused_from("192.0.2.7", LOGIN_START, many).await, "MESSAGE_MALFORMED");
    let few = frame(&b"\x0a\x00".repeat(64));
    assert_eq!(port.refused_from("192.0.2.7", LOGIN_START, few).await, "FIELD_INVALID");
}

/// Gives the account another tier; its session stays as it is.
pub async fn set_tier(port: &Port, person: &Person, tier: Tier) {
    let directory = &port.world.ports.directory;
    let id = person.caller(&port.world).await.session().unwrap();
    let account = directory.account(person.account).await.unwrap().unwrap();
    let line = Line {
        trail: Trail::Account(person.account),
        kind: Kind::AccountCreate,
        actor: person.account,
        at_ms: 1,
        environment: None,
        version: 0,
        digest: None,
        key: None,
        by_number: false,
    };
    directory.delete_account(person.account, vec![line.clone()]).await.unwrap();
    let record_hash = veilcore::hash::sha256(&account.record);
    let account = veilcloud_domain::auth::model::Account { tier, ..account };
    assert!(directory.create_account(account, vec![line.clone()]).await.unwrap());
    let now_ms = port.world.clock.now_ms();
    let session = Session {
        id,
        account: person.account,
        holder_pk: *person.holder.verifying_key().as_bytes(),
        refresh_hash: [1; 32],
        logged_in_at_ms: now_ms,
        expires_at_ms: now_ms + 3_600_000,
    };
    assert!(directory.open_session(session, record_hash, 1, line).await.unwrap());
}

#[tokio::test]
async fn chunks_have_a_window_of_their_own_in_every_tier() {
    for tier in [Tier::Free, Tier::Enterprise] {
        let port = Port::with(Settings { chunks_per_minute: 2, ..settings() });
        let ada = port.world.person("ada@example.org").await;
        let bob = port.world.person("bob@example.org").await;
        set_tier(&port, &ada, tier).await;
        let chunk = storage::PutChunkRequest {
            project_id: ABSENT.into(),
            env_name: "production".into(),
            upload_id: ABSENT.into(),
            index: 0,
            data: Bytes::from_static(b"x"),
            digest: Bytes::from_static(&[0; 32]),
        };
        for _ in 0..2 {
            assert_eq!(port.call(&ada, PUT_CHUNK, &chunk).await.reason(), "PERMISSION_DENIED");
        }
        assert_eq!(port.call(&ada, PUT_CHUNK, &chunk).await.reason(), "RATE_LIMITED", "{tier:?}");
        assert_eq!(port.call(&bob, PUT_CHUNK, &chunk).await.reason(), "PERMISSION_DENIED");
        // It is not the tier's window.
        let answer = port.call(&ada, LIST_PROJECTS, &projects::ListProjectsRequest::default()).await;
        assert_eq!(answer.status.code(), Code::Ok);
        port.world.clock.advance(60_000);
        assert_eq!(port.call(&ada, PUT_CHUNK, &chunk).await.reason(), "PERMISSION_DENIED");
    }
}

#[tokio::test]
async fn a_narrowed_capability_neither_logs_out_nor_reads_the_account() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let project = port.project(&ada, "app").await;
    let place = Resource::project(project.parse().unwrap());
    let call = async |capability: &[u8], nonce: u8, path: &str| {
        let now_ms = port.world.clock.now_ms();
        let proof = prove(&ada.holder, capability, path, b"", now_ms, [nonce; 16]).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("veil-cap", BASE64URL_NOPAD.encode(capability).parse().unwrap());
        headers.insert("veil-pop", BASE64URL_NOPAD.encode(&proof).parse().unwrap());
        port.raw(path, headers, frame(b"")).await
    };
    for grant in [
        Grant::new(Resource::account(), Actions::PROJECT_READ | Actions::PROJECT_WRITE),
        Grant::new(place, Actions::ACCOUNT_MANAGE),
    ] {
        let narrow = ada.narrowed(vec![grant]);
        for path in [GET_ME, LOGOUT] {
            assert_eq!(call(&narrow, 1, path).await.reason(), "PERMISSION_DENIED", "{path}");
        }
    }
    let manage = ada.narrowed(vec![Grant::new(Resource::account(), Actions::ACCOUNT_MANAGE)]);
    assert_eq!(call(&manage, 2, GET_ME).await.status.code(), Code::Ok);
    let whole = ada.session().capability.clone();
    let me = call(&whole, 3, GET_ME).await.message::<auth::GetMeResponse>().user.unwrap();
    assert_eq!(me.email, "ada@example.org");
    assert_eq!(call(&whole, 4, LOGOUT).await.status.code(), Code::Ok);
    assert_eq!(call(&whole, 5, GET_ME).await.reason(), "CREDENTIAL_REVOKED");
}

async fn guess(port: &Port, email: &str, peer: &str) -> String {
    let message = auth::LoginStartRequest { email: email.into(), ke1: vec![0; 96] };
    port.refused_from(peer, LOGIN_START, frame(&message.encode_to_vec())).await
}

#[tokio::test]
async fn nobody_is_locked_out_from_somewhere_else() {
    let port = Port::with(Settings {
        guarded_per_minute_per_address: 100,
        guarded_per_minute_per_email: 3,
        ..settings()
    });
    for _ in 0..3 {
        assert_eq!(guess(&port, "a@example.org", "192.0.2.1").await, "LOGIN_MESSAGE_INVALID");
    }
    assert_eq!(guess(&port, "A@EXAMPLE.ORG", "192.0.2.1").await, "RATE_LIMITED");
    assert_eq!(guess(&port, "b@example.org", "192.0.2.1").await, "LOGIN_MESSAGE_INVALID");
    // Ten times as many from all addresses together, and refused guesses are not among them.
    for n in 3..30 {
        let told = guess(&port, "a@example.org", &format!("198.51.100.{}", n / 3)).await;
        assert_eq!(told, "LOGIN_MESSAGE_INVALID", "{n}");
    }
    assert_eq!(guess(&port, "a@example.org", "203.0.113.1").await, "RATE_LIMITED");
    assert_eq!(guess(&port, "b@example.org", "203.0.113.1").await, "LOGIN_MESSAGE_INVALID");
}

#[tokio::test]
async fn guesses_are_metered_by_ipv6_network_too() {
    let port = Port::with(Settings { guarded_per_minute_per_address: 2, ..settings() });
    for n in 0..16 {
        let told = guess(&port, &format!("p{n}@example.org"), &format!("[2001:db8:1:{}::1]", n / 2)).await;
        assert_eq!(told, "LOGIN_MESSAGE_INVALID", "{n}");
    }
    assert_eq!(guess(&port, "z@example.org", "[2001:db8:1:99::1]").await, "RATE_LIMITED");
    assert_eq!(guess(&port, "z@example.org", "[2001:db8:2:99::1]").await, "LOGIN_MESSAGE_INVALID");
    // An IPv4 address has no network of that kind.
    for n in 0..20 {
        let told = guess(&port, &format!("q{n}@example.org"), &format!("192.0.2.{n}")).await;
        assert_eq!(told, "LOGIN_MESSAGE_INVALID", "{n}");
    }
}
