//! The whole public port, in process: real domain, ports in memory, people with real keys.

mod api_keys;
mod blobs;
mod capabilities;
mod door;
mod gate;
mod limits;
mod matrix;
mod negative;
mod pressure;
mod reasons;
mod repeats;
mod rest;
mod shares;
mod teams;
mod tiers;
mod tokens;

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;
use veilcloud_domain::{
    auth::port::{Meter, Nullifiers},
    clock::Clock,
    testkit::{Person, World},
};
use veilcloud_proto::{common::v1::ErrorReason, projects::v1 as projects, storage::v1 as storage};

use crate::{
    Draining, Health, PeerAddr, Services, Settings,
    contract::METHODS,
    gate::frame,
    rest::{listed, reasons_of},
    router,
    status::{DOMAIN, word},
    testkit::services,
};

/// The port over a world.
pub struct Port {
    pub world: World,
    pub router: Router,
    pub health: Health,
    pub draining: Draining,
}

/// An answer over gRPC.
#[derive(Debug)]
pub struct Answer {
    pub headers: HeaderMap,
    pub status: Status,
    pub messages: Vec<Bytes>,
}

impl Answer {
    pub fn message<T: Message + Default>(&self) -> T {
        assert_eq!(self.status.code(), Code::Ok, "{:?}", self.status);
        T::decode(self.messages[0].clone()).unwrap()
    }

    pub fn reason(&self) -> String {
        reason(&self.status)
    }
}

pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("every error has a reason");
    assert_eq!(info.domain, DOMAIN);
    info.reason.clone()
}

/// Every refusal that any test here provokes is one that OpenAPI lists for its operation.
fn is_listed(of: &str, reason: &str, listed: &[ErrorReason]) {
    let known = listed.iter().any(|listed| word(*listed) == reason);
    assert!(
        known,
        "{of} answers {reason}, which server/api/src/rest/openapi/outcome.rs does not list for it"
    );
}

/// An answer over REST.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    pub fn reason(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        self.json()["reason"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

pub fn settings() -> Settings {
    Settings { request_timeout: Duration::from_secs(30), ..Settings::default() }
}

impl Port {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: Settings) -> Self {
        let world = World::default();
        let (meter, nullifiers) = (world.ports.meter.clone(), world.ports.nullifiers.clone());
        Self::over(world, settings, meter, nullifiers)
    }

    pub fn over(
        world: World,
        settings: Settings,
        meter: std::sync::Arc<dyn Meter>,
        nullifiers: std::sync::Arc<dyn Nullifiers>,
    ) -> Self {
        let services = Services { meter, nullifiers, ..services(&world) };
        let draining = Draining::new();
        let (router, health) = router(services, settings, draining.clone());
        Self { world, router, health, draining }
    }

    /// Sends any request from one address.
    pub async fn send(&self, mut request: Request<Body>) -> Response<Body> {
        let peer: SocketAddr = "192.0.2.1:1000".parse().unwrap();
        if request.extensions().get::<PeerAddr>().is_none() {
            request.extensions_mut().insert(PeerAddr(peer));
        }
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Calls an RPC as this person.
    pub async fn call<T: Message>(&self, person: &Person, path: &str, message: &T) -> Answer {
        let message = message.encode_to_vec();
        let headers = self.credentials(person, path, &message);
        self.raw(path, headers, frame(&message)).await
    }

    /// Calls an RPC as nobody.
    pub async fn anonymous<T: Message>(&self, path: &str, message: &T) -> Answer {
        self.raw(path, HeaderMap::new(), frame(&message.encode_to_vec())).await
    }

    /// Calls an RPC with these headers and this body.
    pub async fn raw(&self, path: &str, headers: HeaderMap, body: Bytes) -> Answer {
        let mut request = Request::builder().method("POST").uri(path).body(Body::from(body)).unwrap();
        request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        request.headers_mut().extend(headers);
        let response = self.send(request).await;
        assert_eq!(response.status(), StatusCode::OK, "gRPC answers are 200");
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let status = Status::from_header_map(&parts.headers).or_else(|| Status::from_header_map(&trailers));
        let mut bytes = collected.to_bytes();
        let mut messages = Vec::new();
        while bytes.len() >= 5 {
            let len = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
            let mut whole = bytes.split_to(5 + len);
            messages.push(whole.split_off(5));
        }
        let status = status.expect("a status");
        if let Some(method) = METHODS.get(path).filter(|_| status.code() != Code::Ok) {
            is_listed(path, &reason(&status), &reasons_of(method));
        }
        Answer { headers: parts.headers, status, messages }
    }

    pub fn credentials(&self, person: &Person, target: &str, body: &[u8]) -> HeaderMap {
        let proof = person.proof(target, body, self.world.clock.now_ms());
        let mut headers = HeaderMap::new();
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes).parse().unwrap();
        headers.insert("veil-cap", encode(&person.session().capability));
        headers.insert("veil-pop", encode(&proof));
        headers
    }

    /// A REST request as this person, with these headers.
    pub async fn rest(
        &self,
        who: Option<&Person>,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request =
            Request::builder().method(method).uri(path).body(Body::from(body.to_vec())).unwrap();
        if let Some(person) = who {
            request.headers_mut().extend(self.credentials(person, line, body));
        }
        for (name, value) in headers {
            request.headers_mut().append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let head = request.method() == Method::HEAD;
        let (parts, body) = self.send(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert!(!head || body.is_empty(), "HEAD has no body");
        let reply = Reply { status: parts.status, headers: parts.headers, body };
        let problem = reply.header("content-type") == "application/problem+json" && !head;
        let plain = path.split('?').next().unwrap_or_default();
        if let (true, Some(reasons)) = (problem, listed(&method.parse().unwrap(), plain)) {
            is_listed(line, &reply.reason(), &reasons);
        }
        reply
    }

    /// A GET without headers.
    pub async fn get(&self, person: &Person, path: &str) -> Reply {
        self.rest(Some(person), &format!("GET {path}"), &[], b"").await
    }

    /// A project of this person.
    pub async fn project(&self, person: &Person, name: &str) -> String {
        let request = projects::CreateProjectRequest { name: name.into(), request_id: String::new() };
        let answer = self.call(person, "/veilcloud.projects.v1.ProjectService/CreateProject", &request).await;
        answer.message::<projects::CreateProjectResponse>().project.unwrap().project_id
    }
}

pub const GET_PROJECT: &str = "/veilcloud.projects.v1.ProjectService/GetProject";
pub const CREATE_PROJECT: &str = "/veilcloud.projects.v1.ProjectService/CreateProject";
pub const DELETE_PROJECT: &str = "/veilcloud.projects.v1.ProjectService/DeleteProject";
pub const LIST_PROJECTS: &str = "/veilcloud.projects.v1.ProjectService/ListProjects";
pub const SERVER_INFO: &str = "/veilcloud.common.v1.ServerService/GetServerInfo";
pub const LOGIN_START: &str = "/veilcloud.auth.v1.AuthService/LoginStart";
pub const GET_BLOB: &str = "/veilcloud.storage.v1.StorageService/GetBlob";
pub const ABSENT: &str = "0192f3c4-5a6b-7c8d-9e0f-102132435465";

pub fn get_project(id: &str) -> projects::GetProjectRequest {
    projects::GetProjectRequest { project_id: id.to_owned() }
}

/// An environment with one version of this content; gives the project, the sealed bytes and the key.
pub async fn blob(
    port: &Port,
    person: &Person,
    content: &[u8],
) -> (String, veilcloud_domain::testkit::SealedBlob, veilcloud_domain::projects::model::Environment) {
    let caller = person.caller(&port.world).await;
    let access = port.world.project(&caller, "app").await;
    let (environment, key) = port.world.environment(person, &access, "production").await;
    let sealed = person.seal(&environment, &key, content);
    (access.project().to_string(), sealed, environment)
}

pub fn put_request(project: &str, sealed: &veilcloud_domain::testkit::SealedBlob) -> storage::PutBlobRequest {
    storage::PutBlobRequest {
        project_id: project.to_owned(),
        env_name: "production".to_owned(),
        ciphertext: sealed.ciphertext.clone(),
        seal: sealed.seal.clone().into(),
        if_match: String::new(),
        if_none_match: "*".to_owned(),
        request_id: String::new(),
        log_size: 0,
    }
}
