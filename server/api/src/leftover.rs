//! What is left of an HTTP/1.1 request that was answered before it was read: it is read and thrown away, for a while. Were
//! the connection closed over it, its client would find a broken pipe where the answer should be. HTTP/2 has a frame for
//! this. What must never happen: a body that is kept, or one that holds a connection as long as its sender likes.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::{runtime::Handle, time::timeout};

/// Most bytes that are thrown away; a client that has more to send finds the connection closed.
const LEFTOVER_BYTES_MAX: u64 = 1 << 20;
/// Longest time for it.
const LEFTOVER_TIME_MAX: Duration = Duration::from_secs(5);

/// Sees to what will be left of a request.
pub fn watch(request: Request<Body>) -> Request<Body> {
    // Who asks first whether the body is wanted has sent nothing of it.
    let asks = request.headers().contains_key(header::EXPECT);
    let most = LEFTOVER_BYTES_MAX;
    if request.version() > Version::HTTP_11 || asks || request.body().size_hint().lower() > most {
        return request;
    }
    request.map(|body| Body::new(Watched(Some(body))))
}

/// A body; what of it was not read when it is dropped is thrown away.
struct Watched(Option<Body>);

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let next = ready!(Pin::new(body).poll_frame(context));
        if !matches!(next, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let left = self.0.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (left, Handle::try_current()) {
            runtime.spawn(timeout(LEFTOVER_TIME_MAX, throw_away(body)));
        }
    }
}

async fn throw_away(mut body: Body) {
    let mut thrown = 0;
    while let Some(Ok(frame)) = body.frame().await {
        thrown += frame.data_ref().map_or(0, |data| data.len() as u64);
        if thrown > LEFTOVER_BYTES_MAX {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures_util::stream;
    use tokio::sync::oneshot;

    use super::*;

    /// A body of pieces of 64 KiB that counts those it gave, and tells when it is dropped.
    fn body(pieces: usize, given: Arc<AtomicUsize>) -> (Body, oneshot::Receiver<()>) {
        let (dropped, told) = oneshot::channel::<()>();
        let pieces = stream::unfold((0, dropped), move |(at, dropped)| {
            let given = given.clone();
            async move {
                let more = at < pieces;
                more.then(|| {
                    given.fetch_add(1, Ordering::SeqCst);
                    (Ok::<_, std::io::Error>(Bytes::from(vec![0; 64 << 10])), (at + 1, dropped))
                })
            }
        });
        (Body::from_stream(pieces), told)
    }

    fn request(version: Version, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.version_mut() = version;
        request
    }

    /// How many pieces are read of a request that nobody reads.
    async fn read_of(request: impl FnOnce(Body) -> Request<Body>, pieces: usize) -> usize {
        let given = Arc::new(AtomicUsize::new(0));
        let (body, told) = body(pieces, given.clone());
        drop(watch(request(body)));
        assert!(told.await.is_err(), "the body was dropped");
        given.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn the_rest_of_an_http1_request_is_read_up_to_a_bound() {
        assert_eq!(read_of(|body| request(Version::HTTP_11, body), 3).await, 3);
        assert_eq!(read_of(|body| request(Version::HTTP_11, body), 100).await, 17);
        assert_eq!(read_of(|body| request(Version::HTTP_2, body), 3).await, 0);
        let asking = |body| {
            let mut request = request(Version::HTTP_11, body);
            request.headers_mut().insert(header::EXPECT, "100-continue".parse().unwrap());
            request
        };
        assert_eq!(read_of(asking, 3).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_that_does_not_come_is_given_up() {
        let (dropped, told) = oneshot::channel::<()>();
        let never = stream::unfold(dropped, |dropped| async move {
            std::future::pending::<()>().await;
            Some((Ok::<_, std::io::Error>(Bytes::new()), dropped))
        });
        drop(watch(request(Version::HTTP_11, Body::from_stream(never))));
        assert!(told.await.is_err());
    }

    #[tokio::test]
    async fn a_body_is_read_through_it_as_it_is() {
        let (body, told) = body(3, Arc::default());
        let read = watch(request(Version::HTTP_11, body)).into_body().collect().await.unwrap();
        assert_eq!(read.to_bytes().len(), 3 * (64 << 10));
        assert!(told.await.is_err());
    }
}
