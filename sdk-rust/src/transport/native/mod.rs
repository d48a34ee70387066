//! gRPC over TCP and TLS 1.3 by tonic. Messages pass as bytes: what was hashed for the proof is what is sent.

mod codec;
mod connector;
mod tls;
mod watch;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use http::Uri;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use self::codec::Raw;
use self::connector::Connector;
use self::watch::Watch;
use super::{Call, Failure, MESSAGE_LEN_MAX, Messages, Transport, status};
use zeroize::Zeroizing;

use crate::error::{Error, NetworkError, Result};

/// How often an open connection is asked whether it is alive.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long the answer to that may take.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes a stream may have on the way: covers several pieces of a download.
const WINDOW_LEN: u32 = 4 * 1024 * 1024;

/// What the builder knows about the connection.
pub(crate) struct Settings {
    pub(crate) uri: Uri,
    pub(crate) ca_certificate_pem: Option<Vec<u8>>,
    pub(crate) connect_timeout: Duration,
    pub(crate) user_agent: String,
}

/// A connection that is made when the first call needs it, and again when it broke.
pub(crate) struct Native {
    channel: Watch<Channel>,
    origin: Uri,
}

impl Native {
    /// Prepares the connection; must run inside a tokio runtime. Nothing is sent yet.
    pub(crate) fn new(settings: Settings) -> Result<Self> {
        let tls = match settings.uri.scheme_str() {
            Some("https") => Some(tls::config(settings.ca_certificate_pem.as_deref())?),
            _ => None,
        };
        let connector = Connector::new(tls, settings.connect_timeout);
        let channel = Endpoint::from(settings.uri.clone())
            .user_agent(settings.user_agent)
            .map_err(|e| Error::invalid("user agent", e))?
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .initial_stream_window_size(WINDOW_LEN)
            .initial_connection_window_size(2 * WINDOW_LEN)
            .connect_with_connector_lazy(connector);
        Ok(Self { channel: Watch::new(channel), origin: settings.uri })
    }

    fn client(&self) -> Grpc<Watch<Channel>> {
        Grpc::with_origin(self.channel.clone(), self.origin.clone())
            .max_decoding_message_size(MESSAGE_LEN_MAX)
            .max_encoding_message_size(MESSAGE_LEN_MAX)
    }
}

impl Transport for Native {
    fn unary(&self, call: Call) -> BoxFuture<'_, Result<Bytes, Failure>> {
        let mut grpc = self.client();
        async move {
            let (timeout, path, request) = prepare(call)?;
            let answer = async {
                grpc.ready().await.map_err(|e| Failure::Network(watch::classify(&*e)))?;
                grpc.unary(request, path, Raw).await.map_err(|status| failure(&status))
            };
            let answer = within(timeout, answer).await?;
            Ok(answer.into_inner())
        }
        .boxed()
    }

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Messages, Failure>> {
        let mut grpc = self.client();
        async move {
            let (timeout, path, request) = prepare(call)?;
            let answer = async {
                grpc.ready().await.map_err(|e| Failure::Network(watch::classify(&*e)))?;
                grpc.server_streaming(request, path, Raw).await.map_err(|status| failure(&status))
            };
            let messages = within(timeout, answer).await?.into_inner();
            Ok(messages.map(|message| message.map_err(|status| failure(&status))).boxed())
        }
        .boxed()
    }

    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()> {
        tokio::time::sleep(time).boxed()
    }
}

fn prepare(call: Call) -> Result<(Duration, PathAndQuery, Request<Bytes>), Failure> {
    let mut request = Request::new(call.body);
    request.set_timeout(call.timeout);
    if let Some(credentials) = call.credentials {
        request.metadata_mut().insert("veil-cap", header(&credentials.capability));
        request.metadata_mut().insert("veil-pop", header(&credentials.proof));
    }
    if let Some(bearer) = call.bearer {
        let mut value = header(&Zeroizing::new(format!("Bearer {}", *bearer)));
        value.set_sensitive(true);
        request.metadata_mut().insert("authorization", value);
    }
    Ok((call.timeout, PathAndQuery::from_static(call.path), request))
}

fn header(text: &str) -> MetadataValue<Ascii> {
    text.parse().expect("base64url and API keys are ASCII")
}

/// The deadline holds also for a server that does not look at it.
async fn within<T>(
    timeout: Duration,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(NetworkError::Timeout { after: timeout }.into()),
    }
}

/// A status with a source was made on this side: something on the way went wrong. Without one it is the server's word.
fn failure(status: &Status) -> Failure {
    match std::error::Error::source(status) {
        Some(source) => Failure::Network(watch::classify(source)),
        None => status::refusal(status),
    }
}

#[cfg(test)]
mod tests;
