//! The service that Connect's conformance runner calls (`connectrpc.conformance.v1`, vendored under `proto/`), for a server
//! under test to mount. Who uses it: the example `conformance` of `server`. What must never happen: a product that depends
//! on it.

mod messages;
mod streams;
mod trailers;

use axum::Router;
use tonic::{Request, Response, Status, Streaming, service::Routes};
use tower::util::MapResponseLayer;

use self::{
    messages::{Seen, any, one},
    pb::{
        BidiStreamRequest, BidiStreamResponse, ClientStreamRequest, ClientStreamResponse,
        IdempotentUnaryRequest, IdempotentUnaryResponse, ServerStreamRequest, ServerStreamResponse,
        UnaryRequest, UnaryResponse, UnimplementedRequest, UnimplementedResponse,
        conformance_service_server::{ConformanceService, ConformanceServiceServer},
    },
    streams::{Answers, message},
};

/// The runner's messages.
#[allow(missing_docs, clippy::all)]
pub mod pb {
    tonic::include_proto!("connectrpc.conformance.v1");
}

/// The encoded `FileDescriptorSet` of [`pb`].
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The methods whose request is a stream: gRPC path and name.
pub const STREAMS: &[(&str, &str)] = &[
    ("/connectrpc.conformance.v1.ConformanceService/ClientStream", "conformance.ClientStream"),
    ("/connectrpc.conformance.v1.ConformanceService/BidiStream", "conformance.BidiStream"),
];

/// The service behind a router; a message of a stream has at most `limit` bytes.
pub fn routes(limit: usize) -> Router {
    let service = ConformanceServiceServer::new(Service).max_decoding_message_size(limit);
    let router = Routes::new(service).prepare().into_axum_router();
    router.layer(MapResponseLayer::new(trailers::send))
}

struct Service;

#[tonic::async_trait]
impl ConformanceService for Service {
    type ServerStreamStream = Answers<ServerStreamResponse>;
    type BidiStreamStream = Answers<BidiStreamResponse>;

    async fn unary(&self, request: Request<UnaryRequest>) -> Result<Response<UnaryResponse>, Status> {
        let seen = Seen::of(request.metadata());
        let message = request.into_inner();
        let info = seen.info(vec![any("UnaryRequest", &message)]);
        let response = one(message.response_definition, info).await?;
        Ok(response.map(|payload| UnaryResponse { payload: Some(payload) }))
    }

    async fn server_stream(
        &self,
        request: Request<ServerStreamRequest>,
    ) -> Result<Response<Self::ServerStreamStream>, Status> {
        let seen = Seen::of(request.metadata());
        let message = request.into_inner();
        let requests = vec![any("ServerStreamRequest", &message)];
        let wrap = |payload| ServerStreamResponse { payload: Some(payload) };
        Ok(streams::answers(message.response_definition.unwrap_or_default(), seen, requests, wrap))
    }

    async fn client_stream(
        &self,
        request: Request<Streaming<ClientStreamRequest>>,
    ) -> Result<Response<ClientStreamResponse>, Status> {
        let seen = Seen::of(request.metadata());
        let mut stream = request.into_inner();
        let mut definition = None;
        let mut requests = Vec::new();
        while let Some(next) = message(&mut stream).await? {
            requests.push(any("ClientStreamRequest", &next));
            if requests.len() == 1 {
                definition = next.response_definition;
            }
        }
        let response = one(definition, seen.info(requests)).await?;
        Ok(response.map(|payload| ClientStreamResponse { payload: Some(payload) }))
    }

    async fn bidi_stream(
        &self,
        request: Request<Streaming<BidiStreamRequest>>,
    ) -> Result<Response<Self::BidiStreamStream>, Status> {
        let seen = Seen::of(request.metadata());
        let mut stream = request.into_inner();
        let first = message(&mut stream).await?.unwrap_or_default();
        let mut requests = vec![any("BidiStreamRequest", &first)];
        let definition = first.response_definition.unwrap_or_default();
        if first.full_duplex {
            return Ok(streams::in_turn(definition, seen, requests, stream));
        }
        while let Some(next) = message(&mut stream).await? {
            requests.push(any("BidiStreamRequest", &next));
        }
        let wrap = |payload| BidiStreamResponse { payload: Some(payload) };
        Ok(streams::answers(definition, seen, requests, wrap))
    }

    async fn unimplemented(
        &self,
        _: Request<UnimplementedRequest>,
    ) -> Result<Response<UnimplementedResponse>, Status> {
        Err(Status::unimplemented("this method is not there"))
    }

    async fn idempotent_unary(
        &self,
        request: Request<IdempotentUnaryRequest>,
    ) -> Result<Response<IdempotentUnaryResponse>, Status> {
        let seen = Seen::of(request.metadata());
        let message = request.into_inner();
        let info = seen.info(vec![any("IdempotentUnaryRequest", &message)]);
        let response = one(message.response_definition, info).await?;
        Ok(response.map(|payload| IdempotentUnaryResponse { payload: Some(payload) }))
    }
}
