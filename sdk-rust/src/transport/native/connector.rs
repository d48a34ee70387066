//! Opens connections for tonic, step by step, so that what fails is known by its step: name, TCP, TLS, ALPN.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::Service;

use super::tls;
use crate::error::NetworkError;

/// A tower service from address to connection.
#[derive(Clone)]
pub(super) struct Connector {
    tls: Option<TlsConnector>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(tls: Option<Arc<ClientConfig>>, timeout: Duration) -> Self {
        Self { tls: tls.map(TlsConnector::from), timeout }
    }

    async fn connect(self, uri: Uri) -> Result<Connection, NetworkError> {
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.steps(uri)).await {
            Ok(done) => done,
            Err(_) => Err(NetworkError::Timeout { after: timeout }),
        }
    }

    async fn steps(self, uri: Uri) -> Result<Connection, NetworkError> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let address = format!("{host}:{port}");
        let tcp = tcp(&host, port, &address).await?;
        let Some(connector) = self.tls else { return Ok(Connection::Plain(tcp)) };
        let name = ServerName::try_from(host.clone()).map_err(|_| NetworkError::Dns { host })?;
        let stream = connector.connect(name, tcp).await.map_err(|e| handshake(&e))?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(NetworkError::Alpn);
        }
        Ok(Connection::Tls(Box::new(stream)))
    }
}

async fn tcp(host: &str, port: u16, address: &str) -> Result<TcpStream, NetworkError> {
    let found = tokio::net::lookup_host((host, port)).await;
    let addresses = found.map_err(|_| NetworkError::Dns { host: host.to_owned() })?;
    let mut last = NetworkError::Dns { host: host.to_owned() };
    for socket in addresses {
        match TcpStream::connect(socket).await {
            Ok(tcp) => {
                // Small messages must not wait for company; without it they are only slower.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                last = NetworkError::Refused { address: address.to_owned() };
            }
            Err(e) => {
                last = NetworkError::Unreachable { address: address.to_owned(), detail: e.to_string() };
            }
        }
    }
    Err(last)
}

fn handshake(e: &io::Error) -> NetworkError {
    match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::NoApplicationProtocol)
        | Some(rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol)) => {
            NetworkError::Alpn
        }
        Some(e) => NetworkError::Tls(tls::classify(e)),
        None => NetworkError::Lost { detail: e.to_string() },
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = NetworkError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NetworkError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(uri).await.map(TokioIo::new) })
    }
}

/// A connection, with TLS or without.
pub(super) enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Connection::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Connection::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Connection::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Connection::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
