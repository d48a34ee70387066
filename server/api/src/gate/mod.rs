//! The gate: what every request passes before a service sees it, gRPC, gRPC-Web and REST alike. REST arrives here as
//! the gRPC request it stands for. The order below is the rule of the house:
//!
//! trace -> bounds (deadline, draining, credentials there, size, fields) -> caller -> tier -> permission -> replay
//! -> idempotency
//!
//! What must never happen: a handler reached by another way, permission judged after existence, or a proof spent for a
//! request that was not going to be answered.

mod address;
mod allowance;
mod bounds;
mod caller;
mod frame;
mod idempotency;
mod permission;
mod replay;
mod room;
mod tier;
pub mod trace;

use std::{collections::HashMap, net::IpAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, Request, Response, request::Parts};
use prost_reflect::DynamicMessage;
use tonic::Status;
use tower::ServiceExt;
use veilcloud_domain::{audit::Audit, auth::Caller, clock::Entropy, projects::ProjectAccess};
use veilcloud_proto::common::v1::ErrorReason;

use self::{allowance::Allowance, room::Room, trace::Trace};
pub use self::{
    allowance::HEADERS as ALLOWANCE_HEADERS,
    caller::check_credentials,
    frame::{Frames, frame, too_large},
};
use crate::{Draining, Services, Settings, contract::MethodInfo, rest::Served, status::Fault};

/// Header that marks an answer given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("veil-replayed");

/// What REST says about the request that a gRPC request stands for: the proof was made for these.
#[derive(Debug, Clone)]
pub struct RestOrigin {
    /// `METHOD SP path?query`.
    pub target: String,
    /// Hash of the raw HTTP body.
    pub body_hash: [u8; 32],
}

/// The gate with the services behind it.
#[derive(Clone)]
pub struct Gate {
    services: Arc<Services>,
    settings: Arc<Settings>,
    draining: Draining,
    behind: Behind,
    room: Arc<Room>,
}

/// The services behind a gate.
#[derive(Clone)]
pub struct Behind {
    /// Their methods by gRPC path.
    pub methods: &'static HashMap<String, MethodInfo>,
    /// The services.
    pub routes: Router,
    /// True when their errors have our reasons: one without was made by a library.
    pub reasons: bool,
}

/// A request on its way through the gate.
struct Call {
    method: &'static MethodInfo,
    parts: Parts,
    frame: Bytes,
    message: DynamicMessage,
    address: IpAddr,
    caller: Option<Arc<Caller>>,
    access: Option<Arc<ProjectAccess>>,
    /// What it was counted in, for the answer's headers.
    allowance: Option<Allowance>,
}

impl Gate {
    /// The gate before these gRPC services.
    pub fn new(services: Arc<Services>, settings: Arc<Settings>, draining: Draining, behind: Behind) -> Self {
        let room = Room::new(settings.body_bytes_in_flight);
        Self { services, settings, draining, behind, room }
    }

    /// Answers a gRPC request; errors are trailers-only answers.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let passed = AssertUnwindSafe(self.pass(request)).catch_unwind().await;
        passed
            .unwrap_or_else(|_| Err(Fault::internal("a handler panicked")))
            .unwrap_or_else(|fault| fault.into_status().into_http())
    }

    /// The ordered list.
    async fn pass(&self, request: Request<Body>) -> Result<Response<Body>, Fault> {
        let address = self.address_of(&request);
        let (method, limit) = match self.named(&request) {
            Ok(named) => named,
            Err(fault) => return Err(self.charge(address, fault).await),
        };
        let steps = async {
            let mut call = match self.admit(method, request, address).await {
                Ok(call) => call,
                Err(fault) => return Err(self.charge(address, fault).await),
            };
            self.take_tokens(&mut call).await?;
            let repeat = self.judge(&mut call).await?;
            self.spend(&call).await?;
            let mut response = self.answer(&mut call, repeat).await?;
            if let Some(served) = response.extensions().get::<Served>().copied() {
                self.take_length(&mut call, served.len).await?;
            }
            if let Some(allowance) = &call.allowance {
                allowance.write(response.headers_mut());
            }
            Ok(response)
        };
        tokio::time::timeout(limit, steps).await.unwrap_or_else(|_| Err(out_of_time(limit)))
    }

    /// The method that the request names, and how long its answer may take.
    fn named(&self, request: &Request<Body>) -> Result<(&'static MethodInfo, Duration), Fault> {
        let method = (self.behind.methods)
            .get(request.uri().path())
            .ok_or_else(|| Fault::new(ErrorReason::MethodUnknown, "there is no such method"))?;
        Trace::of(request).name(&method.name);
        Ok((method, bounds::deadline(request.headers(), self.settings.request_timeout)?))
    }

    /// Reads the request and establishes who sends it.
    async fn admit(
        &self,
        method: &'static MethodInfo,
        request: Request<Body>,
        address: IpAddr,
    ) -> Result<Call, Fault> {
        let mut call = self.read(method, request, address).await?;
        self.identify(&mut call).await?;
        Ok(call)
    }

    /// Takes tokens for a call that has no method of ours: reflection.
    pub async fn take_anonymous(&self, address: IpAddr) -> Result<(), Fault> {
        self.take_by_address(address, 1, false).await.map(drop)
    }

    /// Whether a method of this gRPC path stands behind it.
    pub fn knows(&self, path: &str) -> bool {
        self.behind.methods.contains_key(path)
    }

    /// The settings.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.clone()
    }

    /// Where trace ids come from.
    pub fn entropy(&self) -> Arc<dyn Entropy> {
        self.services.entropy.clone()
    }

    /// The logs, for the paths that are no RPC's.
    pub fn audit(&self) -> &Audit {
        &self.services.audit
    }

    /// The address a request comes from.
    pub fn address_of(&self, request: &Request<Body>) -> IpAddr {
        address::of(request.headers(), request.extensions(), &self.settings.trusted_proxies)
    }
}

impl Behind {
    /// Calls the service that the request names.
    async fn serve(self, call: Request<Body>) -> Response<Body> {
        let response = match self.routes.oneshot(call).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = Status::from_header_map(response.headers()).filter(|s| s.code() != tonic::Code::Ok);
        match status.filter(|_| self.reasons).and_then(|status| Fault::from_library(&status)) {
            Some(fault) => fault.into_status().into_http(),
            None => response,
        }
    }
}

/// An answer that took too long.
pub fn out_of_time(limit: Duration) -> Fault {
    Fault::new(ErrorReason::DeadlineExceeded, format!("the call took longer than {} ms", limit.as_millis()))
}

impl Call {
    /// The message's bytes.
    fn payload(&self) -> Bytes {
        self.frame.slice(frame::HEADER_LEN..)
    }

    /// The text of a string field by number.
    fn text(&self, number: Option<u32>) -> Option<String> {
        let value = self.message.get_field_by_number(number?)?;
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The request for the service: the same headers and bytes, and who calls.
    fn request(&mut self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.frame.clone()));
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = self.parts.uri.clone();
        *request.version_mut() = self.parts.version;
        *request.headers_mut() = std::mem::take(&mut self.parts.headers);
        *request.extensions_mut() = std::mem::take(&mut self.parts.extensions);
        request.headers_mut().remove(http::header::CONTENT_LENGTH);
        let extensions = request.extensions_mut();
        if let Some(caller) = &self.caller {
            extensions.insert(caller.clone());
        }
        if let Some(access) = &self.access {
            extensions.insert(access.clone());
        }
        request
    }
}
