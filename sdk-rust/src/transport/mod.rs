//! The way to the server. [`Transport`] carries one encoded message and knows nothing of accounts; [`call`] adds
//! credentials, deadline and retries. What must never happen: a proof used twice, or bytes sent that are not the
//! bytes the proof covers - so a message is encoded exactly once, here.

mod call;
#[cfg(feature = "native")]
pub(crate) mod native;
mod retry;
pub(crate) mod rpc;
mod status;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use zeroize::Zeroizing;

use crate::error::{ApiError, NetworkError};

pub(crate) use retry::Budget;

/// Greatest message that is accepted, in bytes: the server's limit of 1 MiB and what is around it.
#[cfg(feature = "native")]
pub(crate) const MESSAGE_LEN_MAX: usize = 2 * 1024 * 1024;

/// One call, ready to be sent.
pub(crate) struct Call {
    /// gRPC path.
    pub(crate) path: &'static str,
    /// The protobuf message.
    pub(crate) body: Bytes,
    /// Headers of an authenticated call.
    pub(crate) credentials: Option<Credentials>,
    /// An API key's text, instead of them.
    pub(crate) bearer: Option<Zeroizing<String>>,
    /// Time left for the answer.
    pub(crate) timeout: Duration,
}

/// The two headers of an authenticated call, base64url without padding.
pub(crate) struct Credentials {
    pub(crate) capability: String,
    pub(crate) proof: String,
}

/// Why a call brought no answer.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The server was not reached, or the connection broke.
    Network(NetworkError),
    /// The server refused.
    Api(Box<ApiError>),
}

impl Failure {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Failure::Network(_) => "",
            Failure::Api(e) => &e.reason,
        }
    }
}

/// Messages of a stream, in order.
pub(crate) type Messages = BoxStream<'static, Result<Bytes, Failure>>;

/// Carries calls; also the clock and the patience of the platform it runs on.
pub(crate) trait Transport: Send + Sync {
    /// One message there, one back.
    fn unary(&self, call: Call) -> BoxFuture<'_, Result<Bytes, Failure>>;
    /// One message there, many back.
    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Messages, Failure>>;
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;
    /// Waits.
    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()>;
}

/// Runs what computes or blocks for long where it disturbs nobody.
#[cfg(feature = "native")]
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        // The runtime is being shut down; nobody is left to take the result.
        Err(_) => std::future::pending().await,
    }
}

/// Runs what computes for long; without threads there is only one place for it.
#[cfg(not(feature = "native"))]
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    work()
}

#[cfg(test)]
pub(crate) mod fake;
