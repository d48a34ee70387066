//! Trailers of an answer that went well: tonic has no way to say them, so they are put into its last frame.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// What a handler wants to be sent after its messages.
#[derive(Clone)]
pub struct Trailers(pub HeaderMap);

/// Sends the answer with the trailers that came beside it.
pub fn send(mut response: Response<Body>) -> Response<Body> {
    match response.extensions_mut().remove::<Trailers>() {
        Some(Trailers(trailers)) => response.map(|body| Body::new(WithTrailers { body, trailers })),
        None => response,
    }
}

struct WithTrailers {
    body: Body,
    trailers: HeaderMap,
}

impl HttpBody for WithTrailers {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let next = ready!(Pin::new(&mut self.body).poll_frame(context));
        let Some(Ok(frame)) = next else { return Poll::Ready(next) };
        let frame = match frame.into_trailers() {
            Ok(mut trailers) => {
                trailers.extend(std::mem::take(&mut self.trailers));
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
