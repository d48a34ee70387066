//! Answers of several messages.

use std::time::Duration;

use prost_types::Any;
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Response, Status, Streaming, metadata::MetadataMap};

use crate::{
    messages::{Seen, any, map, payload, status},
    pb::{
        BidiStreamRequest, BidiStreamResponse, ConformancePayload, StreamResponseDefinition,
        conformance_payload::RequestInfo,
    },
    trailers::Trailers,
};

/// The messages of an answer, as they come.
pub type Answers<T> = ReceiverStream<Result<T, Status>>;

/// The next message of a request; one that is too long has gRPC's code for it, which tonic 0.14 gives another.
pub async fn message<T>(stream: &mut Streaming<T>) -> Result<Option<T>, Status> {
    stream.message().await.map_err(|status| match status.code() {
        Code::OutOfRange => Status::resource_exhausted(status.message()),
        _ => status,
    })
}

fn begin<T>(
    definition: &StreamResponseDefinition,
    answers: mpsc::Receiver<Result<T, Status>>,
) -> Response<Answers<T>> {
    let mut response = Response::new(ReceiverStream::new(answers));
    *response.metadata_mut() = MetadataMap::from_headers(map(&definition.response_headers));
    response.extensions_mut().insert(Trailers(map(&definition.response_trailers)));
    response
}

/// All messages of the definition, after the whole request.
pub fn answers<T: Send + 'static>(
    definition: StreamResponseDefinition,
    seen: Seen,
    requests: Vec<Any>,
    wrap: impl Fn(ConformancePayload) -> T + Send + 'static,
) -> Response<Answers<T>> {
    let (sender, receiver) = mpsc::channel(1);
    let response = begin(&definition, receiver);
    tokio::spawn(async move {
        let mut info = Some(seen.info(requests));
        let delay = Duration::from_millis(definition.response_delay_ms.into());
        for data in definition.response_data {
            sleep(delay).await;
            let message = wrap(payload(data, info.take()));
            if sender.send(Ok(message)).await.is_err() {
                return;
            }
        }
        if let Some(error) = definition.error {
            // Its receiver is gone when the caller is: then nobody needs it.
            drop(sender.send(Err(status(error, info, Default::default()))).await);
        }
    });
    response
}

/// One message for each that arrives, then the rest of the definition.
pub fn in_turn(
    definition: StreamResponseDefinition,
    seen: Seen,
    requests: Vec<Any>,
    stream: Streaming<BidiStreamRequest>,
) -> Response<Answers<BidiStreamResponse>> {
    let (sender, receiver) = mpsc::channel(1);
    let response = begin(&definition, receiver);
    let turns = Turns { definition, seen, requests, stream, sender: sender.clone() };
    tokio::spawn(async move {
        if let Err(status) = turns.take().await {
            drop(sender.send(Err(status)).await);
        }
    });
    response
}

struct Turns {
    definition: StreamResponseDefinition,
    seen: Seen,
    requests: Vec<Any>,
    stream: Streaming<BidiStreamRequest>,
    sender: mpsc::Sender<Result<BidiStreamResponse, Status>>,
}

impl Turns {
    async fn take(mut self) -> Result<(), Status> {
        let delay = Duration::from_millis(self.definition.response_delay_ms.into());
        let mut reading = true;
        let data = std::mem::take(&mut self.definition.response_data);
        let none = data.is_empty();
        for (at, data) in data.into_iter().enumerate() {
            if at > 0 && reading {
                match message(&mut self.stream).await? {
                    Some(next) => self.requests.push(any("BidiStreamRequest", &next)),
                    None => reading = false,
                }
            }
            sleep(delay).await;
            let requests = std::mem::take(&mut self.requests);
            let info = match at {
                0 => Some(self.seen.info(requests)),
                _ if reading => Some(RequestInfo { requests, ..Default::default() }),
                _ => None,
            };
            let message = BidiStreamResponse { payload: Some(payload(data, info)) };
            if self.sender.send(Ok(message)).await.is_err() {
                return Ok(());
            }
        }
        let info = none.then(|| self.seen.info(std::mem::take(&mut self.requests)));
        match self.definition.error.take() {
            Some(error) => Err(status(error, info, Default::default())),
            None => Ok(()),
        }
    }
}
