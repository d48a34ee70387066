//! Step 7, idempotency: a request with a `request_id` is answered once; its repeats get the same bytes for 24 hours.
//!
//! The answering call runs as a task of its own: a caller that hangs up or runs out of time does not leave a change
//! half remembered.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::body::Body;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message;
use tonic::{Code, Status};
use tracing::Instrument;
use veilcloud_domain::auth::port::{Claim, RequestKey};
use veilcloud_proto::common::v1::ErrorReason;
use veilcore::{hash::sha256, id::ProjectId};

use super::{Call, Frames, Gate, REPLAYED, frame, permission::OnlyRepeat};
use crate::{Services, status::Fault};

/// How long an answer is remembered, in milliseconds.
const REMEMBER_MS: u64 = 24 * 3_600_000;
/// How long a repeat waits between two looks for the first answer.
const BUSY_WAIT: Duration = Duration::from_millis(50);
/// How often it looks.
const BUSY_LOOKS_MAX: u32 = 40;

impl Gate {
    /// Answers the call, or repeats the answer it got before.
    pub(super) async fn answer(
        &self,
        call: &mut Call,
        only: Option<OnlyRepeat>,
    ) -> Result<Response<Body>, Fault> {
        let Some(key) = request_key(call) else {
            return match only {
                Some(OnlyRepeat(denied)) => Err(denied),
                None => Ok(self.behind.clone().serve(call.request()).await),
            };
        };
        // The canonical encoding: the same fields are the same content, whichever client or protocol wrote them.
        let content = sha256(&call.message.encode_to_vec());
        match (self.claim(&key, content).await?, only) {
            (Claim::Answered(message), _) => Ok(repeated(&message)),
            (Claim::Fresh, Some(OnlyRepeat(denied))) => {
                self.services.replies.release(&key).await?;
                Err(denied)
            }
            (_, Some(OnlyRepeat(denied))) => Err(denied),
            (Claim::Fresh, None) => self.answer_first(key, call.request()).await,
            (Claim::OtherContent, None) => Err(Fault::new(
                ErrorReason::RequestIdReused,
                "this request_id was used before with other content",
            )),
            (Claim::Busy, None) => {
                let fault = Fault::new(
                    ErrorReason::RequestIdReused,
                    "the first request with this id is still being answered",
                );
                Err(fault.code(Code::Aborted).retry_after(Duration::from_secs(1)))
            }
        }
    }

    async fn claim(&self, key: &RequestKey, content: [u8; 32]) -> Result<Claim, Fault> {
        for _ in 0..BUSY_LOOKS_MAX {
            match self.services.replies.claim(key, content, self.services.clock.now_ms()).await? {
                Claim::Busy => tokio::time::sleep(BUSY_WAIT).await,
                claim => return Ok(claim),
            }
        }
        Ok(Claim::Busy)
    }

    async fn answer_first(&self, key: RequestKey, request: Request<Body>) -> Result<Response<Body>, Fault> {
        let (services, behind) = (self.services.clone(), self.behind.clone());
        let claim = Claimed { services, key: Some(key) };
        let task = async move {
            let response = behind.serve(request).await;
            claim.settle(response).await
        };
        tokio::spawn(task.in_current_span())
            .await
            .unwrap_or_else(|_| Err(Fault::internal("a handler panicked")))
    }
}

/// A claim that is answered or given back, whatever becomes of the task that holds it.
struct Claimed {
    services: Arc<Services>,
    key: Option<RequestKey>,
}

impl Claimed {
    async fn settle(mut self, response: Response<Body>) -> Result<Response<Body>, Fault> {
        let Some(key) = self.key.take() else { return Ok(response) };
        let failed = Status::from_header_map(response.headers()).is_some_and(|s| s.code() != Code::Ok);
        if failed {
            self.services.replies.release(&key).await?;
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let message = match Frames::new(body).next().await {
            Ok(Some(message)) => message,
            Ok(None) | Err(_) => {
                self.services.replies.release(&key).await?;
                return Err(Fault::internal("a service gave no message"));
            }
        };
        let expires_ms = self.services.clock.now_ms().saturating_add(REMEMBER_MS);
        // The change is made: a failure to remember its answer must not look like a failure to make it.
        if let Err(error) = self.services.replies.answer(&key, message.to_vec(), expires_ms).await {
            tracing::warn!(%error, "an answer could not be remembered");
        }
        Ok(Response::from_parts(parts, body_of(&message)))
    }
}

impl Drop for Claimed {
    /// A panic inside the service leaves the claim here: it is given back so that the caller may try again.
    fn drop(&mut self) {
        if let (Some(key), Ok(runtime)) = (self.key.take(), tokio::runtime::Handle::try_current()) {
            let services = self.services.clone();
            runtime.spawn(async move {
                if let Err(error) = services.replies.release(&key).await {
                    tracing::warn!(%error, "a claim could not be given back");
                }
            });
        }
    }
}

fn request_key(call: &Call) -> Option<RequestKey> {
    let caller = call.caller.as_ref()?;
    let request_id: ProjectId = call.text(call.method.request_id)?.parse().ok()?;
    Some(RequestKey {
        account: caller.account,
        api_key: caller.api_key(),
        method: call.method.name.clone(),
        request_id: *request_id.as_bytes(),
    })
}

/// A good answer of one message, with the trailers that end it.
fn body_of(message: &[u8]) -> Body {
    let mut trailers = HeaderMap::new();
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    let frames = [Frame::data(frame(message)), Frame::trailers(trailers)];
    Body::new(StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>))))
}

fn repeated(message: &[u8]) -> Response<Body> {
    let mut response = Response::new(body_of(message));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
